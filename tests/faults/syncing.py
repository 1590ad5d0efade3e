"""Send what killed trainings have left: the process that the tests end in the middle of it."""

from __future__ import annotations

import json
import sys

from tests.faults.moments import end_at
from training_db import TrainingDB
from training_db.recording import sync


def main(orders: str) -> None:
    told = json.loads(orders)
    with TrainingDB(told["url"]) as db:
        db.runs.count()  # the schema is checked, so that moments count from the first real work
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        sys.stdin.readline()
        if "end_at" in told:
            end_at(*told["end_at"], here=True)
        sync(db)


if __name__ == "__main__":
    main(*sys.argv[1:])
