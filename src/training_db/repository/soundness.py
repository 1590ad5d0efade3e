"""Whether rows belong together: rows without their run, and histories without their totals."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import delete, exists, func, select

from training_db.models import (
    Base,
    metric_names,
    run_events,
    run_history_segments,
    run_history_tails,
    run_metrics,
    training_runs,
)
from training_db.repository.history_names import known_metrics, names_of
from training_db.repository.retention import EVENT as THINNED
from training_db.segment_blocks import opened, unpack
from training_db.segments import decode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy import Column, Connection, Row, Table

_RUN, _total = training_runs.c, run_metrics.c
_segment, _tail = run_history_segments.c, run_history_tails.c
_AT_ONCE = 1_000


class Orphans(NamedTuple):
    """Rows of a table that belong to a row that is not there.

    Attributes:
        table: Where they are.
        column: What says whose they are.
        belongs_to: The table in which that is missing.
        keys: The values that are missing, and how many rows have each.
    """

    table: str
    column: str
    belongs_to: str
    keys: dict[Any, int]

    @property
    def rows(self) -> int:
        """How many rows these are."""
        return sum(self.keys.values())


@dataclass(frozen=True)
class Part:
    """A row of history, by its key; ``metric_id`` is ``None`` for a tail, which has all metrics."""

    number: int
    writer: int
    first_row: int
    metric_id: int | None


@dataclass(frozen=True)
class HistoryState:
    """How the history of a run is.

    Attributes:
        run_id: The run.
        number: Its number.
        damaged: The parts that cannot be decoded.
        wrong: The metrics whose totals count other cells than there are.
        is_thinned: Whether less is meant to be there than the totals say.
    """

    run_id: str
    number: int
    damaged: tuple[Part, ...]
    wrong: tuple[str, ...]
    is_thinned: bool

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to mend."""
        return not (self.damaged or self.wrong)


def orphans(connection: Connection) -> list[Orphans]:
    """Return the rows without the row that they belong to; foreign keys would have kept them out.

    SQLite checks foreign keys only where it is told to, as this library does and others do not.
    """
    found = []
    for table, column, parent in _links():
        rows = connection.execute(
            select(column, func.count())
            .where(column.is_not(None), ~exists().where(parent == column))
            .group_by(column)
            .order_by(column)
        )
        keys = {key: int(count) for key, count in rows}
        if keys:
            found.append(Orphans(table.name, column.name, parent.table.name, keys))
    return found


def delete_orphans(connection: Connection) -> dict[str, int]:
    """Delete them, and return how many rows each table had."""
    counts: dict[str, int] = {}
    for table, column, parent in _links():
        lost = delete(table).where(column.is_not(None), ~exists().where(parent == column))
        counts[table.name] = counts.get(table.name, 0) + connection.execute(lost).rowcount
    return {name: count for name, count in counts.items() if count}


def _links() -> Iterator[tuple[Table, Column[Any], Column[Any]]]:
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            yield table, key.parent, key.column


