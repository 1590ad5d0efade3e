"""The doctor on rows and runs: what belongs to nothing, cannot be decoded, or is silent."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from tests.contract.test_heartbeat import last_beat
from tests.recording.left_behind import left
from tests.torture import on_one_backend
from tests.upkeep.patients import care, execute, fill, only, run
from training_db import TrainingDB
from training_db.segments import column
from training_db.upkeep.mending import mend

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_whose_run_is_gone_are_found_and_deleted(db: TrainingDB, url: str) -> None:
    fill(db, 3)
    delete_without_foreign_keys(db, "DELETE FROM training_runs WHERE run_id = 'r01'")
    found = care(url)
    assert {one.check for one in found} == {"orphans"}
    assert len(found) >= 7
    objectives = next(one for one in found if "run_objectives" in one.what)
    assert "1 row of run_objectives belongs to no row of training_runs" in objectives.what
    assert objectives.which == ("run_id 'r01': 1",)
    assert "run_objectives" in run(objectives.mend)
    assert care(url, is_thorough=True) == []
    assert [run["run_id"] for run in db.runs.query(order_by="run_id ASC")] == ["r00", "r02"]
    assert db.objectives.of_run("r02") != []


def metric(name: str) -> str:
    return f"(SELECT id FROM metric_names WHERE name = '{name}')"


def delete_without_foreign_keys(db: TrainingDB, statement: str) -> None:
    if db.engine.name == "postgresql":
        execute(db, statement)
        return
    with closing(sqlite3.connect(str(db.url.database))) as connection:
        connection.execute(statement)
        connection.commit()


def test_what_is_mended_is_copied_first(tmp_path: Path, migrated_file: Path) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(path) as db:
        fill(db, 1)
        delete_without_foreign_keys(db, "DELETE FROM training_runs")
    (copied, *_) = mend(path, "orphans")
    copy = tmp_path / copied.rpartition("/")[2]
    assert {one.check for one in care(str(copy))} == {"orphans"}
    assert copy.stat().st_mode & 0o077 == 0


@on_one_backend
def test_totals_that_count_something_else_are_added_up_anew(db: TrainingDB, url: str) -> None:
    fill(db, 3)
    before = db.metrics.of("r01")
    execute(db, "UPDATE run_metrics SET count = 7, min = 0 WHERE run_number = 2")
    found = only(url)
    assert (found.check, found.which) == ("history", ("r01: loss, note",))
    run(found.mend)
    assert care(url) == []
    assert db.metrics.of("r01") == before


@pytest.mark.parametrize("rows", [3, 2100], ids=["tail", "segments"])
@on_one_backend
def test_history_that_cannot_be_decoded_is_set_aside(db: TrainingDB, url: str, rows: int) -> None:
    fill(db, 1)
    db.runs.insert("hurt", status="completed")
    numbers = column([float(n) for n in range(rows)])
    db.history.write("hurt", 1, {"a": numbers, "b": numbers}, (0, rows))
    db.history.write("hurt", 3, {"b": numbers}, (0, rows))
    table, cells = (
        ("run_history_tails", "block") if rows == 3 else ("run_history_segments", "cells")
    )
    rotten = "X'DEAD'" if db.engine.name == "sqlite" else r"'\xDEAD'::bytea"
    which = "writer = 1" + (
        " AND first_row = 0" if rows == 3 else f" AND metric_id = {metric('a')}"
    )
    execute(db, f"UPDATE {table} SET {cells} = {rotten} WHERE {which}")
    found = only(url, is_thorough=True)
    assert found.which == ("hurt: 1 part",)
    assert "hurt" in run(found.mend)
    assert care(url, is_thorough=True) == []
    (event,) = db.events.list("hurt")
    assert event["kind"] == "history.damaged"
    assert json.loads(event["data_json"])[cells] == "3q0="
    assert set(db.history.frame("hurt").columns) >= {"b"}
    assert db.runs.get("r00")["history_json"] is not None


@on_one_backend
def test_what_retention_left_is_mended_and_its_totals_stay(db: TrainingDB, url: str) -> None:
    """They say what was logged, which the segments do not any more."""
    values = [float(row) for row in range(1500)]
    db.runs.insert("thin", status="completed", history_json={"a": values, "b": values})
    db.history.thin("thin", "every:100")
    before = db.metrics.of("thin")
    assert care(url, is_thorough=True) == []
    rotten = "X'DEAD'" if db.engine.name == "sqlite" else r"'\xDEAD'::bytea"
    of_a = f"metric_id = {metric('a')}"
    execute(db, f"UPDATE run_history_segments SET cells = {rotten} WHERE {of_a}")
    run(only(url, is_thorough=True).mend)
    assert care(url, is_thorough=True) == []
    assert db.metrics.of("thin") == before
    assert db.history.counts("thin") == {"b": 16}
    execute(db, f"UPDATE run_metrics SET count = 3 WHERE metric_id = {metric('b')}")
    run(only(url).mend)  # more is stored than the total says: that one is wrong
    assert {one["metric"]: one["count"] for one in db.metrics.of("thin")} == {"a": 1500, "b": 16}


# Life.


@on_one_backend
def test_a_silent_run_is_reaped(db: TrainingDB, url: str) -> None:
    db.runs.insert("r1", status="running")
    last_beat(db, "r1", seconds_ago=3600)
    found = only(url)
    assert found.which[0].startswith("r1 since ")
    run(found.mend)
    assert care(url) == []
    assert db.runs.get("r1")["status"] == "crashed"


@on_one_backend
def test_heartbeats_of_the_future_are_brought_back(db: TrainingDB, url: str) -> None:
    db.runs.insert("r1", status="running", host="gpu-7")
    last_beat(db, "r1", seconds_ago=-100_000)
    found = only(url)
    assert (found.check, found.which) == ("clock", ("r1",))
    assert "gpu-7" in found.what
    run(found.mend)
    assert care(url) == []
    assert db.runs.reap() == []


def test_a_clock_that_is_off_is_told_of(db: TrainingDB, url: str) -> None:
    if db.engine.name == "sqlite":
        pytest.skip("its clock is this machine's")
    # A function of the name that is found before the server's own.
    name = make_url(url).database
    execute(
        db,
        "CREATE SCHEMA ahead",
        "CREATE FUNCTION ahead.now() RETURNS timestamptz LANGUAGE sql AS "
        "$$ SELECT pg_catalog.now() + interval '90 seconds' $$",
        f'ALTER DATABASE "{name}" SET search_path = ahead, pg_catalog, public',
    )
    found = [one for one in care(url) if one.check == "clock"]
    assert [one.mend for one in found] == ["timedatectl set-ntp true"]
    assert "90 s apart" in found[0].what or "89 s apart" in found[0].what
    execute(db, f'ALTER DATABASE "{name}" RESET search_path')
    assert care(url) == []


@on_one_backend
def test_what_a_recorder_left_is_sent(db: TrainingDB, url: str, spool_dir: Path) -> None:
    left(db, spool_dir, "r1", rows=5)
    found = only(url)
    assert found.check == "spools"
    assert "5 row" in found.what or "row" in found.what
    run(found.mend)
    assert care(url) == []
    assert db.history.frame("r1").shape[0] == 5


@on_one_backend
def test_a_damaged_spool_is_told_of_and_dropped(url: str, spool_dir: Path) -> None:
    spool_dir.mkdir(mode=0o700)
    spool = spool_dir / "r1-7.spool"
    spool.write_bytes(b"nothing that SQLite wrote" * 100)
    spool.chmod(0o600)
    found = only(url)
    assert str(spool) in found.what
    run(found.mend)
    assert care(url) == []
    assert not spool.exists()
