"""A training: it logs a row a step, and acknowledges each in a file once log() has returned."""

from __future__ import annotations

import json
import os
import select
import sys
import threading
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tests.faults.moments import end_at
from tests.faults.points import row
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.recording import Recorder

PAUSE = 0.001  # seconds between two steps


class Acknowledged:
    """Logs rows, and writes down each that is logged.

    What a process has written to a file stays when it is killed.
    """

    def __init__(self, recorder: Recorder, path: str, first: int = 0) -> None:
        self._recorder = recorder
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self._step = first
        self.logged = 0
        self.longest = 0.0

    def log(self) -> None:
        metrics = row(self._step)
        start = perf_counter()
        self._recorder.log(metrics, step=self._step)
        self.longest = max(self.longest, perf_counter() - start)
        os.write(self._file, b"%d\n" % self._step)
        self._step += 1
        self.logged += 1


def until_told(pause: float) -> Iterator[None]:
    """Go on, with a pause each time, until a line comes in, or nobody is left to write one."""
    while not select.select([sys.stdin], [], [], pause)[0]:
        yield
    sys.stdin.readline()


def say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - the test reads it


def main(orders: str) -> None:
    told = json.loads(orders)
    if "end_at" in told:
        end_at(*told["end_at"])
    start = perf_counter()
    recorder = TrainingDB(told["url"]).recorder(told["run_id"], **told.get("recorder", {}))
    training = Acknowledged(recorder, told["acks"], told.get("first", 0))
    training.log()
    say(started=perf_counter() - start)
    overslept = 0.0
    before = perf_counter()
    for _ in until_told(PAUSE):
        # How late the machine wakes up somebody who did nothing at all.
        overslept = max(overslept, perf_counter() - before - PAUSE)
        training.log()
        before = perf_counter()
    start = perf_counter()
    recorder.close()
    say(
        longest=training.longest,
        overslept=overslept,
        closed=perf_counter() - start,
        threads=threading.active_count(),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
