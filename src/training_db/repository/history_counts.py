"""How many cells of a history are stored, counted from what holds them and not from the totals."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from training_db.models import run_history_segments, run_history_tails
from training_db.repository.history_names import names_of
from training_db.segment_blocks import opened, unpack
from training_db.segments import decode

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

_segment, _tail = run_history_segments.c, run_history_tails.c


def stored_counts(
    connection: Connection,
    number: int,
    writers: Collection[int] | None = None,
    rows: int | None = None,
) -> dict[str, int]:
    """Count the cells of a run.

    Args:
        connection: A connection.
        number: The number of the run.
        writers: Those of these writers only; ``None`` for all.
        rows: Those in the first so many rows of each writer only; ``None`` for all.

    Returns:
        For each metric that has any, how many.
    """
    counts: Counter[int] = Counter()
    for table in (_count_segments, _count_tails):
        counts.update(table(connection, number, writers, rows))
    present = {metric: count for metric, count in sorted(counts.items()) if count}
    names = names_of(connection, present)
    return {names[metric]: count for metric, count in present.items()}


def _count_segments(
    connection: Connection, number: int, writers: Collection[int] | None, rows: int | None
) -> Counter[int]:
    statement = select(_segment.metric_id, func.sum(_segment.count)).where(
        _segment.run_number == number
    )
    if writers is not None:
        statement = statement.where(_segment.writer.in_(list(writers)))
    whole = statement if rows is None else statement.where(_segment.last_row < rows)
    found = connection.execute(whole.group_by(_segment.metric_id))
    counts = Counter({metric: int(count) for metric, count in found})
    if rows is None:
        return counts
    cut = select(
        _segment.metric_id, _segment.kind, _segment.cells, _segment.first_row, _segment.count,
        _segment.row_numbers,
    ).where(
        _segment.run_number == number, _segment.first_row < rows, _segment.last_row >= rows
    )  # fmt: skip
    if writers is not None:
        cut = cut.where(_segment.writer.in_(list(writers)))
    for metric, *stored in connection.execute(cut):
        counts[metric] += int((decode(*stored).rows < rows).sum())
    return counts


def _count_tails(
    connection: Connection, number: int, writers: Collection[int] | None, rows: int | None
) -> Counter[int]:
    statement = select(_tail.first_row, _tail.last_row, _tail.block).where(
        _tail.run_number == number
    )
    if writers is not None:
        statement = statement.where(_tail.writer.in_(list(writers)))
    counts: Counter[int] = Counter()
    for first_row, last_row, block in connection.execute(statement):
        if rows is None or last_row < rows:
            counts.update({metric: count for metric, _kind, count, *_ in opened(block)[0]})
        elif first_row < rows:
            for metric, cells in unpack(block, first_row).items():
                counts[metric] += int((cells.rows < rows).sum())
    return counts
