"""Objectives of runs: inserted, updated and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from training_db.db.engine import upsert
from training_db.documents import check_text
from training_db.errors import InvalidValue, ObjectiveNotFound, UnknownName
from training_db.extraction import summary_objectives
from training_db.models import OBJECTIVE_STATISTICS, run_objectives, training_runs
from training_db.models.run import NEWEST_FIRST
from training_db.repository.base import (
    Repository,
    as_dicts,
    page_size,
    require_run,
    run_key,
    shown_columns,
)
from training_db.repository.filter_sql import condition
from training_db.repository.filters import as_filter

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from training_db.extraction import Objectives

_SHOWN = select(*shown_columns(run_objectives, without=["id"]))
_KEY = ("run_id", "objective_name")


def upsert_objectives(connection: Connection, run_id: str, objectives: Objectives) -> None:
    """Insert objectives, or change those that are there; what is not said stays as it is."""
    rows = [
        {"run_id": run_id, "objective_name": name, **fields} for name, fields in objectives.items()
    ]
    upsert(connection, run_objectives, _KEY, rows)


class ObjectiveRepository(Repository):
    """The objectives of a database's runs, as ``db.objectives``."""

    def insert(self, run_id: str, objective_name: str, **fields: Any) -> None:
        """Add an objective to a run; one that is there is changed instead.

        Args:
            run_id: The run.
            objective_name: The objective, named as the run's config does.
            fields: Columns of ``run_objectives``.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: A column or direction that does not exist.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r4")
            >>> db.objectives.insert("r4", "QED", direction="maximize", raw_mean=0.7)
            >>> [row["raw_mean"] for row in db.objectives.of_run("r4")]
            [0.7]
        """
        from training_db.records import ObjectiveFields, checked

        row = checked(ObjectiveFields, {"objective_name": objective_name, **fields})
        with self._transactions(writes=True) as connection:
            require_run(connection, run_id)
            upsert(connection, run_objectives, _KEY, [{"run_id": run_key(run_id), **row}])

    def update_metric(
        self, run_id: str, objective_name: str, metric_type: str, value: float | None
    ) -> None:
        """Set one statistic of an objective.

        Args:
            run_id: The run.
            objective_name: The objective.
            metric_type: ``raw_mean``, ``normalized_mean``, ``raw_std`` or ``normalized_std``.
            value: The number; NaN and infinities are kept.

        Raises:
            RunNotFound: There is no such run.
            ObjectiveNotFound: The run has no such objective.
            UnknownName: There is no such statistic.
        """
        from training_db.records import ObjectiveFields, checked

        if metric_type not in OBJECTIVE_STATISTICS:
            raise UnknownName("metric type", metric_type, OBJECTIVE_STATISTICS)
        change = checked(ObjectiveFields, {metric_type: value})
        with self._transactions(writes=True) as connection:
            statement = update(run_objectives).where(
                run_objectives.c.run_id == run_key(run_id),
                run_objectives.c.objective_name == _name(objective_name),
            )
            if connection.execute(statement, change).rowcount == 0:
                require_run(connection, run_id)
                names = connection.execute(
                    select(run_objectives.c.objective_name).where(
                        run_objectives.c.run_id == run_key(run_id)
                    )
                )
                raise ObjectiveNotFound(run_id, objective_name, names.scalars())

    def update_from_summary(self, run_id: str, summary: Any) -> int:
        """Set every statistic that a summary has under ``objectives/NAME_direction/STATISTIC``.

        Args:
            run_id: The run.
            summary: The W&B summary, flat or nested.

        Returns:
            How many objectives it spoke of.

        Raises:
            RunNotFound: There is no such run.
        """
        from training_db.records import as_mapping
        from training_db.repository.run_rows import check_objectives

        objectives = summary_objectives(as_mapping(summary, "summary"))
        check_objectives(objectives)
        with self._transactions(writes=True) as connection:
            require_run(connection, run_id)
            upsert_objectives(connection, run_id, objectives)
        return len(objectives)

    def of_run(self, run_id: str) -> list[dict[str, Any]]:
        """Return the objectives of a run, by name.

        Raises:
            RunNotFound: There is no such run.
        """
        statement = _SHOWN.where(run_objectives.c.run_id == run_key(run_id))
        with self._transactions(writes=False) as connection:
            rows = as_dicts(
                connection.execute(statement.order_by(run_objectives.c.objective_name)), dict
            )
            if not rows:
                require_run(connection, run_id)
        return rows

    def query(
        self, filters: Any = None, objective_name: str | None = None, limit: int | None = 1_000
    ) -> list[dict[str, Any]]:
        """Return the objectives of the runs that match, newest run first.

        Args:
            filters: As for ``db.runs.query``.
            objective_name: This objective only.
            limit: At most so many; ``None`` for all.
        """
        statement = _SHOWN.join(training_runs).where(condition(as_filter(filters)))
        if objective_name is not None:
            statement = statement.where(run_objectives.c.objective_name == _name(objective_name))
        order = (*NEWEST_FIRST, run_objectives.c.objective_name)
        with self._transactions(writes=False) as connection:
            return as_dicts(
                connection.execute(statement.order_by(*order).limit(page_size(limit, "limit"))),
                dict,
            )


def _name(objective_name: object) -> str:
    if not isinstance(objective_name, str):
        raise InvalidValue(f"the objective's name {objective_name!r} is no text")
    return check_text(objective_name, "the objective's name")
