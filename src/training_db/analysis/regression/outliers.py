"""Which of some runs lie far off the others."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGMA = 0.6745  # the median absolute deviation of a normal distribution
_FAR = 7.0
_SHARE = 0.01
_FEWEST = 3  # of two that differ, neither is the odd one


def far_off(values: Sequence[float], keep: int) -> list[int]:
    """Return the places of values so far off the others that they are no noise, on either side.

    These are values whose modified z-score, their distance from the median in median absolute
    deviations, is beyond 7 (B. Iglewicz & D. C. Hoaglin, "How to Detect and Handle Outliers",
    1993). There, 3.5 marks a value to look at. Here nobody looks, and at 3.5 a limit by the noise
    of 5 normal values that are left is passed four times as often as it says, of 10 twice; at 7,
    twice and 1.1 times. Where more than half of them are equal, the deviation is 0 and 1 % of
    the median stands in for it; where that is 0 too, none is far off.

    Args:
        values: Finite values.
        keep: How many are left at least, and 3; of more that are far off, the farthest go.

    Example:
        >>> far_off([0.31, 0.3, 300.0, 0.29, 0.3], 3)
        [2]
    """
    most = len(values) - max(keep, _FEWEST)
    if most <= 0:
        return []
    parts = [value / 4 for value in values]  # differences of 1e308 are not finite
    middle = median(parts)
    distances = [abs(part - middle) for part in parts]
    spread = median(distances) / _SIGMA or abs(middle) * _SHARE
    farthest = sorted(range(len(values)), key=distances.__getitem__, reverse=True)[:most]
    return sorted(place for place in farthest if spread and distances[place] > _FAR * spread)
