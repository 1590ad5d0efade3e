"""A recorder keeps what it is given, says what it cannot keep, and never raises."""

from __future__ import annotations

import json
import math
import pickle
import threading
import warnings
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_db import TrainingDB
from training_db.db.migrations import upgrade
from training_db.errors import ConfigurationError, InvalidValue
from training_db.recording import Recorder, RecorderWarning
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def recorder(db: TrainingDB) -> Iterator[Recorder]:
    """A recorder that sends nothing until it is asked."""
    with db.recorder("run", flush_seconds=3600) as recorder:
        yield recorder


def cells(db: TrainingDB, run_id: str = "run") -> dict[str, list[tuple[int, Any]]]:
    """Return for each metric its pairs of step and value."""
    series = db.history.arrays(run_id, duplicates="all")[run_id]
    return {
        name: list(zip(one.x.tolist(), one.values.tolist(), strict=True))
        for name, one in series.items()
        if name != "_timestamp"
    }


def events(db: TrainingDB, kind: str = "error", run_id: str = "run") -> list[str]:
    return [event["message"] for event in db.events.list(run_id, kind)]


def test_steps_are_counted_where_nobody_says_them(db: TrainingDB, recorder: Recorder) -> None:
    recorder.log({"loss": 1.0})
    recorder.log({"loss": 2.0})
    recorder.log({"loss": 3.0}, step=10, epoch=1)
    recorder.log({"loss": 4.0}, epoch=1.5)
    recorder.log({"loss": 5.0}, step=np.int64(3))
    recorder.log({"loss": 6.0, "_step": 20})
    recorder.log({"loss": 7.0})
    recorder.log({"loss": 8.0, "_step": "unknown"})
    assert recorder.flush()
    found = cells(db)
    steps = [0, 1, 10, 11, 3, 20, 21]
    assert found["loss"][:7] == list(zip(steps, map(float, range(1, 8)), strict=True))
    assert found["_epoch"] == [(10, 1), (11, 1.5)]


def test_the_time_of_a_row_is_when_it_was_logged_or_what_it_says(
    db: TrainingDB, recorder: Recorder
) -> None:
    recorder.log({"loss": 1.0})
    recorder.log({"loss": 1.0, "_timestamp": 5.0})
    assert recorder.flush()
    times = db.history.arrays("run", "_timestamp")["run"]["_timestamp"].values
    assert abs(times[0] - datetime.now(UTC).timestamp()) < 60
    assert times[1] == 5.0


def test_values_keep_their_kinds_and_none_is_no_cell(db: TrainingDB, recorder: Recorder) -> None:
    row = {
        "float": 0.5, "int": 2**62, "bool": True, "nan": math.nan, "text": "x", "list": [1, None],
        "dict": {"a": {"b": 1}}, "long": 2**70, "none": None, "float32": np.float32(0.25),
    }  # fmt: skip
    recorder.log(row)
    recorder.log(MappingProxyType({"float": 1}))
    recorder.log({"float": 2**70})
    recorder.log({})
    assert recorder.flush()
    found = cells(db)
    assert math.isnan(found.pop("nan")[0][1])
    assert found.pop("_step") == [(step, step) for step in range(4)]
    assert found.pop("float") == [(0, 0.5), (1, 1), (2, 2**70)]
    assert found == {
        name: [(0, value)]
        for name, value in row.items()
        if value is not None and name not in ("float", "nan")
    }
    assert {name: type(one[0][1]) for name, one in found.items()}["bool"] is bool


def test_many_rows_are_logged_each_at_its_step(db: TrainingDB, recorder: Recorder) -> None:
    recorder.log_many({"loss": float(step), "_step": 2 * step} for step in range(500))
    assert recorder.flush()
    assert cells(db)["loss"] == [(2 * step, float(step)) for step in range(500)]


def test_rows_of_changing_shapes_come_out_in_order(db: TrainingDB, recorder: Recorder) -> None:
    for step in range(40):
        recorder.log({"loss": step / 3} | ({"score": step} if step % 3 else {"score": step / 7}))
    assert recorder.flush()
    assert cells(db)["score"] == [(s, s if s % 3 else s / 7) for s in range(40)]
    assert cells(db)["loss"] == [(s, s / 3) for s in range(40)]


class Strange:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_value_that_cannot_be_stored_costs_itself_and_not_its_row(
    db: TrainingDB, recorder: Recorder
) -> None:
    row = {"loss": 1.0, "model": object(), "many": [object()], "int": 2**20_000}
    with pytest.warns(RecorderWarning, match="metric 'model' is not logged") as caught:
        recorder.log_many([row, row, row])
    assert len(caught) == 1
    with pytest.warns(RecorderWarning, match="is no mapping"):
        recorder.log([1, 2])  # type: ignore[arg-type]
    recorder.log({Strange(): 1, "loss": 2.0})  # type: ignore[dict-item]
    recorder.close()
    assert cells(db)["loss"] == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0)]
    assert "model" not in cells(db)
    messages = events(db)
    assert sum("metric 'model'" in message for message in messages) == 1
    assert "values: 10 times in all" in messages


