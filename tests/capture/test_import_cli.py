"""``training-db import wandb-offline``: what it prints, how it ends, how it follows live runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.capture.frames import Framed, framed
from tests.capture.logs import START, ended, header, history, run, simple, write_log
from tests.capture.oracle import told
from tests.capture.stored import the_run
from tests.cli.terminal import answered
from training_db import init_db

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

IMPORT = ("import", "wandb-offline")


def write_damaged(path: Path) -> Framed:
    """Write a log of 20 rows in which a bit is flipped, and which ends inside a record."""
    log = framed(one.SerializeToString() for one in simple(rows=20))
    data = bytearray(log.data[: log.ends[-2] + 3])
    data[log.starts[9] + 20] ^= 1
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return log


def test_rows_keys_and_values_are_printed_with_the_counts_of_each_key(
    named: TrainingDB, cli: Cli, path: Path
) -> None:
    write_log(path, [
        header(), run(),
        *(history({"loss": 1.5, **({"acc": 1} if step % 2 else {})}, step) for step in range(41)),
        ended(),
    ])  # fmt: skip

    answer = cli(*IMPORT, str(path))

    assert answer.code == 0
    shown = answer.out + answer.err
    assert "r1" in shown
    assert "102" in shown, "the values"
    for key, count in {"loss": "41", "acc": "20", "_step": "41"}.items():
        assert any(key in line and line.count(count) >= 2 for line in shown.splitlines()), key
    assert the_run(named)["status"] == "completed"


@pytest.mark.usefixtures("named")
def test_as_json_it_is_one_document(cli: Cli, client_logs: dict[str, Path]) -> None:
    tree = client_logs["whole"].parents[1]

    outcomes = answered(cli(*IMPORT, str(tree), "--json"))

    found = {one["run_id"]: one for one in outcomes}
    assert set(found) == {"whole", "failed", "typed", "resumed"}
    whole = found["whole"]
    assert whole["rows"] == told(client_logs["whole"]).rows
    assert all(count["source"] == count["database"] > 0 for count in whole["counts"])
    assert sum(count["source"] for count in whole["counts"]) == whole["values"]


@pytest.mark.usefixtures("named")
def test_damage_is_printed_and_is_no_failure(cli: Cli, path: Path) -> None:
    log = write_damaged(path)

    answer = cli(*IMPORT, str(path))

    assert answer.code == 0
    shown = answer.out + answer.err
    assert f"{log.starts[9]:,}" in shown or str(log.starts[9]) in shown, "where it is"
    assert "inside a record" in shown or "cut" in shown
    (outcome,) = answered(cli(*IMPORT, str(path), "--json"))
    assert len(outcome["damage"]) == 2
    assert outcome["rows"] == 19


@pytest.mark.usefixtures("named")
def test_a_file_that_cannot_be_read_is_a_failure_beside_the_others(cli: Cli, path: Path) -> None:
    write_log(path, simple())
    pointer = path.parents[1] / "run-x" / "run-x.wandb"
    pointer.parent.mkdir()
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")

    answer = cli(*IMPORT, str(path.parents[1]))

    assert answer.code == 1
    assert "git lfs pull" in answer.out + answer.err
    assert answer.out.count("Traceback") == answer.err.count("Traceback") == 0


def test_a_difference_between_file_and_database_is_a_failure(
    named: TrainingDB, cli: Cli, path: Path
) -> None:
    rows = (history({"loss": step / 7, "acc": step}, step) for step in range(6_000))
    write_log(path, [header(), run(), *rows, ended()])
    assert cli(*IMPORT, str(path)).code == 0
    with named.engine.begin() as connection:
        connection.execute(
            text(
                "DELETE FROM run_history_segments WHERE first_row = 0 AND metric_id = "
                "(SELECT id FROM metric_names WHERE name = 'acc')"
            )
        )

    answer = cli(*IMPORT, str(path))

    assert answer.code == 1
    shown = answer.out + answer.err
    assert any("acc" in line and ("6,000" in line or "6000" in line) for line in shown.splitlines())


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("wrong", [[], ["--nonsense"], ["x.wandb", "--every", "soon"]])
def test_bad_usage_ends_with_2(cli: Cli, wrong: list[str]) -> None:
    assert cli(*IMPORT, *wrong).code == 2


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("missing", ["nowhere.wandb", "nowhere/", "no*where"])
def test_a_path_where_nothing_is_is_named(cli: Cli, tmp_path: Path, missing: str) -> None:
    answer = cli(*IMPORT, str(tmp_path / missing))

    assert answer.code in (1, 2)
    assert missing.rstrip("/") in answer.err + answer.out
    assert "Traceback" not in answer.err


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("source", ["wandb-offline", "mlflow"])
def test_an_empty_path_is_not_the_folder_that_one_is_in(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    write_log(tmp_path / "run-r1.wandb", simple())
    (tmp_path / "mlflow.db").touch()
    monkeypatch.chdir(tmp_path)

    answer = cli("import", source, "")

    assert answer.code == 1
    assert answer.err.startswith("'': not imported: the path is empty; ")


@pytest.mark.usefixtures("named")
def test_a_database_of_mlflow_that_is_not_there_is_named(cli: Cli, tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.db")

    answer = cli("import", "mlflow", missing)

    assert answer.code == 1
    assert answer.err.startswith(f"{missing}: not imported: there is no file")


@pytest.mark.usefixtures("named")
def test_a_database_of_ours_is_no_database_of_mlflow(cli: Cli, tmp_path: Path) -> None:
    init_db(tmp_path / "ours.db")

    answer = cli("import", "mlflow", str(tmp_path / "ours.db"))

    assert answer.code == 1
    assert "it is one of training-db itself; name the one" in answer.err


@pytest.mark.usefixtures("named")
def test_the_last_line_says_how_many_places_are_damaged(cli: Cli, path: Path) -> None:
    write_damaged(path)
    write_log(path.parents[1] / "run-r2" / "run-r2.wandb", simple("r2"))

    answer = cli(*IMPORT, str(path.parents[1]))

    assert answer.out.splitlines()[-1].endswith(", 2 damaged places, all as in their source")


@pytest.mark.usefixtures("named")
def test_a_folder_without_logs_is_named(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "emptyfolder"
    folder.mkdir()

    answer = cli(*IMPORT, str(folder))

    assert answer.code in (1, 2)
    assert "emptyfolder" in answer.err + answer.out


@pytest.mark.usefixtures("named")
def test_a_decision_about_a_run_is_printed(cli: Cli, tmp_path: Path) -> None:
    for at in (1, 2):
        records = simple("same", start=START + 5_000 * at, project=f"p{at}", config={"lr": at})
        write_log(tmp_path / "wandb" / f"run-{at}-same" / "run-same.wandb", records)

    answer = cli(*IMPORT, str(tmp_path / "wandb"))

    assert answer.code == 0
    assert "another run" in answer.out + answer.err
