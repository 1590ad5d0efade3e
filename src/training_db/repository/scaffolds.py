"""Scaffolds of runs: inserted and listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from training_db.db.engine import upsert
from training_db.errors import InvalidValue
from training_db.models import run_objectives, run_scaffolds, training_runs
from training_db.repository.arguments import list_of, names_in
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
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from training_db.repository.filter_values import Condition
    from training_db.repository.scaffold_ranks import ScaffoldScores

_SHOWN = select(*shown_columns(run_scaffolds, without=["id"]))
_KEY = ("run_id", "scaffold_id")
_DIRECTIONS = (
    select(training_runs.c.run_id, run_objectives.c.objective_name, run_objectives.c.direction)
    .outerjoin_from(training_runs, run_objectives)
    .where(training_runs.c.run_id.in_(select(run_scaffolds.c.run_id)))
    .order_by(training_runs.c.number, run_objectives.c.objective_name)
)


class ScaffoldRepository(Repository):
    """The scaffolds of a database's runs, as ``db.scaffolds``."""

    def insert(
        self, run_id: str, scaffolds: Iterable[Mapping[str, Any]] | Mapping[str, Any]
    ) -> int:
        """Add scaffolds to a run; those that are there are changed instead.

        Args:
            run_id: The run.
            scaffolds: For each a mapping with ``scaffold_id`` and, as far as they are known,
                ``scores`` (a mapping of objective to number), ``pareto_rank`` and ``cluster_id``;
                or one mapping of scaffold id to scores.

        Returns:
            How many there were.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r5")
            >>> db.scaffolds.insert("r5", {"c1ccccc1": {"QED": 0.44}})
            1
            >>> db.scaffolds.query("r5")[0]["scores_json"]
            '{"QED":0.44}'
        """
        from training_db.records import ScaffoldFields, checked

        rows = [
            checked(ScaffoldFields, one) | {"run_id": run_key(run_id)} for one in _listed(scaffolds)
        ]
        for number, row in enumerate(rows):
            if row.get("scaffold_id") is None:
                raise InvalidValue(f"scaffold number {number} has no scaffold_id")
        with self._transactions(writes=True) as connection:
            require_run(connection, run_id)
            upsert(connection, run_scaffolds, _KEY, rows)
        return len(rows)

    def query(
        self,
        run_id: str | None = None,
        *,
        scaffold_id: str | None = None,
        cluster_id: int | None = None,
        max_pareto_rank: int | None = None,
        limit: int | None = 1_000,
    ) -> list[dict[str, Any]]:
        """Return the scaffolds that match everything given, by run and id.

        Args:
            run_id: Of this run only.
            scaffold_id: This scaffold only, in whichever runs it is.
            cluster_id: Of this cluster only.
            max_pareto_rank: With at most this rank; rank 1 is the front.
            limit: At most so many; ``None`` for all.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A value that no scaffold can have.
        """
        from training_db.records import ScaffoldFields, checked

        columns = run_scaffolds.c
        given = {"cluster_id": cluster_id, "pareto_rank": max_pareto_rank}
        checked(ScaffoldFields, given | {"scaffold_id": scaffold_id or "any"})
        statement = _SHOWN
        if run_id is not None:
            statement = statement.where(columns.run_id == run_key(run_id))
        else:  # of the runs that listings show
            statement = statement.join(training_runs).where(condition(as_filter(None)))
        if scaffold_id is not None:
            statement = statement.where(columns.scaffold_id == scaffold_id)
        if cluster_id is not None:
            statement = statement.where(columns.cluster_id == cluster_id)
        if max_pareto_rank is not None:
            statement = statement.where(columns.pareto_rank <= max_pareto_rank)
        with self._transactions(writes=False) as connection:
            order = (columns.run_id, columns.scaffold_id)
            rows = as_dicts(
                connection.execute(statement.order_by(*order).limit(page_size(limit, "limit"))),
                dict,
            )
            if not rows and run_id is not None:
                require_run(connection, run_id)
        return rows

    def scores(
        self, names: Sequence[str], *, run_id: str | None = None, filters: Any = None
    ) -> ScaffoldScores:
        """Return what scaffolds scored on some objectives, as one table.

        Args:
            names: The objectives.
            run_id: Of this run only.
            filters: Of which runs, as for ``db.runs.query``, where none is named.

        Returns:
            A row for each scaffold, by the runs' numbers and the scaffolds' ids; NaN where one
            has no such score.

        Raises:
            RunNotFound: There is no such run.
            InvalidInput: A filter that cannot be used, or both a run and a filter.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> _ = db.scaffolds.insert("r1", {"benzene": {"QED": 0.4}, "indole": {"SA": 2}})
            >>> db.scaffolds.scores(["QED", "SA"]).values.tolist()
            [[0.4, nan], [nan, 2.0]]
        """
        from training_db.repository.scaffold_ranks import scaffold_scores  # it loads numpy

        asked = names_in(names, "objective")
        with self._transactions(writes=False) as connection:
            return scaffold_scores(connection, asked, _of_which(connection, run_id, filters))

    def directions(
        self, *, run_id: str | None = None, filters: Any = None
    ) -> dict[str, dict[str, str]]:
        """Return for each run that has scaffolds which way it calls each objective better.

        Args:
            run_id: For this run only.
            filters: For which runs, as for ``db.runs.query``, where none is named.

        Returns:
            Run ids, by the runs' numbers, and for each its objectives that have a direction, as
            it is stored.

        Raises:
            RunNotFound: There is no such run.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1", config={"objectives": ["SA_minimize"]})
            >>> _ = db.scaffolds.insert("r1", {"benzene": {"SA": 1.5}})
            >>> db.scaffolds.directions()
            {'r1': {'SA': 'minimize'}}
        """
        with self._transactions(writes=False) as connection:
            which = _of_which(connection, run_id, filters)
            rows = connection.execute(_DIRECTIONS.where(which)).all()
        found: dict[str, dict[str, str]] = {}
        for run, name, direction in rows:
            objectives = found.setdefault(run, {})
            if direction is not None:
                objectives[name] = direction
        return found

    def set_pareto_ranks(
        self, scores: ScaffoldScores, ranks: Sequence[int] | NDArray[np.int64]
    ) -> int:
        """Set the Pareto rank of many scaffolds at once.

        Args:
            scores: What :meth:`scores` returned; scaffolds that are gone since stay gone.
            ranks: A rank for each of its rows; 0 for none, which is stored as NULL.

        Returns:
            How many have another rank now than before.

        Raises:
            InvalidValue: There are not as many ranks as scaffolds, or one is negative.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> _ = db.scaffolds.insert("r1", {"benzene": {"QED": 0.4}, "indole": {}})
            >>> db.scaffolds.set_pareto_ranks(db.scaffolds.scores(["QED"]), [1, 0])
            1
            >>> [row["scaffold_id"] for row in db.scaffolds.query("r1", max_pareto_rank=1)]
            ['benzene']
        """
        from training_db.repository.scaffold_ranks import ScaffoldScores, write_ranks

        if not isinstance(scores, ScaffoldScores):
            raise InvalidValue(f"{scores!r} is not what db.scaffolds.scores() returned")
        with self._transactions(writes=True) as connection:
            return write_ranks(connection, scores, ranks)


def _of_which(connection: Connection, run_id: str | None, filters: Any) -> Condition:
    if run_id is None:
        return condition(as_filter(filters))
    if filters is not None:
        raise InvalidValue(f"both the run {run_id!r} and a filter are given; pass one of them")
    require_run(connection, run_id)
    return training_runs.c.run_id == run_id


def _listed(
    scaffolds: Iterable[Mapping[str, Any]] | Mapping[str, Any],
) -> Iterable[dict[str, Any]]:
    if isinstance(scaffolds, Mapping):
        return [{"scaffold_id": one, "scores_json": scores} for one, scores in scaffolds.items()]
    return [_renamed(one) for one in list_of(scaffolds, "mappings, one a scaffold")]


def _renamed(scaffold: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(scaffold, Mapping):
        raise InvalidValue(f"the scaffold {scaffold!r} is no mapping with a scaffold_id")
    return {"scores_json" if name == "scores" else name: value for name, value in scaffold.items()}
