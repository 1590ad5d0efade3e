"""Whole histories written and single metrics read, beside one row a point and bare columns."""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.by_hand import Columns, Points
from benchmarks.comparison import Comparison
from benchmarks.curves import METRICS, curves
from benchmarks.databases import fresh
from benchmarks.peers import figures
from benchmarks.timing import Timing, timed_in_turns
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

FASTER = {"SQLite": 5.0, "PostgreSQL": 4.0}
ONE_LIMIT, MANY_LIMIT = 1.0, 5.0  # milliseconds
STEPS, RUNS, RUN_STEPS = 10_000, 50, 1_000
POINTS = STEPS * len(METRICS)


def time_history(backend: str, server_url: str) -> Iterator[Comparison]:
    """Time 1.49 million points in bulk, then two reads, each store in a database of its own."""
    with (
        fresh(backend, server_url, "history_ours") as url,
        fresh(backend, server_url, "history_points") as points_url,
        fresh(backend, server_url, "history_columns") as columns_url,
        TrainingDB(url) as db,
        closing(Points(points_url)) as points,
        closing(Columns(columns_url)) as columns,
    ):
        upgrade(url)
        yield _bulk(backend, "by key", db, points, columns)
        yield from _reads(backend, db, points, columns)
    if backend == "SQLite":  # where the key is the table
        return
    with (
        fresh(backend, server_url, "heap_ours") as url,
        fresh(backend, server_url, "heap_points") as points_url,
        fresh(backend, server_url, "heap_columns") as columns_url,
        TrainingDB(url) as db,
        closing(Points(points_url, keyed=False)) as points,
        closing(Columns(columns_url)) as columns,
    ):
        upgrade(url)
        yield _bulk(backend, "into a heap without a key", db, points, columns)


def _bulk(
    backend: str, layout: str, db: TrainingDB, points: Points, columns: Columns
) -> Comparison:
    written, numbers = curves(STEPS), count()
    with_steps = written | {"_step": np.arange(STEPS)}

    def new_run() -> int:
        number = next(numbers)
        db.runs.insert(f"bulk-{number}")
        return number

    ours, by_hand, floor = timed_in_turns(
        lambda run: db.history.append(f"bulk-{run}", with_steps),
        lambda run: points.append(run, written),
        lambda run: columns.append(run, written),
        given=new_run,
    )
    others = figures("bulk", "us") if backend == "SQLite" else {}
    return Comparison(
        f"{POINTS:,} points in bulk, {backend}, by hand {layout}",
        "us a point",
        ours.median * 1e6 / POINTS,
        {
            "by hand": by_hand.median * 1e6 / POINTS,
            "floor": floor.median * 1e6 / POINTS,
            **others,
        },
        faster=FASTER[backend],
        spread=_spread(ours, by_hand),
    )


def _reads(backend: str, db: TrainingDB, points: Points, columns: Columns) -> Iterator[Comparison]:
    one, runs = 10_000, list(range(20_000, 20_000 + RUNS))
    for number, steps in [(one, STEPS), *((run, RUN_STEPS) for run in runs)]:
        written = curves(steps, number)
        db.runs.insert(f"read-{number}")
        db.history.append(f"read-{number}", written | {"_step": np.arange(steps)})
        points.append(number, written)
        columns.append(number, written)
    _settle(points)
    _settle(columns)
    metric = METRICS[0]
    run_ids = [f"read-{run}" for run in runs]
    taken = timed_in_turns(
        lambda: db.history.arrays(f"read-{one}", [metric]),
        lambda: points.read(one, metric),
        lambda: columns.read(one, metric),
        inner=20,
    )
    what = f"one metric of {STEPS:,} points, {backend}"
    yield _read(what, taken, "one" if backend == "SQLite" else None, ONE_LIMIT)
    taken = timed_in_turns(
        lambda: db.history.arrays(run_ids, [metric]),
        lambda: points.read_many(runs, metric),
        lambda: columns.read_many(runs, metric),
        inner=10,
    )
    what = f"one metric of {RUNS} runs of {RUN_STEPS:,} points, {backend}"
    yield _read(what, taken, "many" if backend == "SQLite" else None, MANY_LIMIT)


def _settle(store: Points) -> None:
    """Let PostgreSQL look at the tables once, as it would do by itself a little later."""
    if not store.is_sqlite:
        store.connection.autocommit = True
        store.execute("VACUUM ANALYZE")
        store.connection.autocommit = False


def _read(what: str, taken: tuple[Timing, ...], key: str | None, limit: float) -> Comparison:
    ours, by_hand, floor = taken
    return Comparison(
        what,
        "ms",
        ours.median * 1e3,
        {
            "by hand": by_hand.median * 1e3,
            "floor": floor.median * 1e3,
            **(figures("read", key) if key else {}),
        },
        at_most=limit,
        spread=_spread(ours, by_hand),
    )


def _spread(*timings: Timing) -> float:
    return max(one.noise for one in timings)
