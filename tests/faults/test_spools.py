"""Spools that are damaged, foreign, too large or in use: none stops a training."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import sqlite3
import warnings
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests import torture
from tests.faults.outages import LockedFile
from tests.faults.points import check, recorded, row
from tests.faults.processes import Process, until
from tests.faults.spools import abandon, left, unsent
from training_db import TrainingDB
from training_db.db.migrations import upgrade
from training_db.recording import RecorderWarning, status, sync

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = torture.on_one_backend

ROWS = 20
SPOOL_BYTES = 200_000
LOG_BYTES = 5_000_000  # of SQLite's own log, which does not grow further


def url_of(db: TrainingDB) -> str:
    return db.url.render_as_string(hide_password=False)


def fold(path: Path) -> None:
    """Bring the log of a spool into the file itself: SQLite would repair the file out of it."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def random_bytes(path: Path) -> None:
    path.write_bytes(random.Random(7).randbytes(20_000))  # noqa: S311 - no secrets


def cut_in_half(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def one_byte(path: Path) -> None:
    path.write_bytes(b"S")


def all_but_the_first_page(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [random_bytes, cut_in_half, one_byte, all_but_the_first_page])
def test_a_damaged_spool_is_set_aside_and_named_and_the_others_are_sent(
    db: TrainingDB, spool_dir: Path, damage: Callable[[Path], None]
) -> None:
    abandon(url_of(db), "damaged", ROWS)
    [spool] = spool_dir.rglob("*.spool")
    abandon(url_of(db), "whole", ROWS)
    fold(spool)
    damage(spool)

    with pytest.warns(RecorderWarning) as warned:
        sync(db)

    check(db, "whole", {0: ROWS})
    assert not spool.exists()
    aside = [path for path in left(spool_dir) if path.name.startswith(spool.name)]
    assert aside  # for whoever wants to look into it
    assert any(str(aside[0]) in str(one.message) for one in warned)
    sync(db)  # which does not speak of it again
    abandon(url_of(db), "next", ROWS)
    sync(db)
    check(db, "next", {0: ROWS})


def test_a_database_that_is_no_spool_is_left_alone_and_named(
    db: TrainingDB, spool_dir: Path
) -> None:
    abandon(url_of(db), "run", ROWS)
    foreign = spool_dir / "notes.spool"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE rows (a)")
    connection.close()

    states = {one.file: one.state for one in sync(db)}

    assert states[foreign] == "unreadable"
    assert unsent(spool_dir) == [foreign]
    check(db, "run", {0: ROWS})


def test_a_damaged_spool_does_not_stop_the_next_training(db: TrainingDB, spool_dir: Path) -> None:
    abandon(url_of(db), "run", ROWS)
    [spool] = spool_dir.rglob("*.spool")
    fold(spool)
    random_bytes(spool)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", RecorderWarning)
        with db.recorder("run") as recorder:
            recorder.log({"loss": 1.0}, step=1)
            until(lambda: not spool.exists(), "it is set aside")

    assert any(str(spool) in str(one.message) for one in warned)
    assert recorded(db, "run")["loss"] == [(1, 1.0)]


def test_where_no_spool_can_be_written_points_are_kept_in_memory(
    db: TrainingDB, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("no folder")
    with pytest.warns(RecorderWarning, match=str(in_the_way)):
        recorder = db.recorder("run", spool_dir=in_the_way / "spool")
    for step in range(ROWS):
        recorder.log(row(step), step=step)
    recorder.close()

    check(db, "run", {0: ROWS})
    assert db.runs.get("run")["status"] == "completed"


def test_a_spool_of_another_database_is_left_for_it(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.db"
    upgrade(elsewhere)
    abandon(str(elsewhere), "run", ROWS)
    [spool] = spool_dir.rglob("*.spool")
    with db.recorder("run") as recorder:
        recorder.log({"loss": 1.0}, step=1)
    sync(db)

    assert [*spool_dir.rglob("*.spool")] == [spool]
    assert recorded(db, "run")["loss"] == [(1, 1.0)]
    with TrainingDB(elsewhere) as other:
        sync(other)
        check(other, "run", {0: ROWS})
    assert unsent(spool_dir) == []


def test_of_two_syncs_at_once_each_point_comes_once(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    for number in range(6):
        abandon(url_of(db), f"run {number}", ROWS)
    syncs = [Process(tmp_path, "syncing", {"url": url_of(db)}) for _ in range(3)]
    for process in syncs:
        assert process.line() == "ready"
    for process in syncs:
        process.tell("go")
    for process in syncs:
        assert (process.wait(), process.errors) == (0, "")

    for number in range(6):
        check(db, f"run {number}", {0: ROWS})
    assert unsent(spool_dir) == []


def test_the_spool_of_a_training_that_lives_is_left_to_it(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log(row(0), step=0)
        status()  # to look at it from its own process does not give it away
        sync(db)
        syncing = Process(tmp_path, "syncing", {"url": url_of(db)})
        assert syncing.line() == "ready"
        syncing.tell("go")
        assert (syncing.wait(), syncing.errors) == (0, "")
        [*spools] = spool_dir.rglob("*.spool")
        assert len(spools) == 1
        recorder.log(row(1), step=1)

    check(db, "run", {0: 2})


def test_the_spool_of_a_run_that_was_deleted_meanwhile_stops_no_other(
    db: TrainingDB, spool_dir: Path
) -> None:
    for run_id in ("deleted", "trashed", "kept"):
        db.runs.insert(run_id)
        abandon(url_of(db), run_id, ROWS)
    db.runs.delete("trashed")
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs WHERE run_id = 'deleted'"))

    sync(db)

    check(db, "kept", {0: ROWS})
    check(db, "trashed", {0: ROWS})
    assert db.runs.get("trashed")["deleted_at"] is not None
    assert unsent(spool_dir) == []


def test_a_spool_that_is_full_warns_before_and_tells_afterwards_which_rows_are_missing(
    tmp_path: Path, migrated_file: Path, spool_dir: Path
) -> None:
    path = tmp_path / "training.db"
    shutil.copy(migrated_file, path)
    database = LockedFile(path)
    steps = itertools.count()
    with TrainingDB(path) as db, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", RecorderWarning)

        def log_until(word: str) -> int:
            """Log large rows until a warning holds a word, and return the step of the last."""
            for step in steps:
                recorder.log({**row(step), "note": "x" * 500}, step=step)
                if any(word in str(one.message) for one in warned):
                    return step
            raise AssertionError

        with database():
            recorder = db.recorder("run", flush_seconds=0.05, spool_bytes=SPOOL_BYTES)
            assert log_until("new rows are dropped") < log_until("is full") < 1000
            for step in itertools.islice(steps, 50):
                recorder.log({"loss": -1.0}, step=step)
            taken = sum(file.stat().st_size for file in left(spool_dir))
            assert taken < SPOOL_BYTES + LOG_BYTES
        assert recorder.flush(30)
        after = next(steps)
        recorder.log(row(after), step=after)
        recorder.close()

        logged = [step for step, _ in recorded(db, "run")["loss"]]
        assert logged == [*range(len(logged) - 1), after]
        missing = after - len(logged) + 1
        [told] = [
            json.loads(event["data_json"])
            for event in db.events.list("run", kind="error")
            if "were dropped" in event["message"]
        ]
        assert (told["rows"], told["first_step"]) == (missing, len(logged) - 1)
        assert missing >= 51
        assert any(f"{missing} rows" in str(one.message) for one in warned)
        assert db.runs.get("run")["status"] == "completed"
