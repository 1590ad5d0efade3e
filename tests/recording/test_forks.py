"""Forked children log through the recorder they inherit, and leave their parent's alone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING

from tests import torture
from tests.contract.test_processes import in_a_child
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB
    from training_db.recording import Recorder

pytestmark = torture.on_one_backend


def losses(db: TrainingDB) -> list[float]:
    found = db.history.arrays("run", "loss", duplicates="all")["run"]["loss"]
    return sorted(found.values.tolist())


def test_a_child_that_logs_has_a_writer_of_its_own(db: TrainingDB, spool_dir: Path) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})

        def work() -> bool:
            parent = recorder.writer
            recorder.log({"loss": 2.0})
            sent = recorder.flush()
            own = recorder.writer
            recorder.close("failed")
            return (parent, sent) == (0, True) and own != 0

        assert in_a_child(work) == 0
        recorder.log({"loss": 3.0})
        assert recorder.flush()
        assert db.runs.get("run")["status"] == "running"
    assert losses(db) == [1.0, 2.0, 3.0]
    assert db.runs.get("run")["status"] == "completed"
    assert list(spool_dir.iterdir()) == []


def test_a_child_that_does_nothing_with_it_costs_nothing(db: TrainingDB, spool_dir: Path) -> None:
    with db.recorder("run") as recorder:
        recorder.log({"loss": 1.0})

        def work() -> bool:
            # Other packages that a test has loaded may start threads of their own in a child.
            alive = [one for one in threading.enumerate() if one.name.startswith("training-db")]
            recorder.flush()
            recorder.close()
            recorder.event("x", "after the end")
            return not alive and len(list(spool_dir.glob("*.spool"))) == 1

        assert in_a_child(work) == 0
        recorder.log({"loss": 2.0})
    assert losses(db) == [1.0, 2.0]


def test_what_a_child_that_is_cut_off_has_logged_is_sent_by_its_parent(
    db: TrainingDB, spool_dir: Path
) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})

        def work() -> bool:
            recorder.event("worker", "begins")
            recorder.log({"loss": 2.0})
            os.kill(os.getpid(), signal.SIGKILL)
            return False

        assert in_a_child(work) == -signal.SIGKILL
        assert len(list(spool_dir.glob("*.spool"))) == 2
    assert losses(db) == [1.0, 2.0]
    assert [event["message"] for event in db.events.list("run")] == ["begins"]
    assert list(spool_dir.iterdir()) == []


def test_a_child_that_is_told_to_end_sends_what_it_has_and_does_so(db: TrainingDB) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})

        def work() -> bool:
            recorder.log({"loss": 2.0})
            os.kill(os.getpid(), signal.SIGTERM)
            return False

        assert in_a_child(work) == -signal.SIGTERM
        assert losses(db) == [2.0]
        assert db.runs.get("run")["status"] == "running"
    assert losses(db) == [1.0, 2.0]


def in_a_worker(recorder: Recorder, value: float) -> None:
    recorder.log({"loss": value})
    sys.exit(3)


def test_workers_of_multiprocessing_send_what_they_have_when_they_end(
    db: TrainingDB, spool_dir: Path
) -> None:
    forked = multiprocessing.get_context("fork")
    with db.recorder("run", flush_seconds=3600) as recorder:
        workers = [forked.Process(target=in_a_worker, args=(recorder, n)) for n in (2.0, 3.0)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # coverage, which starts anew in workers, warns of it
            for worker in workers:
                worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [3, 3]
        assert losses(db) == [2.0, 3.0]
        assert len(list(spool_dir.glob("*.spool"))) == 1
        assert db.runs.get("run")["status"] == "running"
    sync(db)
    assert losses(db) == [2.0, 3.0]


def test_forks_in_the_middle_of_everything_hang_nobody(db: TrainingDB) -> None:
    done = threading.Event()
    logged: list[float] = []
    with db.recorder("run", flush_seconds=0.01) as recorder:

        def log() -> None:
            while not done.is_set():
                recorder.log({"loss": float(len(logged))})
                logged.append(float(len(logged)))

        thread = threading.Thread(target=log)
        thread.start()
        for number in range(8):

            def work(number: int = number) -> bool:
                recorder.log({"child": float(number)})
                return recorder.flush()

            assert in_a_child(work) == 0
        done.set()
        thread.join()
    sync(db)
    assert losses(db) == logged
    children = db.history.arrays("run", "child", duplicates="all")["run"]["child"]
    assert sorted(children.values.tolist()) == [float(number) for number in range(8)]
