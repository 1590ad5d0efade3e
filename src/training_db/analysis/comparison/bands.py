"""Averaged curves of groups of runs, with bands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from training_db.analysis.curves.curve import bounded, floats_of
from training_db.analysis.intervals import check_confidence
from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.repository.arguments import one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STATISTICS = ("mean", "median")
MOST_STEPS = 100_000


class Curve(Protocol):
    """Values over steps, such as a :class:`~training_db.repository.history_series.Series`."""

    @property
    def x(self) -> Any:
        """Where they stand, of shape (n,)."""

    @property
    def values(self) -> Any:
        """The values, of shape (n,)."""


@dataclass(frozen=True, slots=True)
class Band:
    """The averaged curve of a group of runs.

    Attributes:
        group: What the runs of the group have in common; ``None`` for those without a value.
        steps: Where the curve stands, float64 of shape (n,), rising.
        middle: The mean or the median of the runs that had come so far, of shape (n,). NaN at a
            step that no run of the group covers.
        low: The lower end of the band, of shape (n,); NaN also where one run alone is left.
        high: The upper end of the band, likewise.
        runs: How many runs the middle is taken over at each step, int64 of shape (n,).
        total: How many runs the group has.
        shows: What middle and band are, in words.
    """

    group: Any
    steps: NDArray[np.float64]
    middle: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    runs: NDArray[np.int64]
    total: int
    shows: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        arrays = ("steps", "middle", "low", "high", "runs")
        return {
            "group": self.group,
            **{name: getattr(self, name).tolist() for name in arrays},
            "total": self.total,
            "shows": self.shows,
        }


def band(
    groups: Sequence[tuple[Any, Sequence[Curve]]],
    n: int = 200,
    statistic: str = "mean",
    confidence: float = 0.95,
) -> list[Band]:
    """Average the curves of groups of runs on one grid of steps.

    Each curve is interpolated linearly between its own points, from its first to its last finite
    value and no further: a run that ended is no longer averaged in, and the counts say so. One
    that lies between two steps of the grid counts at the nearest.

    Args:
        groups: Each group and its curves, which have ``x`` and ``values`` of one length.
        n: Steps of the grid, from the first of all curves to the last.
        statistic: ``"mean"`` with the t interval of the mean (Student, "The Probable Error of a
            Mean", Biometrika 6, 1908) as band, or ``"median"`` with the middle half of the runs,
            from the lower to the upper quartile.
        confidence: Of the interval of the mean.

    Returns:
        A band for each group with a finite value, the group with most runs first. It covers the
        part of the grid that the group's runs do.

    Raises:
        UnknownName: There is no such statistic.
        InvalidValue: ``n`` is no whole number from 2 on, or the confidence is none.

    Example:
        >>> from types import SimpleNamespace as Curve
        >>> long, short = Curve(x=[0, 1, 2], values=[2, 1, 0]), Curve(x=[0, 1], values=[4, 3])
        >>> one = band([("mgda", [long, short])], n=3, statistic="median")[0]
        >>> one.middle.tolist(), one.low.tolist(), one.runs.tolist()
        ([3.0, 2.0, 0.0], [2.5, 1.5, nan], [2, 2, 1])
    """
    one_of("statistic", statistic, STATISTICS)
    if isinstance(n, bool) or not isinstance(n, int) or not 2 <= n <= MOST_STEPS:
        raise InvalidValue(f"n is {n!r}; pass a whole number of steps from 2 to {MOST_STEPS:,}")
    check_confidence(confidence)
    usable = [
        (group, [one for curve in curves if (one := _finite(curve))]) for group, curves in groups
    ]
    usable = [(group, curves) for group, curves in usable if curves]
    if not usable:
        return []
    first = min(x[0] for _, curves in usable for x, _ in curves)
    last = max(x[-1] for _, curves in usable for x, _ in curves)
    # Halves, because numpy multiplies the steps up to the whole way, which may be no float.
    grid = 2.0 * np.linspace(first / 2, last / 2, n) if last > first else np.array([first])
    if statistic == "mean":
        shows = f"the mean of the runs, and its {confidence:.4g} t interval"
    else:
        shows = "the median of the runs, and their middle half"
    bands = [
        _band(group, _on_grid(curves, grid), grid, statistic, confidence, shows)
        for group, curves in usable
    ]
    return sorted(bands, key=lambda one: -one.total)


def _finite(curve: Curve) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    x, values = bounded(floats_of(curve.x, "steps")), floats_of(curve.values)
    if len(x) != len(values):
        raise InvalidValue(f"a curve has steps of shape {x.shape} and values of {values.shape}")
    kept = np.isfinite(x) & np.isfinite(values)
    if not kept.any():
        return None
    x, values = x[kept], values[kept]
    order = np.argsort(x, kind="stable")
    return x[order], values[order]


def _on_grid(
    curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the curves as rows, NaN beyond their ends; between them, where they are between."""
    rows = np.empty((len(curves), len(grid)))
    # Scaled by a power of two, which changes nothing but that no slope over tiny steps is infinite.
    power = -math.frexp(float(np.abs(grid).max()))[1]
    grid = np.ldexp(grid, power)
    for row, (steps, values) in zip(rows, curves, strict=True):
        x = np.ldexp(steps, power)
        scale = float(np.abs(values).max()) or 1.0  # from -1e308 to 1e308 is too far to subtract
        scaled = values / scale
        row[:] = np.interp(grid, x, scaled, left=np.nan, right=np.nan)
        if np.isnan(row).all():  # it lies between two steps of the grid
            nearest = int(np.abs(grid - x[0]).argmin())
            row[nearest] = np.interp(grid[nearest], x, scaled)
        np.multiply(row, scale, out=row)
    return rows


def _band(
    group: Any,
    rows: NDArray[np.float64],
    grid: NDArray[np.float64],
    statistic: str,
    confidence: float,
    shows: str,
) -> Band:
    runs = (~np.isnan(rows)).sum(axis=0)
    covered = np.flatnonzero(runs)
    part = slice(covered[0], covered[-1] + 1)
    runs, rows = runs[part], rows[:, part]
    average = _mean if statistic == "mean" else _median
    middle, low, high = (np.full(len(runs), np.nan) for _ in range(3))
    for count in np.unique(runs[runs > 0]):
        at = np.flatnonzero(runs == count)
        # As many values in each of these columns, so that what is missing can be cut off.
        values = np.sort(rows[:, at], axis=0)[:count]
        middle[at], low[at], high[at] = average(values, confidence)
    return Band(group, grid[part], middle, low, high, runs.astype(np.int64), len(rows), shows)


def _mean(values: NDArray[np.float64], confidence: float) -> Any:
    count = len(values)
    largest = np.abs(values).max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)  # sums near the greatest float overflow
    scaled = values / scale
    mean = scaled.mean(axis=0)
    if count == 1:
        return mean * scale, np.nan, np.nan
    quantile = float(load("scipy.special").stdtrit(count - 1, 0.5 + confidence / 2))
    half = quantile * scaled.std(axis=0, ddof=1) / math.sqrt(count)
    with np.errstate(over="ignore"):
        return mean * scale, (mean - half) * scale, (mean + half) * scale


def _median(values: NDArray[np.float64], _confidence: float) -> Any:
    if len(values) == 1:
        return values[0], np.nan, np.nan
    with np.errstate(over="ignore", invalid="ignore"):
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
    return middle, low, high
