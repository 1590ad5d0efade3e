"""What the metrics of a run came to, kept up to date with each batch of its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import bindparam, select, update

from training_db.db.engine import upsert
from training_db.models import run_metrics
from training_db.segments import is_number, numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from training_db.segments import Column


class Totals(NamedTuple):
    """One metric over some rows; the fields are those of ``run_metrics``."""

    count: int = 0  # type: ignore[assignment] # a tuple's own method, which nobody calls on this
    non_finite_count: int = 0
    other_count: int = 0
    first: float | None = None
    first_step: int | None = None
    last: float | None = None
    last_step: int | None = None
    min: float | None = None
    min_step: int | None = None
    max: float | None = None
    max_step: int | None = None
    mean: float | None = None


class SharedEnd(NamedTuple):
    """The first or the last step of a metric, where several values stand."""

    metric_id: int
    name: str
    step: int


_STORED = select(run_metrics.c.metric_id, *(run_metrics.c[name] for name in Totals._fields))


def totals(cells: Column, steps: NDArray[np.int64]) -> Totals:
    """Add up the cells of one metric.

    Args:
        cells: At least one.
        steps: The step of each, of the same length.

    Example:
        >>> from training_db.segments import column
        >>> found = totals(column([2.0, float("nan"), 0.5]), np.array([0, 1, 2]))
        >>> found.count, found.non_finite_count, found.min, found.min_step, found.mean
        (3, 1, 0.5, 2, 1.25)
    """
    values = cells.values
    there = is_number(values)
    others = len(values) - int(np.count_nonzero(there))
    if others:
        values, steps = values[there], steps[there]
    if not len(values):
        return Totals(other_count=others)
    floats = numbers(values)
    # The latest of those that share a step counts, as it does for whoever reads the history.
    first = len(steps) - 1 - int(np.argmin(steps[::-1]))
    last = len(steps) - 1 - int(np.argmax(steps[::-1]))
    found = Totals(
        count=len(floats),
        other_count=others,
        first=float(floats[first]),
        first_step=int(steps[first]),
        last=float(floats[last]),
        last_step=int(steps[last]),
    )
    finite = np.isfinite(floats)
    if not finite.all():
        floats, steps = floats[finite], steps[finite]
        found = found._replace(non_finite_count=found.count - len(floats))
    if not len(floats):
        return found
    low, high = floats.min(), floats.max()
    return found._replace(
        min=float(low),
        min_step=int(steps[floats == low].min()),
        max=float(high),
        max_step=int(steps[floats == high].min()),
        mean=min(max(_mean(floats), float(low)), float(high)),
    )


def merged(old: Totals, new: Totals) -> Totals:
    """Add up two batches, of which the second counts where both have the same first or last step.

    Example:
        >>> old, new = Totals(last=3.0, last_step=5), Totals(last=1.0, last_step=4)
        >>> both = merged(old, new)
        >>> both.last, both.last_step
        (3.0, 5)
    """
    low, low_step = min(_extremes(old.min, old.min_step, new.min, new.min_step), default=_NONE)
    high, high_step = min(
        _extremes(_negative(old.max), old.max_step, _negative(new.max), new.max_step), default=_NONE
    )
    first = _takes_over(_negative(old.first_step), _negative(new.first_step))
    last = _takes_over(old.last_step, new.last_step)
    return Totals(
        count=old.count + new.count,
        non_finite_count=old.non_finite_count + new.non_finite_count,
        other_count=old.other_count + new.other_count,
        first=(new if first else old).first,
        first_step=(new if first else old).first_step,
        last=(new if last else old).last,
        last_step=(new if last else old).last_step,
        min=low,
        min_step=low_step,
        max=_negative(high),
        max_step=high_step,
        mean=_merged_mean(old, new, low, _negative(high)),
    )


def add_totals(
    connection: Connection,
    run_number: int,
    batch: Mapping[int, Totals],
) -> list[SharedEnd]:
    """Add a batch to ``run_metrics``.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_number: The run.
        batch: For the id of each metric what the batch comes to.

    Returns:
        The ends that a metric had at the same step before. Which value counts there is for
        :func:`settle` to say, unless the batch is of the writer who began last.
    """
    rows = []
    statement = _STORED.where(
        run_metrics.c.run_number == run_number, run_metrics.c.metric_id.in_(list(batch))
    )
    known = {row[0]: Totals(*row[1:]) for row in connection.execute(statement)}
    for metric, found in batch.items():
        both = merged(known[metric], found) if metric in known else found
        rows.append({"run_number": run_number, "metric_id": metric} | both._asdict())
    if rows:
        upsert(connection, run_metrics, ("run_number", "metric_id"), rows)
    return [
        SharedEnd(key, end, step)
        for key, old in known.items()
        for end, step, before in (
            ("first", batch[key].first_step, old.first_step),
            ("last", batch[key].last_step, old.last_step),
        )
        if step is not None and step == before
    ]


def settle(connection: Connection, run_number: int, values: Mapping[SharedEnd, float]) -> None:
    """Set ends of metrics to the values that a reader gets.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_number: The run.
        values: For each end its value.
    """
    total = run_metrics.c
    for name in ("first", "last"):
        changes = [
            {"id_of_metric": end.metric_id, "settled": value}
            for end, value in values.items()
            if end.name == name
        ]
        if changes:
            is_metric = total.metric_id == bindparam("id_of_metric")
            statement = update(run_metrics).where(total.run_number == run_number, is_metric)
            connection.execute(statement.values({name: bindparam("settled")}), changes)


_NONE: tuple[None, None] = (None, None)


def _extremes(*values_and_steps: Any) -> list[tuple[Any, Any]]:
    pairs = zip(values_and_steps[::2], values_and_steps[1::2], strict=True)
    return [pair for pair in pairs if pair[0] is not None]


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _takes_over(old: float | None, new: float | None) -> bool:
    return old is None or (new is not None and new >= old)


def _mean(floats: NDArray[np.float64]) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(floats.mean())
    # The sum of great numbers may pass the largest float where their mean does not.
    return mean if np.isfinite(mean) else float((floats / len(floats)).sum())


def _merged_mean(old: Totals, new: Totals, low: float | None, high: float | None) -> float | None:
    if old.mean is None or new.mean is None:
        return new.mean if old.mean is None else old.mean
    weight = old.count - old.non_finite_count, new.count - new.non_finite_count
    share = weight[1] / sum(weight)
    mean = old.mean * (1 - share) + new.mean * share
    # Rounding must not carry it past the ends, by which filters find it.
    return mean if low is None or high is None else min(max(mean, low), high)
