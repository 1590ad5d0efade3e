"""How noisy a curve is, by measures that neither trends nor outliers sway."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.curves.curve import Curve
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SIGMA = 1.482602218505602
"""Standard deviations in a median absolute deviation, of what is normally distributed."""

_TENTH = 1.6448536269514722  # standard deviations beyond which a tenth of a normal lies

_STEADIEST = 0.95  # of neighbouring values; more cannot be told from a trend
_MEDIAN = math.sqrt(math.pi / 2)  # error of a median over that of a mean, of normal noise
_FAR = 4.0  # sigmas from the rolling median at which a value is held


def point_noise(values: Floats) -> float:
    """Estimate the standard deviation of the noise of single points, whatever the trend.

    Args:
        values: Finite values of shape (n,).

    Returns:
        It, by the median of the absolute second differences, so that neither a trend nor some
        spikes count; 0 for fewer than 3 values.

    Source: Gasser, Sroka, Jennen-Steinmetz, "Residual variance and residual pattern in nonlinear
    regression" (Biometrika, 1986), with the median absolute deviation of Hampel (1974) for spread.

    Example:
        >>> point_noise(np.arange(100.0))
        0.0
    """
    if len(values) < 3:
        return 0.0
    return spread(np.diff(values, 2)) / math.sqrt(6)


def spread(offsets: Floats) -> float:
    """Return the robust standard deviation of offsets around 0, of shape (n,), n > 0.

    Where more than half of them are 0, as of values of few levels, the largest tenth tells.
    """
    size = np.abs(offsets)
    last = (len(size) - 1) * 9 // 10
    return SIGMA * median(size) or float(np.partition(size, last)[last]) / _TENTH


def noise_around(values: Floats, middle: Floats) -> float:
    """Return the robust standard deviation of values around their rolling median.

    Of noise with a memory the median shows more than the differences of neighbours do; of values
    of few levels, which it follows, the differences show more.

    Args:
        values: Of shape (n,), n > 0.
        middle: Their rolling median.
    """
    return max(SIGMA * median(np.abs(values - middle)), point_noise(values))


def memory_noise(values: Floats) -> tuple[float, float]:
    """Estimate how noisy points are, and how much of it is carried on from one to the next.

    By differences, in which a slow trend vanishes: for noise of the first order with correlation
    r, the variance of differences over two points is 1 + r times that over one.

    Args:
        values: Finite values of shape (n,).

    Returns:
        The standard deviation of the noise, and its correlation from point to point, from 0 to
        0.95; 0 for fewer than 4 values.

    Source: what an estimate of a short curve is too small by is that of Kendall, "Note on bias in
    the estimation of autocorrelation", Biometrika 41, 1954.
    """
    if len(values) < 4:
        return 0.0, 0.0
    one, two = (_scatter(values[lag:] - values[:-lag]) for lag in (1, 2))
    if one == 0.0:
        return 0.0, 0.0
    carried = min(two / one, 2.0) ** 2 - 1.0  # more is cut off below
    carried += (1.0 + 3.0 * carried) / len(values)
    carried = min(max(carried, 0.0), _STEADIEST)
    return one / math.sqrt(2.0 * (1.0 - carried)), carried


def _scatter(differences: Floats) -> float:
    return spread(differences - median(differences))


def mean_error(noise: tuple[float, float], points: NDArray[np.int64]) -> Floats:
    """Return the standard deviation of means of so many neighbouring points each.

    Args:
        noise: As :func:`memory_noise` returns it.
        points: At least 1.
    """
    deviation, carried = noise
    inflation = (1.0 + carried) / (1.0 - carried)
    error: Floats = deviation * np.sqrt(np.minimum(inflation / points, 1.0))
    return error


def median_error(noise: tuple[float, float], points: NDArray[np.int64]) -> Floats:
    """Return the standard deviation of medians of so many neighbouring points each.

    Args:
        noise: As :func:`memory_noise` returns it.
        points: At least 1.
    """
    error = mean_error(noise, points)
    found: Floats = np.where(points > 2, np.minimum(_MEDIAN * error, noise[0]), error)
    return found


def median(values: Floats) -> float:
    """Return the median of finite values of shape (n,), n > 0: numpy's own checks take longer."""
    middle = len(values) // 2
    if len(values) % 2:
        return float(np.partition(values, middle)[middle])
    low, high = np.partition(values, (middle - 1, middle))[middle - 1 : middle + 1]
    return float(low + (high - low) / 2)  # of norms, the sum may be more than a float holds


def rolling_median(values: Floats, width: int) -> Floats:
    """Return the median of the ``width`` values around each.

    Beyond its ends the curve is taken to go on as it came, turned by half a circle around its end:
    a curve that is steep there has no outlier.

    Args:
        values: Of shape (n,), n > 0.
        width: Odd; that many, or as many as there are.

    Returns:
        Of shape (n,).
    """
    half = min(width // 2, len(values) - 1)
    before = 2 * _end(values) - values[half:0:-1]
    behind = 2 * _end(values[::-1]) - values[-2 : -half - 2 : -1]
    around = np.concatenate((before, values, behind))
    smooth: Floats = load("scipy.ndimage").median_filter(around, 2 * half + 1)
    middle: Floats = smooth[half : half + len(values)]
    return np.clip(middle, values.min(), values.max())


def _end(values: Floats) -> float:
    """Return where a curve begins, along a line, even where one of its first values is far off."""
    level = median(values[:3])
    if len(values) < 5:
        return level
    lines = (2 * values[1] - values[2], 2 * values[2] - values[4])
    return median(np.array([values[0], *lines, level]))


def rolling_spread(offsets: Floats, width: int) -> Floats:
    """Return the robust standard deviation of the ``width`` offsets from 0 around each.

    Args:
        offsets: Of shape (n,), n > 0.
        width: Odd; that many, or as many as there are.

    Returns:
        Of shape (n,).
    """
    size = np.abs(offsets)
    found: Floats = load("scipy.ndimage").median_filter(size, width, mode="reflect")
    return SIGMA * found


def without_spikes(values: Floats) -> Floats:
    """Return the values with those held back that leap out of the values around them.

    Args:
        values: Of shape (n,), n > 0.

    Returns:
        Of shape (n,), each at most 4 robust standard deviations from its rolling median; the first
        and the last twice the step before it more, as of a curve that is steep there.

    Source: Hampel's filter; Davies and Gather, "The identification of multiple outliers" (1993).
    """
    middle = rolling_median(values, min(max(len(values) // 20 * 2 + 1, 5), 31))
    reach = np.full(len(values), _FAR * noise_around(values, middle))
    if len(values) > 2:
        reach[[0, -1]] += 2 * np.abs(values[[1, -2]] - values[[2, -3]])
    held: Floats = np.clip(values, middle - reach, middle + reach)
    return held


def calmed(curve: Curve) -> tuple[Curve, int]:
    """Hold back the spikes of a curve, and bring what is left to -1 ... 1.

    Twice: beside a spike of 1e308 the rest is so small that its squares are 0.

    Args:
        curve: Finite, of n > 0 points.

    Returns:
        The curve divided by a power of two, and the power.
    """
    scaled, power = curve.scaled()
    calm, smaller = Curve(curve.steps, without_spikes(scaled.values)).scaled()
    return calm, power + smaller
