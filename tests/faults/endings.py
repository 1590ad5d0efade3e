"""A training that ends in the way it is told: one function a way."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from tests.faults.training import Acknowledged, say, until_told
from training_db import TrainingDB

if TYPE_CHECKING:
    from training_db.recording import Recorder

ROWS = 200
ERROR = "the loss is NaN at step 7"


class Training:
    """A training that has logged some rows, and says so.

    Args:
        told: Where it logs, and what it acknowledges.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def recorder(self, flush_seconds: float = 3600) -> Recorder:
        """Return a recorder that sends nothing before its end, unless told otherwise."""
        db = TrainingDB(self._told["url"])
        return db.recorder(self._told["run_id"], flush_seconds=flush_seconds)

    def logs(self, recorder: Recorder) -> Acknowledged:
        rows = Acknowledged(recorder, self._told["acks"])
        for _ in range(ROWS):
            rows.log()
        say(rows=ROWS)
        return rows

    def goes_on(self, recorder: Recorder) -> None:
        rows = self.logs(recorder)
        for _ in until_told(0.001):
            rows.log()


def waits(training: Training) -> None:
    training.goes_on(training.recorder())


def waits_in_a_block(training: Training) -> None:
    with training.recorder() as recorder:
        training.goes_on(recorder)


def logs_without_a_pause(training: Training) -> None:
    rows = training.logs(training.recorder(0.01))
    while True:
        rows.log()


def has_a_handler(training: Training) -> None:
    signal.signal(signal.SIGTERM, lambda _number, _frame: say(handler="ran"))
    with training.recorder() as recorder:
        training.goes_on(recorder)


def sets_a_handler_later(training: Training) -> None:
    with training.recorder() as recorder:
        signal.signal(signal.SIGTERM, lambda _number, _frame: say(handler="ran"))
        training.goes_on(recorder)


def has_a_handler_that_exits(training: Training) -> None:
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(5))
    with training.recorder() as recorder:
        training.goes_on(recorder)


def raises(training: Training) -> None:
    training.logs(training.recorder())
    raise ValueError(ERROR)


def raises_in_a_block(training: Training) -> None:
    with training.recorder() as recorder:
        training.logs(recorder)
        raise ValueError(ERROR)


def exits_with_three_in_a_block(training: Training) -> None:
    with training.recorder() as recorder:
        training.logs(recorder)
        sys.exit(3)


def exits_with_zero_in_a_block(training: Training) -> None:
    with training.recorder() as recorder:
        training.logs(recorder)
        sys.exit(0)


def forgets_to_close(training: Training) -> None:
    training.logs(training.recorder())


def is_gone_at_once(training: Training) -> None:
    training.logs(training.recorder(0.05))
    os._exit(0)


def main(orders: str) -> None:
    told = json.loads(orders)
    globals()[told["ending"]](Training(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
