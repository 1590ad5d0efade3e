"""Several processes on one database: started together, forked, and cut off."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.contract.crowds import outputs_of

if TYPE_CHECKING:
    from training_db import TrainingDB

PROCESSES, RUNS = torture.rounds(6, 12), torture.rounds(8, 15)


@pytest.mark.faults
def test_processes_insert_at_once_and_every_run_has_a_number_of_its_own(
    db: TrainingDB,
) -> None:
    url = db.url.render_as_string(hide_password=False)
    crowd = ([url, f"p{number}", str(RUNS)] for number in range(PROCESSES))
    outputs_of("tests.contract.writer", crowd)
    assert db.runs.count() == PROCESSES * (RUNS + 50)
    numbers = [run["number"] for run in db.runs.query(None, "number", None)]
    assert numbers == list(range(1, PROCESSES * (RUNS + 50) + 1))
    assert db.runs.count("status = 'completed' and final_loss = 0.5") == PROCESSES * RUNS
    assert len(db.objectives.query(limit=None)) == PROCESSES * RUNS * 2


def in_a_child(work: object) -> int:
    """Fork, do the work in the child, and return the child's exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if callable(work) and work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_forked_child_uses_the_database_and_the_parent_goes_on(db: TrainingDB) -> None:
    db.runs.insert("before")

    def work() -> bool:
        db.runs.insert("child")
        return db.runs.count() == 2

    assert in_a_child(work) == 0
    db.runs.insert("after")
    assert db.runs.count() == 3
    assert in_a_child(lambda: db.runs.count() == 3) == 0
    assert {run["run_id"] for run in db.runs.query()} == {"before", "child", "after"}


def test_a_child_forked_inside_a_transaction_is_not_part_of_it(db: TrainingDB) -> None:
    with db.transaction():
        db.runs.insert("parent")
        assert in_a_child(lambda: db.runs.count() == 0) == 0
    assert db.runs.count() == 1
