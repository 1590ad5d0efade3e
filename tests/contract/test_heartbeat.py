"""Heartbeats: a run that is at work beats, and one that has stopped is shown as stale."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from training_db.errors import RunNotFound
from training_db.repository.run_dict import STALE_SECONDS
from training_db.timestamps import format_timestamp, now, parse_timestamp

if TYPE_CHECKING:
    from training_db import TrainingDB


def database_clock(db: TrainingDB) -> str:
    sql = {"sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now')", "postgresql": "SELECT now()"}
    with db.engine.connect() as connection:
        return format_timestamp(
            parse_timestamp(connection.execute(text(sql[db.engine.name])).scalar())
        )


def last_beat(db: TrainingDB, run_id: str, *, seconds_ago: float) -> None:
    """Set a heartbeat back, as seen by the clock of the database."""
    moment = parse_timestamp(database_clock(db)) - timedelta(seconds=seconds_ago)
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE training_runs SET heartbeat_at = :moment WHERE run_id = :run_id"),
            {"moment": format_timestamp(moment), "run_id": run_id},
        )


def stale(db: TrainingDB, run_id: str) -> list[bool]:
    """Return what each way of asking says."""
    (listed,) = [run for run in db.runs.query() if run["run_id"] == run_id]
    return [listed["stale"], db.runs.get(run_id)["stale"]]


def test_a_beat_is_noted_by_the_clock_of_the_database(db: TrainingDB) -> None:
    db.runs.insert("r1", status="running")
    assert db.runs.get("r1")["heartbeat_at"] is None
    before = database_clock(db)
    db.runs.beat("r1")
    assert before <= db.runs.get("r1")["heartbeat_at"] <= database_clock(db)


@pytest.mark.parametrize("status", ["launched", "running"])
def test_a_run_that_has_not_beaten_for_a_while_is_stale_until_it_beats_again(
    db: TrainingDB, status: str
) -> None:
    db.runs.insert("r1", status=status)
    assert stale(db, "r1") == [False, False]  # it never said that it would beat
    last_beat(db, "r1", seconds_ago=STALE_SECONDS - 30)
    assert stale(db, "r1") == [False, False]
    last_beat(db, "r1", seconds_ago=STALE_SECONDS + 1)
    assert stale(db, "r1") == [True, True]
    db.runs.beat("r1")
    assert stale(db, "r1") == [False, False]


@pytest.mark.parametrize("status", ["completed", "failed", "crashed"])
def test_a_run_that_has_ended_is_never_stale(db: TrainingDB, status: str) -> None:
    db.runs.insert("r1", status=status)
    last_beat(db, "r1", seconds_ago=1_000_000)
    assert stale(db, "r1") == [False, False]


def test_a_beat_of_the_future_is_not_stale(db: TrainingDB) -> None:
    db.runs.insert("r1", status="running")
    last_beat(db, "r1", seconds_ago=-1_000)
    assert stale(db, "r1") == [False, False]


def test_a_beat_leaves_the_rest_of_the_run_alone(db: TrainingDB) -> None:
    db.runs.insert("r1", status="running", started_at="2026-01-01")
    before = db.runs.get("r1")
    db.runs.beat("r1")
    changed = {name for name, value in db.runs.get("r1").items() if before[name] != value}
    assert changed == {"heartbeat_at", "updated_at_db"}


def test_a_beat_of_a_run_that_is_not_there_is_an_error(db: TrainingDB) -> None:
    with pytest.raises(RunNotFound, match="nobody"):
        db.runs.beat("nobody")


def test_runs_are_found_by_their_last_beat(db: TrainingDB) -> None:
    db.runs.insert("r1", status="running")
    db.runs.insert("r2", status="running")
    last_beat(db, "r1", seconds_ago=500)
    limit = format_timestamp(now() - timedelta(seconds=250))
    assert [run["run_id"] for run in db.runs.query(f"heartbeat_at < '{limit}'")] == ["r1"]
    assert [run["run_id"] for run in db.runs.query("heartbeat_at is missing")] == ["r2"]
