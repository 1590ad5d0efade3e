"""Histories as files: whole, exact, or not there at all."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests import torture
from tests.cli.terminal import COMMAND, environment, piped
from training_db.cli.export_formats import Histories, parquet_writer
from training_db.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db import TrainingDB
    from training_db.cli.history_table import HistoryTable

    Cli = Callable[..., Answer]

NAN, INFINITY = float("nan"), float("inf")
PRECISE = 0.1 + 0.2
LIMITED = """
import resource, sys
from training_db.cli import main
sys.dont_write_bytecode = True  # what is cut off there would fail the next process
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, most))
try:
    main()
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""


@pytest.fixture
def logged(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Two runs with histories of all kinds, and one without any."""
    for run_id in ("r1", "r2", "bare"):
        db.runs.insert(run_id)
    db.history.append(
        "r1",
        {"_step": [0, 10, 20], "loss": [PRECISE, NAN, -INFINITY], "tokens": [2**60, None, 7],
         "done": [False, None, True], "note": ["a,b", None, 'say "hi"\nthere'],
         "odd": [1, 0.5, 2], "table": [{"rows": [1, None]}, None, "x"]},
    )  # fmt: skip
    db.history.append("r2", {"_step": [10, 20], "loss": [1, 2], "odd": ["x", 1.5]})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.usefixtures("logged")
def test_csv_says_every_value_and_leaves_empty_what_was_not_logged(
    cli: Cli, tmp_path: Path
) -> None:
    target = tmp_path / "history.csv"
    answer = cli("history", "export", "r1", "2", "bare", "-o", str(target))
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"wrote 5 rows of 3 runs to {target}\n"
    rows = read(target.read_text())
    assert list(rows[0])[:4] == ["run_id", "step", "_step", "loss"]
    assert [(row["run_id"], row["step"]) for row in rows] == [
        ("r1", "0"), ("r1", "10"), ("r1", "20"), ("r2", "10"), ("r2", "20"),
    ]  # fmt: skip
    assert [row["loss"] for row in rows] == [repr(PRECISE), "NaN", "-Infinity", "1", "2"]
    assert [row["tokens"] for row in rows] == [str(2**60), "", "7", "", ""]
    assert [row["done"] for row in rows] == ["false", "", "true", "", ""]
    assert [row["note"] for row in rows] == ["a,b", "", 'say "hi"\nthere', "", ""]
    assert [row["odd"] for row in rows] == ["1", "0.5", "2", "x", "1.5"]
    assert [row["table"] for row in rows] == ['{"rows":[1,null]}', "", "x", "", ""]


@torture.on_one_backend
@pytest.mark.usefixtures("logged")
def test_some_metrics_and_steps_go_to_standard_output() -> None:
    answer = piped("history", "export", "r1", "r2", "--metrics", "odd, loss", "--steps", "10:")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "run_id,step,odd,loss\nr1,10,0.5,NaN\nr1,20,2,-Infinity\nr2,10,x,1\nr2,20,1.5,2\n"
    )
    only = piped("history", "export", "r2", "r1", "--metrics", "note", "--format", "json")
    assert [row["run_id"] for row in json.loads(only.out)] == ["r1", "r1"]


@pytest.mark.usefixtures("logged")
def test_json_is_one_array_of_rows(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "history.json"
    assert cli("history", "export", "r1", "r2", "-o", str(target)).code == 0
    rows = json.loads(target.read_text())
    assert len(rows) == 5
    assert rows[0]["tokens"] == 2**60
    assert rows[0]["table"] == {"rows": [1, None]}
    assert rows[1] == {"run_id": "r1", "step": 10, "_step": 10, "loss": {"$float": "NaN"},
                       "odd": 0.5}  # fmt: skip
    cli("history", "export", "bare", "-o", str(target))
    assert json.loads(target.read_text()) == []


@pytest.mark.usefixtures("logged")
def test_parquet_keeps_types_and_tells_nan_from_nothing(cli: Cli, tmp_path: Path) -> None:
    target = tmp_path / "history.parquet"
    assert cli("history", "export", "r1", "r2", "bare", "-o", str(target)).code == 0
    table = parquet.read_table(target)
    assert [table.schema.field(name).type for name in ("run_id", "step", "loss", "tokens", "done",
                                                       "odd", "table")] == [
        pa.string(), pa.int64(), pa.float64(), pa.int64(), pa.bool_(), pa.string(), pa.string(),
    ]  # fmt: skip
    loss = table["loss"].to_pylist()
    assert loss[0] == PRECISE
    assert math.isnan(loss[1])
    assert loss[2:] == [-INFINITY, 1.0, 2.0]
    assert table["loss"].null_count == 0
    assert table["tokens"].to_pylist() == [2**60, None, 7, None, None]
    assert table["done"].to_pylist() == [False, None, True, None, None]
    assert table["odd"].to_pylist() == ["1", "0.5", "2", "x", "1.5"]
    one = tmp_path / "one.parquet"
    assert cli("history", "export", "r1", "--metrics", "odd", "-o", str(one)).code == 0
    assert parquet.read_table(one)["odd"].to_pylist() == [1.0, 0.5, 2.0]


@pytest.mark.usefixtures("logged")
def test_integers_that_no_float_holds_stay_whole_in_parquet(
    cli: Cli, logged: TrainingDB, tmp_path: Path
) -> None:
    logged.history.append("bare", {"n": [2**53 + 1, 0.5], "huge": [2**70, None]})
    target = tmp_path / "history.parquet"
    assert cli("history", "export", "bare", "-o", str(target)).code == 0
    assert parquet.read_table(target)["n"].to_pylist() == [str(2**53 + 1), "0.5"]
    assert parquet.read_table(target)["huge"].to_pylist() == [str(2**70), None]


@pytest.mark.parametrize("name", ["h.csv", "h.json", "h.parquet"])
def test_a_metric_may_be_called_like_a_column_of_the_file(
    cli: Cli, logged: TrainingDB, tmp_path: Path, name: str
) -> None:
    logged.history.append("bare", {"run_id": ["x"], "epoch": [0.5], "_epoch": [0.25]})
    target = tmp_path / name
    assert cli("history", "export", "bare", "--x", "epoch", "-o", str(target)).code == 0
    if name == "h.csv":
        found: dict[str, Any] = read(target.read_text())[0]
    elif name == "h.json":
        found = json.loads(target.read_text())[0]
    else:
        found = parquet.read_table(target).to_pylist()[0]
    assert {key: str(value) for key, value in found.items()} == {
        "_run_id": "bare", "__epoch": "0.25", "run_id": "x", "epoch": "0.5", "_epoch": "0.25",
    }  # fmt: skip


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["r1", "--format", "parquet"], 2, "-o"),
        (["r1", "--format", "xlsx"], 2, "parquet"),
        (["r1", "--metrics", "los"], 1, "did you mean 'loss'"),
        (["r1", "nobody"], 1, "'nobody'"),
        (["r1", "--metrics", ""], 2, "--metrics"),
        (["r1", "--metrics", " , "], 2, "--metrics"),
        ([], 2, "RUN"),
    ],
)
def test_what_cannot_be_exported_is_said(
    cli: Cli, arguments: list[str], code: int, named: str
) -> None:
    answer = cli("history", "export", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert named in answer.err


def test_parquet_without_its_extra_names_the_extra(
    cli: Cli, logged: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = cli("history", "export", "r1", "-o", str(tmp_path / "h.parquet"))
    assert (answer.code, answer.out) == (1, "")
    assert "pip install 'training-db[parquet]'" in answer.err
    assert logged.history.keys("r1")
    assert not list(tmp_path.glob("*.p*"))


@pytest.mark.usefixtures("logged")
def test_a_file_that_cannot_be_written_is_named(cli: Cli, tmp_path: Path) -> None:
    for target in (tmp_path / "no" / "h.csv", tmp_path):
        answer = cli("history", "export", "r1", "-o", str(target))
        assert answer.code == 1
        assert len(answer.err.splitlines()) == 1
        assert str(target) in answer.err
    assert not list(tmp_path.parent.glob("*.partial"))


@torture.on_one_backend
@pytest.mark.parametrize("name", ["h.csv", "h.json", "h.parquet"])
def test_a_full_disk_leaves_the_old_file_as_it_was(
    logged: TrainingDB, tmp_path: Path, name: str
) -> None:
    logged.history.append("r1", {"noise": [math.sin(n) for n in range(30_000)]})
    folder = tmp_path / "exports"
    folder.mkdir()
    target = folder / name
    target.write_text("the old one")
    done = subprocess.run(
        [COMMAND[0], "-c", LIMITED, "history", "export", "r1", "-o", str(target)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "was not written" in done.stderr
    assert "Traceback" not in done.stderr
    assert target.read_text() == "the old one"
    assert [one.name for one in folder.iterdir()] == [name]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_one_and_what_it_leads_to_is_written(
    cli: Cli, tmp_path: Path, is_there: bool
) -> None:
    target, link = tmp_path / "real.csv", tmp_path / "link.csv"
    if is_there:
        target.write_text("old")
    link.symlink_to(target)
    assert cli("history", "export", "r2", "--metrics", "loss", "-o", str(link)).code == 0
    assert link.is_symlink()
    assert target.read_text() == "run_id,step,loss\nr2,10,1\nr2,20,2\n"


@torture.on_one_backend
@pytest.mark.usefixtures("logged")
def test_a_pipe_and_a_device_are_written_to_and_stay(cli: Cli, tmp_path: Path) -> None:
    pipe, came = tmp_path / "pipe.csv", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: came.append(pipe.read_text()), daemon=True)
    reader.start()
    assert cli("history", "export", "r2", "--metrics", "loss", "-o", str(pipe)).code == 0
    assert pipe.is_fifo()
    reader.join(10)
    assert came == ["run_id,step,loss\nr2,10,1\nr2,20,2\n"]
    device = piped("history", "export", "r2", "--metrics", "loss", "-o", "/dev/stdout")
    assert (device.code, device.out) == (0, came[0])


@pytest.mark.parametrize("later", [0.5, "text", 2**70])
def test_a_run_that_changes_its_kind_meanwhile_is_not_cut(
    logged: TrainingDB, tmp_path: Path, later: Any
) -> None:
    logged.runs.insert("live")
    logged.history.append("live", {"_step": [0], "n": [1]})
    histories = Changing(logged, ["live"], None, None, "step", "last")
    histories.later = later
    with (tmp_path / "h.parquet").open("wb") as file, pytest.raises(Conflict, match="try again"):
        parquet_writer()(histories, file)


class Changing(Histories):
    """Histories of a run that logs something else between the first look and the second."""

    later: Any
    looks = 0

    def tables(self) -> Iterator[tuple[str, HistoryTable]]:
        self.looks += 1
        if self.looks == 2:
            self.db.history.append("live", {"_step": [1], "n": [self.later]})
        return super().tables()
