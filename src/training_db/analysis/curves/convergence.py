"""How fast a curve got to where it got."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.curve import as_curve
from training_db.analysis.curves.noise import calmed, mean_error, memory_noise
from training_db.analysis.direction import Direction, direction_if_said
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

FEWEST = 8
"""Points below which nothing is said of convergence."""

_SHARES = (0.5, 0.9, 0.95, 0.99)
_TAIL = 10  # of so many parts, the last one is where it ended
_FINE = 0.02  # of the change: how exact the smooth curve has to be
_WIDEST = 20  # of so many parts of the curve, one at most is smoothed over
_CLEAR = 4.0  # standard errors that a change has to be away from none
_NEGLIGIBLE = 16 * np.finfo(np.float64).eps  # of the largest value: rounding
_SHRINKING = 0.1  # of the change left: below it, noise says how it shrinks
_MOVING = 2.5  # standard errors of a trend that goes on
_STILL = 0.03  # of the change, in the last part: more, and it has not settled


@dataclass(frozen=True, slots=True)
class Convergence:
    """How fast a curve got from where it began to where it ended.

    Attributes:
        direction: Which way it went.
        first: Its level at the beginning.
        last: Its level at the end.
        change: ``last - first``.
        step_50: The first step at which half of the change was made.
        step_90: The same for 90 %.
        step_95: The same for 95 %.
        step_99: The same for 99 %.
        half_life: Over how many steps what is left of the change halves; ``None`` where it does
            not shrink that way.
        area: What was left of the change, averaged over the steps: 0 where all of it was made at
            once, 0.5 at an even pace, 1 at the very end; less or more where it went beyond either.
        settled: Whether the last tenth of the points changed next to nothing more. Where it did,
            the rest says how fast the training was up to there, not how fast it converged.
    """

    direction: Direction
    first: float
    last: float
    change: float
    step_50: float
    step_90: float
    step_95: float
    step_99: float
    half_life: float | None
    area: float
    settled: bool


def convergence_speed(
    values: Any, steps: Any = None, direction: str | None = None
) -> Convergence | None:
    """Tell how fast a curve got from where it began to where it ended.

    The curve, its single spikes held back, is smoothed by a running mean, no wider than its noise
    asks for. Where it ended is the mean of its last tenth.

    Args:
        values: Numbers of shape (n,), falling or rising. NaN and infinities are left out.
        steps: Where they stand, of shape (n,); 0, 1, 2 ... if not given.
        direction: ``"minimize"`` or ``"maximize"``; whichever way it went, if not given.

    Returns:
        The speed; ``None`` where nothing converges: for fewer than 8 numbers, where the curve ended
        no further than noise from where it began, or the wrong way.

    Raises:
        InvalidValue: Something that is no number, or as many steps as there are no values.
        UnknownName: A direction that does not exist.

    Sources:
        Steps to a share of the change and the area are the "time to threshold" and the "area" by
        which learning curves are compared by Taylor and Stone, "Transfer learning for
        reinforcement learning domains: a survey", JMLR 10, 2009. The half-life is that of an
        exponential through what is left, by least squares of its logarithm down to a tenth.

    Example:
        >>> import numpy as np
        >>> speed = convergence_speed(2.0 + np.exp(-np.arange(500) / 50))
        >>> speed.step_50, speed.step_90, round(speed.half_life), speed.settled
        (35, 116, 35, True)
        >>> convergence_speed([1.0] * 100) is None
        True
    """
    wanted = direction_if_said(direction)
    curve = as_curve(values, steps).finite()
    if len(curve) < FEWEST:
        return None
    curve, power = calmed(curve)
    noise = memory_noise(curve.values)
    tail = max(len(curve) // _TAIL, 3)
    last = float(curve.values[-tail:].mean())
    width = _width(curve.values, last, noise[0])
    first = _beginning(curve.values, width)
    change = last - first
    went: Direction = "maximize" if change > 0.0 else "minimize"
    errors = mean_error(noise, np.array([width, tail]))
    # The beginning is found by extrapolation, which adds to its error.
    unclear = _CLEAR * float(np.hypot(np.sqrt(2.5) * errors[0], errors[1])) + _NEGLIGIBLE
    if abs(change) <= unclear or wanted not in (None, went):
        return None
    left = (last - _smoothed(curve.values, width)) / change
    is_settled = _is_settled(curve.values, last, tail, abs(change), noise)
    with np.errstate(over="ignore"):  # between the least and the greatest float
        levels = [float(np.ldexp(level, power)) for level in (first, last, change)]
    reached = [curve.step(_reached(left, share)) for share in _SHARES]
    return Convergence(
        went,
        first=levels[0],
        last=levels[1],
        change=levels[2],
        step_50=reached[0],
        step_90=reached[1],
        step_95=reached[2],
        step_99=reached[3],
        half_life=_half_life(left, curve.steps) if is_settled else None,
        area=_area(left, curve.steps),
        settled=is_settled,
    )


def _width(values: Floats, last: float, noise: float) -> int:
    """Return over how many points, an odd number, to smooth for noise that hides the change."""
    widest = max(len(values) // _WIDEST, 1)
    change = abs(last - float(values[:3].mean()))
    if noise >= _FINE * change * np.sqrt(widest):
        return widest | 1
    return max(round((noise / (_FINE * change)) ** 2), 1) | 1


def _beginning(values: Floats, width: int) -> float:
    """Return the level at the first point, along a line through the means of two stretches."""
    one, other = float(values[:width].mean()), float(values[width : 2 * width].mean())
    return one - (other - one) / width * (width - 1) / 2


def _is_settled(
    values: Floats, last: float, tail: int, change: float, noise: tuple[float, float]
) -> bool:
    """Tell whether the last tenth changed next to nothing, by two looks that have to agree.

    The level of the tenth before is what counts, and a line through the last three tenths is less
    swayed by noise. A curve that fell late and then stayed is still by the first alone.
    """
    little = _STILL * change
    before = float(values[-2 * tail : -tail].mean())
    if abs(last - before) <= max(little, float(mean_error(noise, np.array([tail]))[0])):
        return True
    pieces = np.array_split(values[-3 * tail :], 6)
    levels = np.array([piece.mean() for piece in pieces])
    errors = mean_error(noise, np.array([len(piece) for piece in pieces]))
    places = np.arange(6) - 2.5
    spread = float(places @ places)
    moved = abs(float(places @ levels) / spread) * 2.0  # two of six pieces: a tenth of the curve
    error = float(np.sqrt((places * errors) @ (places * errors))) / spread * 2.0
    return moved <= max(little, _MOVING * error)


def _smoothed(values: Floats, width: int) -> Floats:
    smooth: Floats = load("scipy.ndimage").uniform_filter1d(values, width)
    return smooth


def _reached(left: Floats, share: float) -> int:
    """Return the first point at which so much of the change was made."""
    there = left <= 1.0 - share
    return int(there.argmax()) if there.any() else len(left) - 1


def _half_life(left: Floats, steps: NDArray[Any]) -> float | None:
    end = _reached(left, 1.0 - _SHRINKING)
    places, span = _places(steps)
    x, y = places[: end + 1], left[: end + 1]
    x, y = x[y > 0.0], np.log(y[y > 0.0])
    if len(x) < 3 or x[-1] == x[0]:
        return None
    x -= x.mean()
    rate = -float((x / x[-1] * y).sum() / (x / x[-1] * x).sum())
    return float(np.log(2.0)) / rate * span * 2.0 if rate > 0.0 else None


def _area(left: Floats, steps: NDArray[Any]) -> float:
    places, span = _places(steps)
    return float(np.trapezoid(left, places)) if span else float(left.mean())


def _places(steps: NDArray[Any]) -> tuple[Floats, float]:
    """Return steps brought to 0 ... 1, and half of their span, which a float always holds."""
    half = steps.astype(np.float64) / 2.0
    span = float(half[-1] - half[0])
    return (half - half[0]) / (span or 1.0), span
