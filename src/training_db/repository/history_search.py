"""Which runs ever passed a threshold, and where: by what segments say of themselves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import or_, select

from training_db.errors import InvalidValue
from training_db.models import metric_names, run_metrics, training_runs
from training_db.repository.filter_sql import condition
from training_db.repository.filters import plain
from training_db.repository.history_reading import AXIS_NAMES, Bounds, stored_columns
from training_db.repository.history_series import points
from training_db.segments import is_number, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection

    from training_db.repository.filters import Filter
    from training_db.repository.history_series import Series

_RUNS_AT_ONCE = 50


def passed(
    connection: Connection,
    metric: str,
    bounds: tuple[float | None, float | None],
    tree: Filter,
    limit: int | None,
    *,
    non_finite: bool,
) -> list[dict[str, Any]]:
    """Find the runs in which a metric passed a bound; see :meth:`HistoryRepository.search`."""
    above, below = bounds
    if above is None and below is None and not non_finite:
        raise InvalidValue("search for what? pass above=, below= or non_finite=True")
    total = run_metrics.c
    wanted = Bounds(_bound(above, math.inf), _bound(below, -math.inf), non_finite)
    tests: list[ColumnElement[bool]] = [total.max > wanted.above, total.min < wanted.below]
    if non_finite:
        tests.append(total.non_finite_count > 0)
    name = select(metric_names.c.id).where(metric_names.c.name == metric).scalar_subquery()
    runs = connection.scalars(
        select(training_runs.c.run_id)
        .join(run_metrics, total.run_number == training_runs.c.number)
        .where(total.metric_id == name, or_(*tests), condition(tree))
        .order_by(training_runs.c.number)
        .limit(limit)
    ).all()
    found: list[dict[str, Any]] = []
    for start in range(0, len(runs), _RUNS_AT_ONCE):
        some = list(runs[start : start + _RUNS_AT_ONCE])
        stored = stored_columns(connection, some, {metric, *AXIS_NAMES}, holding=wanted)
        for run_id in some:
            whole = points(stored.get(run_id, {}), metric, "step", None, last_only=False)
            hits = _hits(whole, wanted)
            if len(hits):
                first = hits[np.argmin(whole.x[hits])]
                found.append(
                    {
                        "run_id": run_id,
                        "count": len(hits),
                        "step": int(whole.x[first]),
                        "value": float(numbers(whole.values[first : first + 1])[0]),
                    }
                )
    return found


def _bound(value: object, nothing_passes: float) -> float:
    if value is None:
        return nothing_passes
    number = plain(value)
    if not isinstance(number, bool) and isinstance(number, (int, float)) and number == number:
        try:
            return float(number)
        except OverflowError:
            return math.copysign(math.inf, number)
    raise InvalidValue(f"the bound {value!r} is no number to compare with")


def _hits(whole: Series, wanted: Bounds) -> NDArray[np.int64]:
    values = numbers(whole.values)
    finite = np.isfinite(values)
    hit = finite & ((values > wanted.above) | (values < wanted.below))
    if wanted.non_finite:
        hit |= ~finite & is_number(whole.values)
    return np.flatnonzero(hit)
