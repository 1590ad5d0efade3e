"""The databases that are measured: of any number of runs, with a history thinner at the top."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.databases import bare
from benchmarks.runs import METHODS, START, STATUSES
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

HISTORIES = 10_000
"""The most runs that have a history."""
POINTS = 200
METRICS = ("loss", "grad_norm", "learning_rate", "QED", "SA", "affinity")
OBJECTIVES = ("QED", "SA", "affinity")
_BATCH = 10_000


def load(url: str, count: int) -> float:
    """Fill a fresh database, and let the backend look at it as it would by itself.

    Returns:
        The seconds that the runs took, without their histories.
    """
    upgrade(url)
    with TrainingDB(url) as db:
        seconds = 0.0
        runs = make_runs(count)
        while batch := list(islice(runs, _BATCH)):
            started = time.perf_counter()
            db.runs.insert_many(batch)
            seconds += time.perf_counter() - started
        _add_histories(db, count)
        connection = bare(db.url)
        if db.engine.dialect.name == "postgresql":
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")
        else:
            connection.execute("ANALYZE")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
    return seconds


def make_runs(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Make runs of 20 settings and three objectives, the same ones for the same numbers."""
    for number in range(first, first + count):
        dice = random.Random(number)  # noqa: S311 - test data
        yield {
            "run_id": run_id(number),
            "status": dice.choice(STATUSES),
            "host": f"gpu-{dice.randrange(64)}",
            "created_at": START + timedelta(minutes=number),
            "duration_seconds": dice.randrange(100, 100_000),
            "config": {
                "gradient_method": dice.choice(METHODS),
                "learning_rate": 10 ** dice.uniform(-5, -2),
                "batch_size": dice.choice((16, 32, 64, 128)),
                "seed": number,
                "optimizer": {"name": dice.choice(("adam", "adamw", "sgd"))},
            }
            | {f"setting_{key}": dice.randrange(9) for key in range(15)},
            "summary": {"loss": dice.random()}
            | {f"objectives/{name}_maximize/raw_mean": dice.random() for name in OBJECTIVES},
        }


def run_id(number: int) -> str:
    """Return the id of a run."""
    return f"run-{number:07}"


def with_history(count: int) -> range:
    """Return the numbers of the runs that have a history, of so many runs."""
    return range(0, count, max(1, count // HISTORIES))


def _add_histories(db: TrainingDB, count: int) -> None:
    chance = np.random.default_rng(0)
    fall = np.exp(-np.arange(POINTS) / 50)
    numbers = iter(with_history(count))
    while batch := list(islice(numbers, 500)):
        with db.transaction():
            for number in batch:
                noise = chance.normal(0, 0.05, (len(METRICS), POINTS))
                scale = chance.random(len(METRICS))
                db.history.append(
                    run_id(number),
                    {
                        name: (fall + noise[index]) * scale[index]
                        for index, name in enumerate(METRICS)
                    },
                )
