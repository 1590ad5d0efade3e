"""How history gets in: batches of rows as tails or segments, with all that is kept about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, union

from training_db.db.engine import bulk_insert
from training_db.errors import RunNotFound
from training_db.models import (
    run_history_segments,
    run_history_tails,
    training_runs,
)
from training_db.repository.base import run_key
from training_db.repository.history_names import metric_ids
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_rows import add_key_metrics, steps_of
from training_db.repository.history_series import points
from training_db.repository.metric_totals import (
    SharedEnd,
    Totals,
    add_totals,
    settle,
    totals,
)
from training_db.segment_blocks import pack, unpack
from training_db.segments import (
    SEGMENT_CELLS,
    Column,
    decode,
    is_number,
    joined,
    numbers,
    segments,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection

    Columns = Mapping[str, Column]

SEGMENT_COLUMNS = tuple(column.name for column in run_history_segments.c)
TAIL_ROWS = SEGMENT_CELLS
"""Rows in the tail of a writer at which it becomes segments."""

SHORT = SEGMENT_CELLS // 8
"""Cells of a segment that is joined with what follows it, instead of being left as it is."""

_segment, _tail = run_history_segments.c, run_history_tails.c


def lock_run(connection: Connection, run_id: str) -> int:
    """Return the number of a run, whose history nobody else changes until the transaction ends.

    Raises:
        RunNotFound: There is no such run.
    """
    number = connection.execute(
        select(training_runs.c.number)
        .where(training_runs.c.run_id == run_key(run_id))
        .with_for_update(key_share=True)
    ).scalar()
    if number is None:
        raise RunNotFound(run_id)
    return int(number)


def next_row(connection: Connection, number: int, writer: int) -> int:
    """Return how many rows a writer has written; what its next row is numbered."""
    of_tail = select(func.max(_tail.last_row)).where(
        _tail.run_number == number, _tail.writer == writer
    )
    last = connection.execute(of_tail).scalar()
    if last is None:  # a tail is always newer than what became segments
        last = connection.execute(
            select(func.max(_segment.last_row)).where(
                _segment.run_number == number, _segment.writer == writer
            )
        ).scalar()
    return 0 if last is None else int(last) + 1


def writers_of(connection: Connection, number: int) -> list[int]:
    """Return the writers of a run, in the order of their ids."""
    found = union(
        *(
            select(table.c.writer).where(table.c.run_number == number).distinct()
            for table in (run_history_segments, run_history_tails)
        )
    )
    return sorted(map(int, connection.scalars(found)))


def write_rows(
    connection: Connection,
    run_id: str,
    writer: int,
    columns: Columns,
    rows: tuple[int, int],
    longest_tail: int = TAIL_ROWS // 2,
) -> int:
    """Write rows of a writer, but for those that are there.

    Args:
        connection: A connection inside a transaction.
        run_id: The run.
        writer: Who writes.
        columns: For each metric its cells, whose rows are within ``rows``.
        rows: The first row, and the one after the last.
        longest_tail: Rows from which on they become segments at once.

    Returns:
        The writer's next row.
    """
    number = lock_run(connection, run_id)
    stored = next_row(connection, number, writer)
    first, stop = rows
    if stop <= stored:
        return stored
    if first < stored:
        first = stored
        columns = {name: cells.from_row(stored) for name, cells in columns.items()}
    columns = {name: cells for name, cells in columns.items() if len(cells)}
    ids = metric_ids(connection, columns)
    if stop - first >= longest_tail:
        compact_tail(connection, number, writer)
        parts = {ids[name]: [cells] for name, cells in columns.items()}
        _add_segments(connection, number, writer, parts)
        remember_end(connection, number, writer, stop)
    else:
        block = pack({ids[name]: columns[name] for name in columns}, first)
        _insert_tail(connection, number, writer, (first, stop - 1), block)
        if stop - _first_of_tail(connection, number, writer) >= TAIL_ROWS:
            compact_tail(connection, number, writer)
    tied = add_totals(connection, number, _totals(columns, ids))
    if tied and writer < max(writers_of(connection, number)):
        _settle(connection, run_id, number, {ids[name]: name for name in columns}, tied)
    add_key_metrics(connection, run_id, columns, (first, stop))
    return stop


def _settle(
    connection: Connection,
    run_id: str,
    number: int,
    names: Mapping[int, str],
    ends: list[SharedEnd],
) -> None:
    """Ask the history which value counts where several writers have one."""
    values = {}
    for step in {end.step for end in ends}:
        here = [end for end in ends if end.step == step]
        metrics = {names[end.metric_id] for end in here}
        stored = stored_columns(connection, [run_id], {*metrics, *AXIS_NAMES}, (step, step))
        for end in here:
            name = names[end.metric_id]
            found = points(stored[run_id], name, "step", (step, step), last_only=True).values
            if is_number(found).all():
                values[end] = float(numbers(found)[0])
    settle(connection, number, values)


def _totals(columns: Columns, ids: Mapping[str, int]) -> dict[int, Totals]:
    # Metrics that are logged together stand in the same rows, and so at the same steps.
    steps: dict[bytes, NDArray[np.int64]] = {}
    found = {}
    for name, cells in columns.items():
        rows = cells.rows.tobytes()
        if rows not in steps:
            steps[rows] = steps_of(columns, cells.rows)
        found[ids[name]] = totals(cells, steps[rows])
    return found


def compact_tail(connection: Connection, number: int, writer: int) -> None:
    """Make segments of the tail of a writer.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        number: The run.
        writer: The writer.
    """
    of_writer = (_tail.run_number == number, _tail.writer == writer)
    tail = connection.execute(
        select(_tail.first_row, _tail.last_row, _tail.block)
        .where(*of_writer)
        .order_by(_tail.first_row)
    ).all()
    if not tail:
        return
    parts: dict[int, list[Column]] = {}
    for first_row, _, block in tail:
        for metric, cells in unpack(block, first_row).items():
            parts.setdefault(metric, []).append(cells)
    # First, so that SQLite has its space for the segments.
    connection.execute(delete(run_history_tails).where(*of_writer))
    _add_segments(connection, number, writer, parts)
    remember_end(connection, number, writer, tail[-1].last_row + 1)


def _add_segments(
    connection: Connection, number: int, writer: int, parts: dict[int, list[Column]]
) -> None:
    """Add cells to the end of what a writer has in segments.

    Where that ends in a short one, the cells are joined with it: a column that is seldom logged
    would otherwise get a segment of few cells each time.
    """
    later = run_history_segments.alias()
    same_column = (
        (later.c.run_number == _segment.run_number)
        & (later.c.metric_id == _segment.metric_id)
        & (later.c.writer == _segment.writer)
    )
    is_last = (
        ~select(later.c.metric_id)
        .where(same_column, later.c.first_row > _segment.first_row)
        .exists()
    )
    short = connection.execute(
        select(
            _segment.metric_id, _segment.kind, _segment.cells, _segment.first_row, _segment.count,
            _segment.row_numbers,
        ).where(
            _segment.run_number == number,
            _segment.writer == writer,
            _segment.count < SHORT,
            is_last,
        )
    ).all()  # fmt: skip
    for metric, *stored in short:
        if metric not in parts:
            continue
        cells = decode(*stored)
        parts[metric].insert(0, cells)
        connection.execute(
            delete(run_history_segments).where(
                _segment.run_number == number,
                _segment.metric_id == metric,
                _segment.writer == writer,
                _segment.first_row == int(cells.rows[0]),
            )
        )
    _insert_segments(connection, number, writer, {key: joined(some) for key, some in parts.items()})


def _insert_segments(
    connection: Connection, number: int, writer: int, columns: Mapping[int, Column]
) -> None:
    rows: list[list[Any]] = [
        [
            number, metric, writer, one.first_row, one.last_row, one.count, one.min, one.max,
            one.non_finite_count, one.kind, one.row_numbers, one.cells,
        ]
        for metric, cells in columns.items()
        for one in segments(cells)
    ]  # fmt: skip
    bulk_insert(connection, run_history_segments, SEGMENT_COLUMNS, rows)


def remember_end(connection: Connection, number: int, writer: int, rows: int) -> None:
    """Keep a tail without cells where the last rows have none, for segments would forget them.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        number: The run.
        writer: The writer, whose tail has just become segments.
        rows: How many rows it has written.
    """
    if next_row(connection, number, writer) < rows:
        last = rows - 1
        _insert_tail(connection, number, writer, (last, last), pack({}, last))


def _insert_tail(
    connection: Connection, number: int, writer: int, rows: tuple[int, int], block: bytes
) -> None:
    values = {"run_number": number, "writer": writer, "block": block}
    connection.execute(
        insert(run_history_tails), values | {"first_row": rows[0], "last_row": rows[1]}
    )


def _first_of_tail(connection: Connection, number: int, writer: int) -> int:
    first = select(func.min(_tail.first_row)).where(
        _tail.run_number == number, _tail.writer == writer
    )
    return int(connection.execute(first).scalar_one())
