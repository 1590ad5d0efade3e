"""One metric of a run, put together from what its writers wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.repository.history_rows import axis_of, row_count, steps_of
from training_db.segments import narrowed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.repository.history_reading import Writers


@dataclass(frozen=True, slots=True)
class Series:
    """One metric of one run.

    Attributes:
        x: Where its values stand on the axis that was asked for, of shape (n,): int64 for steps,
            float64 for epochs and for timestamps, which are in Unix seconds.
        values: float64, int64 or bool of shape (n,); object where it holds something else.
    """

    x: NDArray[Any]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Points(Series):
    """A series whose points can be put beside those of other metrics.

    Attributes:
        keys: int64 of shape (n,), the same for what was logged together: the steps where each
            counts once, and else the rows, numbered through all writers.
    """

    keys: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RunCells:
    """One metric of one run, each value with all that is known of where it stands.

    Attributes:
        run_id: The run.
        metric: The metric.
        steps: int64 of shape (n,); the row's number where nothing says the step.
        epochs: float64 of shape (n,), NaN where it is not known.
        timestamps: float64 of shape (n,) in Unix seconds, NaN where it is not known.
        values: float64, int64 or bool of shape (n,); object where it holds something else.
        writers: int64 of shape (n,): 1 for the writer of the run that began first, and so on.
        rows: int64 of shape (n,), numbered through all writers: the same for what was logged
            together.
    """

    run_id: str
    metric: str
    steps: NDArray[np.int64]
    epochs: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    values: NDArray[Any]
    writers: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.values)


def run_cells(
    run_id: str, metric: str, writers: Writers, starts: Mapping[int, int], *, last_only: bool
) -> RunCells:
    """Put one metric of a run together, with the place of each cell on every axis.

    Args:
        run_id: The run.
        metric: The metric; some writer has it.
        writers: The run's columns, those that are axes among them.
        starts: For each writer of the run, by when it began, where its rows begin.
        last_only: As for :func:`points`, which finds the same values in the same order.
    """
    numbers_of = {writer: number for number, writer in enumerate(starts, 1)}
    parts = []
    for writer, columns in writers.items():
        cells = columns.get(metric)
        if cells is not None and len(cells):
            parts.append(
                (
                    steps_of(columns, cells.rows),
                    axis_of(columns, cells.rows, "epoch"),
                    axis_of(columns, cells.rows, "timestamp"),
                    cells.values,
                    np.full(len(cells), numbers_of[writer], dtype=np.int64),
                    cells.rows + starts[writer],
                )
            )
    arrays = [_joined(some) for some in zip(*parts, strict=True)]
    if last_only and not _is_rising(arrays[0]):
        last = _last_of_each(arrays[0])
        arrays = [array[last] for array in arrays]
    return RunCells(run_id, metric, *arrays)


def points(
    writers: Writers,
    metric: str,
    x: str,
    steps: tuple[float, float] | None,
    *,
    last_only: bool,
) -> Points:
    """Put one metric of a run together.

    Args:
        writers: The run's columns, those that are axes among them.
        metric: The metric.
        x: The axis.
        steps: Both ends of a range of steps, inclusive.
        last_only: Whether of several values at one step the last writer's alone counts. The
            points are then in the order of the steps, and else as they were logged.

    Returns:
        The points. Cells without a place on the axis are left out, but for steps.
    """
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any], NDArray[Any]]] = []
    start = 0
    for columns in writers.values():
        cells = columns.get(metric)
        if cells is not None and len(cells):
            at = steps_of(columns, cells.rows)
            place = at if x == "step" else axis_of(columns, cells.rows, x)
            parts.append((cells.rows + start, at, place, cells.values))
        start += row_count(columns)
    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Points(nothing, np.empty(0), nothing)
    keys, at, place, values = (_joined(some) for some in zip(*parts, strict=True))
    kept = np.ones(len(at), dtype=np.bool_)
    if steps is not None:
        kept &= (at >= steps[0]) & (at <= steps[1])
    if x != "step":
        kept &= ~np.isnan(place)
    if not kept.all():
        keys, at, place, values = keys[kept], at[kept], place[kept], values[kept]
    if not last_only:
        return Points(place, values, keys)
    if not _is_rising(at):
        last = _last_of_each(at)
        at, place, values = at[last], place[last], values[last]
    return Points(place, values, at)


def _last_of_each(steps: NDArray[np.int64]) -> NDArray[np.int64]:
    # np.unique takes the first of equals, so it is shown them the other way round.
    _, found = np.unique(steps[::-1], return_index=True)
    return np.asarray(len(steps) - 1 - found, dtype=np.int64)


def _is_rising(steps: NDArray[np.int64]) -> bool:
    return bool((steps[1:] > steps[:-1]).all())


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return narrowed([value for part in parts for value in part.tolist()])
