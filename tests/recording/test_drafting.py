"""Drafts: rows that may still grow, which survive the end of the process like any other."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from training_db.recording import sync
from training_db.recording.drafting import DraftingRecorder
from training_db.recording.leftover import status

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


def row(step: int, **metrics: Any) -> dict[str, Any]:
    return {**metrics, "_timestamp": 1.0, "_step": step}


def values(db: TrainingDB, metric: str) -> dict[int, Any]:
    cells = db.history.arrays("r1", metric, duplicates="all")["r1"][metric]
    return dict(zip(cells.x.tolist(), cells.values.tolist(), strict=True))


def test_a_draft_is_not_sent_before_it_is_kept(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1") as recorder:
        recorder.log(row(0, loss=1.0))
        recorder.draft(row(1, loss=0.5))
        assert recorder.flush()
        assert values(db, "loss") == {0: 1.0}
        recorder.draft(row(1, loss=0.4))
        recorder.keep()
        assert recorder.flush()
        assert values(db, "loss") == {0: 1.0, 1: 0.4}
        assert not recorder.has_draft


def test_what_is_logged_takes_the_place_of_the_draft(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1") as recorder:
        recorder.draft(row(0, loss=1.0))
        recorder.log(row(0, loss=1.0, acc=0.5))
        recorder.log(row(1, loss=0.5))
    assert values(db, "loss") == {0: 1.0, 1: 0.5}
    assert values(db, "acc") == {0: 0.5}


def test_close_keeps_the_draft(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1") as recorder:
        recorder.draft(row(3, loss=1.0))
    assert values(db, "loss") == {3: 1.0}


def test_rows_like_the_last_one_are_logged_like_it(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1") as recorder:
        assert not recorder.log_alike(row(0, loss=1.0))
        recorder.log(row(0, loss=1.0))
        assert recorder.log_alike(row(1, loss=0.5))
        assert recorder.log_alike(row(2, loss=0.25), is_draft=True)
        assert recorder.has_draft
        assert recorder.log_alike(row(2, loss=0.2))
        assert not recorder.log_alike(row(3, loss=1))
        assert not recorder.log_alike(row(3, acc=1.0))
        assert not recorder.log_alike(row(2**70, loss=1.0))
    assert values(db, "loss") == {0: 1.0, 1: 0.5, 2: 0.2}


def test_a_draft_of_a_writer_that_is_gone_is_a_row(db: TrainingDB, spool_dir: Path) -> None:
    recorder = DraftingRecorder(db, "r1", flush_seconds=60.0, close_seconds=0.01)
    recorder.log(row(0, loss=1.0))
    recorder.draft(row(1, loss=0.5))
    [file] = spool_dir.glob("*.spool")
    copy = spool_dir.parent / "copy" / file.name  # as a process that was killed leaves it
    copy.parent.mkdir()
    for one in spool_dir.glob(f"{file.name}*"):
        (copy.parent / one.name).write_bytes(one.read_bytes())
    recorder.close()
    assert status(copy.parent)[0].rows == 2
    sync(db, copy.parent)
    assert values(db, "loss") == {0: 1.0, 1: 0.5}


@pytest.mark.filterwarnings("ignore::training_db.recording.RecorderWarning")
def test_drafts_that_a_full_spool_drops_are_counted_once_each(db: TrainingDB) -> None:
    recorder = DraftingRecorder(db, "r1", flush_seconds=3600, spool_bytes=2_000)
    for step in range(100):
        recorder.draft(row(step, loss=0.5))
        recorder.draft(row(step, loss=0.5, acc=0.5))
        recorder.keep()
    kept = recorder._spool.next_row
    recorder.close()
    assert 0 < kept < 100
    assert list(values(db, "acc")) == list(range(kept))
    told = [event["message"] for event in db.events.list("r1", "error")]
    assert any(f"{100 - kept} rows of steps {kept} to 99 were dropped" in one for one in told)


def test_a_spool_that_takes_no_more_costs_no_draft(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1", flush_seconds=60.0) as recorder:
        recorder.log(row(0, loss=1.0))
        recorder.draft(row(1, loss=0.5))
        insert = recorder._spool._insert

        def fail(statement: str, *arguments: Any) -> Any:
            if "rows" in statement:
                raise sqlite3.OperationalError("database or disk is full")
            return insert(statement, *arguments)

        recorder._spool._insert = fail  # type: ignore[assignment]
        recorder.draft(row(1, loss=0.4))
        recorder.keep()
        recorder.log(row(2, loss=0.3))
    assert values(db, "loss") == {0: 1.0, 1: 0.4, 2: 0.3}
