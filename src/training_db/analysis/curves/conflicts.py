"""Objectives that part ways: which get better while others get worse, since when, how surely."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.curve import bounded, floats_of, steps_of
from training_db.analysis.curves.windows import begin, trends, windows_of
from training_db.analysis.direction import direction_if_said
from training_db.errors import InvalidValue, UnknownName
from training_db.extras import load
from training_db.segments import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training_db.analysis.curves.windows import Windows

    Array = NDArray[np.float64]

FEWEST = 18
"""Points below which nothing is said of conflicts."""

_WINDOWS = 20
_A_WINDOW = 3  # points, at least
_STRETCH = 4  # windows, at least: two in each half
_NEGLIGIBLE = 0.1  # of all that an objective ever changed
_HALF = 0.2  # of the change over a stretch: what each half of it makes, at least
_ALPHA = 0.01
_BEYOND_DOUBT = 100.0  # standard errors
_LENGTH = 1e-3


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two objectives that part ways over a stretch of a training.

    Attributes:
        better: The objective that gets better there.
        worse: The objective that gets worse.
        since: The step from which on.
        until: The last step of the stretch.
        lasting: Whether the stretch lasts to the end of the curves.
        correlation: Spearman's rank correlation of the two over the stretch, both turned so that
            more is better; -1 where one gets worse whenever the other gets better.
        share: Which share of the windows of the training the stretch takes up, in (0, 1].
        p_value: How likely noise alone would look like this in any pair and stretch.
        better_change: By how much the one changes over the stretch, in its own unit.
        worse_change: By how much the other does.
    """

    better: str
    worse: str
    since: float
    until: float
    lasting: bool
    correlation: float
    share: float
    p_value: float
    better_change: float
    worse_change: float


@dataclass(frozen=True, slots=True)
class ConflictMatrix:
    """How objectives go together, for a heat map.

    Attributes:
        names: The objectives, in order.
        correlation: Spearman's rank correlation of each two over the windows of the training, all
            turned so that more is better: float64 of shape (n, n), 1 where they get better
            together, -1 where one gets worse as the other gets better, NaN where it is not
            defined, as for one that never changes.
    """

    names: tuple[str, ...]
    correlation: NDArray[np.float64]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {"names": list(self.names), "correlation": self.correlation.tolist()}


def detect_conflicts(
    series: Mapping[str, Any],
    steps: Any = None,
    directions: Mapping[str, str | None] | None = None,
    windows: int | None = None,
) -> list[Conflict]:
    """Find the objectives that part ways: one gets better while the other gets worse.

    The training is cut into windows of equal numbers of points. Over every stretch of at least
    four windows, each objective's trend is a straight line through the windows' medians, by least
    squares, and its weight the slope over its standard error, whose noise is estimated from the
    curve with its correlation from point to point. Two objectives part ways over a stretch where
    both trends are surer than noise, of opposite sense, in both halves of the stretch, and no less
    than a tenth of all that the objective changed. Of each pair the clearest stretch is told.

    Args:
        series: For each objective its values, all at the same steps, each of shape (n,). NaN and
            infinities are left out.
        steps: Where the values stand, finite numbers of shape (n,), in any order; 0, 1, 2 ... if
            not given.
        directions: For each objective ``"maximize"`` or ``"minimize"``; the former where nothing
            is said.
        windows: Into how many windows to cut; at most 20, of at least 3 points, if not given.

    Returns:
        The conflicts, the surest first; none where there are fewer than 18 points.

    Raises:
        InvalidValue: Series that are no numbers or of different lengths, steps that are not one
            finite number for each value, or a number of windows that cannot be.
        UnknownName: A direction that does not exist, or one of an objective that is not there.

    Sources:
        A trend in both is tested by the lesser of the two (the intersection-union test: Berger,
        "Multiparameter hypothesis testing and acceptance sampling", Technometrics 24, 1982), over
        all pairs and stretches by Bonferroni's correction, at 1 %. The noise of neighbours that
        go together is inflated by (1 + r) / (1 - r) (Santer et al., "Statistical significance of
        trends and trend differences in layer-average atmospheric temperature time series",
        J. Geophys. Res. 105, 2000).

    Example:
        >>> rise = [0.01 * step for step in range(100)]
        >>> fall = [0.5 if step < 50 else 1.0 - 0.01 * step for step in range(100)]
        >>> [conflict] = detect_conflicts({"QED": rise, "novelty": fall})
        >>> conflict.better, conflict.worse, conflict.since, conflict.lasting
        ('QED', 'novelty', 50, True)
    """
    return _conflicts(*_cut(series, steps, directions, windows))


