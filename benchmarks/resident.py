"""One task whose memory is weighed: ``python -m benchmarks.resident TASK URL`` prints megabytes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
from sqlalchemy import make_url

from benchmarks.curves import METRICS, curve, curves
from benchmarks.databases import bare
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = 100_000
RUN = "long"
OLD = "v2.1"


def prepare(url: str) -> None:
    """Make a database with a run."""
    upgrade(url)
    with TrainingDB(url) as db:
        db.runs.insert(RUN)


def append(url: str) -> None:
    """Append the whole history at once."""
    with TrainingDB(url) as db:
        db.history.append(RUN, curves(STEPS) | {"_step": np.arange(STEPS)})


def read(url: str) -> None:
    """Read it metric by metric."""
    with TrainingDB(url) as db:
        for metric in METRICS:
            _check(db, metric)


def fill(url: str) -> None:
    """Make a database of v2.1 whose run has all of it as JSON."""
    upgrade(url, OLD)
    connection = bare(make_url(url))
    mark = "?" if url.startswith("sqlite") else "%s"
    history = b"{" + b",".join(_members()) + b"}"
    connection.execute(
        f"INSERT INTO training_runs (run_id, history_json) VALUES ({mark}, {mark})",
        (RUN, history.decode()),
    )
    connection.commit()
    connection.close()


def _members() -> Iterator[bytes]:
    for name in METRICS:
        values = orjson.dumps(curve(name, STEPS), option=orjson.OPT_SERIALIZE_NUMPY)
        yield orjson.dumps(name) + b":" + values


def migrate(url: str) -> None:
    """Upgrade it, and look whether the history has come along."""
    upgrade(url)
    with TrainingDB(url) as db:
        _check(db, METRICS[-1])


def _check(db: TrainingDB, metric: str) -> None:
    series = db.history.arrays(RUN, [metric])[RUN][metric]
    if series.x[-1] != STEPS - 1 or not np.array_equal(series.values, curve(metric, STEPS)):
        raise SystemExit(f"{metric} came back with {len(series.values)} other points")


def peak() -> float:
    """Return the most megabytes that this process was ever resident with."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux that starts with what the parent held when it started us.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on a Mac, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**2


TASKS = {task.__name__: task for task in (prepare, append, read, fill, migrate)}

if __name__ == "__main__":
    TASKS[sys.argv[1]](sys.argv[2])
    print(peak())