def numbered_runs(connection: Connection, most: int | None = None) -> Iterator[tuple[str, int]]:
    """Yield runs with their numbers, from the first to the last; some of them, evenly apart.

    Args:
        connection: A connection.
        most: About so many; ``None`` for all.
    """
    count = connection.scalar(select(func.count()).select_from(training_runs)) or 0
    step = 1 if most is None else max(1, count // most)
    place = -1
    while True:
        page = connection.execute(
            select(_RUN.run_id, _RUN.number)
            .where(_RUN.number > place, _RUN.number % step == 0)
            .order_by(_RUN.number)
            .limit(_AT_ONCE)
        ).all()
        yield from ((run_id, number) for run_id, number in page)
        if len(page) < _AT_ONCE:
            return
        place = page[-1].number


def history_state(
    connection: Connection, run_id: str, number: int, *, decodes: bool
) -> HistoryState:
    """Compare what is stored of a history with its totals.

    Args:
        connection: A connection that sees one moment of the database.
        run_id: The run.
        number: Its number.
        decodes: Whether to decode every part of it, too.
    """
    damaged, stored = _stored(connection, number, decodes=decodes)
    totals = {
        metric: int(count)
        for metric, count in connection.execute(
            select(_total.metric_id, _total.count + _total.other_count).where(
                _total.run_number == number
            )
        )
    }
    is_thinned = bool(
        connection.scalar(
            select(exists().where(run_events.c.run_number == number, run_events.c.kind == THINNED))
        )
    )
    wrong = [
        metric
        for metric in totals.keys() | stored.keys()
        if (
            stored.get(metric, 0) > totals.get(metric, 0)
            if is_thinned
            else stored.get(metric, 0) != totals.get(metric, 0)
        )
    ]
    names = names_of(connection, wrong)
    return HistoryState(
        run_id,
        number,
        tuple(damaged),
        tuple(sorted(names.get(metric, f"metric {metric}") for metric in wrong)),
        is_thinned,
    )


def _stored(
    connection: Connection, number: int, *, decodes: bool
) -> tuple[list[Part], dict[int, int]]:
    damaged: list[Part] = []
    counts: dict[int, int] = {}
    cells = _segment.count.label("stored")
    columns: list[Any] = [_segment.writer, _segment.first_row, _segment.metric_id, cells]
    if decodes:
        columns += [_segment.kind, _segment.cells, _segment.row_numbers]
    segments = select(*columns).where(_segment.run_number == number)
    for row in connection.execute(segments.execution_options(yield_per=200)):
        # SQLite keeps whatever somebody put there, a text among them.
        if not isinstance(row.stored, int) or (decodes and not _decodes(row)):
            damaged.append(Part(number, row.writer, row.first_row, row.metric_id))
            continue
        counts[row.metric_id] = counts.get(row.metric_id, 0) + row.stored
    tails = select(_tail.writer, _tail.first_row, _tail.block).where(_tail.run_number == number)
    for writer, first_row, block in connection.execute(tails):
        try:
            found = {metric: count for metric, _kind, count, *_ in opened(block)[0]}
            if decodes:
                unpack(block, first_row)
        except Exception:  # noqa: BLE001 - damaged bytes fail in any way
            damaged.append(Part(number, writer, first_row, None))
            continue
        for metric, count in found.items():
            counts[metric] = counts.get(metric, 0) + count
    return damaged, counts


def _decodes(row: Row[Any]) -> bool:
    try:
        cells = decode(row.kind, row.cells, row.first_row, row.stored, row.row_numbers)
    except Exception:  # noqa: BLE001 - damaged bytes fail in any way
        return False
    return bool(len(cells) == row.stored)


def stored_part(connection: Connection, part: Part) -> dict[str, Any]:
    """Return a row of history as it is stored."""
    table = run_history_tails if part.metric_id is None else run_history_segments
    return dict(connection.execute(select(table).where(*_is(table, part))).mappings().one())


def delete_part(connection: Connection, part: Part) -> None:
    """Delete a row of history."""
    table = run_history_tails if part.metric_id is None else run_history_segments
    connection.execute(delete(table).where(*_is(table, part)))


def _is(table: Table, part: Part) -> list[Any]:
    key = [
        table.c.run_number == part.number,
        table.c.writer == part.writer,
        table.c.first_row == part.first_row,
    ]
    return key if part.metric_id is None else [*key, table.c.metric_id == part.metric_id]


def forget_totals(
    connection: Connection, number: int, names: Collection[str] | None = None
) -> None:
    """Delete the totals of a run, to be made anew: of some metrics, or of all."""
    totals = delete(run_metrics).where(_total.run_number == number)
    if names is not None:
        totals = totals.where(_total.metric_id.in_(known_metrics(connection, names).values()))
    connection.execute(totals)


def beats_of_the_future(connection: Connection, limit: Any) -> list[tuple[str, str | None]]:
    """Return the runs, with their hosts, that beat after a moment that has not come yet."""
    found = connection.execute(
        select(_RUN.run_id, _RUN.host).where(_RUN.heartbeat_at > limit).order_by(_RUN.number)
    )
    return [(run_id, host) for run_id, host in itertools.islice(found, _AT_ONCE)]


def has_metrics(connection: Connection) -> str | None:
    """Return the name of any metric; ``None`` where there is none."""
    return connection.scalar(select(metric_names.c.name).limit(1))
