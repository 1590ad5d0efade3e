"""Writes history: one of the processes that a test starts side by side."""

from __future__ import annotations

import random
import sys

import numpy as np

from tests import torture
from training_db import TrainingDB
from training_db.segments import Column

NAMES = tuple(f"metric {number}" for number in range(40))
BATCHES, ROWS = torture.rounds(4, 12), 5


def main(url: str, number: str) -> None:
    writer = 2 * int(number) + 1
    with TrainingDB(url) as db:
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        sys.stdin.readline()
        write(db, writer)


def write(db: TrainingDB, writer: int) -> None:
    """Write rows of one writer, the new names of each batch in an order of its own."""
    order = random.Random(writer)  # noqa: S311 - an order, and no secret
    for batch in range(BATCHES):
        first = batch * ROWS
        rows = np.arange(first, first + ROWS)
        names = [*NAMES, *(f"{batch}/{name}" for name in NAMES[:10])]
        order.shuffle(names)
        columns = {name: Column(rows, rows * 1000 + writer) for name in names}
        assert db.history.write("r1", writer, columns, (first, first + ROWS)) == first + ROWS
        if batch % 4 == 3:
            db.history.compact("r1", writer)
        db.history.append("r1", {"appended": [writer, batch]})


if __name__ == "__main__":
    main(*sys.argv[1:])
