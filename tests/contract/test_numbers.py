"""The numbers of runs, which people type: 1, 2, 3 ..."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from training_db import TrainingDB
from training_db.errors import InvalidValue, RunExists, RunNotFound, UnknownName

if TYPE_CHECKING:
    from collections.abc import Callable


def test_runs_are_numbered_in_the_order_in_which_they_come(db: TrainingDB) -> None:
    db.runs.insert("b")
    db.runs.insert_many([{"run_id": "c"}, {"run_id": "a"}])
    db.runs.insert("d")
    assert [(run["run_id"], run["number"]) for run in db.runs.query(None, "number")] == [
        ("b", 1), ("c", 2), ("a", 3), ("d", 4),
    ]  # fmt: skip
    assert db.runs.number("a") == 3
    assert db.runs.by_number(3)["run_id"] == "a"
    assert [run["run_id"] for run in db.runs.query("number in (1, 4)", "number")] == ["b", "d"]


@pytest.mark.parametrize("name", ["number", "history_layout", "stale"])
def test_a_caller_cannot_set_what_the_database_keeps(db: TrainingDB, name: str) -> None:
    db.runs.insert("r1")
    calls: list[Callable[[dict[str, Any]], Any]] = [
        lambda field: db.runs.insert("r2", **field),
        lambda field: db.runs.update("r1", **field),
    ]
    for call in calls:
        with pytest.raises(UnknownName, match=name):
            call({name: 7})
    with pytest.raises(InvalidValue, match=name):
        db.runs.insert_many([{"run_id": "r2", name: 7}])
    assert [run["number"] for run in db.runs.query()] == [1]


def test_how_a_history_was_written_is_never_shown(db: TrainingDB) -> None:
    db.runs.insert("r1", history_json={"a": [1], "b": 5})
    for run in (db.runs.get("r1"), db.runs.by_number(1), *db.runs.query()):
        assert "history_layout" not in run
        assert {"number", "notes", "group_name", "heartbeat_at", "stale"} <= set(run)
    with pytest.raises(UnknownName):
        db.runs.query("history_layout is missing")


def test_a_number_that_no_run_has_is_not_found(db: TrainingDB) -> None:
    db.runs.insert("r1")
    for number in (0, 2, -1, 2**63, 10**30):
        with pytest.raises(RunNotFound, match=str(number)):
            db.runs.by_number(number)
    for wrong in ("1", 1.0, True, None):
        with pytest.raises(InvalidValue, match="whole number"):
            db.runs.by_number(wrong)  # type: ignore[arg-type]
    with pytest.raises(RunNotFound, match="nobody"):
        db.runs.number("nobody")


def test_what_people_type_is_a_run_id_or_else_a_number(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": run_id} for run_id in ("first", "second", "1"))
    assert db.runs.resolve("first") == "first"
    assert db.runs.resolve("2") == "second"
    assert db.runs.resolve("02") == "second"
    assert db.runs.resolve("1") == "1"  # the third run's id, before the first one's number
    for text in ("4", "0", "-1", "+1", "1.0", "²", "", "nobody", "9" * 19, "9" * 5_000):
        with pytest.raises(RunNotFound):
            db.runs.resolve(text)
    with pytest.raises(InvalidValue):
        db.runs.resolve(1)  # type: ignore[arg-type]


def test_an_insert_that_fails_leaves_the_next_numbers_free_and_rising(db: TrainingDB) -> None:
    db.runs.insert("r1")
    with pytest.raises(RunExists):
        db.runs.insert("r1")
    with pytest.raises(RunExists):
        db.runs.insert_many([{"run_id": "r2"}, {"run_id": "r1"}])
    db.runs.insert("r3")
    number = db.runs.number("r3")
    # A sequence of PostgreSQL is not rolled back, so that inserts need not wait for each other.
    assert number == 2 if db.engine.name == "sqlite" else number > 1


def test_a_run_is_ensured_once_whoever_tries_at_the_same_time(db: TrainingDB) -> None:
    url, ways = db.url.render_as_string(hide_password=False), 12
    barrier = threading.Barrier(ways)
    inserted: list[bool] = []

    def work() -> None:
        with TrainingDB(url) as own:
            own.runs.count()
            barrier.wait(30)
            inserted.extend(own.runs.ensure(f"r{n}") for n in range(5))

    threads = [threading.Thread(target=work) for _ in range(ways)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(inserted), sum(inserted)) == (ways * 5, 5)
    runs = db.runs.query()
    assert sorted(run["run_id"] for run in runs) == [f"r{n}" for n in range(5)]
    assert all(run["created_at"] and run["status"] == "launched" for run in runs)


def test_ensuring_a_run_inside_a_transaction_leaves_the_transaction_whole(db: TrainingDB) -> None:
    db.runs.insert("old", host="gpu-1")
    with db.transaction():
        assert db.runs.ensure("new")
        assert not db.runs.ensure("old")
        db.runs.insert("other")
    assert db.runs.count() == 3
    assert db.runs.get("old")["host"] == "gpu-1"
