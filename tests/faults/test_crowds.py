"""Many writers of one database, and of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.points import ATTEMPT, check, recorded
from tests.faults.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

PROCESSES, ROWS = torture.rounds(6, 16), torture.rounds(100, 300)


def crowd(db: TrainingDB, folder: Path, runs: list[str]) -> None:
    told = {"url": db.url.render_as_string(hide_password=False), "runs": runs, "rows": ROWS}
    process = Process(folder, "crowd", told)
    code = process.wait()
    assert (code, process.errors) == (0, "")


@torture.on_one_backend
def test_processes_log_runs_of_their_own_at_once_and_nobody_hears_of_a_lock(
    db: TrainingDB, tmp_path: Path
) -> None:
    crowd(db, tmp_path, [f"run {number}" for number in range(PROCESSES)])
    for number in range(PROCESSES):
        check(db, f"run {number}", {ATTEMPT * (number + 1): ROWS})
    assert db.runs.count("status = 'completed'") == PROCESSES


@pytest.mark.faults
def test_processes_log_one_run_at_once_and_nobody_hears_of_a_lock(
    db: TrainingDB, tmp_path: Path
) -> None:
    crowd(db, tmp_path, ["one"] * PROCESSES)
    check(db, "one", {ATTEMPT * (number + 1): ROWS for number in range(PROCESSES)})
    assert [run["status"] for run in db.runs.query()] == ["completed"]


@torture.on_one_backend
def test_of_two_processes_that_log_the_same_steps_the_later_one_is_read(
    db: TrainingDB, tmp_path: Path
) -> None:
    told = {"url": db.url.render_as_string(hide_password=False), "run_id": "run"}
    first = Process(tmp_path, "repeats", {**told, "value": 1, "steps": [0, 10]})
    assert first.line() == "ready"
    second = Process(tmp_path, "repeats", {**told, "value": 2, "steps": [5, 15]})
    assert second.line() == "ready"
    for process in (second, first):  # what counts is who began later, not who sent later
        process.tell("log")
        assert process.line() == "logged"
    for process in (second, first):
        process.tell("end")
        assert process.wait() == 0

    assert recorded(db, "run", "last")["loss"] == [
        (step, 1 if step < 5 else 2) for step in range(15)
    ]
    assert sorted(recorded(db, "run", "all")["loss"]) == sorted(
        [(step, 1) for step in range(10)] + [(step, 2) for step in range(5, 15)]
    )


def test_a_restart_that_repeats_steps_keeps_both_attempts_and_reads_the_later(
    db: TrainingDB,
) -> None:
    for attempt, steps in enumerate([range(10), range(6, 12)]):
        with db.recorder("run") as recorder:
            for step in steps:
                recorder.log({"loss": float(attempt)}, step=step)

    assert recorded(db, "run", "last")["loss"] == [(step, float(step >= 6)) for step in range(12)]
    both = recorded(db, "run", "all")["loss"]
    assert [step for step, _ in both] == [
        *range(6),
        *[n for n in range(6, 10) for _ in "12"],
        10,
        11,
    ]
    assert [value for step, value in both if step == 6] == [0.0, 1.0]


def test_of_two_rows_of_one_step_the_later_one_is_read(db: TrainingDB) -> None:
    with db.recorder("run") as recorder:
        recorder.log({"loss": 1.0, "accuracy": 0.5}, step=3)
        recorder.log({"loss": 2.0}, step=3)

    assert recorded(db, "run", "last") == {"loss": [(3, 2.0)], "accuracy": [(3, 0.5)]}
    assert recorded(db, "run", "all")["loss"] == [(3, 1.0), (3, 2.0)]
