"""Which way into a filtered listing is short.

A listing of the newest runs that pass some objective thresholds can go through the runs, newest
first, and look up the objectives of each; it stops early where many runs pass. Or it can start from
the runs that pass, which is short where they are few. A backend that plans by statistics chooses
by itself. For the other the question is put to the index, which answers in 0.1 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from training_db.db.engine import plans_by_statistics
from training_db.repository.filter_sql import objective_rows
from training_db.repository.filters import And, Compare, Filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

_ASKED = 8  # thresholds; one that few runs pass is enough
FEW = 2_000
"""Up to here, sorting the runs that pass took less time than going through 100,000 (measured)."""


def finds_few(connection: Connection, tree: Filter) -> bool:
    """Tell whether few runs pass one of the objective thresholds that all have to pass."""
    thresholds = [rows for part in _needed(tree) if (rows := objective_rows(part)) is not None]
    if not thresholds or plans_by_statistics(connection):
        return False
    counts = (
        select(func.count()).select_from(rows.limit(FEW).subquery()).scalar_subquery()
        for rows in thresholds[:_ASKED]
    )
    return bool(min(connection.execute(select(*counts)).one()) < FEW)


def _needed(tree: Filter) -> Iterator[Compare]:
    """Go through the comparisons without which a run cannot match."""
    if isinstance(tree, Compare):
        yield tree
    elif isinstance(tree, And):
        for part in tree.parts:
            yield from _needed(part)
