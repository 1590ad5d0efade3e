"""What a recorder does at its limits: it drops, says so, and keeps nobody waiting."""

from __future__ import annotations

import warnings
from time import monotonic
from typing import Any

import pytest

from training_db import TrainingDB
from training_db.recording import RecorderWarning


def test_events_do_not_fill_a_spool_beyond_its_bytes(db: TrainingDB) -> None:
    recorder = db.recorder("run", flush_seconds=3600, spool_bytes=10_000)
    for _ in range(9):
        recorder.event("note", "x" * 1_000)
    with pytest.warns(RecorderWarning, match="events are dropped"):
        recorder.event("note", "x" * 1_000)
    for _ in range(90):
        recorder.event("note", "x" * 1_000)
    assert recorder._spool.waiting_bytes <= 11_000
    assert recorder.flush()
    recorder.event("note", "later")
    recorder.close()
    kept = [event["message"] for event in db.events.list("run", "note")]
    assert len(kept) == 10
    assert "later" in kept
    assert any("91 times" in event["message"] for event in db.events.list("run"))


def test_nobody_waits_for_a_database_in_memory_that_takes_nothing() -> None:
    with TrainingDB(":memory:") as db, warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        recorder = db.recorder("run", close_seconds=30)  # there are no tables
        recorder.log({"loss": 1.0})
        begun = monotonic()
        assert not recorder.flush(30)
        recorder.close()
        assert monotonic() - begun < 10


def test_two_threads_that_take_what_a_handler_left_do_not_meet(db: TrainingDB) -> None:
    class Raced(list[Any]):
        """Another thread takes the last one, right after this one has looked."""

        def __bool__(self) -> bool:
            is_there = len(self) > 0
            if is_there and not recorder._lock._is_owned():  # type: ignore[attr-defined]
                self.clear()
            return is_there

    recorder = db.recorder("run", flush_seconds=3600)
    recorder._later = Raced([({"loss": 1.0}, None, None)])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecorderWarning)
        recorder._log({"loss": 2.0}, None, None)
    recorder.close()
