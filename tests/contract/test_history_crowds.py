"""Many at once on one run: threads and processes that make the same new names in other orders."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.contract.crowds import outputs_of
from tests.contract.history_crowd import BATCHES, NAMES, ROWS, write

if TYPE_CHECKING:
    from training_db import TrainingDB

CROWD = 6
LONG = torture.rounds(20, 40)

pytestmark = pytest.mark.faults


def check(db: TrainingDB) -> None:
    """Make sure that each value of each writer is there once."""
    found = db.history.arrays("r1", duplicates="all")["r1"]
    everything = {row * 1000 + 2 * one + 1 for row in range(BATCHES * ROWS) for one in range(CROWD)}
    for name in NAMES:
        values = found[name].values.tolist()
        assert len(values) == len(everything)
        assert set(values) == everything
    for batch in range(BATCHES):
        assert len(found[f"{batch}/{NAMES[0]}"]) == ROWS * CROWD
    assert len(found["appended"]) == 2 * BATCHES * CROWD
    assert len(found) == len(NAMES) + 10 * BATCHES + 1
    totals = {one["metric"]: one for one in db.metrics.of("r1")}
    assert totals[NAMES[0]]["count"] == BATCHES * ROWS * CROWD
    assert totals[NAMES[0]]["max"] == max(everything)
    assert totals["appended"]["count"] == 2 * BATCHES * CROWD


def test_processes_that_write_one_run_at_once_lose_nothing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    url = db.url.render_as_string(hide_password=False)
    outputs_of("tests.contract.history_crowd", ([url, str(one)] for one in range(CROWD)))
    check(db)


def test_threads_that_write_one_run_at_once_lose_nothing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    failures: list[BaseException] = []
    together = threading.Barrier(CROWD)

    def work(writer: int) -> None:
        try:
            together.wait(30)
            write(db, writer)
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work, args=[2 * one + 1]) for one in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    check(db)


def test_threads_that_write_the_same_rows_of_one_writer_leave_them_once(db: TrainingDB) -> None:
    from training_db.segments import column

    db.runs.insert("r1")
    together = threading.Barrier(CROWD)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            together.wait(30)
            for stop in range(1, LONG):
                db.history.write("r1", 11, {"loss": column(list(range(stop)))}, (0, stop))
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert db.history.arrays("r1", duplicates="all")["r1"]["loss"].values.tolist() == list(
        range(LONG - 1)
    )
    assert db.metrics.of("r1")[0]["count"] == LONG - 1


def test_runs_of_their_own_get_the_same_new_names_at_once(db: TrainingDB) -> None:
    together = threading.Barrier(CROWD)
    failures: list[BaseException] = []
    for number in range(CROWD):
        db.runs.insert(f"r{number}")

    def work(number: int) -> None:
        try:
            for turn in range(10):
                names = [f"{turn}/{name}" for name in NAMES]
                together.wait(30)
                if number % 2:
                    names.reverse()
                db.history.append(f"r{number}", {name: [number] for name in names})
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            failures.append(error)
            together.abort()

    threads = [threading.Thread(target=work, args=[number]) for number in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    found = db.history.arrays([f"r{number}" for number in range(CROWD)])
    for number in range(CROWD):
        history = found[f"r{number}"]
        assert len(history) == 10 * len(NAMES)
        assert {tuple(one.values.tolist()) for one in history.values()} == {(number,)}
