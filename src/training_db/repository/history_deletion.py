"""How history goes: all of a run's, of one writer, or of some metrics, with what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select

from training_db.extraction import objective_key
from training_db.history_rules import KEY_METRICS
from training_db.models import (
    run_history_key_metrics,
    run_history_segments,
    run_history_tails,
    run_metrics,
)
from training_db.repository.history_counts import stored_counts
from training_db.repository.history_layout import forget_in_layout, write_layout
from training_db.repository.history_names import known_metrics
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_rows import add_key_metrics, row_count, steps_of
from training_db.repository.history_writing import (
    compact_tail,
    next_row,
    remember_end,
    writers_of,
)
from training_db.repository.metric_totals import add_totals, totals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection

_METRICS_AT_ONCE = 50


def delete_history(connection: Connection, run_id: str, number: int) -> int:
    """Delete the whole history of a run.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_id: The run.
        number: Its number.

    Returns:
        How many cells there were.
    """
    cells = _count_cells(connection, run_metrics.c.run_number == number)
    for table in (run_history_segments, run_history_tails, run_metrics):
        connection.execute(delete(table).where(table.c.run_number == number))
    _delete_key_metrics(connection, run_id)
    write_layout(connection, run_id, None)
    return cells


def delete_metrics(connection: Connection, run_id: str, number: int, names: Sequence[str]) -> int:
    """Delete some metrics out of the history of a run.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_id: The run.
        number: Its number.
        names: The metrics.

    Returns:
        How many cells there were.
    """
    ends = {}
    for writer in writers_of(connection, number):
        compact_tail(connection, number, writer)
        ends[writer] = next_row(connection, number, writer)
    ids = list(known_metrics(connection, names).values())
    total = run_metrics.c
    cells = _count_cells(connection, total.run_number == number, total.metric_id.in_(ids))
    for table in (run_history_segments, run_metrics):
        connection.execute(
            delete(table).where(table.c.run_number == number, table.c.metric_id.in_(ids))
        )
    for writer, rows in ends.items():
        remember_end(connection, number, writer, rows)
    forget_in_layout(connection, run_id, names)
    if any(map(_is_key_metric, names)):
        _make_key_metrics_anew(connection, run_id)
    return cells


def forget_writer(connection: Connection, run_id: str, number: int, writer: int) -> int:
    """Delete what one writer wrote of the history of a run.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_id: The run.
        number: Its number.
        writer: The writer, who may write again, from row 0 on.

    Returns:
        How many cells there were.
    """
    cells = sum(stored_counts(connection, number, [writer]).values())
    for table in (run_history_segments, run_history_tails):
        of_writer = (table.c.run_number == number, table.c.writer == writer)
        connection.execute(delete(table).where(*of_writer))
    connection.execute(delete(run_metrics).where(run_metrics.c.run_number == number))
    names = list(stored_counts(connection, number))
    for start in range(0, len(names), _METRICS_AT_ONCE):
        make_totals_anew(connection, run_id, number, names[start : start + _METRICS_AT_ONCE])
    _make_key_metrics_anew(connection, run_id, list(filter(_is_key_metric, names)))
    return cells


def make_totals_anew(
    connection: Connection, run_id: str, number: int, names: Sequence[str]
) -> None:
    """Add what some metrics of a run came to, from what is stored of them.

    Args:
        connection: A connection inside a transaction that holds the run's row.
        run_id: The run.
        number: Its number.
        names: The metrics, which have no totals.
    """
    ids = known_metrics(connection, names)
    stored = stored_columns(connection, [run_id], {*names, *AXIS_NAMES}).get(run_id, {})
    # In the order of the writers: of equal steps the later one's value counts.
    for columns in stored.values():
        batch = {
            ids[name]: totals(cells, steps_of(columns, cells.rows))
            for name, cells in columns.items()
            if name in ids
        }
        add_totals(connection, number, batch)


def _count_cells(connection: Connection, *are_meant: ColumnElement[bool]) -> int:
    cells = func.sum(run_metrics.c.count + run_metrics.c.other_count)
    found = connection.execute(select(func.coalesce(cells, 0)).where(*are_meant))
    return int(found.scalar_one())


def _is_key_metric(name: str) -> bool:
    return objective_key(name) is not None or any(name in some for some in KEY_METRICS.values())


def _make_key_metrics_anew(
    connection: Connection, run_id: str, names: Sequence[str] | None = None
) -> None:
    _delete_key_metrics(connection, run_id)
    wanted = None if names is None else {*names, *AXIS_NAMES}
    for columns in stored_columns(connection, [run_id], wanted).get(run_id, {}).values():
        add_key_metrics(connection, run_id, columns, (0, row_count(columns)))


def _delete_key_metrics(connection: Connection, run_id: str) -> None:
    of_run = run_history_key_metrics.c.run_id == run_id
    connection.execute(delete(run_history_key_metrics).where(of_run))