def conflict_matrix(
    series: Mapping[str, Any],
    steps: Any = None,
    directions: Mapping[str, str | None] | None = None,
    windows: int | None = None,
) -> ConflictMatrix:
    """Return how objectives go together over a training, for a heat map.

    Args:
        series: As for :func:`detect_conflicts`, and likewise the rest.
        steps: Where the values stand.
        directions: Which way each objective gets better.
        windows: Into how many windows to cut.

    Returns:
        The correlations; NaN where there are too few points to tell.

    Example:
        >>> rise = [0.01 * step for step in range(100)]
        >>> matrix = conflict_matrix({"QED": rise, "SA": rise}, directions={"SA": "minimize"})
        >>> matrix.correlation.round(2).tolist()
        [[1.0, -1.0], [-1.0, 1.0]]
    """
    return _matrix(*_cut(series, steps, directions, windows))


def conflicts_and_matrix(
    series: Mapping[str, Any],
    steps: Any = None,
    directions: Mapping[str, str | None] | None = None,
) -> tuple[list[Conflict], ConflictMatrix]:
    """Return what :func:`detect_conflicts` and :func:`conflict_matrix` do, at once."""
    cut = _cut(series, steps, directions, None)
    return _conflicts(*cut), _matrix(*cut)


def _cut(
    series: Mapping[str, Any],
    steps: Any,
    directions: Mapping[str, str | None] | None,
    windows: int | None,
) -> tuple[list[str], Array, Windows | None]:
    """Return the names, the sign that turns each better side up, and the turned curves' windows."""
    names = list(series)
    for name in directions or {}:
        if name not in series:
            raise UnknownName("objective", name, names)
    curves = [floats_of(values, f"the series {name!r}") for name, values in series.items()]
    lengths = {name: len(curve) for name, curve in zip(names, curves, strict=True)}
    if len(set(lengths.values())) > 1:
        raise InvalidValue(f"the series have different lengths ({lengths}); pass one value a step")
    down = [direction_if_said((directions or {}).get(name)) == "minimize" for name in names]
    signs = np.where(down, -1.0, 1.0)
    count = _checked(windows)
    places = steps_of(steps, len(curves[0]) if curves else 0)
    order = np.argsort(places, kind="stable")
    if len(names) < 2 or len(order) < max(FEWEST, count or 0):
        return names, signs, None
    turned = signs[:, None] * bounded(np.stack(curves)[:, order])
    if count is None:
        count = min(_WINDOWS, len(order) // _A_WINDOW)
    return names, signs, windows_of(turned, places[order].astype(np.float64), count)


def _conflicts(names: list[str], signs: Array, cut: Windows | None) -> list[Conflict]:
    if cut is None:
        return []
    slopes, certainty = trends(cut)
    tests = len(names) * (len(names) - 1) * _stretches(len(cut.centre))
    found = []
    for first, second in combinations(range(len(names)), 2):
        stretch = _clearest(slopes, certainty, cut, first, second)
        if stretch is None or _p_value(certainty[[first, second], *stretch], tests) > _ALPHA:
            continue
        stretch = (max(begin(cut, one, *stretch) for one in (first, second)), stretch[1])
        p_value = _p_value(certainty[[first, second], *stretch], tests)
        if p_value <= _ALPHA and slopes[first][stretch] * slopes[second][stretch] < 0.0:
            pair = (first, second) if slopes[first][stretch] > 0.0 else (second, first)
            found.append(_conflict(names, signs, cut, slopes, pair, stretch, p_value))
    return sorted(found, key=lambda one: one.p_value)


def _matrix(names: list[str], _: Array, cut: Windows | None) -> ConflictMatrix:
    correlation = np.full((len(names), len(names)), np.nan)
    if cut is not None:
        for first in range(len(names)):
            for second in range(first, len(names)):
                both = _rank_correlation(cut.level[first], cut.level[second])
                correlation[first, second] = correlation[second, first] = both
    return ConflictMatrix(tuple(names), correlation)


def _checked(windows: int | None) -> int | None:
    if windows is None:
        return None
    if isinstance(windows, bool) or not isinstance(windows, int) or windows < _STRETCH:
        raise InvalidValue(f"windows is {windows!r}; cut into at least {_STRETCH}")
    return windows


def _stretches(windows: int) -> int:
    return (windows - _STRETCH + 1) * (windows - _STRETCH + 2) // 2


def _clearest(
    slopes: Array, certainty: Array, cut: Windows, first: int, second: int
) -> tuple[int, int] | None:
    """Return the first and last window of the stretch over which two part most clearly."""
    size = len(cut.centre)
    start, stop = np.indices((size, size))
    middle = (start + stop) // 2
    halves = ((start, middle), (np.minimum(middle + 1, size - 1), stop))
    one, other = slopes[first], slopes[second]
    parts = (stop - start + 1 >= _STRETCH) & (one * other < 0.0)
    span = cut.centre[None, :] - cut.centre[:, None]
    for slope, level in ((one, cut.level[first]), (other, cut.level[second])):
        known = np.isfinite(level)
        whole = np.ptp(level[known]) if known.any() else 0.0
        parts &= known[start] & known[stop] & (np.abs(slope * span) >= _NEGLIGIBLE * whole)
        for half in halves:
            parts &= slope[half] * np.sign(slope) >= 2.0 * _HALF * np.abs(slope)
    # Without noise every part of a stretch is as clear as the whole: then the longest counts.
    both = np.minimum(np.abs(certainty[[first, second]]).min(axis=0), _BEYOND_DOUBT)
    clear = np.where(parts, both + _LENGTH * span, 0.0)
    place = np.unravel_index(int(clear.argmax()), clear.shape)
    return (int(place[0]), int(place[1])) if clear[place] > 0.0 else None


def _conflict(
    names: list[str],
    signs: Array,
    cut: Windows,
    slopes: Array,
    pair: tuple[int, int],
    stretch: tuple[int, int],
    p_value: float,
) -> Conflict:
    start, stop = stretch
    inside = slice(start, stop + 1)
    span = cut.centre[stop] - cut.centre[start]
    better, worse = pair
    return Conflict(
        better=names[better],
        worse=names[worse],
        since=_step(cut.first[start]),
        until=_step(cut.last[stop]),
        lasting=stop == len(cut.centre) - 1,
        correlation=_rank_correlation(cut.level[better, inside], cut.level[worse, inside]),
        share=(stop - start + 1) / len(cut.centre),
        p_value=p_value,
        better_change=float(signs[better] * cut.scale[better] * slopes[better][stretch] * span),
        worse_change=float(signs[worse] * cut.scale[worse] * slopes[worse][stretch] * span),
    )


def _step(place: np.float64) -> float:
    step = float(place)
    return int(step) if step.is_integer() and abs(step) < EXACT else step


def _p_value(certainties: Array, tests: int) -> float:
    least = float(np.abs(certainties).min())
    return min(1.0, tests * math.erfc(least / math.sqrt(2.0)) / 2.0)


def _rank_correlation(one: Array, other: Array) -> float:
    """Return Spearman's correlation; NaN where one of them never changes."""
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < 3:
        return math.nan
    ranks = load("scipy.stats").rankdata(np.stack([one[both], other[both]]), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    size = np.sqrt((ranks**2).sum(axis=1))
    return float((ranks[0] * ranks[1]).sum() / size.prod()) if size.all() else math.nan
