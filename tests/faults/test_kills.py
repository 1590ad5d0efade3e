"""SIGKILL at random moments: what log() has acknowledged is there once, whatever was going on."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.points import ATTEMPT, check
from tests.faults.processes import Process, until
from tests.faults.spools import unsent
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

RUNS, KILLS = torture.rounds(1, 6), torture.rounds(3, 5)  # of each run, one after the other
FLUSHES = {"flush_seconds": 0.03}  # so that nearly every moment lies inside one


class Trainings:
    """The attempts at one run, each of which begins where no other logs."""

    def __init__(self, db: TrainingDB, folder: Path, run_id: str) -> None:
        self.db, self.folder, self.run_id = db, folder, run_id
        self.url = db.url.render_as_string(hide_password=False)
        self.attempts: list[Process] = []

    def start(self, **orders: object) -> Process:
        told = {"url": self.url, "run_id": self.run_id, "recorder": FLUSHES, **orders}
        told["first"] = ATTEMPT * (len(self.attempts) + 1)
        self.attempts.append(Process(self.folder, "training", told))
        return self.attempts[-1]

    def kill_one(self, moments: random.Random) -> None:
        """Start a training and kill it: now from outside, and now by itself inside a flush."""
        if moments.random() < 0.4:
            process = self.start()
            process.line()
            process.ends_within(moments.uniform(0, 0.6))
        else:
            inside = (moments.randint(1, 5), round(10 ** moments.uniform(0, 3.5)))
            process = self.start(end_at=inside)
            process.line()
            process.ends_within(3)
        process.kill()
        assert process.wait() == -signal.SIGKILL

    def kill_a_sync(self, moments: random.Random) -> None:
        inside = (moments.randint(0, 2), round(10 ** moments.uniform(0, 4)))
        process = Process(self.folder, "syncing", {"url": self.url, "end_at": inside})
        assert process.line() == "ready"
        process.tell("go")
        assert process.wait() in (-signal.SIGKILL, 0)  # it may have had less to do
        assert process.errors == ""

    def check(self) -> int:
        acknowledged = {
            ATTEMPT * number: process.acknowledged
            for number, process in enumerate(self.attempts, start=1)
        }
        return check(self.db, self.run_id, acknowledged)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(RUNS))
def test_a_training_killed_at_any_moment_loses_no_point_and_doubles_none(
    db: TrainingDB, tmp_path: Path, spool_dir: Path, seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311 - no secrets
    trainings = Trainings(db, tmp_path, "killed")
    for _ in range(KILLS):
        trainings.kill_one(moments)
        if moments.random() < 0.4:
            trainings.kill_a_sync(moments)

    is_started_again = (seed + (db.engine.name == "sqlite")) % 2
    if not is_started_again:
        sync(db)
    else:  # a start of the same run sends what is left, too
        process = trainings.start()
        until(
            lambda: len([*spool_dir.glob("*.spool")]) == 1, "the next start has sent what was left"
        )
        process.tell("end")
        assert process.wait() == 0

    assert trainings.check() > 0
    assert unsent(spool_dir) == []
