"""Take the figures of one peer: ``python -m benchmarks.peers PEER TASK RESULT``."""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.curves import METRICS, curve, curves, rows

if TYPE_CHECKING:
    from collections.abc import Callable

POINTS, RUNS, RUN_POINTS = 10_000, 50, 1_000
REPEATS = 5


def main() -> None:
    """Run one task and write its figures as JSON."""
    peer, task, result = sys.argv[1:]
    store = import_module(f"benchmarks.peers.{peer}").Store(Path(result).parent)
    figures = {"log": log, "bulk": bulk, "read": read}[task](store)
    Path(result).write_text(json.dumps(figures))


def log(store: Any) -> dict[str, float]:
    """Time each of some calls with 149 metrics, in microseconds."""
    logged = list(rows(curves(store.calls)))
    store.start("live")
    taken = []
    for step, row in enumerate(logged):
        started = time.perf_counter()
        store.log(step, row)
        taken.append(time.perf_counter() - started)
    store.finish()
    p50, p99 = np.percentile(taken, (50, 99)) * 1e6
    return {"p50": p50, "p99": p99, "max": max(taken) * 1e6}


def bulk(store: Any) -> dict[str, float]:
    """Time a whole run of 149 metrics, in microseconds a point, and weigh it in bytes a point."""
    logged = list(rows(curves(store.steps)))
    store.append("first", list(islice(logged, 10)))  # makes its tables
    before = store.size()
    started = time.perf_counter()
    store.append("bulk", logged)
    taken = time.perf_counter() - started
    points = store.steps * len(METRICS)
    return {"us": taken * 1e6 / points, "bytes": (store.size() - before) / points}


def read(store: Any) -> dict[str, float]:
    """Time reading one metric of a run of 10,000 points and of 50 runs of 1,000, in ms."""
    if not hasattr(store, "read"):
        return {}
    # MLflow would take minutes to load the other 148, so nobody's run has them but trackio's,
    # whose rows hold all the metrics of a step.
    named = METRICS if store.whole_rows else METRICS[:1]
    store.append("one", list(rows({name: curve(name, POINTS) for name in named})))
    runs = [f"run-{number}" for number in range(RUNS)]
    for number, run in enumerate(runs):
        columns = {name: curve(name, RUN_POINTS, number) for name in named}
        store.append(run, list(rows(columns)))
    return {
        "one": _median(lambda: store.read(["one"], METRICS[0])),
        "many": _median(lambda: store.read(runs, METRICS[0])),
    }


def _median(call: Callable[[], Any]) -> float:
    taken = []
    for _ in range(REPEATS + 1):  # the first warms up
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:]) * 1e3


if __name__ == "__main__":
    main()
