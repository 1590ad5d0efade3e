"""Rows of no run, or of no metric: what a database holds where foreign keys were not checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import exists, select

from training_db.models import metric_names, training_runs
from training_db.transfer.copying.copy_report import Orphan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement

    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.sides import Side

_REMEDY = "delete it, or bring back what it belongs to, and copy again with --merge skip"


def orphans(side: Side) -> list[Orphan]:
    """Return the rows that belong to nothing, which no backend that checks would take.

    Args:
        side: Where to look.
    """
    return [orphan for carried in side.tables for orphan in _of_table(side, carried)]


def _of_table(side: Side, carried: Carried) -> Iterator[Orphan]:
    table = carried.table
    if table is training_runs:
        return
    own = carried.columns[carried.owner]
    parent = training_runs.c.run_id if carried.is_by_id else training_runs.c.number
    lacks: dict[str, ColumnElement[bool]] = {"run": ~exists().where(parent == table.c[own])}
    if carried.metric is not None:
        lacks["metric"] = ~exists().where(metric_names.c.id == table.c.metric_id)
    keys = [table.c[name] for name in {own: 0, **{one.name: 0 for one in table.primary_key}}]
    for what, condition in lacks.items():
        for row in side.connection.execute(select(*keys).where(condition)):
            key = dict(row._mapping)
            yield Orphan(carried.name, key, f"there is no such {what}; {_REMEDY}")
