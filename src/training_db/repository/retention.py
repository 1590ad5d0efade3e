"""What is kept of old histories: which cells, and how the rest goes."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import and_, delete, func, insert, not_, or_, select

from training_db.db.engine import bulk_insert
from training_db.documents import encode
from training_db.errors import Conflict, InvalidValue
from training_db.history_rules import AXES
from training_db.models import RunStatus, run_events, run_history_segments, run_history_tails
from training_db.models import training_runs as runs
from training_db.repository.arguments import list_of, one_of
from training_db.repository.clock import clock
from training_db.repository.deletion import is_alive
from training_db.repository.history_counts import stored_counts
from training_db.repository.history_layout import forget_in_layout
from training_db.repository.history_names import known_metrics
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_rows import steps_of
from training_db.repository.history_writing import (
    SEGMENT_COLUMNS,
    next_row,
    remember_end,
    writers_of,
)
from training_db.segments import Column, Segment, segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection

    from training_db.repository.history_reading import Writers
    from training_db.repository.keeping import Keep

EVENT = "retention"
"""The kind of the event that says what was dropped of a history."""

_AT_ONCE = 20  # columns that are taken out of their segments at the same time
_run, _segment, _tail = runs.c, run_history_segments.c, run_history_tails.c


@dataclass(frozen=True)
class Thinned:
    """What became of the history of a run, or would.

    Attributes:
        run_id: The run.
        cells_before: How many values it had.
        cells_after: How many it has.
        bytes_before: The bytes of its segments.
        bytes_after: Those of the segments that are left.
    """

    run_id: str
    cells_before: int
    cells_after: int
    bytes_before: int
    bytes_after: int

    @property
    def is_changed(self) -> bool:
        """Whether anything goes."""
        return self.cells_after < self.cells_before


class _Kept:
    """What is kept of a run, as segments: all of its history need not be in memory at once."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self.columns: dict[int, dict[str, list[Segment]]] = {}
        self._rows: dict[int, list[NDArray[np.int64]]] = {}
        self.cells = 0

    def add(self, writer: int, name: str, cells: Column) -> None:
        """Add what is kept of a column that is no axis."""
        kept = self._keep.of(name, cells)
        self._rows.setdefault(writer, []).append(kept.rows)
        self._store(writer, name, kept)

    def add_axis(self, writer: int, name: str, cells: Column) -> None:
        """Add what is kept of a column that says where the rows of the others stand."""
        rows = [self._keep.of(name, cells).rows, *self._rows.get(writer, [])]
        there = np.isin(cells.rows, np.concatenate(rows))
        self._store(writer, name, Column(cells.rows[there], cells.values[there]))

    def _store(self, writer: int, name: str, kept: Column) -> None:
        if len(kept):
            self.columns.setdefault(writer, {})[name] = list(segments(kept))
            self.cells += len(kept)

    @property
    def bytes(self) -> int:
        """The bytes of all segments."""
        return sum(
            len(one.cells) + len(one.row_numbers or b"")
            for columns in self.columns.values()
            for some in columns.values()
            for one in some
        )


def thin(connection: Connection, run_id: str, number: int, keep: Keep, *, dry_run: bool) -> Thinned:
    """Keep some of the history of a run, and drop the rest.

    Rows keep their numbers and steps; the totals of the metrics stay those of all that was logged.

    Args:
        connection: A connection inside a transaction, which holds the run's row unless it is a
            dry run.
        run_id: The run.
        number: Its number.
        keep: What to keep.
        dry_run: Whether to change nothing.
    """
    counts = stored_counts(connection, number)
    kept = _Kept(keep)
    for writer, name, cells in _columns(connection, run_id, [*counts], keep):
        (kept.add_axis if name in AXIS_NAMES else kept.add)(writer, name, cells)
    done = Thinned(
        run_id, sum(counts.values()), kept.cells, _stored_bytes(connection, number), kept.bytes
    )
    if done.is_changed and not dry_run:
        _replace(connection, number, kept)
        left = {name for columns in kept.columns.values() for name in columns}
        forget_in_layout(connection, run_id, counts.keys() - left)
        _tell(connection, number, keep, done)
    return done


