"""Rows as they are stored, for exports of the whole: many runs at a time, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, func, select, type_coerce
from sqlalchemy.types import NullType

from training_db.errors import InvalidValue
from training_db.models import (
    Base,
    metric_names,
    run_history_segments,
    run_history_tails,
    run_metrics,
    training_runs,
)
from training_db.models.types import UTCDateTime
from training_db.repository.arguments import list_of, names_in, one_of
from training_db.repository.base import Repository
from training_db.repository.filter_sql import condition
from training_db.repository.filters import as_filter
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_series import run_cells
from training_db.repository.selectivity import finds_few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    from training_db.repository.filters import Filter
    from training_db.repository.history_reading import Writers
    from training_db.repository.history_series import RunCells

RUNS_AT_ONCE = 500
"""Runs that one statement asks for."""

CELLS_AT_ONCE = 1_000_000
"""Cells of history in memory at a time; some 100 MB with all that stands beside them."""

_FETCHED = 50  # rows, which may hold documents of megabytes
_OF_RUNS = [
    name
    for name, table in Base.metadata.tables.items()
    if {"run_id", "run_number"} & {*table.c.keys()}
]
_RUN, _segment, _tail = training_runs.c, run_history_segments.c, run_history_tails.c


@dataclass(frozen=True, slots=True)
class ChosenRun:
    """A run that is to be exported.

    Attributes:
        run_id: Its id.
        number: Its number, by which the tables of its history refer to it.
        values: The columns that were asked for, as :meth:`StoredRows.rows` returns them.
    """

    run_id: str
    number: int | None
    values: dict[str, Any] = field(compare=False)


class StoredRows(Repository):
    """What the tables hold, as the driver returns it.

    A SQLite file may hold text in a column of numbers, or a time that is none; what to do with it
    is for the caller to say. Times are text in ISO 8601, as far as they are times.
    """

    def chosen(
        self,
        filters: Mapping[str, Any] | str | Filter | None = None,
        columns: str | Iterable[str] = (),
    ) -> list[ChosenRun]:
        """Return the runs that match, in the order of their numbers.

        Args:
            filters: As for ``db.runs.query``.
            columns: Columns of the runs to return besides.

        Raises:
            UnknownName: A column that does not exist.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1", status="failed"), db.runs.insert("r2")
            >>> db.stored.chosen("status = 'failed'", ["host"])
            [ChosenRun(run_id='r1', number=1, values={'host': None})]
        """
        tree = as_filter(filters)
        names = names_in(columns, "column")
        for name in names:
            one_of("column", name, [column.name for column in _RUN])
        with self._transactions(writes=False) as connection:
            short = condition(tree, few=finds_few(connection, tree))
            asked = (_as_stored(_RUN[name]) for name in names)
            rows = connection.execute(
                select(_RUN.run_id, _RUN.number, *asked)
                .where(short)
                .order_by(_RUN.number, _RUN.run_id)
            )
            return [
                ChosenRun(run_id, number, dict(zip(names, rest, strict=True)))
                for run_id, number, *rest in rows
            ]

    def rows(
        self, table: str, columns: str | Iterable[str], runs: Iterable[ChosenRun]
    ) -> Iterator[Sequence[Any]]:
        """Go through the rows of some runs in one table.

        Args:
            table: The table's name.
            columns: Its columns; ``run_id`` and ``metric`` are there also where the table has
                numbers for them.
            runs: The runs, at most :data:`RUNS_AT_ONCE`.

        Yields:
            The values of a row, in the order of ``columns``.

        Raises:
            UnknownName: A table or column that does not exist.
            InvalidValue: What is no run that was chosen.
        """
        statement = _select(table, columns).execution_options(yield_per=_FETCHED)
        chosen = _RUN.run_id.in_([run.run_id for run in _checked(runs)])
        with self._transactions(writes=False) as connection:
            yield from connection.execute(statement.where(chosen))

    def history(
        self, runs: Iterable[ChosenRun], *, last_only: bool = True
    ) -> Iterator[list[RunCells]]:
        """Go through the histories of some runs, about a million cells at a time.

        Args:
            runs: The runs, at most :data:`RUNS_AT_ONCE`.
            last_only: Whether of several values at one step the last writer's alone counts.

        Yields:
            The cells of metrics of runs. A long run comes in several parts, each with all there is
            of some of its metrics.

        Raises:
            InvalidValue: What is no run that was chosen.
        """
        chosen = _checked(runs)
        with self._transactions(writes=False) as connection:
            outlines = _outlines(connection, chosen)
            for some, names in _history_portions(connection, chosen, outlines):
                yield [
                    run_cells(run.run_id, name, columns, outlines[run].starts, last_only=last_only)
                    for run, columns in _stored(connection, some, names)
                    for name in _wanted(columns, names)
                ]


@dataclass
class _Outline:
    """What is known of the history of a run before it is read.

    Attributes:
        cells: About how many it has.
        lengths: For each writer its rows.
    """

    cells: int = 0
    lengths: dict[int, int] = field(default_factory=dict)

    @property
    def starts(self) -> dict[int, int]:
        """For each writer, by when it began, the rows of those before."""
        ordered = sorted(self.lengths)
        return dict(
            zip(
                ordered, accumulate((self.lengths[one] for one in ordered), initial=0), strict=False
            )
        )


def _outlines(connection: Connection, runs: Sequence[ChosenRun]) -> dict[ChosenRun, _Outline]:
    by_number = {run.number: run for run in runs if run.number is not None}
    outlines = {run: _Outline() for run in runs}
    # A byte of a tail may be a cell at best: which it holds is known once it is read.
    for table, size in ((_segment, _segment.count), (_tail, func.length(_tail.block))):
        key = table.run_number, table.writer
        statement = select(*key, func.sum(size), func.max(table.last_row))
        chosen = statement.where(table.run_number.in_(list(by_number))).group_by(*key)
        for number, writer, cells, last_row in connection.execute(chosen):
            outline = outlines[by_number[number]]
            outline.cells += int(cells)
            outline.lengths[writer] = max(outline.lengths.get(writer, 0), last_row + 1)
    return outlines


def _history_portions(
    connection: Connection, runs: Sequence[ChosenRun], outlines: Mapping[ChosenRun, _Outline]
) -> Iterator[tuple[list[ChosenRun], list[str] | None]]:
    """Split the history of runs: some short runs with all they have, or some metrics of a long one.

    Yields:
        Runs, and the names of their metrics; ``None`` for all.
    """
    waiting: list[ChosenRun] = []
    size = 0
    for run in runs:
        cells = outlines[run].cells
        if cells > CELLS_AT_ONCE:
            for names in _metrics_of(connection, run):
                yield [run], names
            continue
        if waiting and size + cells > CELLS_AT_ONCE:
            yield waiting, None
            waiting, size = [], 0
        if cells:
            waiting, size = [*waiting, run], size + cells
    if waiting:
        yield waiting, None


def _as_stored(column: ColumnElement[Any]) -> ColumnElement[Any]:
    if isinstance(column.type, UTCDateTime):
        # Not by the driver: PostgreSQL has times that Python has not, such as infinity.
        return cast(column, Text).label(column.name)
    return type_coerce(column, NullType()).label(column.name)


def _checked(runs: Iterable[ChosenRun]) -> list[ChosenRun]:
    chosen = list_of(runs, "runs")
    for run in chosen:
        if not isinstance(run, ChosenRun):
            raise InvalidValue(f"{run!r} is no run that was chosen; pass those of chosen()")
    return chosen


def _select(name: str, columns: str | Iterable[str]) -> Any:
    table = Base.metadata.tables[one_of("table", name, _OF_RUNS)]
    known: dict[str, Any] = {"run_id": _RUN.run_id}
    known |= {column.name: _as_stored(column) for column in table.c}
    if "metric_id" in table.c:
        known["metric"] = metric_names.c.name
    chosen = [known[one_of("column", column, known)] for column in names_in(columns, "column")]
    if not chosen:
        raise InvalidValue(f"no column of {name} is named; name at least one")
    if table is training_runs:
        return select(*chosen)  # in no order: SQLite would sort the documents along
    by_number = "run_number" in table.c
    owner = _RUN.number == table.c.run_number if by_number else _RUN.run_id == table.c.run_id
    joined = training_runs.join(table, owner)
    if "metric_id" in table.c:
        joined = joined.join(metric_names, metric_names.c.id == table.c.metric_id)
    return select(*chosen).select_from(joined).order_by(_RUN.number, *table.primary_key)


def _metrics_of(connection: Connection, run: ChosenRun) -> Iterator[list[str]]:
    """Go through the metrics of a run, so many at a time as have a million cells."""
    counted = select(_segment.metric_id, func.sum(_segment.count).label("cells")).where(
        _segment.run_number == run.number
    )
    per_metric = counted.group_by(_segment.metric_id).subquery()
    total = run_metrics.c
    known = select(total.metric_id).where(total.run_number == run.number)
    metric = metric_names.c
    rows = connection.execute(
        select(metric.name, func.coalesce(per_metric.c.cells, 0))
        .outerjoin(per_metric, per_metric.c.metric_id == metric.id)
        .where(per_metric.c.cells.is_not(None) | metric.id.in_(known))
        .order_by(metric.name)
    ).all()
    names: list[str] = []
    size = 0
    for name, cells in rows:
        if names and size + cells > CELLS_AT_ONCE:
            yield names
            names, size = [], 0
        names.append(name)
        size += int(cells)
    if names:
        yield names


def _stored(
    connection: Connection, runs: Sequence[ChosenRun], names: Sequence[str] | None
) -> Iterator[tuple[ChosenRun, Writers]]:
    columns = None if names is None else {*names, *AXIS_NAMES}
    stored = stored_columns(connection, [run.run_id for run in runs], columns)
    yield from ((run, stored[run.run_id]) for run in runs if run.run_id in stored)


def _wanted(writers: Writers, names: Iterable[str] | None) -> list[str]:
    there = {name for columns in writers.values() for name in columns}
    return sorted(there if names is None else there.intersection(names))
