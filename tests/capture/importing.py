"""Import W&B logs in small batches: the process that the tests end in the middle of it."""

from __future__ import annotations

import json
import sys
from functools import partial

from tests.faults.moments import end_at
from training_db import TrainingDB
from training_db.capture import import_wandb_logs
from training_db.capture.offline import log as wandb_log


def main(orders: str) -> None:
    told = json.loads(orders)
    # A small log is to take several transactions, as a large one does.
    wandb_log.WandbLog = partial(wandb_log.WandbLog, batch_cells=4_000)
    with TrainingDB(told["url"]) as db:
        db.runs.count()  # the schema is checked, so that moments count from the first real work
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        if told["end_at"]:
            end_at(*told["end_at"], here=True)
        import_wandb_logs(db, *told["paths"])


if __name__ == "__main__":
    main(*sys.argv[1:])
