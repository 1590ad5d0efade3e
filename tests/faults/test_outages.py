"""The database goes away, at any time in a training: the training does not feel it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.faults.points import check
from tests.faults.processes import Process, elapse, until
from tests.faults.spools import left
from training_db import TrainingDB
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.outages import Outage

LONGEST = 0.02  # seconds that a call of log() may take
BUSY = 0.01  # seconds that somebody who sleeps is woken too late on a machine that has no core left


def start(folder: Path, outage: Outage, run_id: str = "run", **recorder: float) -> Process:
    told = {"url": outage.url, "run_id": run_id, "recorder": {"flush_seconds": 0.2, **recorder}}
    return Process(folder, "training", told)


def through_an_outage(
    folder: Path, outage: Outage, run_id: str, seconds: float
) -> tuple[Process, dict[str, Any]]:
    training = start(folder, outage, run_id)
    training.line()
    elapse(1)
    with outage():
        elapse(seconds)
    elapse(1)
    training.tell("end")
    told = json.loads(training.line())
    assert training.wait() == 0
    return training, told


@pytest.mark.faults
def test_a_database_that_is_away_for_seconds_costs_no_point_and_no_call_twenty_ms(
    outage: Outage, tmp_path: Path
) -> None:
    for run_id in ("first", "again"):
        training, told = through_an_outage(tmp_path, outage, run_id, torture.rounds(2, 5))
        with TrainingDB(outage.url) as db:
            assert check(db, run_id, {0: training.acknowledged}) > 1000
            assert db.runs.get(run_id)["status"] == "completed"
        if told["longest"] < LONGEST or told["overslept"] < BUSY:
            break
    assert told["longest"] < LONGEST, told


def test_a_training_starts_without_its_database_and_sends_all_when_it_is_there(
    outage: Outage, tmp_path: Path
) -> None:
    with outage():
        training = start(tmp_path, outage)
        assert json.loads(training.line())["started"] < 5
        elapse(1)
    training.tell("end")

    assert training.wait() == 0
    with TrainingDB(outage.url) as db:
        check(db, "run", {0: training.acknowledged})
        assert db.runs.get("run")["status"] == "completed"


def test_a_training_that_ends_without_its_database_says_where_its_points_are(
    outage: Outage, tmp_path: Path, spool_dir: Path
) -> None:
    training = start(tmp_path, outage, close_seconds=3)
    training.line()
    with TrainingDB(outage.url) as db:
        until(lambda: db.runs.find("run"), "the run is known")
    with outage():
        training.tell("end")
        assert json.loads(training.line())["closed"] < 5
        assert training.wait() == 0

    [spool] = spool_dir.glob("*.spool")
    assert str(spool) in training.errors
    assert "training-db spool sync" in training.errors
    with TrainingDB(outage.url) as db:
        assert db.runs.get("run")["status"] == "running"
        sync(db)
        check(db, "run", {0: training.acknowledged})
        assert db.runs.get("run")["status"] == "completed"
    assert left(spool_dir) == []
