"""Counts and means over all runs, grouped by the database."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Double, Numeric, and_, case, cast, func, select, type_coerce

from training_db.models import RunStatus, run_objectives, run_scaffolds, training_runs
from training_db.models.types import Timestamp
from training_db.repository.filter_sql import condition
from training_db.repository.filters import SECONDS_AN_HOUR, Filter, as_filter
from training_db.repository.group_endings import EndingQueries
from training_db.repository.group_queries import GroupQueries

_RUN = training_runs.c
_OBJECTIVE = run_objectives.c


class StatisticsRepository(GroupQueries, EndingQueries):
    """Figures over a database's runs, as ``db.statistics``."""

    def overview(self, filters: Any = None) -> dict[str, Any]:
        """Count the runs that match, by status, method and host.

        Args:
            filters: As for ``db.runs.query``.

        Returns:
            ``total_runs``, ``by_status``, ``by_gradient_method`` and ``by_host`` (counts),
            ``total_hours``, ``total_objectives``, ``total_scaffolds``, ``first_created_at``,
            ``last_created_at`` and ``methods`` (see :meth:`by_method`). What is missing is
            counted under ``None``.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r6", status="failed", host="gpu-9")
            >>> db.statistics.overview("host = 'gpu-9'")["by_status"]
            {'failed': 1}
        """
        tree = as_filter(filters)
        with self._transactions(writes=False):  # what is asked inside joins it
            return self._overview(tree)

    def _overview(self, tree: Filter) -> dict[str, Any]:
        with self._transactions(writes=False) as connection:
            runs, seconds, first, last = connection.execute(
                select(
                    func.count(),
                    func.sum(cast(_RUN.duration_seconds, Double)),  # SQLite fails on large integers
                    type_coerce(func.min(_RUN.created_at), Timestamp),
                    type_coerce(func.max(_RUN.created_at), Timestamp),
                ).where(condition(tree))
            ).one()
        return {
            "total_runs": runs,
            "by_status": self._counts(_RUN.status, tree),
            "by_gradient_method": self._counts(_RUN.gradient_method, tree),
            "by_host": self._counts(_RUN.host, tree),
            "total_hours": float(seconds or 0) / SECONDS_AN_HOUR,
            "total_objectives": self._rows_of(run_objectives, tree),
            "total_scaffolds": self._rows_of(run_scaffolds, tree),
            "first_created_at": first,
            "last_created_at": last,
            "methods": self.by_method(tree),
        }

    def by_method(self, filters: Any = None) -> list[dict[str, Any]]:
        """Compare the gradient methods of the runs that match.

        Args:
            filters: As for ``db.runs.query``.

        Returns:
            For each method ``gradient_method``, ``runs``, ``completed``, ``success_rate`` (of the
            runs that ended), ``mean_duration_seconds``, ``mean_final_loss`` and ``objectives``
            (name to mean ``raw_mean``). Means leave out what is missing or not finite.
        """
        tree = as_filter(filters)
        ended = [status.value for status in RunStatus if status.ended]
        statement = (
            select(
                _RUN.gradient_method,
                func.count().label("runs"),
                func.count(case((_RUN.status == RunStatus.COMPLETED.value, 1))).label("completed"),
                func.count(case((_RUN.status.in_(ended), 1))).label("ended"),
                _mean(_RUN.duration_seconds).label("mean_duration_seconds"),
                _mean(_finite(_RUN.final_loss)).label("mean_final_loss"),
            )
            .where(condition(tree))
            .group_by(_RUN.gradient_method)
            .order_by(func.count().desc(), _RUN.gradient_method)
        )
        means = (
            select(
                _RUN.gradient_method,
                _OBJECTIVE.objective_name,
                _mean(_finite(_OBJECTIVE.raw_mean)),
            )
            .join_from(training_runs, run_objectives)
            .where(condition(tree))
            .group_by(_RUN.gradient_method, _OBJECTIVE.objective_name)
            .order_by(_OBJECTIVE.objective_name)
        )
        with self._transactions(writes=False) as connection:
            groups = connection.execute(statement).mappings().all()
            objectives: dict[str | None, dict[str, float | None]] = {}
            for method, name, mean in connection.execute(means):
                objectives.setdefault(method, {})[name] = _plain(mean)
        return [_group(group, objectives.get(group["gradient_method"], {})) for group in groups]

    def _counts(self, column: Any, tree: Filter) -> dict[str | None, int]:
        statement = select(column, func.count()).where(condition(tree)).group_by(column)
        with self._transactions(writes=False) as connection:
            rows = connection.execute(statement.order_by(func.count().desc(), column)).all()
        return {row[0]: row[1] for row in rows}

    def _rows_of(self, table: Any, tree: Filter) -> int:
        statement = select(func.count()).join_from(training_runs, table).where(condition(tree))
        with self._transactions(writes=False) as connection:
            return connection.execute(statement).scalar_one()


def _mean(column: Any) -> Any:
    # PostgreSQL's mean of floats squares them on the way, and overflows from 1e154 on.
    return func.avg(cast(column, Numeric(asdecimal=False)))


def _plain(mean: float | None) -> float | None:
    return float(mean) if mean is not None and math.isfinite(mean) else None


def _finite(column: Any) -> Any:
    return case((and_(column > -math.inf, column < math.inf), column))


def _group(group: Any, objectives: dict[str, float | None]) -> dict[str, Any]:
    return {
        "gradient_method": group["gradient_method"],
        "runs": group["runs"],
        "completed": group["completed"],
        "success_rate": group["completed"] / group["ended"] if group["ended"] else None,
        "mean_duration_seconds": _plain(group["mean_duration_seconds"]),
        "mean_final_loss": _plain(group["mean_final_loss"]),
        "objectives": objectives,
    }
