"""What a mirror adds to a call of log() of a live W&B run."""

from __future__ import annotations

import gc
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison import Comparison
from benchmarks.curves import METRICS, curves, rows
from benchmarks.databases import fresh
from training_db import TrainingDB
from training_db.capture import mirror
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LIMIT = 60.0  # microseconds
CALLS, ROWS = 3_000, 500
PAUSE = 0.001  # the processor and its caches go cold, and W&B's own process has its turn


def time_mirror(backend: str, server_url: str) -> Iterator[Comparison]:
    """Time log() of two offline runs by turns, of which one is mirrored."""
    with (
        fresh(backend, server_url, "mirror") as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        upgrade(url)
        with TrainingDB(url) as db:
            for what, with_steps, pause in (
                ("flat out", False, 0.0),
                ("with step=, flat out", True, 0.0),
                ("1 ms apart", False, PAUSE),
            ):
                plain, mirrored = _by_turns(db, folder, pause, with_steps=with_steps)
                took = {"wandb": float(np.median(plain)) * 1e6}
                yield Comparison(
                    f"added by mirror() to log() of {len(METRICS)} metrics, {what}, p50, {backend}",
                    "us",
                    float(np.median(mirrored) - np.median(plain)) * 1e6,
                    took,
                    at_most=LIMIT,
                )


def _by_turns(
    db: TrainingDB, folder: str, pause: float, *, with_steps: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the seconds of each call, of a run that is not mirrored and of one that is."""
    runs = [_run(folder), _run(folder)]
    mirror(runs[1], db, spool_dir=Path(folder) / "spool")
    taken: tuple[list[float], list[float]] = [], []
    given = cycle(list(rows(curves(ROWS))))
    gc.collect()
    clock = time.perf_counter
    for step in range(CALLS):
        row = next(given)
        for at in (0, 1) if step % 2 else (1, 0):  # whoever is second finds warm caches
            options = {"step": step} if with_steps else {}
            own = dict(row)
            begun = clock()
            runs[at].log(own, **options)
            taken[at].append(clock() - begun)
        if pause:
            time.sleep(pause)
    for run in runs:
        run.finish()
    return np.array(taken[0]), np.array(taken[1])


def _run(folder: str) -> Any:
    import wandb

    settings = wandb.Settings(
        console="off", silent=True, x_disable_stats=True, x_disable_meta=True, disable_git=True
    )
    return wandb.init(
        mode="offline", project="bench", dir=folder, settings=settings, reinit="create_new"
    )
