"""What the runs of a group came to, counted and gathered by the database."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, case, cast, func, literal, select, type_coerce

from training_db.documents import check_text
from training_db.errors import InvalidValue, UnknownName
from training_db.models import (
    METRIC_STATISTICS,
    OBJECTIVE_STATISTICS,
    RunStatus,
    run_metrics,
    run_objectives,
    training_runs,
)
from training_db.repository.arguments import names_in, one_of
from training_db.repository.base import Repository
from training_db.repository.filters import as_filter
from training_db.repository.gathering import gather
from training_db.repository.grouping import Attribute, identity
from training_db.repository.metrics import metric_id

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from sqlalchemy import Connection

    from training_db.repository.gathering import Gathered

_RUN = training_runs.c
_OBJECTIVE = run_objectives.c
_ENDED = [status.value for status in RunStatus if status.ended]
_SUGGESTED = 1_000


@dataclass(slots=True)
class Counts:
    """How many runs have a value, and how they ended.

    Attributes:
        value: The value; ``None`` for runs that have none.
        runs: How many there are.
        ended: How many of them ended, in whatever way.
        completed: How many completed.
        crashed: How many crashed.
        failed: How many failed.
        timed: How many have a duration.
        seconds: Their durations in all.
    """

    value: Any
    runs: int = 0
    ended: int = 0
    completed: int = 0
    crashed: int = 0
    failed: int = 0
    timed: int = 0
    seconds: float = 0.0


class GroupQueries(Repository):
    """The part of ``db.statistics`` that groups runs by any attribute."""

    def counts(self, by: str | Sequence[str], filters: Any = None) -> list[Counts]:
        """Count the runs that match, by an attribute.

        Args:
            by: A column, ``config.PATH``, ``summary.KEY`` or ``tag.NAME``. Of several names the
                first that a run has counts.
            filters: As for ``db.runs.query``.

        Returns:
            The groups, the largest first; runs without a value are one of them.

        Raises:
            UnknownName: There is no such attribute.
            InvalidInput: A filter that cannot be used, or what no runs can be grouped by.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r7", config={"optimizer": {"name": "adam"}})
            >>> [(one.value, one.runs) for one in db.statistics.counts("config.optimizer.name")]
            [('adam', 1)]
        """
        attribute = Attribute(by)
        runs = attribute.of_runs(as_filter(filters), _RUN.status, _RUN.duration_seconds)
        keys = attribute.keys(runs)
        status = runs.c.status
        statement = select(
            *keys,
            func.count().label("runs"),
            func.count(case((status.in_(_ENDED), 1))).label("ended"),
            *(
                func.count(case((status == one.value, 1))).label(one.value)
                for one in (RunStatus.COMPLETED, RunStatus.CRASHED, RunStatus.FAILED)
            ),
            func.count(runs.c.duration_seconds).label("timed"),
            # SQLite fails on sums of large integers.
            func.coalesce(func.sum(cast(runs.c.duration_seconds, Double)), 0.0).label("seconds"),
        ).group_by(*keys)
        found: dict[Hashable, Counts] = {}
        with self._transactions(writes=False) as connection:
            for row in connection.execute(statement):
                value = attribute.value(row)
                counts = found.setdefault(identity(value), Counts(value))
                for name, count in zip(_SUMMED, row[attribute.width :], strict=True):
                    setattr(counts, name, getattr(counts, name) + count)
        return sorted(found.values(), key=lambda one: (-one.runs, _order(one.value)))

    def objective_values(
        self,
        by: str | Sequence[str],
        names: Sequence[str] | None = None,
        filters: Any = None,
        statistic: str = "raw_mean",
    ) -> list[Gathered]:
        """Gather what objectives came to, by an attribute of the runs that match.

        Args:
            by: As for :meth:`counts`.
            names: Which objectives; ``None`` for all.
            filters: As for ``db.runs.query``.
            statistic: ``"raw_mean"``, ``"normalized_mean"``, ``"raw_std"`` or
                ``"normalized_std"``.

        Returns:
            The finite values of each objective and group that has any.

        Raises:
            UnknownName: There is no such attribute, objective or statistic.
            InvalidInput: A filter that cannot be used.
        """
        one_of("statistic", statistic, OBJECTIVE_STATISTICS)
        wanted = None if names is None else names_in(names, "objective")
        column = _OBJECTIVE[statistic]
        asked = select(
            _OBJECTIVE.run_id.label("run"),
            _OBJECTIVE.objective_name.label("name"),
            type_coerce(column, Double).label("value"),
        ).where(column > -math.inf, column < math.inf)
        if wanted is not None:
            asked = asked.where(_OBJECTIVE.objective_name.in_([_name(name) for name in wanted]))
        with self._transactions(writes=False) as connection:
            found = gather(connection, Attribute(by), as_filter(filters), _RUN.run_id, asked)
            for name in set(wanted or ()) - {one.name for one in found}:
                _require_objective(connection, name)
        return found

    def metric_values(
        self,
        by: str | Sequence[str],
        metric: str,
        statistic: str = "last",
        filters: Any = None,
    ) -> list[Gathered]:
        """Gather what a metric came to, by an attribute of the runs that match.

        Args:
            by: As for :meth:`counts`.
            metric: The metric.
            statistic: ``"last"``, ``"first"``, ``"min"``, ``"max"`` or ``"mean"``.
            filters: As for ``db.runs.query``.

        Returns:
            The finite values of each group that has any.

        Raises:
            MetricNotFound: No run ever had such a metric.
            UnknownName: There is no such attribute or statistic.
            InvalidInput: A filter that cannot be used.
        """
        one_of("statistic", statistic, METRIC_STATISTICS)
        column = run_metrics.c[statistic]
        with self._transactions(writes=False) as connection:
            asked = select(
                run_metrics.c.run_number.label("run"),
                literal(metric).label("name"),
                type_coerce(column, Double).label("value"),
            ).where(
                run_metrics.c.metric_id == metric_id(connection, metric),
                column > -math.inf,
                column < math.inf,
            )
            return gather(connection, Attribute(by), as_filter(filters), _RUN.number, asked)

    def members(self, by: str | Sequence[str], filters: Any = None) -> dict[str, Any]:
        """Return the attribute of each run that matches, by its id.

        Args:
            by: As for :meth:`counts`.
            filters: As for ``db.runs.query``.

        Raises:
            UnknownName: There is no such attribute.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r8", host="gpu-1"), db.runs.insert("r2")
            >>> db.statistics.members("host")
            {'r8': 'gpu-1', 'r2': None}
        """
        attribute = Attribute(by)
        runs = attribute.of_runs(as_filter(filters), _RUN.run_id, _RUN.number)
        statement = select(*attribute.keys(runs), runs.c.run_id).order_by(runs.c.number)
        with self._transactions(writes=False) as connection:
            return {row[-1]: attribute.value(row) for row in connection.execute(statement)}


_SUMMED = ("runs", "ended", "completed", "crashed", "failed", "timed", "seconds")


def _order(value: Any) -> tuple[bool, str, Any]:
    """Put values of any types in one order, and what is missing at the end."""
    kind, key = identity(value)
    return value is None, kind, math.inf if key is None else key


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise InvalidValue(f"the objective {name!r} is no text")
    return check_text(name, "the objective's name")


def _require_objective(connection: Connection, name: str) -> None:
    column = _OBJECTIVE.objective_name
    if connection.execute(select(column).where(column == name).limit(1)).first() is None:
        known = connection.execute(select(column).distinct().order_by(column).limit(_SUGGESTED))
        raise UnknownName("objective", name, known.scalars())
