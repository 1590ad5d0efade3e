"""Intervals of shares and means: how far the truth may be from what was counted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mean = tuple[float, float, float, Literal["bootstrap", "t"] | None]

FEWEST_DRAWN = 5
"""Values from which a mean gets a bootstrap interval; resamples of fewer spread too little."""
LARGEST_DRAWN = 2_000
"""Values up to which it gets one; beyond, it and the t interval coincide."""
RESAMPLES = 2_000
MOST_RESAMPLES = 1_000_000
_CELLS = 2**21  # values drawn at a time: 16 MiB


def check_confidence(confidence: float) -> float:
    """Return the confidence of an interval.

    Raises:
        InvalidValue: It is not between 0 and 1.
    """
    is_number = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if not is_number or not 0 < confidence < 1:
        raise InvalidValue(f"confidence is {confidence!r}; pass a number between 0 and 1, as 0.95")
    return float(confidence)


def check_draws(resamples: int, seed: int) -> None:
    """Check how often is drawn at random, and by which seed.

    Raises:
        InvalidValue: The resamples are no whole number from 1 to 1,000,000, or the seed is no
            whole number from 0 on.
    """
    for name, number, least, most in (
        ("resamples", resamples, 1, MOST_RESAMPLES),
        ("seed", seed, 0, math.inf),
    ):
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not is_whole or not least <= number <= most:
            upper = f" to {most:,}" if math.isfinite(most) else " on"
            raise InvalidValue(f"{name} is {number!r}; pass a whole number from {least}{upper}")


def share_interval(count: int, of: int, confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the interval of a share, such as of the runs that completed.

    Wilson's interval, which keeps its promise for few runs and for shares of 0 and 1 (E. B. Wilson,
    "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927; Brown,
    Cai & DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science 16, 2001).

    Args:
        count: How many.
        of: Among how many.
        confidence: Of the interval.

    Returns:
        Its lower and its upper end; ``None`` where there are none to count among.

    Example:
        >>> low, high = share_interval(8, 10)
        >>> round(low, 3), round(high, 3)
        (0.49, 0.943)
    """
    if of == 0:
        return None
    z = float(load("scipy.special").ndtri(0.5 + check_confidence(confidence) / 2))
    share, slack = count / of, z * z / of
    centre = (share + slack / 2) / (1 + slack)
    half = z / (1 + slack) * math.sqrt(share * (1 - share) / of + slack / (4 * of))
    return max(0.0, centre - half), min(1.0, centre + half)


def mean_interval(
    values: NDArray[np.float64],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Mean:
    """Return the mean of values and its interval.

    Of 5 to 2,000 values the interval is the expanded bootstrap percentile interval: percentiles of
    the means of resamples, further out for few values as the t interval is further out than the
    normal one (T. C. Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    Statistician 69, 2015). Resamples never reach beyond the values: made of 3, such an interval of
    95 % would hold the mean three times in four. So of fewer values it is the t interval (Student,
    "The Probable Error of a Mean", Biometrika 6, 1908), and of more, where both coincide, too.

    Args:
        values: Finite, of shape (n,), n at least 1.
        confidence: Of the interval.
        resamples: How often to draw as many values again.
        seed: Of the draws.

    Returns:
        The mean, both ends of the interval, and how it was made; the ends are NaN for one value.

    Example:
        >>> mean, low, high, how = mean_interval(np.array([0.5, 0.6, 0.7, 0.6, 0.5]))
        >>> round(mean, 2), round(low, 2), round(high, 2), how
        (0.58, 0.5, 0.68, 'bootstrap')
    """
    largest = float(np.abs(values).max())
    scale = largest if largest > 0 else 1.0  # sums of values near the greatest float overflow
    scaled = values / scale
    mean = float(scaled.mean())
    if len(values) == 1:
        return mean * scale, math.nan, math.nan, None
    if not FEWEST_DRAWN <= len(values) <= LARGEST_DRAWN:
        quantile = float(load("scipy.special").stdtrit(len(values) - 1, 0.5 + confidence / 2))
        half = quantile * float(scaled.std(ddof=1)) / math.sqrt(len(values))
        return mean * scale, (mean - half) * scale, (mean + half) * scale, "t"
    tail = _expanded_tail(confidence, len(values))
    low, high = np.quantile(_resampled_means(scaled, resamples, seed), [tail, 1 - tail])
    return mean * scale, float(low) * scale, float(high) * scale, "bootstrap"


def _resampled_means(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    dice = np.random.default_rng(seed)
    means = np.empty(resamples)
    at_once = max(1, _CELLS // len(values))
    for start in range(0, resamples, at_once):
        count = min(at_once, resamples - start)
        drawn = dice.integers(len(values), size=(count, len(values)), dtype=np.int32)
        means[start : start + count] = values[drawn].mean(axis=1)
    return means


def _expanded_tail(confidence: float, count: int) -> float:
    special = load("scipy.special")
    quantile = special.stdtrit(count - 1, (1 - confidence) / 2)
    return float(special.ndtr(math.sqrt(count / (count - 1)) * quantile))
