"""One metric of a run, put together from what its writers wrote."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.repository.history_rows import axis_of, row_count, steps_of
from training_db.segments import narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        # np.unique takes the first of equals, so it is shown them the other way round.
        _, found = np.unique(at[::-1], return_index=True)
        last = len(at) - 1 - found
        at, place, values = at[last], place[last], values[last]
    return Points(place, values, at)


def _is_rising(steps: NDArray[np.int64]) -> bool:
    return bool((steps[1:] > steps[:-1]).all())


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(parts) == 1:
        return parts[0]
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return narrowed([value for part in parts for value in part.tolist()])
