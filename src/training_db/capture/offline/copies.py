"""Two copies of one history, each with rows that the other lost: told apart by their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training_db.capture.captured import RowBatch
from training_db.recording.rows import STEP
from training_db.segments import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from training_db.database import TrainingDB


def stored_steps(db: TrainingDB, run_id: str, writer: int, rows: int) -> NDArray[np.int64] | None:
    """Return the steps of the rows that are stored of a writer.

    Args:
        db: The database.
        run_id: The run.
        writer: The writer.
        rows: How many rows of it are stored.

    Returns:
        Steps of shape (rows,); ``None`` where not every row has one.
    """
    steps = db.history.columns_of(run_id, [writer], [STEP]).get(writer, {}).get(STEP)
    if steps is None or len(steps) != rows or steps.values.dtype != np.int64:
        return None
    found: NDArray[np.int64] = steps.values
    return found


def count_rows(batches: Iterable[RowBatch], steps: NDArray[np.int64] | None) -> int:
    """Count the rows of a copy that lie no further than the last of some steps.

    Args:
        batches: All rows of the copy.
        steps: The steps; ``None`` to count every row.
    """
    count = 0
    for batch in batches:
        first, stop = batch.rows
        is_later = () if steps is None else step_column(batch).values > steps.max(initial=-1)
        count += stop - first - int(np.count_nonzero(is_later))
    return count


def unseen_rows(batch: RowBatch, steps: NDArray[np.int64], first: int) -> RowBatch:
    """Return the rows of a batch at steps that are not known yet.

    Args:
        batch: Rows of a copy.
        steps: The steps that are known.
        first: The number that the first of the rows gets; the others follow it.

    Example:
        >>> from training_db.segments import column
        >>> batch = RowBatch({"_step": column([0, 2, 3]), "loss": column([0.5, None, 0.1])}, (0, 3))
        >>> found = unseen_rows(batch, np.array([0, 1]), 40)
        >>> found.rows, found.columns["loss"].rows.tolist()
        ((40, 42), [41])
    """
    at_steps = step_column(batch)
    rows = at_steps.rows[~np.isin(at_steps.values, steps)]
    columns = {}
    for name, cells in batch.columns.items():
        is_new = np.isin(cells.rows, rows)
        if is_new.any():
            places = first + np.searchsorted(rows, cells.rows[is_new])
            columns[name] = Column(places, cells.values[is_new])
    return RowBatch(columns, (first, first + len(rows)))


def step_column(batch: RowBatch) -> Column:
    """Return the steps of those rows of a batch that have one."""
    steps = batch.columns.get(STEP)
    if steps is None or steps.values.dtype.kind not in "if":
        return Column(np.empty(0, np.int64), np.empty(0, np.int64))
    return steps
