"""Scores of scaffolds as one table, and their Pareto ranks written back in bulk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from sqlalchemy import Column, MetaData, Table, select, update

from training_db.db.engine import bulk_insert
from training_db.documents import decode
from training_db.errors import InvalidValue
from training_db.models import DIRECTIONS, run_scaffolds, training_runs
from training_db.models.types import LARGEST, BigInt, PlainText
from training_db.repository.run_scores import plain_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from training_db.repository.filter_values import Condition

_RUN = training_runs.c
_SCAFFOLD = run_scaffolds.c
_AT_ONCE = 10_000  # rows in memory, beside the table

_new_ranks = Table(
    "training_db_new_ranks",
    MetaData(),
    Column("id", BigInt, primary_key=True, autoincrement=False),
    Column("run_id", PlainText),
    Column("scaffold_id", PlainText),
    Column("pareto_rank", BigInt),
    prefixes=["TEMPORARY"],
)


@dataclass(frozen=True, slots=True, eq=False)
class ScaffoldScores:
    """What scaffolds scored.

    Attributes:
        rows: The ids of their rows, shape (scaffolds,).
        items: The ids of the run and of the scaffold of each.
        values: Shape (scaffolds, objectives); NaN where a score is missing or no number.
    """

    rows: NDArray[np.int64]
    items: tuple[tuple[str, str], ...]
    values: NDArray[np.float64]

    def part(self, places: NDArray[np.int64]) -> ScaffoldScores:
        """Return those at some places."""
        items = tuple(self.items[place] for place in places.tolist())
        return ScaffoldScores(self.rows[places], items, self.values[places])


def scaffold_scores(
    connection: Connection, names: Sequence[str], which: Condition
) -> ScaffoldScores:
    """Read the scores of the scaffolds of some runs.

    Args:
        connection: A connection inside a transaction.
        names: The objectives. Scores may also stand under an objective's label, its name and
            direction, as configs have it: ``QED_maximize``.
        which: A condition on ``training_runs``.
    """
    statement = (
        select(_SCAFFOLD.id, _SCAFFOLD.run_id, _SCAFFOLD.scaffold_id, _SCAFFOLD.scores_json)
        .join_from(run_scaffolds, training_runs)
        .where(which)
        .order_by(_RUN.number, _SCAFFOLD.scaffold_id)
    )
    rows: list[NDArray[np.int64]] = []
    tables: list[NDArray[np.float64]] = []
    items: list[tuple[str, str]] = []
    for part in connection.execute(statement).partitions(_AT_ONCE):
        ids, run_ids, scaffold_ids, texts = zip(*part, strict=True)
        rows.append(np.array(ids, dtype=np.int64))
        items.extend(zip(run_ids, scaffold_ids, strict=True))
        # Flat, because lists that stay make Python's garbage collector look at all of them again.
        numbers = [number for text in texts for number in _numbers(text, names)]
        tables.append(np.array(numbers, dtype=np.float64).reshape(len(texts), len(names)))
    return ScaffoldScores(
        np.concatenate([np.empty(0, dtype=np.int64), *rows]),
        tuple(items),
        np.concatenate([np.empty((0, len(names))), *tables]),
    )


def write_ranks(
    connection: Connection, scores: ScaffoldScores, ranks: Sequence[int] | NDArray[np.int64]
) -> int:
    """Set the ranks of scaffolds: all by one statement, over a temporary table.

    Args:
        connection: A connection inside a transaction.
        scores: Whose ranks they are.
        ranks: One a row; 0 for none.

    Returns:
        How many changed.
    """
    given = np.asarray(ranks)
    is_whole = given.dtype.kind in "iu" or given.size == 0
    if given.shape != scores.rows.shape or not is_whole or (given < 0).any():
        raise InvalidValue(
            f"the ranks have the shape {given.shape} and the type {given.dtype}; pass a whole "
            f"number, 0 or more, for each of the {len(scores.rows):,} scaffolds"
        )
    if not len(given):
        return 0
    if int(given.max()) > LARGEST:
        raise InvalidValue(f"the rank {int(given.max())} is larger than a column can hold")
    new = _new_ranks.c
    _new_ranks.create(connection, checkfirst=False)
    columns = [column.name for column in new]
    rows: list[list[Any]] = [
        [row, run_id, scaffold_id, rank or None]
        for row, (run_id, scaffold_id), rank in zip(
            scores.rows.tolist(), scores.items, given.tolist(), strict=True
        )
    ]
    bulk_insert(connection, _new_ranks, columns, rows)
    changed = connection.execute(
        update(run_scaffolds)
        .values(pareto_rank=new.pareto_rank)
        .where(
            _SCAFFOLD.id == new.id,
            # SQLite gives the id of the last row again when that row is deleted.
            _SCAFFOLD.run_id == new.run_id,
            _SCAFFOLD.scaffold_id == new.scaffold_id,
            _SCAFFOLD.pareto_rank.is_distinct_from(new.pareto_rank),
        )
    ).rowcount
    _new_ranks.drop(connection, checkfirst=False)
    return changed


def _numbers(text: str | None, names: Sequence[str]) -> list[float]:
    document = _document(text)
    if document is None:
        return [np.nan] * len(names)
    return [
        value if (value := document.get(name)).__class__ is float else _number(document, name)
        for name in names
    ]


def _number(document: dict[str, Any], name: str) -> float:
    if name in document:
        return plain_number(document[name])
    labels = (f"{name}_{direction}" for direction in DIRECTIONS)
    found = [plain_number(document[label]) for label in labels if label in document]
    return found[0] if len(found) == 1 else np.nan


def _document(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        # NaN and infinities are tagged; text by somebody else may have them bare.
        document = decode(text) if "$" in text else orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document = decode(text)
        except InvalidValue:
            return None
    except InvalidValue:
        return None
    return document if isinstance(document, dict) else None
