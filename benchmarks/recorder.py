"""Calls of ``Recorder.log`` as a training loop makes them, beside one row a point by hand."""

from __future__ import annotations

import gc
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.by_hand import Points, Spool
from benchmarks.comparison import Comparison
from benchmarks.curves import METRICS, curves, rows
from benchmarks.databases import fresh
from benchmarks.peers import figures
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

LIMITS = {"p50": 40.0, "p99": 300.0}  # microseconds
CPU_LIMIT = 10.0  # percent of a core
FLAT_OUT_SECONDS, PACED_SECONDS, CALLS_A_SECOND = 5.0, 20.0, 20
# A flush of 5 s at this pace holds 100 rows; 50 of them pass the 4,096 rows at which what was
# flushed is put together, which 20 s would not show.
FLUSH_ROWS, FLUSHES, FLUSH_SECONDS = 100, 50, 5.0
ROWS = 2_000
MINUTE = 60.0


@dataclass(frozen=True)
class Pace:
    """How calls follow each other: for how long, and how many seconds from one to the next."""

    name: str
    seconds: float
    pause: float


def time_recorder(backend: str, server_url: str) -> Iterator[Comparison]:
    """Time calls flat out and at 20 a second, and what the flusher takes meanwhile."""
    logged = list(rows(curves(ROWS)))
    with (
        fresh(backend, server_url, "recorder_ours") as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        upgrade(url)
        with TrainingDB(url) as db:
            pace = Pace("flat out", FLAT_OUT_SECONDS, 0.0)
            flat_out, _ = _recorded(db, pace, folder, logged, flush_seconds=1.0)
            others = _by_hand(backend, server_url, folder, logged, pace)
            yield from _distribution(pace, backend, flat_out, others)
            pace = Pace(f"{CALLS_A_SECOND} a second", PACED_SECONDS, 1 / CALLS_A_SECOND)
            paced, share = _recorded(db, pace, folder, logged, flush_seconds=FLUSH_SECONDS)
            others = _by_hand(backend, server_url, folder, logged, pace)
            yield from _distribution(pace, backend, paced, others)
            yield _flusher(f"{PACED_SECONDS:g} s at {CALLS_A_SECOND} calls/s", backend, share)
            share = _long_run(db, folder, logged)
            minutes = FLUSHES * FLUSH_SECONDS / MINUTE
            yield _flusher(f"{minutes:.1f} minutes at that pace, played fast", backend, share)


def _by_hand(
    backend: str, server_url: str, folder: str, logged: list[dict[str, float]], pace: Pace
) -> dict[str, NDArray[Any]]:
    """Log one row a point by the driver, and one packed row a step as the floor."""
    brief = replace(pace, seconds=pace.seconds / 4)
    with fresh(backend, server_url, "recorder_points") as url, closing(Points(url)) as points:
        by_hand = _calls(lambda step, row: points.log(1, step, row), logged, brief)
    with closing(Spool(Path(folder) / f"floor {pace.name}.db")) as spool:
        floor = _calls(spool.log, logged, brief)
    return {"by hand": by_hand, "floor": floor}


def _recorded(
    db: TrainingDB,
    pace: Pace,
    folder: str,
    logged: list[dict[str, float]],
    flush_seconds: float,
) -> tuple[NDArray[Any], float]:
    """Log through a recorder; return the seconds of each call, and the flusher's share of a core.

    That is what the process took less what the logging thread took: no other thread works.
    """
    db.runs.insert(pace.name)
    with db.recorder(pace.name, flush_seconds=flush_seconds, spool_dir=folder) as recorder:
        recorder.log(logged[0], step=0)
        recorder.flush(timeout=MINUTE)
        wall, others = time.perf_counter(), _others_cpu()
        taken = _calls(lambda step, row: recorder.log(row, step=step + 1), logged, pace)
        share = (_others_cpu() - others) / (time.perf_counter() - wall)
    return taken, share


def _long_run(db: TrainingDB, folder: str, logged: list[dict[str, float]]) -> float:
    """Flush what is logged in minutes as it would be flushed then, one flush after another.

    Returns:
        The flusher's share of a core over the time that this would have taken.
    """
    db.runs.insert("long")
    with db.recorder("long", flush_seconds=MINUTE * MINUTE, spool_dir=folder) as recorder:
        given = cycle(logged)
        others = _others_cpu()
        for step in range(FLUSHES * FLUSH_ROWS):
            recorder.log(next(given), step=step)
            if step % FLUSH_ROWS == FLUSH_ROWS - 1:
                recorder.flush(timeout=MINUTE)
        taken = _others_cpu() - others
    return taken / (FLUSHES * FLUSH_SECONDS)


def _calls(
    log: Callable[[int, dict[str, float]], Any], logged: list[dict[str, float]], pace: Pace
) -> NDArray[Any]:
    """Call at a pace, and return the seconds of each call, of shape (n,)."""
    taken: list[float] = []
    given = cycle(logged)
    gc.collect()
    clock = time.perf_counter
    begun = now = clock()
    while now < begun + pace.seconds:
        row = dict(next(given))  # a training makes a new one at each step
        started = clock()
        log(len(taken), row)
        now = clock()
        taken.append(now - started)
        if pace.pause:
            # A training is busy with its next step for as long.
            time.sleep(max(0.0, begun + len(taken) * pace.pause - now))
    return np.array(taken)


def _distribution(
    pace: Pace, backend: str, ours: NDArray[Any], by_hand: dict[str, NDArray[Any]]
) -> Iterator[Comparison]:
    for name, share in (("p50", 50), ("p99", 99), ("max", 100)):
        others: dict[str, float | str] = {
            way: float(np.percentile(taken, share)) * 1e6 for way, taken in by_hand.items()
        }
        if backend == "SQLite" and not pace.pause:
            others |= figures("log", name)
        yield Comparison(
            f"a call of {len(METRICS)} metrics, {pace.name}, {name} of {len(ours):,}, {backend}",
            "us",
            float(np.percentile(ours, share)) * 1e6,
            others,
            at_most=LIMITS.get(name),
        )


def _flusher(what: str, backend: str, share: float) -> Comparison:
    return Comparison(f"flusher, {what}, {backend}", "% of a core", share * 100, at_most=CPU_LIMIT)


def _others_cpu() -> float:
    return time.process_time() - time.thread_time()
