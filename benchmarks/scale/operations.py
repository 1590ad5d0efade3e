"""What is measured at each size: what people and trainings ask of the database."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from benchmarks.scale.loading import make_runs, run_id, with_history
from training_db.upkeep.gc import collect, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training_db import TrainingDB

TRASHED = 100


@dataclass(frozen=True)
class Operation:
    """One thing that is measured.

    Attributes:
        name: What it is called in the tables.
        kind: Which figure it stands in: ``"write"``, ``"read"`` or ``"upkeep"``.
        call: Does it once.
        inner: How often it is done for one measurement.
        given: Makes what it takes, before the clock starts.
    """

    name: str
    kind: str
    call: Callable[..., Any]
    inner: int = 1
    given: Callable[[], Any] | None = None


def operations(db: TrainingDB, size: int) -> Iterator[Operation]:
    """Return what is measured in a database of so many runs."""
    dice = random.Random(size)  # noqa: S311 - test data
    yield from _reads(db, size, dice)
    yield from _writes(db, size, dice)


def _reads(db: TrainingDB, size: int, dice: random.Random) -> Iterator[Operation]:
    curves = with_history(size)

    def any_run() -> str:
        return run_id(dice.randrange(size))

    def any_curve() -> str:
        return run_id(dice.choice(curves))

    for name, filters, inner in (
        ("newest 100 runs", None, 5),
        ("newest 100 by method and status", "gradient_method = 'mgda' and status = 'failed'", 5),
        ("100 by a threshold that 1 in 100 passes", "objective.QED > 0.99", 5),
        ("100 by a metric that 1 in 100 passes", "metric.loss.min < -0.09", 5),
        ("100 by a key of the config", "config.optimizer.name = 'sgd'", 3),
        ("runs by one seed of the config", f"config.seed = {size // 2}", 1),
        ("runs whose name holds a text", "run_id like '%99'", 1),
    ):
        yield Operation(name, "read", lambda filters=filters: db.runs.query(filters), inner)
    yield Operation("one run", "read", lambda: db.runs.get(any_run()), 20)
    yield Operation(
        "one metric of a run", "read", lambda: db.history.arrays(any_curve(), "loss"), 20
    )
    yield Operation("best run by a metric", "read", lambda: db.metrics.best("loss"), 5)
    yield Operation("count by method", "read", lambda: db.runs.count("gradient_method = 'mgda'"))
    yield Operation("methods compared", "read", db.statistics.by_method)


def _writes(db: TrainingDB, size: int, dice: random.Random) -> Iterator[Operation]:
    curves = with_history(size)
    new = make_runs(1_000_000, first=size)
    steps = count(1_000, 100)

    def insert() -> None:
        run = next(new)
        db.runs.insert(run.pop("run_id"), **run)

    def log() -> None:
        first = next(steps)
        values = [dice.random() for _ in range(100)]
        history = {"_step": list(range(first, first + 100)), "loss": values}
        db.history.append(run_id(dice.choice(curves)), history)

    def trashed() -> None:
        runs = list(islice(new, TRASHED))
        db.runs.insert_many(runs)
        db.runs.delete(*(run["run_id"] for run in runs))

    def collect_trash(_: None) -> None:
        collect(db, plan(db, older_than=timedelta(0)))

    yield Operation("insert a run", "write", insert, 10)
    yield Operation(
        "change the status of a run",
        "write",
        lambda: db.runs.update_status(run_id(dice.randrange(size)), "completed"),
        10,
    )
    yield Operation("heartbeat", "write", lambda: db.runs.beat(run_id(dice.randrange(size))), 10)
    yield Operation("append 100 points", "write", log, 10)
    yield Operation(f"delete {TRASHED} runs for good", "write", collect_trash, given=trashed)
