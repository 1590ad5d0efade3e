"""Fewer points that look the same: the extremes of each stretch of a series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training_db.segments import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_db.repository.history_series import Series

MIN_MAX = "min and max of each bucket"


def min_max(series: Series, n: int) -> NDArray[np.int64]:
    """Choose the points of a series that keep its extremes.

    The points are cut into buckets of equal length, and of each the lowest and the highest stay,
    as plots have drawn long signals since oscilloscopes: "M4: A Visualization-Oriented Time Series
    Data Aggregation" (Jugel et al., VLDB 2014) says why that is what the eye sees. NaN and
    infinities are points to be seen too, so the first of a bucket stays beside its extremes.

    Args:
        series: Any length.
        n: Points to keep of the finite ones, at least 2.

    Returns:
        Positions, int64 of shape (m,), rising; all of them where there are no more than ``n``.

    Example:
        >>> from training_db.repository.history_series import Series
        >>> values = np.zeros(1000)
        >>> values[[137, 600]] = 5.0, -3.0
        >>> kept = min_max(Series(np.arange(1000), values), 20)
        >>> len(kept) <= 20, 137 in kept, 600 in kept
        (True, True, True)
    """
    length = len(series)
    if length <= n:
        return np.arange(length)
    values = numbers(series.values)
    starts = np.linspace(0, length, max(1, n // 2) + 1).astype(np.int64)
    kept: set[int] = set()
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        bucket = values[start:stop]
        finite = np.isfinite(bucket)
        if finite.all():
            kept.update((start + int(bucket.argmin()), start + int(bucket.argmax())))
            continue
        kept.add(start + int((~finite).argmax()))
        if finite.any():
            kept.add(start + int(np.where(finite, bucket, np.inf).argmin()))
            kept.add(start + int(np.where(finite, bucket, -np.inf).argmax()))
    return np.array(sorted(kept), dtype=np.int64)
