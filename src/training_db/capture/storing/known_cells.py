"""Cells of a batch that another source has brought already: they are not stored twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.captured import RUNTIME
from training_db.recording.rows import EPOCH, STEP, TIMESTAMP
from training_db.repository.history_rows import steps_of
from training_db.segments import Column

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.database import TrainingDB

_PLACES = frozenset((STEP, EPOCH, TIMESTAMP, RUNTIME))
"""What says where a row stands. Each source measures it, and it is of use beside others only."""


def without_known(
    db: TrainingDB,
    run_id: str,
    columns: Mapping[str, Column],
    others: Collection[int],
) -> tuple[dict[str, Column], dict[str, int]]:
    """Leave out the cells that other writers have with the same value at the same step.

    What differs is kept: it may be another attempt at that step. So is the place of a row of which
    any cell is kept. The stages of a pipeline count their own steps, which stand in the axis
    ``stage/step`` of its rows; W&B numbers these by another counter.

    Args:
        db: The database.
        run_id: The run.
        columns: The columns of a batch.
        others: The writers that count as other sources.

    Returns:
        The columns to store, and for each metric how many of its cells were left out.
    """
    if STEP not in columns or not len(columns[STEP]):
        return dict(columns), {}  # without steps there is nothing to tell rows by
    rows = np.unique(np.concatenate([cells.rows for cells in columns.values()]))
    steps = steps_of(columns, rows)
    axes = _stage_axes(columns)
    everywhere = np.concatenate([steps, *(cells.values for cells in axes.values())])
    span = int(everywhere.min()), int(everywhere.max())
    known = _stored(db, run_id, columns, span, others)
    has_step = np.isin(rows, columns[STEP].rows)
    is_known: dict[str, NDArray[np.bool_]] = {}
    needed, has_known = np.zeros((2, len(rows)), dtype=np.bool_)
    for name, cells in columns.items():
        at = np.searchsorted(rows, cells.rows)
        if name in _PLACES:
            continue
        same = _are_known(cells.values, steps[at], known.get(name, ())) & has_step[at]
        for axis, own in axes.items():
            if name.startswith(axis.removesuffix("step")):
                same |= _are_known_at(own, known.get(axis, ()), cells, known.get(name, ()))
        is_known[name] = same
        needed[at[~same]] = True
        has_known[at[same]] = True
    for name in _PLACES.intersection(columns):
        at = np.searchsorted(rows, columns[name].rows)
        there = has_known[at]
        for at_steps, _values in known.get(name, ()):
            there |= np.isin(steps[at], at_steps)
        is_known[name] = there & has_step[at] & ~needed[at]
    kept = {
        name: Column(cells.rows[~is_known[name]], cells.values[~is_known[name]])
        for name, cells in columns.items()
    }
    counts = {name: int(np.count_nonzero(same)) for name, same in is_known.items()}
    return kept, {name: count for name, count in counts.items() if count}


def _stored(
    db: TrainingDB,
    run_id: str,
    columns: Mapping[str, Column],
    span: tuple[int, int],
    others: Collection[int],
) -> dict[str, list[tuple[NDArray[np.int64], NDArray[Any]]]]:
    """Return what the others have of the columns: steps, rising, and the values there."""
    found: dict[str, list[tuple[NDArray[np.int64], NDArray[Any]]]] = {}
    for stored in db.history.columns_of(run_id, others, columns, span).values():
        for name, cells in stored.items():
            steps = steps_of(stored, cells.rows)
            inside = (steps >= span[0]) & (steps <= span[1])
            if not inside.any():
                continue
            order = np.flatnonzero(inside)
            order = order[np.argsort(steps[order], kind="stable")]
            found.setdefault(name, []).append((steps[order], cells.values[order]))
    return found


def _stage_axes(columns: Mapping[str, Column]) -> dict[str, Column]:
    return {
        name: cells
        for name, cells in columns.items()
        if (name == "step" or name.endswith("/step")) and cells.values.dtype == np.int64
    }


def _are_known_at(
    axis: Column,
    stored_axis: Sequence[tuple[NDArray[np.int64], NDArray[Any]]],
    cells: Column,
    stored: Sequence[tuple[NDArray[np.int64], NDArray[Any]]],
) -> NDArray[np.bool_]:
    """Tell which cells are stored at the steps that an axis gives their rows."""
    known = np.zeros(len(cells), dtype=np.bool_)
    # Only where the axis counts steps there too: others log such a metric of their own.
    counts = _are_known(axis.values, axis.values, stored_axis)
    _rows, here, there = np.intersect1d(
        cells.rows, axis.rows[counts], assume_unique=True, return_indices=True
    )
    known[here] = _are_known(cells.values[here], axis.values[counts][there], stored)
    return known


def _are_known(
    values: NDArray[Any],
    steps: NDArray[np.int64],
    stored: Sequence[tuple[NDArray[np.int64], NDArray[Any]]],
) -> NDArray[np.bool_]:
    known = np.zeros(len(values), dtype=np.bool_)
    for at_steps, theirs in stored:
        # The last of those that share a step: W&B keeps that one alone.
        place = np.searchsorted(at_steps, steps, side="right") - 1
        hit = np.flatnonzero(place >= 0)
        hit = hit[at_steps[place[hit]] == steps[hit]]
        known[hit[_are_equal(values[hit], theirs[place[hit]])]] = True
    return known


def _are_equal(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.bool_]:
    if ours.dtype != object and theirs.dtype != object:
        same: NDArray[np.bool_] = ours == theirs
        if "f" in (ours.dtype.kind, theirs.dtype.kind):
            same |= np.isnan(ours.astype(np.float64)) & np.isnan(theirs.astype(np.float64))
        return same
    pairs = zip(ours.tolist(), theirs.tolist(), strict=True)
    return np.array([is_same(one, other) for one, other in pairs], dtype=np.bool_)


def is_same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, NaN being the same as NaN, also inside of others.

    Example:
        >>> is_same(1, 1.0), is_same(float("nan"), float("nan")), is_same([1], "x")
        (True, True, False)
    """
    return one == other or repr(one) == repr(other)


def last_rows_agree(
    db: TrainingDB, run_id: str, writer: int, columns: Mapping[str, Column], rows: int
) -> bool:
    """Tell whether the last row that is stored of a writer is the one with that number in a batch.

    It is not where rows were lost before it in the copy of the file that was imported first: all
    that follow are numbered differently there.

    Args:
        db: The database.
        run_id: The run.
        writer: The writer.
        columns: The columns of a batch that holds the row.
        rows: How many rows are stored.
    """
    row = rows - 1
    stored = db.history.columns_of(run_id, [writer], first_row=row).get(writer, {})
    for name, cells in stored.items():
        at = np.flatnonzero(cells.rows == row)
        if not len(at):
            continue
        ours = columns.get(name)
        here = np.flatnonzero(ours.rows == row) if ours is not None else at[:0]
        if ours is None or not len(here):
            return False
        if not is_same(ours.values[here].tolist()[0], cells.values[at].tolist()[0]):
            return False
    return True