def may_be_thinned(
    connection: Connection, older_than: timedelta, statuses: Iterable[str] | None
) -> ColumnElement[bool]:
    """Return the condition for runs that ended long ago, and have a history.

    Args:
        connection: A connection.
        older_than: How long ago they have to have ended, or to have been heard of last.
        statuses: Where they stand; ``None`` for all ends that there are.

    Raises:
        UnknownName: A status that does not exist.
        InvalidValue: An age that is none.
    """
    if not isinstance(older_than, timedelta):
        raise InvalidValue(f"older_than is {older_than!r}; pass a timedelta")
    if statuses is None:
        wanted = [one.value for one in RunStatus if one.ended]
    else:
        valid = [one.value for one in RunStatus]
        wanted = [one_of("status", one, valid) for one in list_of(statuses, "statuses")]
    try:
        before = clock(connection) - older_than
    except OverflowError:
        raise InvalidValue(f"older_than is {older_than!r}, which is before time") from None
    last_heard = func.coalesce(_run.ended_at, _run.heartbeat_at, _run.created_at)
    has_history = (
        select(table.c.run_number).where(table.c.run_number == _run.number).exists()
        for table in (run_history_segments, run_history_tails)
    )
    is_over = not_(is_alive(connection))
    return and_(_run.status.in_(wanted), last_heard < before, is_over, or_(*has_history))


def refuse_while_alive(connection: Connection, run_id: str, number: int) -> None:
    """Make sure that no recorder is writing to a run.

    Raises:
        Conflict: One is.
    """
    found = select(_run.number).where(_run.number == number, is_alive(connection))
    if connection.scalar(found) is not None:
        raise Conflict(f"run {run_id!r} is being logged to; its history is left as it is")


def _columns(
    connection: Connection, run_id: str, names: list[str], keep: Keep
) -> Iterator[tuple[int, str, Column]]:
    """Go through the columns of a run, axes last."""
    axes = stored_columns(connection, [run_id], AXES["step"]).get(run_id, {})
    ordered = sorted(names, key=lambda name: name in AXIS_NAMES)
    for start in range(0, len(ordered), _AT_ONCE):
        some = ordered[start : start + _AT_ONCE]
        stored = stored_columns(connection, [run_id], some).get(run_id, {})
        for name in some:
            of_writers = {writer: one[name] for writer, one in stored.items() if name in one}
            if keep.metrics is None:
                of_writers = _valid(of_writers, axes)
            for writer, cells in of_writers.items():
                yield writer, name, cells


def _valid(columns: dict[int, Column], axes: Writers) -> dict[int, Column]:
    """Leave out values at whose steps others were logged later.

    They would come to light again where those are dropped.
    """
    valid, seen = {}, np.empty(0, dtype=np.int64)
    for writer, cells in reversed(columns.items()):
        steps = steps_of(axes.get(writer, {}), cells.rows)
        _, backwards = np.unique(steps[::-1], return_index=True)
        last = np.zeros(len(steps), dtype=np.bool_)
        last[len(steps) - 1 - backwards] = True
        there = last & ~np.isin(steps, seen)
        valid[writer] = Column(cells.rows[there], cells.values[there])
        seen = np.union1d(seen, steps)
    return {writer: valid[writer] for writer in columns if len(valid[writer])}


def _stored_bytes(connection: Connection, number: int) -> int:
    of_segments = func.sum(
        func.length(_segment.cells) + func.coalesce(func.length(_segment.row_numbers), 0)
    )
    found = connection.scalar(select(of_segments).where(_segment.run_number == number))
    of_tails = select(func.sum(func.length(_tail.block))).where(_tail.run_number == number)
    return int(found or 0) + int(connection.scalar(of_tails) or 0)


def _replace(connection: Connection, number: int, kept: _Kept) -> None:
    ends = {
        writer: next_row(connection, number, writer) for writer in writers_of(connection, number)
    }
    for table in (run_history_segments, run_history_tails):
        connection.execute(delete(table).where(table.c.run_number == number))
    for writer, columns in kept.columns.items():
        ids = known_metrics(connection, columns)
        rows = [
            [number, ids[name], writer, *astuple(one)]
            for name, some in columns.items()
            for one in some
        ]
        bulk_insert(connection, run_history_segments, SEGMENT_COLUMNS, rows)
    for writer, end in ends.items():
        remember_end(connection, number, writer, end)


def _tell(connection: Connection, number: int, keep: Keep, done: Thinned) -> None:
    message = f"kept {done.cells_after} of {done.cells_before} values: {keep.said}"
    data = {"keep": keep.text, "before": done.cells_before, "after": done.cells_after}
    event = {"run_number": number, "kind": EVENT, "message": message, "data_json": encode(data)}
    connection.execute(insert(run_events), event)
