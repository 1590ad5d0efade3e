"""A training with forked children, which log through the recorder that they inherit."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from typing import TYPE_CHECKING

from tests.faults.points import ATTEMPT, row
from training_db import TrainingDB

if TYPE_CHECKING:
    from training_db.recording import Recorder

WORKERS, ROWS = 4, 50


def main(orders: str) -> None:
    told = json.loads(orders)
    with TrainingDB(told["url"]) as db, db.recorder("run", flush_seconds=0.05) as recorder:
        log(recorder, 1)
        done = threading.Event()
        others: list[int] = []
        busy = threading.Thread(target=log_all_the_time, args=(recorder, done, others))
        busy.start()
        codes = children(recorder)
        codes += workers(recorder)
        done.set()
        busy.join()
        status = db.runs.get("run")["status"]
    told = {"codes": codes, "others": len(others), "status": status}
    print(json.dumps(told), flush=True)  # noqa: T201 - the test reads it


def log(recorder: Recorder, number: int) -> None:
    for step in range(ATTEMPT * number, ATTEMPT * number + ROWS):
        recorder.log(row(step), step=step)


def log_all_the_time(recorder: Recorder, done: threading.Event, logged: list[int]) -> None:
    """Log in a thread, so that each fork comes while another one may hold a lock."""
    while not done.is_set():
        step = 2 * ATTEMPT + len(logged)
        recorder.log(row(step), step=step)
        logged.append(step)
        done.wait(0.0001)


def workers(recorder: Recorder) -> list[int | None]:
    """Log in processes as a DataLoader starts them, and return their exit codes."""
    forked = multiprocessing.get_context("fork")
    processes = [forked.Process(target=log, args=(recorder, 10 + n)) for n in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
        if process.exitcode is None:
            process.kill()
    return [process.exitcode for process in processes]


def children(recorder: Recorder) -> list[int | None]:
    """Log in bare forks that end in each way there is, and return their exit codes."""
    codes: list[int | None] = []
    for number, leave in enumerate((sys.exit, os._exit)):
        child = os.fork()
        if child == 0:
            log(recorder, 3 + number)
            leave(7)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return codes


if __name__ == "__main__":
    main(*sys.argv[1:])
