"""Objectives of runs: inserted, updated and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from training_db.db.engine import upsert
from training_db.documents import check_text
from training_db.errors import InvalidValue, ObjectiveNotFound
from training_db.extraction import summary_objectives
from training_db.models import OBJECTIVE_STATISTICS, run_objectives, training_runs
from training_db.models.run import NEWEST_FIRST
from training_db.repository.arguments import list_of, one_of
from training_db.repository.base import (
    Repository,
    as_dicts,
    page_size,
    require_run,
    run_key,
    shown_columns,
)
from training_db.repository.filter_sql import condition
from training_db.repository.filters import Field, as_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from training_db.extraction import Objectives
    from training_db.repository.run_scores import RunScores

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

        one_of("metric type", metric_type, OBJECTIVE_STATISTICS)
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

    def directions(self, filters: Any = None) -> dict[str, dict[str, str]]:
        """Return which way runs call each objective better.

        Args:
            filters: Of which runs, as for ``db.runs.query``.

        Returns:
            For each objective that has one, by name, its directions as they are stored, and for
            each a run that says so.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1", config={"objectives": ["SA_minimize", "logP"]})
            >>> db.objectives.directions()
            {'SA': {'minimize': 'r1'}}
        """
        column = run_objectives.c
        pair = (column.objective_name, column.direction)
        pairs = select(*pair).where(column.direction.is_not(None)).distinct().order_by(*pair)
        # The first run that says so is found at once; to look all of them up took 100,000 runs 2 s.
        said = (
            select(column.run_id)
            .join_from(run_objectives, training_runs)
            .where(condition(as_filter(filters)))
            .limit(1)
        )
        found: dict[str, dict[str, str]] = {}
        with self._transactions(writes=False) as connection:
            for name, direction in connection.execute(pairs).all():
                by_one = said.where(column.objective_name == name, column.direction == direction)
                run_id = connection.execute(by_one).scalar()
                if run_id is not None:
                    found.setdefault(name, {})[direction] = run_id
        return found

    def score_field(self, name: str, statistic: str | None = None) -> Field:
        """Say which number of a run a name means.

        Args:
            name: An objective; else a field of the filter language that holds numbers
                (``objective.NAME[.STATISTIC]``, ``metric.NAME[.STATISTIC]``, ``config.PATH``,
                ``summary.KEY``, or a column of a run); else a metric.
            statistic: Which number of it, where the name does not say and it has such a one; else
                ``raw_mean`` of an objective and ``last`` of a metric.

        Raises:
            UnknownName: No run has an objective or a metric of this name.
            MetricNotFound: No run has the metric of a ``metric.NAME``.
            InvalidValue: It is no number.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1"), db.history.append("r1", {"loss": [0.5]})
            >>> db.objectives.score_field("loss", "min")
            MetricField(name='loss', statistic='min')
        """
        from training_db.repository.run_scores import score_field  # it loads numpy

        with self._transactions(writes=False) as connection:
            return score_field(connection, _name(name), statistic)

    def scores(
        self, names: Sequence[str | Field], filters: Any = None, statistic: str = "raw_mean"
    ) -> RunScores:
        """Return what runs scored on some objectives, as one table.

        Args:
            names: Objectives, or other numbers of a run, as :meth:`score_field` reads them or
                as it returns them.
            filters: Of which runs, as for ``db.runs.query``.
            statistic: Which number of an objective, where the name does not say.

        Returns:
            A row for each run that matches, NaN where it has no such number.

        Raises:
            UnknownName: A name that no run has, or a statistic that does not exist.
            MetricNotFound: A metric that no run has.
            InvalidValue: A name of something that is no number.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1"), db.runs.insert("r2", batch_size=8)
            >>> db.objectives.insert("r1", "QED", raw_mean=0.7)
            >>> scores = db.objectives.scores(["QED", "batch_size"])
            >>> scores.run_ids, scores.values.tolist()
            (('r1', 'r2'), [[0.7, nan], [nan, 8.0]])
        """
        from training_db.repository.run_scores import run_scores, score_field  # they load numpy

        one_of("statistic", statistic, OBJECTIVE_STATISTICS)
        asked = [names] if isinstance(names, str) else list_of(names, "numbers of a run")
        with self._transactions(writes=False) as connection:
            fields = [
                one if isinstance(one, Field) else score_field(connection, _name(one), statistic)
                for one in asked
            ]
            return run_scores(connection, fields, as_filter(filters))

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
