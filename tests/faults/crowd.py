"""Many processes that log at once, forked from one that has loaded everything before."""

from __future__ import annotations

import json
import os
import sys
import traceback

from tests.faults.points import ATTEMPT, row
from training_db import TrainingDB


def log(url: str, run_id: str, first: int, rows: int) -> None:
    with (
        TrainingDB(url) as db,
        db.recorder(run_id, flush_seconds=0.05) as recorder,
    ):
        for step in range(first, first + rows):
            recorder.log(row(step), step=step)


def main(orders: str) -> None:
    told = json.loads(orders)
    children = []
    for number, run_id in enumerate(told["runs"]):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                log(told["url"], run_id, ATTEMPT * (number + 1), told["rows"])
                code = 0
            except Exception:  # noqa: BLE001 - the test reads what it was
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    sys.exit(max(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