def test_keys_that_no_column_can_hold_are_renamed(db: TrainingDB, recorder: Recorder) -> None:
    for _ in range(2):
        recorder.log({"a\x00b": 1, "\ud800": 2, 7: 3, "": 4, "k" * 1500: 5, " pad ": 6})  # type: ignore[dict-item]
    assert recorder.flush()
    names = set(cells(db)) - {"_step"}
    assert {"a\ufffdb", "\ufffd", "7", "(empty)", " pad "} < names
    assert len(names) == 6
    assert events(db) == []


@pytest.mark.parametrize(
    ("step", "stored"), [(2.0, 2), (2.7, 2), ("x", 0), (2**80, 0), (math.nan, 0), (True, 1)]
)
def test_a_step_that_is_no_whole_number_is_made_one(
    db: TrainingDB, recorder: Recorder, step: Any, stored: int
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recorder.log({"loss": 1.0}, step=step)
    assert bool(caught) == (step != stored)
    assert recorder.flush()
    assert cells(db)["loss"] == [(stored, 1.0)]


def test_an_epoch_that_is_no_number_is_kept_as_it_is(db: TrainingDB, recorder: Recorder) -> None:
    recorder.log({"loss": 1.0}, epoch="warm-up")  # type: ignore[arg-type]
    assert recorder.flush()
    assert cells(db)["_epoch"] == [(0, "warm-up")]


def test_events_stand_on_the_timeline_once(db: TrainingDB, recorder: Recorder) -> None:
    recorder.event("checkpoint", "saved\x00", {"step": 3, "loss": math.nan})
    recorder.event("checkpoint", "saved", object())
    assert recorder.flush()
    recorder.close()
    first, second = db.events.list("run", "checkpoint")
    assert first["message"] == "saved\ufffd"
    assert json.loads(first["data_json"])["step"] == 3
    assert "JSON cannot hold" in second["data_json"]
    age = datetime.now(UTC) - parse_timestamp(first["happened_at"])
    assert abs(age) < timedelta(minutes=1)


def test_an_event_that_cannot_be_told_is_warned_of(recorder: Recorder) -> None:
    with pytest.warns(RecorderWarning, match="an event was not recorded"):
        recorder.event("checkpoint", Strange())  # type: ignore[arg-type]


def test_a_run_that_is_not_there_is_made_and_running(db: TrainingDB) -> None:
    with db.recorder("new") as recorder:
        assert recorder.flush()
        run = db.runs.get("new")
        assert (run["status"], run["stale"]) == ("running", False)
        assert run["started_at"] is not None
    assert db.runs.get("new")["status"] == "completed"


@pytest.mark.parametrize("status", ["completed", "failed", "crashed"])
def test_closing_says_how_the_run_has_ended(db: TrainingDB, spool_dir: Path, status: str) -> None:
    recorder = db.recorder("run")
    recorder.log({"loss": 1.0})
    recorder.close(status)
    assert db.runs.get("run")["status"] == status
    assert db.runs.get("run")["ended_at"] is not None
    assert list(spool_dir.iterdir()) == []
    recorder.close("failed")  # once is enough
    assert db.runs.get("run")["status"] == status


def test_an_unknown_status_is_completed_and_said(db: TrainingDB) -> None:
    recorder = db.recorder("run")
    with pytest.warns(RecorderWarning, match="unknown status 'done'"):
        recorder.close("done")
    assert db.runs.get("run")["status"] == "completed"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("the loss is NaN"), "failed", "ValueError: the loss is NaN"),
        (KeyboardInterrupt(), "crashed", "KeyboardInterrupt (SIGINT)"),
        (SystemExit(3), "failed", "SystemExit: 3"),
        (SystemExit(0), "completed", None),
        (SystemExit(), "completed", None),
    ],
)
def test_what_ends_a_block_is_an_event(
    db: TrainingDB, error: BaseException, status: str, message: str | None
) -> None:
    with pytest.raises(type(error)), db.recorder("run") as recorder:
        recorder.log({"loss": 1.0})
        raise error
    assert db.runs.get("run")["status"] == status
    told = db.events.list("run", "error")
    assert [event["message"] for event in told] == ([message] if message else [])
    for event in told:
        assert "raise error" in json.loads(event["data_json"])["traceback"]


def test_a_recorder_that_keeps_its_hands_off_the_status(db: TrainingDB) -> None:
    db.runs.insert("run")
    with db.recorder("run", sets_status=False) as recorder:
        recorder.log({"loss": 1.0})
    assert db.runs.get("run")["status"] == "launched"
    assert db.runs.get("run")["heartbeat_at"] is not None
    assert cells(db)["loss"] == [(0, 1.0)]


