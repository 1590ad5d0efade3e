"""Writers of the same rows wait for one another, and none for a wait that never ends."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from training_db import TrainingDB
from training_db.errors import DatabaseError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = [f"tag {number}" for number in range(40)]


def at_once(db: TrainingDB, works: list[Callable[[TrainingDB, threading.Barrier], None]]) -> None:
    """Do several things at once, each by a database object of its own."""
    barrier = threading.Barrier(len(works))

    def work(one: Callable[[TrainingDB, threading.Barrier], None]) -> None:
        with TrainingDB(db.url) as own:
            own.runs.count()
            one(own, barrier)

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(work, works))


def test_transactions_that_add_to_a_run_and_then_change_it_do_not_wait_for_each_other_for_ever(
    db: TrainingDB,
) -> None:
    if db.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    db.runs.insert("r1")

    def end(own: TrainingDB, barrier: threading.Barrier) -> None:
        with own.transaction():
            own.events.add("r1", "note", "about to end")
            barrier.wait(30)  # both rows refer to the run now
            own.runs.update_status("r1", "completed")

    at_once(db, [end, end])
    assert db.runs.get("r1")["status"] == "completed"
    assert len(db.events.list("r1")) == 2


def test_rows_that_are_written_in_opposite_orders_do_not_wait_for_each_other_for_ever(
    db: TrainingDB,
) -> None:
    db.runs.insert("r1")

    def forwards(own: TrainingDB, barrier: threading.Barrier) -> None:
        for _ in range(5):
            barrier.wait(30)
            own.tags.add_many("r1", dict.fromkeys(NAMES, "forwards"))

    def backwards(own: TrainingDB, barrier: threading.Barrier) -> None:
        for _ in range(5):
            barrier.wait(30)
            own.tags.add_many("r1", dict.fromkeys(reversed(NAMES), "backwards"))

    at_once(db, [forwards, backwards])
    assert len(set(db.tags.of("r1").values())) == 1


def test_nothing_is_written_inside_a_snapshot(db: TrainingDB) -> None:
    db.runs.insert("r1")
    with db.snapshot():
        with pytest.raises(DatabaseError, match="only reads"):
            db.runs.insert("r2")
        with pytest.raises(DatabaseError, match="only reads"), db.transaction():
            pass
        assert db.runs.ids() == ["r1"]
    db.runs.insert("r3")
    with db.transaction(), db.snapshot():
        db.runs.insert("r4")
    assert sorted(db.runs.ids()) == ["r1", "r3", "r4"]


def test_who_gets_no_connection_of_the_pool_hears_of_it(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = db.engine.pool
    monkeypatch.setattr(pool, "_timeout", 0.05)
    taken = [db.engine.connect() for _ in range(15)]
    try:
        with pytest.raises(DatabaseUnavailable, match="connections"):
            db.runs.count()
    finally:
        for connection in taken:
            connection.close()
    assert db.runs.count() == 0
