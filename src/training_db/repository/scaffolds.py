"""Scaffolds of runs: inserted and listed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import select

from training_db.db.engine import upsert
from training_db.errors import InvalidValue
from training_db.models import run_scaffolds, training_runs
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

_SHOWN = select(*shown_columns(run_scaffolds, without=["id"]))
_KEY = ("run_id", "scaffold_id")


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


def _listed(
    scaffolds: Iterable[Mapping[str, Any]] | Mapping[str, Any],
) -> Iterable[dict[str, Any]]:
    if isinstance(scaffolds, Mapping):
        return [{"scaffold_id": one, "scores_json": scores} for one, scores in scaffolds.items()]
    if not isinstance(scaffolds, Iterable):
        raise InvalidValue(
            f"the scaffolds are {scaffolds!r}; pass a list of mappings, or a mapping"
        )
    return [_renamed(one) for one in scaffolds]


def _renamed(scaffold: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(scaffold, Mapping):
        raise InvalidValue(f"the scaffold {scaffold!r} is no mapping with a scaffold_id")
    return {"scores_json" if name == "scores" else name: value for name, value in scaffold.items()}
