"""Runs that nothing is heard of are taken for crashed, until they beat again."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.contract.test_heartbeat import database_clock, last_beat
from tests.recording.left_behind import left
from tests.torture import on_one_backend
from training_db import TrainingDB
from training_db.errors import InvalidValue
from training_db.recording.leftover import sync
from training_db.repository.reaping import QUIET, mark_crashed, silent_runs
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]


def silent_run(db: TrainingDB, run_id: str = "r1", *, seconds: float = 3600, **fields: Any) -> None:
    db.runs.insert(run_id, **({"status": "running"} | fields))
    last_beat(db, run_id, seconds_ago=seconds)


def test_a_run_that_is_silent_for_long_has_crashed_at_its_last_beat(db: TrainingDB) -> None:
    silent_run(db, started_at="2020-01-01")
    heartbeat = db.runs.get("r1")["heartbeat_at"]
    (reaped,) = db.runs.reap()
    assert reaped == {
        "run_id": "r1", "number": 1, "status": "running", "host": None, "heartbeat_at": heartbeat,
    }  # fmt: skip
    run = db.runs.get("r1")
    assert (run["status"], run["ended_at"], run["stale"]) == ("crashed", heartbeat, False)
    lasted = parse_timestamp(heartbeat) - parse_timestamp("2020-01-01")
    assert run["duration_seconds"] == round(lasted.total_seconds())
    (event,) = db.events.list("r1")
    assert event["kind"] == "crash"
    assert heartbeat in event["message"]
    assert json.loads(event["data_json"]) == {"status": "running", "heartbeat_at": heartbeat}
    assert db.runs.reap() == []
    assert len(db.events.list("r1")) == 1


@on_one_backend
def test_a_run_that_was_launched_and_beat_is_reaped_too(db: TrainingDB) -> None:
    silent_run(db, status="launched")
    assert [run["status"] for run in db.runs.reap()] == ["launched"]
    assert db.runs.get("r1")["duration_seconds"] is None  # nobody knows when it started


@on_one_backend
def test_a_run_that_is_thrown_away_meanwhile_is_left_alone(db: TrainingDB) -> None:
    silent_run(db)
    with db.engine.begin() as connection:
        (found,) = silent_runs(connection, QUIET)
    db.runs.delete("r1")
    with db.engine.begin() as connection:
        assert not mark_crashed(connection, found)
    assert db.runs.get("r1")["status"] == "running"


@pytest.mark.parametrize("status", ["completed", "failed", "crashed"])
@on_one_backend
def test_a_run_that_has_ended_stays_as_it_is(db: TrainingDB, status: str) -> None:
    silent_run(db, status=status)
    before = db.runs.get("r1")
    assert db.runs.reap() == []
    assert db.runs.get("r1") == before


@on_one_backend
def test_runs_that_never_beat_or_are_in_the_trash_stay_as_they_are(db: TrainingDB) -> None:
    db.runs.insert("quiet", status="running", created_at="2020-01-01")
    silent_run(db, "thrown away")
    db.runs.delete("thrown away")
    assert db.runs.reap() == []
    assert {run["status"] for run in db.runs.query({"deleted_at": None})} == {"running"}
    assert db.runs.get("thrown away")["status"] == "running"


def test_the_age_decides_by_the_clock_of_the_database(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent_run(db, "r1", seconds=300)
    silent_run(db, "r2", seconds=100)
    assert db.runs.reap() == []
    later = parse_timestamp(database_clock(db)) + timedelta(days=1)
    for module in ("repository.runs", "repository.reaping", "timestamps"):
        monkeypatch.setattr(f"training_db.{module}.now", lambda: later, raising=False)
    assert db.runs.reap(dry_run=True) == []
    assert [run["run_id"] for run in db.runs.reap(timedelta(seconds=200))] == ["r1"]
    assert [run["run_id"] for run in db.runs.reap(timedelta(0))] == ["r2"]


@on_one_backend
def test_a_dry_run_says_the_same_and_changes_nothing(db: TrainingDB) -> None:
    silent_run(db)
    before = db.runs.get("r1")
    looked_at = db.runs.reap(dry_run=True)
    assert db.runs.get("r1") == before
    assert db.events.list("r1") == []
    assert db.runs.reap() == looked_at


@pytest.mark.parametrize("age", [timedelta(seconds=-1), timedelta.max, 600], ids=str)
@on_one_backend
def test_an_age_that_is_none_is_refused(db: TrainingDB, age: Any) -> None:
    with pytest.raises(InvalidValue, match="older_than"):
        db.runs.reap(age)


def test_a_heartbeat_that_is_no_time_is_left_to_people(db: TrainingDB) -> None:
    if db.engine.name == "postgresql":
        pytest.skip("its columns hold times only")
    silent_run(db)
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE training_runs SET heartbeat_at = '0 lost'"))
    assert db.runs.reap() == []


def test_a_beat_brings_a_reaped_run_back(db: TrainingDB) -> None:
    silent_run(db, started_at="2020-01-01")
    db.runs.reap()
    db.runs.beat("r1")
    run = db.runs.get("r1")
    assert (run["status"], run["ended_at"], run["duration_seconds"]) == ("running", None, None)
    assert run["started_at"] == "2020-01-01T00:00:00.000000Z"
    assert [event["kind"] for event in db.events.list("r1")] == ["crash", "return"]
    db.runs.beat("r1")
    assert len(db.events.list("r1")) == 2


@on_one_backend
def test_a_beat_leaves_a_run_crashed_that_is_known_to_be(db: TrainingDB) -> None:
    silent_run(db)
    db.runs.update_status("r1", "crashed")
    before = db.runs.get("r1")
    db.runs.beat("r1")
    after = db.runs.get("r1")
    assert (after["status"], after["ended_at"]) == ("crashed", before["ended_at"])
    assert after["heartbeat_at"] > before["heartbeat_at"]


@on_one_backend
def test_an_end_that_is_known_wins_over_the_presumed_one(db: TrainingDB) -> None:
    silent_run(db, started_at="2020-01-01")
    db.runs.reap()
    db.runs.update_status("r1", "completed", ended_at="2020-01-02")
    run = db.runs.get("r1")
    assert (run["status"], run["duration_seconds"]) == ("completed", 86_400)
    assert run["ended_at"] == "2020-01-02T00:00:00.000000Z"


@on_one_backend
def test_a_recorder_goes_on_with_a_run_that_was_reaped(db: TrainingDB, spool_dir: Path) -> None:
    with db.recorder("r1", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})
        recorder.flush()
        last_beat(db, "r1", seconds_ago=3600)
        assert len(db.runs.reap()) == 1
        recorder.log({"loss": 0.5})
        recorder.flush()
        assert db.runs.get("r1")["status"] == "running"
    run = db.runs.get("r1")
    assert run["status"] == "completed"
    assert run["ended_at"] >= run["heartbeat_at"]
    assert not list(spool_dir.glob("*.spool"))


@on_one_backend
def test_a_spool_that_knows_how_its_run_ended_wins(db: TrainingDB, spool_dir: Path) -> None:
    silent_run(db, started_at="2026-01-02")
    closed_at = "2026-01-02T04:00:00.000000Z"
    left(db, spool_dir, "r1", rows=3, closing="completed", closed_at=closed_at)
    db.runs.reap()
    assert [one.state for one in sync(db, spool_dir)] == ["sent"]
    run = db.runs.get("r1")
    assert (run["status"], run["ended_at"]) == ("completed", closed_at)
    assert run["duration_seconds"] == 4 * 3600


@on_one_backend
def test_a_spool_that_was_cut_off_leaves_the_run_crashed(db: TrainingDB, spool_dir: Path) -> None:
    silent_run(db)
    left(db, spool_dir, "r1", rows=3)
    db.runs.reap()
    before = db.runs.get("r1")["ended_at"]
    sync(db, spool_dir)
    run = db.runs.get("r1")
    assert (run["status"], run["ended_at"]) == ("crashed", before)
    assert [event["kind"] for event in db.events.list("r1")] == ["crash"]


def test_of_a_beat_and_a_reaper_at_once_the_beat_wins(migrated_url: str) -> None:
    """Whichever comes first, the run is running in the end."""
    with TrainingDB(migrated_url) as db, TrainingDB(migrated_url) as other:
        for attempt in range(10):
            silent_run(db, f"r{attempt}")
        ready = threading.Barrier(2)

        def beat() -> None:
            ready.wait()
            for attempt in range(10):
                other.runs.beat(f"r{attempt}")

        trainer = threading.Thread(target=beat)
        trainer.start()
        ready.wait()
        for _ in range(5):
            db.runs.reap()
        trainer.join()
        assert {run["status"] for run in db.runs.query()} == {"running"}
        for run in db.runs.query():
            kinds = [event["kind"] for event in db.events.list(run["run_id"])]
            assert kinds in ([], ["crash", "return"])


def test_a_beat_that_came_before_the_mark_is_respected(migrated_url: str) -> None:
    with TrainingDB(migrated_url) as db, TrainingDB(migrated_url) as other:
        silent_run(db)
        with db.engine.connect() as connection:
            (found,) = silent_runs(connection, timedelta(minutes=10))
        other.runs.beat("r1")
        with db.engine.begin() as connection:
            assert not mark_crashed(connection, found)
        assert db.runs.get("r1")["status"] == "running"


@on_one_backend
def test_the_command_says_which(db: TrainingDB, cli: Cli) -> None:
    silent_run(db, host="gpu-1")
    db.runs.insert("quiet", status="running")
    url = db.url.render_as_string(hide_password=False)
    told = cli("runs", "reap", "--url", url, "--dry-run")
    assert told.code == 0
    assert "r1" in told.out
    assert "gpu-1" in told.out
    assert "1 runs that should go on never beat" in told.err
    assert db.runs.get("r1")["status"] == "running"
    answer = cli("runs", "reap", "--older-than", "1h", "--url", url, "--json")
    assert [run["run_id"] for run in json.loads(answer.out)["reaped"]] == ["r1"]
    assert json.loads(answer.out)["never_beat"] == 1
    assert db.runs.get("r1")["status"] == "crashed"
    assert "nothing is silent" in cli("runs", "reap", "--url", url).err


@pytest.mark.parametrize("age", ["", "10", "m", "-5m", "10 years", "1e9d", "9" * 400 + "w", "nand"])
def test_an_age_that_cannot_be_read_is_bad_usage(tmp_path: Path, cli: Cli, age: str) -> None:
    answer = cli("runs", "reap", f"--older-than={age}", "--url", str(tmp_path / "none.db"))
    assert answer.code == 2
    assert "Traceback" not in answer.err
