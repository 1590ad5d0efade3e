from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from training_db import functions
from training_db.errors import RunExists

if TYPE_CHECKING:
    from training_db import TrainingDB


class Stop(Exception):
    """Raised by the tests themselves."""


def ids(db: TrainingDB) -> set[str]:
    return {run["run_id"] for run in db.runs.query(limit=None)}


def test_a_transaction_commits_once(db: TrainingDB) -> None:
    with db.transaction() as tx:
        assert tx is db
        tx.runs.insert("r1", config={"objectives": ["QED"]})
        tx.objectives.update_metric("r1", "QED", "raw_mean", 0.5)
        tx.scaffolds.insert("r1", {"c1": {}})
        assert ids(tx) == {"r1"}
        with type(db)(db.url) as other:
            assert ids(other) == set()
    with type(db)(db.url) as other:
        assert ids(other) == {"r1"}


def test_a_transaction_that_raises_leaves_nothing(db: TrainingDB) -> None:
    db.runs.insert("r1", host="a")
    with pytest.raises(Stop), db.transaction():
        db.runs.insert_many({"run_id": f"many-{n}"} for n in range(3))
        db.runs.update("r1", host="b")
        db.objectives.insert("r1", "QED")
        raise Stop
    assert ids(db) == {"r1"}
    assert db.runs.get("r1")["host"] == "a"
    assert db.objectives.of_run("r1") == []


def test_a_transaction_inside_another_is_rolled_back_alone(db: TrainingDB) -> None:
    with db.transaction():
        db.runs.insert("outer")
        with pytest.raises(Stop), db.transaction():
            db.runs.insert("inner")
            with db.transaction():
                db.runs.insert("innermost")
            raise Stop
        assert ids(db) == {"outer"}
        with db.transaction():
            db.runs.insert("second")
    assert ids(db) == {"outer", "second"}


def test_an_outer_transaction_that_raises_takes_the_inner_one_along(db: TrainingDB) -> None:
    with pytest.raises(Stop), db.transaction():
        with db.transaction():
            db.runs.insert("inner")
        raise Stop
    assert ids(db) == set()


def test_a_duplicate_that_is_caught_inside_a_transaction_spoils_nothing(db: TrainingDB) -> None:
    with db.transaction():
        db.runs.insert("r1")
        with pytest.raises(RunExists):
            db.runs.insert("r1")
        with pytest.raises(RunExists):
            db.runs.insert_many([{"run_id": "r2"}, {"run_id": "r1"}])
        db.runs.insert("r3")
        with pytest.raises(RunExists):
            db.runs.update("r3", wandb_run_id=db.runs.insert("r4", "w4") and "w4")
    assert ids(db) == {"r1", "r3", "r4"}


def test_an_insert_that_fails_half_way_leaves_nothing_of_its_own(db: TrainingDB) -> None:
    db.runs.insert("r1")
    with pytest.raises(RunExists):
        db.runs.insert("r1", config={"objectives": ["QED"]})
    assert db.objectives.query() == []


def test_a_transaction_belongs_to_its_thread(db: TrainingDB) -> None:
    inside, seen = threading.Event(), []

    def look() -> None:
        seen.append(ids(db))

    with pytest.raises(Stop), db.transaction():
        db.runs.insert("r1")
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(20)
        inside.set()
        raise Stop
    assert seen == [set()]
    assert ids(db) == set()


def test_threads_write_at_once_on_one_object(db: TrainingDB) -> None:
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            for one in range(10):
                with db.transaction():
                    db.runs.insert(f"{number}-{one}")
                    db.objectives.insert(f"{number}-{one}", "QED")
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=write, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert db.runs.count() == len(db.objectives.query()) == 60


def test_what_a_task_writes_after_the_transaction_that_started_it_is_kept(db: TrainingDB) -> None:
    async def record(run_id: str) -> None:
        db.runs.insert(run_id)

    async def main() -> None:
        with db.transaction():
            db.runs.insert("before")
            task = asyncio.create_task(record("after"))
        await task

    asyncio.run(main())
    with type(db)(db.url) as other:
        assert ids(other) == {"before", "after"}


def test_the_functions_join_the_transaction_of_their_database(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", migrated_url)
    db = functions.default_db()
    with pytest.raises(Stop), db.transaction():
        functions.insert_run("r1")
        assert functions.get_run("r1") is not None
        raise Stop
    assert functions.get_run("r1") is None
    db.close()


def test_two_databases_have_transactions_of_their_own(
    both: tuple[TrainingDB, TrainingDB],
) -> None:
    one, two = both
    with pytest.raises(Stop), one.transaction():
        one.runs.insert("r1")
        with two.transaction():
            two.runs.insert("r2")
        raise Stop
    assert ids(one) == set()
    assert ids(two) == {"r2"}


def test_a_closed_database_opens_again(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.close()
    db.close()
    assert ids(db) == {"r1"}
