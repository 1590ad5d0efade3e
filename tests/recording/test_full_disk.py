"""A spool whose file takes no more: the training goes on, and nothing that was logged is lost."""

from __future__ import annotations

import threading
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from training_db.recording import Recorder, RecorderWarning

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


def fill_up(recorder: Recorder, pages: int = 0) -> None:
    """Let the file of a spool grow by no more than so many pages, as on a disk that is full."""
    connection = recorder._spool._connection
    (used,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {used + pages}")


def test_rows_beyond_a_full_disk_are_kept_in_memory(db: TrainingDB, spool_dir: Path) -> None:
    recorder = db.recorder("run", flush_seconds=3600)
    recorder.log({"text": "x" * 100, "step": 0})
    first = recorder.writer
    fill_up(recorder, pages=3)
    with pytest.warns(RecorderWarning, match="kept in memory"):
        recorder.log_many({"text": "x" * 100, "step": step} for step in range(1, 500))
    assert recorder.writer > first
    recorder.log({"text": "x" * 100, "step": 500})
    assert recorder.flush()
    assert list(spool_dir.glob("*.spool")) == []  # all that it held was sent
    recorder.log({"step": 501})
    recorder.close()
    steps = db.history.arrays("run", "step", duplicates="all")["run"]["step"].values
    assert steps.tolist() == list(range(502))
    assert db.runs.get("run")["status"] == "completed"
    [event] = db.events.list("run", "error")
    assert "takes no more rows" in event["message"]


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_new_shape_on_a_full_disk_is_kept_in_memory(db: TrainingDB, is_plain: bool) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        fill_up(recorder)
        row = {f"{'name' * 20}{number}": 1.0 if is_plain else "text" for number in range(100)}
        with pytest.warns(RecorderWarning, match="kept in memory"):
            recorder.log(row)
    assert len(db.history.arrays("run")["run"]) == 102


def test_an_event_on_a_full_disk_is_kept_in_memory(db: TrainingDB) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        fill_up(recorder)
        with pytest.warns(RecorderWarning, match="kept in memory"):
            recorder.event("note", "x" * 10_000)
    assert len(db.events.list("run", "note")) == 1


def test_a_run_ends_on_a_full_disk(db: TrainingDB) -> None:
    recorder = db.recorder("run", flush_seconds=3600)
    recorder.log({"loss": 1.0})
    recorder._spool._connection.execute("PRAGMA query_only = ON")  # as a disk that failed
    with pytest.warns(RecorderWarning, match="takes no more"):
        recorder.close()
    assert db.runs.get("run")["status"] == "completed"
    assert len(db.history.arrays("run", "loss")["run"]["loss"].values) == 1


def test_two_threads_on_a_full_disk_go_on_in_one_memory(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = threading.Barrier(2)
    go_on = Recorder._go_on_in_memory

    def slowly(self: Recorder, error: Exception) -> None:
        with suppress(threading.BrokenBarrierError):  # the lock keeps the other one out
            both.wait(0.5)
        go_on(self, error)

    with db.recorder("run", flush_seconds=3600) as recorder, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        fill_up(recorder)
        monkeypatch.setattr(Recorder, "_go_on_in_memory", slowly)
        threads = [
            threading.Thread(target=recorder.event, args=("note", "x" * 10_000)) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(recorder._spools) == 2
    assert len(db.events.list("run", "note")) == 2
