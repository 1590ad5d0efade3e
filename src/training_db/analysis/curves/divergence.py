"""Divergence: a curve that leaves its best value by far, and does not come back."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.curves.noise import median, noise_around

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_db.analysis.curves.curve import Curve
    from training_db.analysis.direction import Direction

    Floats = NDArray[np.float64]

_FEWEST = 8  # points in which a curve can fall and rise
_LOST = 0.6  # of all that was gained, that is lost again
_CLEAR = 6.0  # standard deviations of the noise that both gain and loss are above
_BLOWN = 10.0  # times the size it began with: a loss that never fell
_LEFT = 0.1  # of what is lost: here it begins
_BEFORE = 0.5  # of what is lost, that was lost before and came back: so this may too
_END = 0.05  # of the points make up the end


@dataclass(frozen=True, slots=True)
class Divergence:
    """A curve that leaves its best value by far, and does not come back; or ends non-finite.

    It is one where the curve loses more than 60 % of all that it had gained, and stays there to
    the end, at least twice as far as from where it came back before. Both the gain and the loss
    have to stand 6 standard deviations out of the noise: a loss of validation that slowly comes
    back up by a part is overfitting, not this. Where it is known that less is better, a curve that
    never gained diverges too, if it ends ten times as large as it began.

    Attributes:
        step: Where it leaves its best value for good; with values that are not finite alone, the
            first of those at the end.
        best: Its best level before; NaN where there was none.
        final: What it ends at; NaN or infinite where it ends so.
    """

    step: float
    best: float
    final: float


def divergence_of(
    curve: Curve,
    scaled: Curve,
    smooth: Floats,
    power: int,
    direction: Direction | None,
) -> Divergence | None:
    """Tell whether a curve diverges.

    Args:
        curve: The curve.
        scaled: What of it is finite, in units in which nothing overflows.
        smooth: The rolling median of that, of shape (n,).
        power: Of two, that takes it back to the units of the curve.
        direction: What is better.

    Returns:
        The divergence, or None.
    """
    ends = len(curve) and not math.isfinite(curve.values[-1])
    found = _leaving(scaled, smooth, power, direction)
    if not ends:
        return found
    last = float(curve.values[-1])
    if found is not None:
        return Divergence(found.step, found.best, last)
    is_finite = np.isfinite(curve.values)
    first = int(np.flatnonzero(is_finite)[-1]) + 1 if is_finite.any() else 0
    best = math.nan
    if len(smooth):
        at = int(np.argmax(smooth) if direction == "maximize" else np.argmin(smooth))
        best = float(np.ldexp(smooth[at], power))
    return Divergence(curve.step(first), best, last)


def _leaving(
    scaled: Curve, smooth: Floats, power: int, direction: Direction | None
) -> Divergence | None:
    values, n = scaled.values, len(scaled)
    if n < _FEWEST:
        return None
    sign = -1.0 if direction == "maximize" else 1.0
    level, points = sign * smooth, sign * values
    low = int(np.argmin(level))
    tail = max(3, math.ceil(_END * n))
    final = median(points[-tail:])
    gained = float(level[: low + 1].max() - level[low])
    lost = final - float(level[low])
    noise = noise_around(values, smooth)
    if lost <= _CLEAR * noise or lost <= 0:
        return None
    if gained <= _CLEAR * noise or lost <= _LOST * gained:
        # It never fell: then only its size tells, and only where less is known to be better.
        began = abs(median(points[: max(3, tail)]))
        if direction is None or final <= _BLOWN * began:
            return None
    left = level > level[low] + max(_LEFT * lost, min(3 * noise, 0.5 * lost))
    (near,) = np.nonzero(~left)
    begin = int(near[-1]) + 1
    if begin == n:
        return None  # its last values are about to be back
    came_back = float(level[near[0] : begin].max() - level[low])
    if came_back > _BEFORE * lost:
        return None
    best, last = np.ldexp((smooth[low], values[-1]), power).tolist()
    return Divergence(scaled.step(begin), best, last)
