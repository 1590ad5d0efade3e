"""Curves cut into windows, their trends over stretches of these, and how sure the trends are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.noise import SIGMA, median_error, memory_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_RESOLVED = 1e-9  # of a sum of squares; a difference of running sums that is less is rounding
_BENT = 6.0  # by how much a bend makes the sum of squares less, in squares of the noise


@dataclass(frozen=True, slots=True)
class Windows:
    """Curves cut into windows of neighbouring points.

    Attributes:
        first: The step at which each window begins, float64 of shape (w,).
        last: The step at which it ends.
        centre: The mean of its steps, brought to 0 ... 1.
        scale: The range of each curve, in which its levels are given, of shape (m,); its size, at
            least 1, for one that never changes.
        level: The median of each curve in each window, over its scale, float64 of shape (m, w);
            NaN where the curve has no finite value there.
        noise: The standard deviation of each of these medians that noise alone makes, of shape
            (m, w).
    """

    first: Array
    last: Array
    centre: Array
    scale: Array
    level: Array
    noise: Array


def windows_of(curves: Array, steps: Array, count: int) -> Windows:
    """Cut curves into windows, each of about as many points.

    Args:
        curves: float64 of shape (m, n), NaN where there is no value.
        steps: Rising, float64 of shape (n,).
        count: How many windows, at most n.

    Returns:
        The windows.
    """
    curves, scale, finest = _scaled(curves)
    edges = np.linspace(0, len(steps), count + 1).round().astype(np.int64)
    parts = [slice(start, stop) for start, stop in pairwise(edges)]
    level, points = _medians(curves, edges)
    places = steps / 2.0  # so that the span is finite
    places = (places - places[0]) / (places[-1] - places[0] or 1.0)
    return Windows(
        first=np.array([steps[part.start] for part in parts]),
        last=np.array([steps[part.stop - 1] for part in parts]),
        centre=np.array([places[part].mean() for part in parts]),
        scale=scale,
        level=level,
        noise=np.stack([_noise(*one) for one in zip(curves, level, points, finest, strict=True)]),
    )


def _scaled(curves: Array) -> tuple[Array, Array, Array]:
    """Return curves from 0 to 1, their ranges, and the finest that floats tell apart there."""
    known = np.isfinite(curves)
    low = np.where(known, curves, np.inf).min(axis=1)
    high = np.where(known, curves, -np.inf).max(axis=1)
    low, high = (np.where(known.any(axis=1), end, 0.0) for end in (low, high))
    largest = np.maximum(np.abs(low), np.abs(high))
    scale = np.where(high > low, high - low, np.maximum(largest, 1.0))
    finest = np.finfo(np.float64).eps * np.maximum(largest / scale, 1.0)
    return (curves - low[:, None]) / scale[:, None], scale, finest


def _medians(curves: Array, edges: NDArray[np.int64]) -> tuple[Array, NDArray[np.int64]]:
    """Return the median of each window, NaN where it is empty, and how many values it has."""
    places = edges[:-1, None] + np.arange(np.diff(edges).max())
    cells = np.pad(curves, ((0, 0), (0, 1)), constant_values=np.nan)[
        :, np.where(places < edges[1:, None], places, curves.shape[1])
    ]
    ordered = np.sort(cells, axis=2)  # NaN last
    count = np.isfinite(cells).sum(axis=2)
    low, high = (
        np.take_along_axis(ordered, np.maximum(place, 0)[..., None], axis=2)[..., 0]
        for place in ((count - 1) // 2, np.minimum(count // 2, cells.shape[2] - 1))
    )
    return (low + high) / 2.0, count


def _noise(curve: Array, level: Array, points: NDArray[np.int64], finest: float) -> Array:
    """Return how far off each median of a curve may be, its standard deviation.

    Twice estimated, and the greater one taken: by the points within the windows, whose noise may
    be carried from one to the next, and by how the medians jump beside a straight line through
    their neighbours, which also finds noise that is slower than a window.
    """
    known = curve[np.isfinite(curve)]
    within = median_error(memory_noise(known), np.maximum(points, 1))
    medians = level[np.isfinite(level)]
    jumps = medians[1:-1] - (medians[:-2] + medians[2:]) / 2.0
    between = SIGMA * float(np.median(np.abs(jumps))) / np.sqrt(1.5) if len(jumps) else 0.0
    return np.maximum(np.maximum(within, between), finest)


def trends(windows: Windows) -> tuple[Array, Array]:
    """Return the trend of each curve over each stretch of windows.

    A straight line by weighted least squares; its slope over the slope's standard error, which
    grows where the line fits worse than the noise explains (by Birge's ratio: "The calculation of
    errors by the method of least squares", Physical Review 40, 1932).

    Args:
        windows: The windows, w of them.

    Returns:
        Slopes, in the curves' scales over the whole span of the steps, and how many standard
        errors they are away from none: two float64 of shape (m, w, w), for the stretch from
        window [., i] to [., ., j], both included; 0 where fewer than two windows have values.
    """
    weight = np.where(np.isfinite(windows.level), 1.0 / windows.noise**2, 0.0)
    # From the middle: running sums of squares keep more digits so.
    y = np.nan_to_num(windows.level - 0.5)
    x = windows.centre
    # Sums of a stretch are differences of running sums.
    n, sw, sx, sy, sxx, sxy, syy = (
        _sums(part)
        for part in (
            (weight > 0).astype(np.float64),
            weight, weight * x, weight * y, weight * x * x, weight * x * y, weight * y * y,
        )
    )  # fmt: skip
    usable = n >= 2
    sw = np.where(usable, sw, 1.0)
    spread = sxx - sx**2 / sw
    usable &= spread > _RESOLVED * sxx  # not all at the same step
    spread = np.where(usable, spread, 1.0)
    slope = np.where(usable, (sxy - sx * sy / sw) / spread, 0.0)
    misfit = (syy - sy**2 / sw - slope**2 * spread) / np.maximum(n - 2, 1.0)
    return slope, slope * np.sqrt(spread / np.maximum(misfit, 1.0))


def begin(windows: Windows, curve: int, start: int, stop: int) -> int:
    """Return the window in which the trend of a stretch really began.

    A line with one bend is fitted beside the straight one; the bend counts where it explains more
    than noise does and the curve went at less than half the pace before it.

    Args:
        windows: The windows.
        curve: Which curve.
        start: The first window of the stretch.
        stop: The last one.

    Source: Hudson, "Fitting segmented curves whose join points have to be estimated", Journal of
    the American Statistical Association 61, 1966.
    """
    level, noise = (one[curve, start : stop + 1] for one in (windows.level, windows.noise))
    known = np.isfinite(level)
    x, y, weight = windows.centre[start : stop + 1][known], level[known], 1.0 / noise[known]
    if len(x) < 5:
        return start
    straight = _misfit(np.stack([np.ones_like(x), x], axis=1), y, weight)[0]
    best, place = straight, None
    for bend in x[1:-2]:
        design = np.stack([np.ones_like(x), x, np.maximum(x - bend, 0.0)], axis=1)
        misfit, (_, before, more) = _misfit(design, y, weight)
        after = before + more
        if misfit < best and before * np.sign(after) < abs(after) / 2.0:
            best, place = misfit, bend
    unexplained = max(best / (len(x) - 3), 1.0)
    if place is None or straight - best < _BENT * unexplained:
        return start
    return int(np.searchsorted(windows.centre, place))


def _misfit(design: Array, y: Array, weight: Array) -> tuple[float, Any]:
    solution = np.linalg.lstsq(design * weight[:, None], y * weight)[0]
    return float((((y - design @ solution) * weight) ** 2).sum()), solution


def _sums(parts: Array) -> Array:
    running = np.concatenate([np.zeros((len(parts), 1)), np.cumsum(parts, axis=1)], axis=1)
    sums = running[:, None, 1:] - running[:, :-1, None]
    return np.triu(sums)
