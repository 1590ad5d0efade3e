"""The two sides of a copy: the rows of each, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import Text, and_, bindparam, func, select, true

from training_db.db.engine.streams import Row, keep_bad_text, read_rows
from training_db.models import metric_names, run_history_tails, training_runs
from training_db.segment_blocks import renamed
from training_db.transfer.copying.forms import Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.sums import Sums

_RUN = ("number", "run_id", "wandb_run_id")


@dataclass(frozen=True)
class Batch:
    """Some runs whose numbers follow each other.

    Attributes:
        runs: Their numbers, in order, and their ids.
        wandb_ids: By number, the ids that W&B gave them.
    """

    runs: dict[int, Any]
    wandb_ids: dict[int, Any] = field(default_factory=dict)

    @property
    def low(self) -> int:
        """The lowest number."""
        return min(self.runs)

    @property
    def high(self) -> int:
        """The highest number."""
        return max(self.runs)


class Side:
    """A database in a transaction.

    Args:
        connection: Where to read.
        tables: What is copied of it.
        has_signed_zero: Whether the other side knows a zero with a sign.
    """

    def __init__(
        self, connection: Connection, tables: Sequence[Carried], *, has_signed_zero: bool = True
    ) -> None:
        self.connection = connection
        keep_bad_text(connection)
        self.backend = connection.dialect.name
        self.tables = tables
        query = select(metric_names.c.id, metric_names.c.name)
        self.metrics: dict[int, Any] = {row.id: row.name for row in connection.execute(query)}
        self._options = {"has_signed_zero": has_signed_zero}
        self._forms = {carried.name: Forms(carried) for carried in tables}

    def next_batch(self, after: int | None, most: int) -> Batch | None:
        """Return the next runs by number, or ``None`` where there are no more."""
        query = select(*(training_runs.c[name] for name in _RUN)).order_by(training_runs.c.number)
        if after is not None:
            query = query.where(training_runs.c.number > after)
        found = self.connection.execute(query.limit(most)).all()
        return _batch(found) if found else None

    def runs_between(self, low: int | None, high: int | None) -> Batch:
        """Return all runs above one number, and up to another."""
        number = training_runs.c.number
        conditions = [number > low] if low is not None else []
        if high is not None:
            conditions.append(number <= high)
        return self.runs_where(and_(true(), *conditions))

    def runs_where(self, condition: ColumnElement[bool]) -> Batch:
        """Return all runs that fulfil a condition."""
        query = select(*(training_runs.c[name] for name in _RUN)).where(condition)
        return _batch(self.connection.execute(query.order_by(training_runs.c.number)).all())

    def rows(self, carried: Carried, batch: Batch, only: Collection[int] | None) -> Iterator[Row]:
        """Yield the rows of a batch in one table, of some of its runs or of all."""
        if only is None:
            query = carried.rows_between(self.backend, batch.low, batch.high, **self._options)
        else:
            query = carried.rows_of(self.backend, only, **self._options)
        return read_rows(self.connection, query, carried.kinds)

    def count(self, carried: Carried) -> int:
        """Return how many rows a table has."""
        query = select(func.count()).select_from(carried.table)
        return int(self.connection.scalar(query) or 0)

    def add_to(self, sums: Sums, batch: Batch, *, is_range: bool = False) -> None:
        """Add all rows of some runs to sums.

        Args:
            sums: Takes the rows.
            batch: The runs.
            is_range: Whether they are all runs between their lowest number and their highest.
        """
        if not batch.runs:
            return
        for carried in self.tables:
            owners = owners_of(carried, batch)
            content = contents(carried, self.metrics)
            name, own = carried.name, carried.owner
            compared = self._forms[name].compared if self.backend == "sqlite" else _as_it_is
            for row in self.rows(carried, batch, None if is_range else batch.runs):
                run = owners.get(row[own])
                if run is not None:
                    sums.add(name, run, content(compared(row)))


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Return the condition that a column of text has one of some values, of whatever types."""
    # All values would otherwise be sent as what the first of them is.
    return column.in_(bindparam(None, list(values), type_=Text(), expanding=True))


def owners_of(carried: Carried, batch: Batch) -> dict[Any, Any]:
    """Return, by what names a run in the rows of a table, the ids of the runs."""
    if carried.is_by_id:
        return {run_id: run_id for run_id in batch.runs.values()}
    return batch.runs


def contents(carried: Carried, names: Mapping[int, Any]) -> Callable[[Row], tuple[Any, ...]]:
    """Return what takes the content out of a row: all that means the same in any database.

    Args:
        carried: The table.
        names: What the metrics are called, by id.
    """
    chosen = itemgetter(*carried.content)
    metric = carried.metric
    if carried.table is run_history_tails:
        block = carried.columns.index("block")

        def with_names(row: Row) -> tuple[Any, ...]:
            values = list(row)
            values[block] = with_metrics(row[block], names)
            return tuple(chosen(values))

        return with_names
    if metric is None:
        return chosen if len(carried.content) > 1 else lambda row: (chosen(row),)
    return lambda row: (names.get(row[metric]), *chosen(row))


def with_metrics(block: Any, names: Mapping[int, Any]) -> Any:
    """Return a tail's block with other ids of its metrics, or with names in their place.

    What is no block, or has metrics of no name, is returned as it is.
    """
    try:
        return renamed(block, names)
    except (ValueError, LookupError, TypeError, orjson.JSONEncodeError):
        return block


def _as_it_is(row: Row) -> Row:
    return row


def _batch(found: Sequence[Any]) -> Batch:
    return Batch(
        {number: run_id for number, run_id, _ in found},
        {number: wandb_id for number, _, wandb_id in found if wandb_id is not None},
    )
