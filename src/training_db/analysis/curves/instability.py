"""Instability: spikes, values that are not finite, and a curve that leaves its best for good."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.curves.curve import Curve, as_curve
from training_db.analysis.curves.divergence import Divergence, divergence_of
from training_db.analysis.curves.noise import rolling_median, rolling_spread, spread
from training_db.analysis.direction import direction_if_said
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_FEWEST = 8  # points among which one can stand out
_NARROWEST, _WIDEST = 11, 51  # points around a value that it is compared with
_LONGEST = 0.25  # of those, that a spike takes at most; what stays longer is no spike
_LEAP = 3.0  # typical differences of neighbours, that a spike leaps by
_SUDDEN = 0.25  # of its height, that a spike leaps by at once
_STEEP = 0.3  # of the way that the curve goes around a spike, that it stands out by at least
_LARGEST = 1e6  # size, of a spike among values that are all the same
_STILL = 0.25  # of the spread of the whole curve, that a part of it is taken to have at least


@dataclass(frozen=True, slots=True)
class Spike:
    """A few values that leap out of those around them, and come back.

    Attributes:
        step: Of the value that stands out farthest.
        value: That value.
        size: By how many robust standard deviations of the values around it, at most a million;
            negative downwards.
        points: How many values in a row stand out.
    """

    step: float
    value: float
    size: float
    points: int


@dataclass(frozen=True, slots=True)
class NonFinite:
    """The values of a curve that are NaN or infinite.

    Attributes:
        nan: How many are NaN.
        positive: How many are +Inf.
        negative: How many are -Inf.
        first: The step of the first of them.
        last: The step of the last of them.
    """

    nan: int
    positive: int
    negative: int
    first: float
    last: float

    @property
    def count(self) -> int:
        """How many there are."""
        return self.nan + self.positive + self.negative


@dataclass(frozen=True, slots=True)
class Instability:
    """What was unstable in a curve; false where nothing was.

    Attributes:
        spikes: In the order of their steps.
        non_finite: None where all values are finite.
        divergence: None where the curve does not leave its best for good.
    """

    spikes: tuple[Spike, ...] = ()
    non_finite: NonFinite | None = None
    divergence: Divergence | None = None

    def __bool__(self) -> bool:
        return bool(self.spikes or self.non_finite or self.divergence)


def detect_instability(
    values: ArrayLike,
    steps: ArrayLike | None = None,
    *,
    direction: str | None = None,
    threshold: float = 7.0,
) -> Instability:
    """Tell what is unstable in a curve: spikes, NaN and infinities, divergence.

    A spike is one or a few values in a row that leave the median of the 11 to 51 values around by
    more than ``threshold`` robust standard deviations of these, by a leap, and come back. Neither
    a step of the curve nor its steep beginning is one. What divergence is,
    :class:`~training_db.analysis.curves.divergence.Divergence` says.

    Args:
        values: Numbers of shape (n,). What is not finite is counted, and else left out; fewer than
            8 finite values have no spikes.
        steps: Finite numbers of shape (n,); 0, 1, 2 ... by default.
        direction: ``"minimize"`` or ``"maximize"``: which way is better, for divergence. By default
            a curve is taken for a loss, which has to have fallen before it can diverge.
        threshold: Robust standard deviations; above 0.

    Returns:
        What was found; false where nothing was.

    Raises:
        InvalidValue: Something that is no number, as many steps as there are no values, or a
            threshold that is not above 0.
        UnknownName: A direction that does not exist.
        MissingExtra: scipy is not installed.

    Source: the Hampel identifier, a rolling median and median absolute deviation; Pearson,
    Neuvo, Astola, Gabbouj, "Generalized Hampel filters" (2016).

    Example:
        >>> import numpy as np
        >>> loss = np.exp(-np.arange(200) / 40) + np.random.default_rng(0).normal(0, 0.01, 200)
        >>> loss[120] += 2
        >>> loss[150] = np.nan
        >>> found = detect_instability(loss)
        >>> [(spike.step, spike.points) for spike in found.spikes], found.non_finite.first
        ([(120, 1)], 150)
        >>> found.divergence is None
        True
    """
    if not threshold > 0:
        raise InvalidValue(f"threshold must be above 0, not {threshold}")
    better = direction_if_said(direction)
    curve = as_curve(values, steps)
    finite = curve.finite()
    scaled, power = finite.scaled()
    smooth = _smooth(scaled.values)
    return Instability(
        _spikes(finite, scaled.values, smooth, threshold),
        _non_finite(curve),
        divergence_of(curve, scaled, smooth, power, better),
    )


def _smooth(values: Floats) -> Floats:
    return rolling_median(values, _width(len(values))) if len(values) else values


def _width(points: int) -> int:
    return min(max(points // 20 * 2 + 1, _NARROWEST), _WIDEST, points // 4 * 2 + 1)


def _spikes(finite: Curve, values: Floats, smooth: Floats, threshold: float) -> tuple[Spike, ...]:
    if len(values) < _FEWEST:
        return ()
    off = values - smooth
    width = _width(len(values))
    # Where it is still for a while, by chance or rounding, or steep, little stands out yet.
    steep = load("scipy.ndimage").maximum_filter(smooth, width)
    steep = steep - load("scipy.ndimage").minimum_filter(smooth, width)
    scale = np.maximum(rolling_spread(off, width), _STILL * spread(off))
    scale = np.maximum(scale, _STEEP / threshold * steep)
    with np.errstate(over="ignore"):  # it is cut to the largest below
        size = np.divide(off, scale, out=np.copysign(_LARGEST, off), where=scale > 0)
    size[off == 0] = 0.0
    size = np.clip(size, -_LARGEST, _LARGEST)
    found = np.flatnonzero(np.abs(size) > threshold)
    if not len(found):
        return ()
    leap = _LEAP * spread(np.diff(values))
    spikes = []
    # One value that is back in between does not make two spikes of one.
    for part in np.split(found, np.flatnonzero(np.diff(found) > 2) + 1):
        begin, end = part[0], part[-1]
        if end - begin + 1 > max(_LONGEST * width, 3):
            continue
        if begin == 0 or end == len(values) - 1:
            continue  # it comes from nowhere, or does not come back yet
        around = values[begin - 1 : end + 2]
        peak = part[np.argmax(np.abs(size[part]))]
        height = abs(off[peak])
        if np.abs(np.diff(around)).max() > max(leap, _SUDDEN * height):
            value = float(finite.values[peak])
            spikes.append(Spike(finite.step(peak), value, float(size[peak]), len(part)))
    return tuple(spikes)


def _non_finite(curve: Curve) -> NonFinite | None:
    (found,) = np.nonzero(~np.isfinite(curve.values))
    if not len(found):
        return None
    values = curve.values[found]
    return NonFinite(
        nan=int(np.isnan(values).sum()),
        positive=int(np.isposinf(values).sum()),
        negative=int(np.isneginf(values).sum()),
        first=curve.step(found[0]),
        last=curve.step(found[-1]),
    )
