"""What a training of these tests logs at each step, and the check that all of it is there once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training_db import TrainingDB

ATTEMPT = 1_000_000
"""Steps between the first ones of two attempts, so that each step says who logged it."""


def row(step: int) -> dict[str, Any]:
    """Return what is logged at a step: values of each kind, some of them not at every step."""
    metrics: dict[str, Any] = {"loss": math.sin(step) + 2, "count": 3 * step, "flag": step % 2 == 0}
    if step % 5 == 0:
        metrics["eval/score"] = 1 / (step + 1)
    if step % 7 == 0:
        metrics["grad_norm"] = math.inf if step % 2 else math.exp(step % 40)
    if step % 11 == 0:
        metrics["phase"] = f"phase {step}"
    return metrics


def expected(steps: Iterable[int]) -> dict[str, dict[int, Any]]:
    """Return for each metric what is logged at which step."""
    cells: dict[str, dict[int, Any]] = {}
    for step in steps:
        for name, value in row(step).items():
            cells.setdefault(name, {})[step] = value
    return cells


def recorded(db: TrainingDB, run_id: str, duplicates: str = "all") -> dict[str, list[Any]]:
    """Return for each metric of a run its pairs of step and value, in the order of the steps.

    The recorder's own columns, which begin with an underscore, are left out.
    """
    series = db.history.arrays(run_id, duplicates=duplicates)[run_id]
    return {
        name: sorted(zip(one.x.tolist(), one.values.tolist(), strict=True), key=lambda at: at[0])
        for name, one in series.items()
        if not name.startswith("_")
    }


def check(db: TrainingDB, run_id: str, acknowledged: Mapping[int, int]) -> int:
    """Check that a run has each acknowledged point once, and nothing that was never logged.

    Args:
        db: The database.
        run_id: The run.
        acknowledged: For the first step of each attempt, how many calls of log() returned. The
            call that was cut off may have left its row or not.

    Returns:
        How many rows are there.
    """
    found = recorded(db, run_id)
    logged = [step for step, _ in found.get("loss", [])]
    assert len(logged) == len(set(logged)), "a step is there twice"
    steps: list[int] = []
    for first, calls in acknowledged.items():
        own = [step for step in logged if first <= step < first + ATTEMPT]
        assert calls <= len(own) <= calls + 1, f"{calls} rows acknowledged, {len(own)} are there"
        assert own == list(range(first, first + len(own)))
        steps += own
    assert len(steps) == len(logged), "there are rows that nobody logged"
    cells = {name: sorted(column.items()) for name, column in expected(steps).items()}
    assert found == cells
    assert counts(db, run_id) == {name: len(column) for name, column in cells.items()}
    return len(steps)


def counts(db: TrainingDB, run_id: str) -> dict[str, int]:
    """Return how many cells of each metric run_metrics has counted."""
    query = text(
        "SELECT name, run_metrics.count + other_count FROM run_metrics "
        "JOIN metric_names ON metric_names.id = metric_id "
        "JOIN training_runs ON number = run_number WHERE run_id = :run_id"
    )
    with db.engine.connect() as connection:
        rows = connection.execute(query, {"run_id": run_id}).all()
    return {name: count for name, count in rows if not name.startswith("_")}
