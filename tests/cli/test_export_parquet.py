"""The command ``export parquet``, and the page about datasets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.cli.terminal import lines
from tests.cli.test_docs import answers_to_the_commands_of, shown_by_the_code_of
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]


def on_a_filled_file(test: Callable[..., None]) -> Callable[..., None]:
    on_file = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
    return pytest.mark.usefixtures("filled")(on_file(test))


@on_a_filled_file
def test_it_says_what_each_table_has(cli: Cli, tmp_path: Path) -> None:
    answer = cli("export", "parquet", "-o", str(tmp_path / "dataset"))
    assert answer.code == 0
    assert answer.err.splitlines()[-1] == "export runs 3/3"
    table = lines(answer.out)
    assert table[0] == ["table", "rows", "files", "bytes"]
    assert [row[:2] for row in table[1:4]] == [
        ["runs", "3"], ["objectives", "1"], ["scaffolds", "1"],
    ]  # fmt: skip


@on_a_filled_file
def test_json_and_a_filter(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    answer = cli(
        "export", "parquet", "status = 'completed'", "-o", str(folder), "--json",
        "--partition-by", "status, created_year",
    )  # fmt: skip
    assert answer.code == 0
    told = json.loads(answer.out)
    assert (told["folder"], told["runs"], told["misfits"]) == (str(folder), 1, {})
    found = duckdb.sql(
        f"SELECT run_id, by_status, created_year FROM read_parquet('{folder}/runs/**/*.parquet')"
    ).fetchall()
    assert found == [("r1", "completed", 2024)]


@on_a_filled_file
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--partition-by", "colour"], 2, "unknown column to partition by 'colour'"),
        (["status = "], 2, "status = "),
        (["a = 1", "--filter", "b = 2"], 2, "give the filter once"),
        (["--duplicates", "first"], 2, "first"),
    ],
)
def test_what_is_typed_wrong(
    cli: Cli, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    answer = cli("export", "parquet", "-o", str(tmp_path / "dataset"), *arguments)
    assert (answer.code, said in answer.err) == (code, True)
    assert not (tmp_path / "dataset").exists()


@on_a_filled_file
def test_what_fails_says_so_in_a_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    nowhere = cli("export", "parquet", "-o", str(tmp_path / "file" / "dataset"))
    assert (nowhere.code, nowhere.err.splitlines()[-1]) == (
        1,
        f"training-db: {tmp_path / 'file' / 'dataset'} was not written: Not a directory",
    )
    there = cli("export", "parquet", "-o", str(tmp_path / "file"), "--force")
    assert (there.code, "is no dataset" in there.err) == (1, True)


def test_values_of_another_type_are_told(migrated_file: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "odd.db").write_bytes(migrated_file.read_bytes())
    with TrainingDB(tmp_path / "odd.db") as db:
        db.runs.insert("run")
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE training_runs SET batch_size = 'many'")
    answer = cli("export", "parquet", "-o", str(tmp_path / "d"), "--url", str(tmp_path / "odd.db"))
    assert answer.code == 0
    assert "runs.batch_size: 1 not of the column's type" in answer.err


def test_the_page_on_datasets_runs_as_it_stands(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_by_the_code_of("docs/datasets.md", tmp_path).splitlines()
    assert shown[0].startswith("2 [('runs', 2), ('objectives', 2), ('metrics', 2)")
    assert shown[1] == "[('run-0', 0, 2.0), ('run-0', 1, 0.5)]"
    whole, by_method = answers_to_the_commands_of("docs/datasets.md", tmp_path, cli, monkeypatch)
    assert lines(whole.out)[1][:2] == ["runs", "3"]
    assert lines(by_method.out)[1][:2] == ["runs", "0"]
