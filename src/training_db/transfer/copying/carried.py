"""The tables that a copy carries: their columns, what these hold, and whose the rows are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from training_db.db.engine.streams import stored
from training_db.models import (
    run_artifacts,
    run_events,
    run_history_key_metrics,
    run_history_segments,
    run_history_tails,
    run_metrics,
    run_objectives,
    run_scaffolds,
    run_tags,
    training_runs,
)
from training_db.models.types import UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Select, Table

TABLES = (
    training_runs,
    run_objectives,
    run_scaffolds,
    run_history_key_metrics,
    run_history_segments,
    run_history_tails,
    run_metrics,
    run_artifacts,
    run_tags,
    run_events,
)
"""Runs first; events last, because what could not be carried as it is becomes one."""

METRICS = "metric_names"
"""The table of the names that others refer to, which are compared by name."""

_KINDS = {str: "text", int: "integer", float: "number", bool: "flag", bytes: "bytes"}


@dataclass(frozen=True)
class Extra:
    """A column that is none of ours, which adoption keeps.

    Attributes:
        name: Its name.
        kind: What is carried of it: one of :data:`training_db.db.engine.streams.KINDS`.
        declared: Its type in the source.
    """

    name: str
    kind: str
    declared: str


@dataclass(frozen=True)
class Carried:
    """One table, and how its rows are read and written.

    Attributes:
        table: The table.
        extras: Its columns that are none of ours.
    """

    table: Table
    extras: tuple[Extra, ...] = ()

    @cached_property
    def name(self) -> str:
        """The name of the table."""
        return str(self.table.name)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in the order of the values of a row."""
        ours = [one.name for one in self.table.c if one.computed is None]
        return (*ours, *(extra.name for extra in self.extras))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """What the columns hold, one of :data:`training_db.db.engine.streams.KINDS` each."""
        ours = [kind_of(one) for one in self.table.c if one.computed is None]
        return (*ours, *(extra.kind for extra in self.extras))

    @cached_property
    def owner(self) -> int:
        """Where in a row its run is named: by its id, or by its number."""
        if self.table is training_runs:
            return self.columns.index("number")
        return self.columns.index("run_id" if self.is_by_id else "run_number")

    @property
    def is_by_id(self) -> bool:
        """Whether rows name their run by its id."""
        return self.table is not training_runs and "run_id" in self.table.c

    @cached_property
    def metric(self) -> int | None:
        """Where in a row its metric is named."""
        return self.columns.index("metric_id") if "metric_id" in self.table.c else None

    @cached_property
    def content(self) -> tuple[int, ...]:
        """Where in a row the values stand that mean the same in any database."""
        elsewhere = {"id", "number", "run_id", "run_number", "metric_id"}
        return tuple(at for at, name in enumerate(self.columns) if name not in elsewhere)

    @cached_property
    def key(self) -> tuple[int, ...]:
        """Where in a row the values stand that tell it from the others of its run."""
        names = [one.name for one in self.table.primary_key]
        own = [name for name in names if name not in ("run_id", "run_number", "metric_id")]
        return tuple(self.columns.index(name) for name in own)

    @cached_property
    def indexed(self) -> frozenset[str]:
        """The columns that stand in an index, whose texts PostgreSQL takes up to some length."""
        indexes = [index.columns for index in self.table.indexes]
        unique = [
            constraint.columns
            for constraint in self.table.constraints
            if hasattr(constraint, "columns")
        ]
        return frozenset(one.name for columns in (*indexes, *unique) for one in columns)

    @cached_property
    def needed(self) -> frozenset[str]:
        """The columns that may not be NULL."""
        return frozenset(one.name for one in self.table.c if not one.nullable)

    def rows_between(self, backend: str, low: int, high: int, **options: bool) -> Select[Any]:
        """Select the rows of the runs with these numbers, both of them included."""
        return self._rows(backend, lambda number: number.between(low, high), options)

    def rows_of(self, backend: str, numbers: Collection[int], **options: bool) -> Select[Any]:
        """Select the rows of some runs by their numbers."""
        return self._rows(backend, lambda number: number.in_(numbers), options)

    def of_runs(self, chosen: Callable[[Any], Any]) -> Any:
        """Return the condition that a row belongs to runs that are chosen by their number."""
        if self.table is training_runs:
            return chosen(training_runs.c.number)
        if not self.is_by_id:
            return chosen(self.table.c.run_number)
        ids = select(training_runs.c.run_id).where(chosen(training_runs.c.number))
        return self.table.c.run_id.in_(ids)

    def _rows(
        self, backend: str, chosen: Callable[[Any], Any], options: dict[str, bool]
    ) -> Select[Any]:
        columns = [
            stored(name, kind, backend, **options)
            for name, kind in zip(self.columns, self.kinds, strict=True)
        ]
        return select(*columns).select_from(self.table).where(self.of_runs(chosen))


def kind_of(one: Any) -> str:
    """Return what a column of a model holds."""
    if isinstance(one.type, UTCDateTime):
        return "moment"
    return _KINDS[one.type.python_type]
