"""What the metrics of runs came to: the best run by any of them, over an index."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal, null, select, true

from training_db.documents import check_text
from training_db.errors import InvalidValue, MetricNotFound
from training_db.models import METRIC_STATISTICS, metric_names, run_metrics, training_runs
from training_db.repository.arguments import one_of
from training_db.repository.base import Repository, as_dicts, page_size, run_number
from training_db.repository.filter_rows import MODES, within
from training_db.repository.filter_sql import condition
from training_db.repository.filters import as_filter

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

    from training_db.repository.filter_values import Condition

_METRIC = run_metrics.c
_LOOKED_AT = 200
_SUGGESTED = 1_000  # names among which a mistyped one is looked for


class MetricRepository(Repository):
    """What each metric of each run came to, as ``db.metrics``."""

    def best(
        self,
        metric: str,
        mode: str = "min",
        filters: Any = None,
        limit: int = 1,
        statistic: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return the runs that did best by a metric, the best one first.

        Args:
            metric: The metric's name.
            mode: ``"min"`` where the least is best, ``"max"`` where the most is.
            filters: Of which runs, as for ``db.runs.query``.
            limit: How many runs, at most.
            statistic: By what the metric came to: ``"last"``, ``"first"``, ``"min"``, ``"max"``
                or ``"mean"``; if nothing is said, by what the mode asks for.

        Returns:
            For each run ``run_id``, ``run_name``, ``number``, ``metric``, ``value`` and ``step``
            (``None`` for a mean). NaN and infinities are never best. Of runs that did equally
            well the older comes first.

        Raises:
            MetricNotFound: No run has such a metric.
            UnknownName: There is no such mode or statistic.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> for run_id, loss in {"r1": [0.5, 0.2, 0.4], "r2": [0.9, 0.3, 0.3]}.items():
            ...     _ = db.runs.insert(run_id), db.history.append(run_id, {"loss": loss})
            >>> best = db.metrics.best("loss")[0]
            >>> best["run_id"], best["value"], best["step"]
            ('r1', 0.2, 1)
            >>> db.metrics.best("loss", statistic="last")[0]["run_id"]
            'r2'
        """
        one_of("mode", mode, MODES)
        if statistic is not None:
            one_of("statistic", statistic, METRIC_STATISTICS)
        value = _METRIC[statistic or mode]
        step = null() if statistic == "mean" else _METRIC[f"{value.name}_step"]
        run = training_runs.c
        statement = (
            select(
                run.run_id,
                run.run_name,
                run.number,
                literal(metric).label("metric"),
                value.label("value"),
                step.label("step"),
            )
            .join_from(run_metrics, training_runs, _METRIC.run_number == run.number)
            .where(value > -math.inf, value < math.inf, condition(as_filter(filters)))
            .order_by(value if mode == "min" else value.desc(), _METRIC.run_number)
        )
        size = page_size(limit, "limit")
        with self._transactions(writes=False) as connection:
            statement = statement.where(_METRIC.metric_id == metric_id(connection, metric))
            if size and value.name != mode:
                statement = statement.where(_no_worse(connection, statement, value, mode, size))
            return as_dicts(connection.execute(statement.limit(size)), dict)

    def of(self, run_id: str) -> list[dict[str, Any]]:
        """Return what each metric of a run came to, by name.

        Args:
            run_id: The run.

        Returns:
            For each metric ``metric``, ``count`` (of its numbers, NaN and infinities among them),
            ``non_finite_count``, ``other_count`` (of cells that are no number), ``first``,
            ``last``, ``min``, ``max`` and the step of each, and ``mean``. The last three are over
            the finite numbers, and ``None`` where there are none.

        Raises:
            RunNotFound: There is no such run.
        """
        shown = [column for column in _METRIC if column.name not in ("run_number", "metric_id")]
        statement = (
            select(metric_names.c.name.label("metric"), *shown)
            .join_from(run_metrics, metric_names)
            .order_by(metric_names.c.name)
        )
        with self._transactions(writes=False) as connection:
            number = run_number(connection, run_id)
            rows = connection.execute(statement.where(_METRIC.run_number == number))
            return as_dicts(rows, dict)

    def runs_with(self, metric: str, filters: Any = None) -> list[str]:
        """Return the ids of the runs that have a metric, in the order of their numbers.

        Args:
            metric: The metric's name.
            filters: Of which runs, as for ``db.runs.query``.

        Raises:
            MetricNotFound: No run has such a metric.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r3"), db.history.append("r3", {"entropy": [1.0, 0.5]})
            >>> db.metrics.runs_with("entropy")
            ['r3']
        """
        statement = (
            select(training_runs.c.run_id)
            .join_from(run_metrics, training_runs, _METRIC.run_number == training_runs.c.number)
            .where(condition(as_filter(filters)))
            .order_by(_METRIC.run_number)
        )
        with self._transactions(writes=False) as connection:
            of_metric = statement.where(_METRIC.metric_id == metric_id(connection, metric))
            return list(connection.execute(of_metric).scalars())

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of the metrics that runs have, in order.

        Args:
            prefix: Only those that begin with it.
        """
        if not isinstance(prefix, str):
            raise InvalidValue(f"the prefix {prefix!r} is no text")
        with self._transactions(writes=False) as connection:
            return _names(connection, prefix)


def _no_worse(
    connection: Connection, statement: Select[Any], value: Any, mode: str, limit: int
) -> Condition:
    """Narrow a listing by a value that has no index down to a range of one that has.

    Where a run's last value is 0.3, a run whose least is more has none that is less. So the best
    of the first few by their least leave little of the index to be looked at.
    """
    bound = _METRIC[mode]
    order = bound if mode == "min" else bound.desc()
    few = (
        statement.with_only_columns(value).order_by(None).order_by(order).limit(limit + _LOOKED_AT)
    )
    values = sorted(connection.execute(few).scalars(), reverse=mode == "max")
    if len(values) < limit:
        return true()
    return within(value, "<=" if mode == "min" else ">=", values[limit - 1])


def metric_id(connection: Connection, name: str) -> int:
    """Return the number that a metric goes by.

    Raises:
        MetricNotFound: No run ever had a metric of this name.
    """
    if not isinstance(name, str):
        raise InvalidValue(f"the metric {name!r} is no text")
    asked = check_text(name, "the metric's name")
    found: int | None = connection.execute(
        select(metric_names.c.id).where(metric_names.c.name == asked)
    ).scalar()
    if found is None:
        raise MetricNotFound(name, _names(connection, "", _SUGGESTED))
    return found


def _names(connection: Connection, prefix: str, limit: int | None = None) -> list[str]:
    start = check_text(prefix, "the prefix")
    column = metric_names.c.name
    statement = (
        select(column)
        .where(
            column >= start,
            func.substr(column, 1, len(start)) == start,
            select(_METRIC.metric_id).where(_METRIC.metric_id == metric_names.c.id).exists(),
        )
        .order_by(column)
        .limit(limit)
    )
    return list(connection.execute(statement).scalars())
