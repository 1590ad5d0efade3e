"""The thread that sends: it outlives every fault, and says when one begins and ends."""

from __future__ import annotations

import threading
import warnings
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.recording.left_behind import left
from training_db import TrainingDB
from training_db.db.migrations import upgrade
from training_db.recording import RecorderWarning, flusher, sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def until(condition: Callable[[], object]) -> None:
    """Wait until something is true, and fail if it does not become so."""
    pause = threading.Event()
    for _ in range(1500):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError("it did not become true within 30 s")


@pytest.fixture
def said() -> list[str]:
    """What is warned of, by whichever thread."""
    return []


@pytest.fixture(autouse=True)
def listening(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def note(message: str, *category: object, **_options: object) -> None:
        if RecorderWarning in category:
            said.append(str(message))

    monkeypatch.setattr(warnings, "warn", note)


def test_an_outage_is_said_once_when_it_begins_and_when_it_ends(
    tmp_path: Path, said: list[str]
) -> None:
    path = tmp_path / "later.db"
    with TrainingDB(path) as db:
        recorder = db.recorder("run", flush_seconds=0.05)
        recorder.log({"loss": 1.0})
        until(lambda: said)
        assert not recorder.flush(0.3)
        upgrade(path)
        assert recorder.flush()
        recorder.close()
        assert len(db.history.arrays("run", "loss")["run"]["loss"].values) == 1
    assert len(said) == 2
    assert "cannot be sent now and is tried again" in said[0]
    assert "training-db upgrade" in said[0]
    assert "reaches the database again" in said[1]


def test_a_recorder_that_cannot_send_ends_in_time_and_names_its_file(
    tmp_path: Path, said: list[str], spool_dir: Path
) -> None:
    db = TrainingDB(tmp_path / "none.db")
    recorder = db.recorder("run", close_seconds=0.3)
    recorder.log({"loss": 1.0})
    recorder.close()
    [file] = spool_dir.iterdir()
    assert f"1 rows wait in {file}; `training-db spool sync`" in said[-1]
    upgrade(tmp_path / "none.db")
    with TrainingDB(tmp_path / "none.db") as db, db.recorder("other") as other:
        other.flush()
        until(lambda: not list(spool_dir.glob("run-*")))
        assert db.runs.get("run")["status"] == "completed"


@pytest.mark.parametrize("place", ["none.db", "no/such/folder/none.db", "empty.db", "old.db"])
def test_nobody_waits_at_the_end_for_a_schema_that_nobody_makes(
    place: str, tmp_path: Path, said: list[str], spool_dir: Path
) -> None:
    (tmp_path / "empty.db").touch()
    upgrade(tmp_path / "old.db", "v1")
    begun = monotonic()
    recorder = TrainingDB(tmp_path / place).recorder("run")
    recorder.log({"loss": 1.0})
    if place == "none.db":
        until(lambda: said)  # else it is closed before it has tried
    recorder.close()
    assert monotonic() - begun < 10
    [file] = spool_dir.iterdir()
    assert "run: training-db upgrade" in said[-1]
    assert f"1 rows wait in {file}; `training-db spool sync` sends them" in said[-1]
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    upgrade(tmp_path / place)
    with TrainingDB(tmp_path / place) as db:
        sync(db)
        assert db.runs.get("run")["status"] == "completed"


def test_a_flush_that_waits_while_another_thread_closes_is_told_that_it_is_in_vain(
    tmp_path: Path, said: list[str]
) -> None:
    recorder = TrainingDB(tmp_path / "none.db").recorder("run")
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(recorder.flush(60)))
    thread.start()
    until(lambda: said)
    recorder.close()
    thread.join(10)
    assert answers == [False]


def test_a_server_that_cannot_be_reached_is_waited_for(said: list[str]) -> None:
    recorder = TrainingDB("postgresql://127.0.0.1:1/none").recorder("run", close_seconds=1.0)
    recorder.log({"loss": 1.0})
    begun = monotonic()
    recorder.close()
    assert monotonic() - begun > 0.9
    assert "was not sent to the end within 1 s: 1 rows wait in" in said[-1]


def test_rows_in_memory_only_are_said_to_be_lost(tmp_path: Path, said: list[str]) -> None:
    (tmp_path / "file").touch()
    db = TrainingDB(tmp_path / "none.db")
    recorder = db.recorder("run", close_seconds=0.2, spool_dir=tmp_path / "file")
    recorder.log({"loss": 1.0})
    recorder.close()
    assert "1 rows were in memory only, and are lost" in said[-1]


def test_a_run_that_is_deleted_under_it_is_made_again(db: TrainingDB, said: list[str]) -> None:
    with db.recorder("run", flush_seconds=0.05) as recorder:
        recorder.log({"loss": 1.0})
        assert recorder.flush()
        with db.engine.begin() as connection:
            connection.execute(text("DELETE FROM training_runs"))
        recorder.log({"loss": 2.0})
        assert recorder.flush()
    assert db.runs.get("run")["status"] == "completed"
    assert db.history.arrays("run", "loss")["run"]["loss"].values.tolist() == [2.0]
    assert len(said) == 2


def test_a_run_beats_while_nothing_is_logged(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "HEARTBEAT_SECONDS", 0.05)
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})
        recorder.flush()
        first = db.runs.get("run")["heartbeat_at"]
        recorder.log({"loss": 2.0})
        until(lambda: db.runs.get("run")["heartbeat_at"] > first)
        assert db.history.progress("run", recorder.writer) == 1  # a beat sends no rows


def test_leftovers_that_cannot_be_sent_stay_and_the_run_goes_on(
    db: TrainingDB, spool_dir: Path, said: list[str]
) -> None:
    left(db, spool_dir, "other", closing="nonsense")
    with db.recorder("run", flush_seconds=0.05) as recorder:
        recorder.log({"loss": 1.0})
        until(lambda: said)
    assert "what an earlier process left was not sent, and stays" in said[0]
    assert len(list(spool_dir.glob("other-*.spool"))) == 1
    assert db.runs.get("run")["status"] == "completed"
