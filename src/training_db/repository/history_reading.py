"""How history gets out of the database: columns of one or many runs, in one statement."""

from __future__ import annotations

import math
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import LargeBinary, and_, bindparam, cast, literal, null, or_, select, union_all

from training_db.documents import is_storable
from training_db.errors import DatabaseError
from training_db.history_rules import AXES
from training_db.models import (
    metric_names,
    run_history_segments,
    run_history_tails,
    training_runs,
)
from training_db.models.types import BigInt, Flag, PlainText, Real
from training_db.repository.history_names import known_metrics
from training_db.segment_blocks import unpack
from training_db.segments import Column, decode, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection

    Writers = dict[int, dict[str, Column]]
    """For each writer of a run its columns by name."""

AXIS_NAMES = tuple(dict.fromkeys(name for names in AXES.values() for name in names))
_segment, _tail = run_history_segments.c, run_history_tails.c
_IS_AXIS = metric_names.c.name.in_(AXIS_NAMES)


class Bounds(NamedTuple):
    """Values to look for: greater than one bound, less than another, or not finite.

    A bound that nothing passes is infinite.
    """

    above: float
    below: float
    non_finite: bool


def stored_columns(
    connection: Connection,
    run_ids: Sequence[str],
    metrics: Iterable[str] | None = None,
    steps: tuple[float, float] | None = None,
    since: Mapping[int, int] | None = None,
    holding: Bounds | None = None,
) -> dict[str, Writers]:
    """Read columns of runs.

    Args:
        connection: A connection; one statement is made on it, and one more for live runs.
        run_ids: The runs.
        metrics: The names of the columns; ``None`` for all.
        steps: Leave out segments that lie outside these steps altogether, but for those of axes.
            Some cells outside may remain.
        since: For each writer the rows that are known already; for a single run only.
        holding: Leave out segments without such values, but for those of axes.

    Returns:
        For each run that has any, its writers in the order of their ids.
    """
    names: list[str] | None = None
    if metrics is not None:
        names = [name for name in metrics if isinstance(name, str) and is_storable(name)]
    known = {} if since is None else dict(since)
    statement = _statement(
        named=names is not None,
        stepped=steps is not None,
        bounded=holding is not None,
        known=len(known),
    )
    values: dict[str, Any] = {"run_ids": list(run_ids), "names": names}
    if steps is not None:
        # The columns min and max are floats, which are not exact for every step.
        values |= {
            "low": math.nextafter(steps[0], -math.inf),
            "high": math.nextafter(steps[1] + 1, math.inf),
        }
    if holding is not None:
        values |= holding._asdict()
    for position, (writer, row) in enumerate(known.items()):
        values |= {f"writer_{position}": writer, f"row_{position}": row}
    parts: dict[str, dict[int, dict[str, list[Column]]]] = {}
    by_id: dict[int, str] = {}
    # SQLite would carry the cells along through its sorting.
    rows = sorted(connection.execute(statement, values).all(), key=itemgetter(1, 2))
    for stored in rows:
        run_id, writer, _first_row, _name, _count, kind, *_ = stored
        if kind is None and not by_id:
            by_id = _names_of(connection, names)
        columns = parts.setdefault(run_id, {}).setdefault(writer, {})
        for name, column in _decoded(stored, by_id).items():
            columns.setdefault(name, []).append(column)
    return {
        run_id: {
            writer: {name: joined(some) for name, some in columns.items()}
            for writer, columns in writers.items()
        }
        for run_id, writers in parts.items()
    }


def _decoded(stored: Any, by_id: Mapping[int, str]) -> dict[str, Column]:
    run_id, _writer, first_row, name, count, kind, row_numbers, cells = stored
    try:
        if kind is not None:
            return {name: decode(kind, cells, first_row, count, row_numbers)}
        found = unpack(cells, first_row, by_id.keys())
    except Exception as error:  # damaged bytes fail in any way
        raise DatabaseError(
            f"the history of run {run_id!r} is damaged: {name or 'all'} from row {first_row} on "
            f"cannot be decoded ({error}); run: training-db doctor --thorough"
        ) from error
    return {by_id[metric]: column for metric, column in found.items()}


@lru_cache(maxsize=64)  # making one takes longer than running it
def _statement(*, named: bool, stepped: bool, bounded: bool, known: int) -> Any:
    chosen = training_runs.c.run_id.in_(bindparam("run_ids", expanding=True))
    of_segments = (
        select(
            training_runs.c.run_id, _segment.writer, _segment.first_row, metric_names.c.name,
            _segment.count, _segment.kind, _segment.row_numbers, _segment.cells,
        )
        .join(run_history_segments, _segment.run_number == training_runs.c.number)
        .join(metric_names, metric_names.c.id == _segment.metric_id)
        .where(chosen, *_is_newer(_segment, known))
    )  # fmt: skip
    if named:
        is_named = metric_names.c.name.in_(bindparam("names", expanding=True))
        of_segments = of_segments.where(is_named)
    if stepped:
        of_segments = of_segments.where(
            _may_hold(bindparam("low", type_=Real), bindparam("high", type_=Real))
        )
    if bounded:
        of_segments = of_segments.where(
            or_(
                _IS_AXIS,
                _segment.max > bindparam("above", type_=Real),
                _segment.min < bindparam("below", type_=Real),
                and_(bindparam("non_finite", type_=Flag), _segment.non_finite_count > 0),
            )
        )
    of_tails = (
        select(
            training_runs.c.run_id, _tail.writer, _tail.first_row, cast(null(), PlainText),
            cast(null(), BigInt), cast(null(), PlainText), cast(null(), LargeBinary), _tail.block,
        )
        .join(run_history_tails, _tail.run_number == training_runs.c.number)
        .where(chosen, *_is_newer(_tail, known))
    )  # fmt: skip
    return union_all(of_segments, of_tails)


def _is_newer(table: Any, known: int) -> list[ColumnElement[bool]]:
    return [
        or_(
            table.writer != bindparam(f"writer_{position}", type_=BigInt),
            table.last_row >= bindparam(f"row_{position}", type_=BigInt),
        )
        for position in range(known)
    ]


def _may_hold(low: ColumnElement[float], high: ColumnElement[float]) -> ColumnElement[bool]:
    """Tell by the step columns beside a segment whether it may hold a step of a range."""
    beside, name = run_history_segments.alias(), metric_names.alias()
    in_range = (
        select(literal(1))
        .select_from(beside)
        .where(
            beside.c.run_number == _segment.run_number,
            # Not a join: SQLite would look at all segments of the run, for each of them.
            beside.c.metric_id.in_(select(name.c.id).where(name.c.name.in_(AXES["step"]))),
            beside.c.writer == _segment.writer,
            beside.c.first_row <= _segment.last_row,
            beside.c.last_row >= _segment.first_row,
            beside.c.max >= low,
            beside.c.min < high,
        )
        .correlate(run_history_segments)
    )
    # Where rows have no step at all, their numbers are the steps.
    by_row = and_(_segment.first_row <= high, _segment.last_row >= low)
    return or_(_IS_AXIS, in_range.exists(), by_row)


def _names_of(connection: Connection, names: Sequence[str] | None) -> dict[int, str]:
    if names is not None:
        return {number: name for name, number in known_metrics(connection, names).items()}
    everything = connection.execute(select(metric_names.c.id, metric_names.c.name))
    return {number: name for number, name in everything}  # noqa: C416 - rows are no pairs to dict()