def test_what_is_logged_after_the_end_is_refused_once(db: TrainingDB) -> None:
    recorder = db.recorder("run")
    recorder.log({"loss": 1.0})
    recorder.close()
    with pytest.warns(RecorderWarning, match=r"after close\(\)"):
        recorder.log({"loss": 2.0})
    recorder.log({"loss": 2.0})
    recorder.event("x", "y")
    assert recorder.flush()
    assert repr(recorder) == "<Recorder of run 'run': closed>"
    assert cells(db)["loss"] == [(0, 1.0)]


@pytest.mark.parametrize(
    ("run_id", "options"),
    [
        (7, {}),
        ("", {}),
        ("r" * 1001, {}),
        ("a\x00", {}),
        ("r", {"flush_seconds": 0}),
        ("r", {"flush_seconds": math.inf}),
        ("r", {"close_seconds": -1}),
        ("r", {"spool_bytes": "1 GiB"}),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(
    db: TrainingDB, run_id: Any, options: dict[str, Any]
) -> None:
    with pytest.raises(InvalidValue):
        db.recorder(run_id, **options)
    assert db.runs.count() == 0


def test_a_variable_that_cannot_be_used_is_refused(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_SPOOL_BYTES", "much")
    with pytest.raises(ConfigurationError, match="TRAINING_DB_SPOOL_BYTES"):
        db.recorder("run")


def test_a_recorder_cannot_be_pickled_and_says_what_to_do(recorder: Recorder) -> None:
    with pytest.raises(TypeError, match="sets_status=False"):
        pickle.dumps(recorder)


def test_it_is_called_by_its_run_and_its_file(recorder: Recorder, spool_dir: Path) -> None:
    [file] = spool_dir.glob("*.spool")
    assert repr(recorder) == f"<Recorder of run 'run': {file}>"
    assert file.name == f"run-{recorder.writer}.spool"


def test_a_folder_that_cannot_be_used_means_memory_and_a_warning(
    db: TrainingDB, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.warns(RecorderWarning, match="TRAINING_DB_SPOOL_DIR"):
        recorder = db.recorder("run", spool_dir=file)
    recorder.log({"loss": 1.0})
    recorder.close()
    assert cells(db)["loss"] == [(0, 1.0)]
    assert len(events(db)) == 1


def test_a_warning_that_is_an_error_does_not_reach_the_training(
    db: TrainingDB, capsys: pytest.CaptureFixture[str]
) -> None:
    recorder = db.recorder("run")
    recorder.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder.log({"loss": 1.0})
    assert "RecorderWarning: what is logged after close() is not kept" in capsys.readouterr().err


def test_a_spool_that_is_nearly_full_is_warned_of_and_a_full_one_drops_rows(
    db: TrainingDB,
) -> None:
    with db.recorder("run", flush_seconds=3600, spool_bytes=10_000) as recorder:
        with pytest.warns(RecorderWarning) as caught:
            recorder.log_many([{"loss": 1.0}] * 400)
        assert [str(one.message).partition(":")[0] for one in caught][1:] == ["run 'run'"]
        assert "of 10,000 at most" in str(caught[0].message)
        assert "is full; rows from step" in str(caught[1].message)
        assert recorder.flush()
        with pytest.warns(RecorderWarning, match="were dropped") as caught:
            recorder.log({"loss": 1.0})
    found = cells(db)["loss"]
    kept = [step for step, _ in found]
    assert kept == [*range(len(kept) - 1), 400]
    assert any(f"steps {len(kept) - 1} to 399 were dropped" in message for message in events(db))


def test_rows_that_were_dropped_to_the_last_are_said_at_the_end(db: TrainingDB) -> None:
    recorder = db.recorder("run", flush_seconds=3600, spool_bytes=1_000)
    with pytest.warns(RecorderWarning) as caught:
        recorder.log_many([{"loss": 1.0}] * 100)
    assert len(caught) == 2
    with pytest.warns(RecorderWarning, match="to 99 were dropped"):
        recorder.close()


def test_many_cells_are_sent_before_their_time(db: TrainingDB, recorder: Recorder) -> None:
    row = {f"m{number}": float(number) for number in range(1000)}
    for _ in range(1_100):
        recorder.log(row)
    progress = threading.Event()
    for _ in range(500):
        if db.runs.find("run") and db.history.progress("run", recorder.writer):
            break
        progress.wait(0.02)
    assert db.history.progress("run", recorder.writer) > 0


def test_a_database_in_memory_is_sent_to_by_whoever_asks(spool_dir: Path) -> None:
    with TrainingDB(":memory:") as db:
        upgrade(db.engine)  # type: ignore[arg-type]
        with db.recorder("run") as recorder:
            recorder.log({"loss": 1.0})
            assert recorder.flush()
            assert cells(db)["loss"] == [(0, 1.0)]
            recorder.log_many({f"m{n}": 1.0 for n in range(1000)} for _ in range(1_100))
            assert db.history.progress("run", recorder.writer) > 900
        assert db.runs.get("run")["status"] == "completed"
    assert not spool_dir.exists()
