"""Which tables a dataset has, and what is in the columns of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Boolean, Double, Integer

from training_db.models import (
    run_artifacts,
    run_events,
    run_history_key_metrics,
    run_metrics,
    run_objectives,
    run_scaffolds,
    run_tags,
    training_runs,
)
from training_db.models.types import Real, UTCDateTime

if TYPE_CHECKING:
    from sqlalchemy import Table

TEXT, INTEGER, FLOAT, FLAG, TIME = "string", "int64", "double", "bool", "timestamp"
"""The types of columns."""

_NUMBERED = {"run_number": ("run_id", TEXT), "metric_id": ("metric", TEXT)}
_LEFT_OUT = {"id", "history_layout"}  # what means something in this database only


@dataclass(frozen=True)
class DatasetShape:
    """One table of a dataset.

    Attributes:
        name: Its name, and that of its folder.
        columns: For each column its type.
    """

    name: str
    columns: dict[str, str]


@dataclass(frozen=True)
class StoredShape(DatasetShape):
    """A table of a dataset that is read row by row from one of the database.

    Attributes:
        source: The name of that table.
    """

    source: str


HISTORY = DatasetShape(
    "history",
    {
        "run_id": TEXT,
        "metric": TEXT,
        "step": INTEGER,
        "epoch": FLOAT,
        "timestamp": TIME,
        "value": FLOAT,
        "kind": TEXT,
        "text": TEXT,
        "writer": INTEGER,
        "row": INTEGER,
    },
)
MISFITS = DatasetShape(
    "misfits", {"run_id": TEXT, "table_name": TEXT, "column_name": TEXT, "stored": TEXT}
)


def _shape(name: str, table: Table) -> StoredShape:
    columns: dict[str, str] = {}
    for column in table.c:
        if column.name in _NUMBERED:
            other, kind = _NUMBERED[column.name]
            columns[other] = kind
        elif column.computed is None and column.name not in _LEFT_OUT:
            columns[column.name] = type_of(column.type)
    return StoredShape(name, columns, table.name)


def type_of(stored: Any) -> str:
    """Return the type that a column of the database has in a dataset."""
    for kinds, name in (
        (UTCDateTime, TIME),
        (Boolean, FLAG),
        ((Real, Double), FLOAT),
        (Integer, INTEGER),
    ):
        if isinstance(stored, kinds):
            return name
    return TEXT


TABLES = (
    _shape("runs", training_runs),
    _shape("objectives", run_objectives),
    _shape("scaffolds", run_scaffolds),
    _shape("metrics", run_metrics),
    _shape("key_metrics", run_history_key_metrics),
    _shape("events", run_events),
    _shape("tags", run_tags),
    _shape("artifacts", run_artifacts),
)
"""What is read row by row, as it is stored."""
