"""The rows of a history: which step each has, and which everyone asks for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.db.engine import bulk_insert
from training_db.documents import encode
from training_db.extraction import objective_key
from training_db.history_rules import AXES, KEY_METRICS, key_stride
from training_db.models import run_history_key_metrics
from training_db.segments import is_number, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from training_db.segments import Column

_KEY_COLUMNS = (
    "run_id", "step", "loss", "grad_norm", "learning_rate", "objective_scores_json", "timestamp",
)  # fmt: skip
_LARGEST_STEP = float(2**62)


def row_count(columns: Mapping[str, Column]) -> int:
    """Return how many rows a writer has, up to the last one that has a cell."""
    return 1 + max((int(cells.rows[-1]) for cells in columns.values() if len(cells)), default=-1)


def axis_of(
    columns: Mapping[str, Column], rows: NDArray[np.int64], axis: str
) -> NDArray[np.float64]:
    """Say where rows stand on an axis.

    Args:
        columns: The columns of one writer, as far as they are axes.
        rows: Row numbers of shape (n,), rising.
        axis: ``"epoch"`` or ``"timestamp"``.

    Returns:
        For each row the number in the first of the axis' columns that has one; NaN where none has.
        float64 of shape (n,).
    """
    places = np.full(len(rows), np.nan)
    for at, values in _found(columns, rows, axis):
        free = np.isnan(places[at])
        places[at[free]] = numbers(values)[free]
    return places


def steps_of(columns: Mapping[str, Column], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the step of each row as int64 of shape (n,); the row's number where nothing says it.

    Example:
        >>> from training_db.segments import column
        >>> steps_of({"global_step": column([10, 20, None])}, np.array([0, 1, 2])).tolist()
        [10, 20, 2]
    """
    steps = rows.copy()
    free = np.ones(len(rows), dtype=np.bool_)
    for at, values in _found(columns, rows, "step"):
        if values.dtype == np.int64:
            whole, fits = values, free[at]
        else:
            # A step may be a fraction, infinite or no number at all in logs of others.
            floats = numbers(values)
            fits = free[at] & (np.abs(floats) < _LARGEST_STEP)
            whole = np.floor(np.where(fits, floats, 0.0)).astype(np.int64)
        steps[at[fits]] = whole[fits]
        free[at[fits]] = False
        if not free.any():
            break
    return steps


def _found(
    columns: Mapping[str, Column], rows: NDArray[np.int64], axis: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Go through the columns of an axis: positions among the rows, and the values there."""
    for name in AXES[axis]:
        cells = columns.get(name)
        if cells is None or not len(cells):
            continue
        if np.array_equal(cells.rows, rows):
            yield np.arange(len(rows)), cells.values
            continue
        at = np.minimum(np.searchsorted(cells.rows, rows), len(cells) - 1)
        found = np.flatnonzero(cells.rows[at] == rows)
        yield found, cells.values[at[found]]


def add_key_metrics(
    connection: Connection, run_id: str, columns: Mapping[str, Column], rows: tuple[int, int]
) -> None:
    """Add the rows of a batch to ``run_history_key_metrics``, fewer the longer a run is.

    Args:
        connection: A connection inside a transaction.
        run_id: The run.
        columns: The columns of the batch by name.
        rows: The first row of the batch, and the one after its last.
    """
    sources = {
        key: next((columns[name] for name in names if name in columns), None)
        for key, names in KEY_METRICS.items()
    }
    objectives = _objective_columns(columns)
    if not objectives and not any(sources.values()):
        return
    kept = np.array(_kept_rows(*rows), dtype=np.int64)
    steps = steps_of(columns, kept).tolist()
    moments = axis_of(columns, kept, "timestamp")
    filled: list[list[Any]] = [_cells(source, kept) for source in sources.values()]
    filled.append(_scores(objectives, kept))
    filled.append(list(map(_moment, moments.tolist())))
    bulk_insert(
        connection,
        run_history_key_metrics,
        _KEY_COLUMNS,
        [
            [run_id, step, *cells]
            for step, *cells in zip(steps, *filled, strict=True)
            if any(cell is not None for cell in cells[:-1])
        ],
    )


def _kept_rows(first: int, stop: int) -> list[int]:
    kept = []
    row = first
    while row < stop:
        stride = key_stride(row)
        row = -(-row // stride) * stride
        if row < stop and key_stride(row) == stride:
            kept.append(row)
            row += stride
    return kept


def _objective_columns(columns: Mapping[str, Column]) -> dict[str, Column]:
    found = {}
    for name, cells in columns.items():
        parsed = objective_key(name)
        if parsed is not None and parsed[2] == "raw_mean":
            found[parsed[0]] = cells
    return found


def _cells(source: Column | None, rows: NDArray[np.int64]) -> list[float | None]:
    if source is None:
        return [None] * len(rows)
    wanted = np.isin(source.rows, rows) & is_number(source.values)
    values = dict(
        zip(source.rows[wanted].tolist(), numbers(source.values[wanted]).tolist(), strict=True)
    )
    return [values.get(row) for row in rows.tolist()]


def _scores(objectives: Mapping[str, Column], rows: NDArray[np.int64]) -> list[str | None]:
    by_name = {name: _cells(cells, rows) for name, cells in objectives.items()}
    scores = []
    for position in range(len(rows)):
        there = {name: cells[position] for name, cells in by_name.items()}
        there = {name: score for name, score in there.items() if score is not None}
        scores.append(encode(there) if there else None)
    return scores


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
