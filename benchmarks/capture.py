"""A log of W&B with 149 metrics x 10,000 rows: read, read and stored, and the memory that takes.

Times are those of the processor, from the start of the process on: what is asked is values a
second on one core.

``python -m benchmarks.capture TASK ...`` is one of its tasks, in a process of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison import Comparison
from benchmarks.curves import curves, rows
from benchmarks.databases import fresh
from benchmarks.resident import peak
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 10_000
REPEATS = 3
SECONDS = 1800
SLOWEST = 1e6 / 300_000  # microseconds a value
LIMIT = 300.0  # megabytes


def time_capture(backend: str, server_url: str) -> Iterator[Comparison]:
    """Time reading alone, with storing, and a plain loop over the items of W&B's own messages."""
    with tempfile.TemporaryDirectory() as folder:
        _task("write", folder)
        (log,) = map(str, Path(folder).glob("wandb/offline-run-*/run-*.wandb"))
        plain = _median("loop", log)[0]
        what = f"W&B log of 149 x {ROWS:,} values"
        taken, _ = _median("read", log)
        others = {"by hand": plain}
        yield Comparison(f"{what}, read", "us/value", taken, others, at_most=SLOWEST)
        what = f"{what}, read and stored, {backend}"
        taken, megabytes = _median("store", log, backend, server_url)
        yield Comparison(what, "us/value", taken, at_most=SLOWEST)
        yield Comparison(f"{what}, memory", "MB", megabytes, at_most=LIMIT)


def write(folder: str) -> None:
    """Write the log, as a training does that is offline."""
    import wandb

    quiet = wandb.Settings(console="off", silent=True, x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(mode="offline", project="benchmark", dir=folder, settings=quiet)
    for row in rows(curves(ROWS)):
        run.log(row)
    run.finish()


def loop(log: str) -> int:
    """Decode the values one by one, with the messages that W&B ships."""
    import json

    from wandb.proto.wandb_internal_pb2 import Record

    from training_db.capture.offline.blocks import BlockReader

    columns: dict[tuple[str, ...], list[object]] = {}
    for payload in BlockReader(log).records():
        record = Record.FromString(payload)
        for item in record.history.item:
            path = (item.key,) if item.key else tuple(item.nested_key)
            columns.setdefault(path, []).append(json.loads(item.value_json))
    return sum(map(len, columns.values()))


def read(log: str) -> int:
    """Decode the values as an import does."""
    from training_db.capture.offline.log import WandbLog

    return sum(len(cells) for batch in WandbLog(log).batches() for cells in batch.columns.values())


def store(log: str, url: str) -> int:
    """Import the log."""
    from training_db.capture import import_wandb_logs

    with TrainingDB(url) as db:
        (outcome,) = import_wandb_logs(db, log)
    if outcome.counts is None or not outcome.counts.is_equal:
        raise SystemExit(f"not all of {log} came into the database")
    return outcome.values


def _median(task: str, log: str, backend: str = "", server_url: str = "") -> tuple[float, float]:
    """Return microseconds of our process a value, and megabytes."""
    figures = []
    for repeat in range(REPEATS):
        if task == "store":
            with fresh(backend, server_url, f"capture_{repeat}") as url:
                upgrade(url)
                figures.append(_task(task, log, url))
        else:
            figures.append(_task(task, log))
    taken, megabytes = (statistics.median(some) for some in zip(*figures, strict=True))
    return taken, megabytes


def _task(*arguments: str) -> tuple[float, float]:
    command = (sys.executable, "-m", "benchmarks.capture", *arguments)
    # A service of W&B that the caller's environment names would be asked instead of a new one.
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=SECONDS, env=environment
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        raise SystemExit(f"benchmarks.capture {arguments[0]} failed")
    taken, megabytes = map(float, done.stdout.split()[-2:])
    return taken, megabytes


TASKS = {task.__name__: task for task in (write, loop, read, store)}

if __name__ == "__main__":
    values = TASKS[sys.argv[1]](*sys.argv[2:])
    print(1e6 * time.process_time() / (values or 1), peak())
