"""Gradient explosions: norms far beyond those just before them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.curves.curve import Curve, as_curve
from training_db.analysis.curves.noise import SIGMA, median
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_BEFORE = 51  # norms that one is compared with
_FEWEST = 5  # norms before it, that one is compared with at least
_CLEAR = 5.0  # robust standard deviations of the logarithm
_APART = 5  # norms as they should be, that make two explosions of one
_LARGEST = 709.0  # whose exponential is finite


@dataclass(frozen=True, slots=True)
class Explosion:
    """Norms of gradients far beyond those before.

    Attributes:
        step: Where it begins.
        last: Where it ends.
        value: The largest norm of it; infinite or NaN where one is.
        usual: The median of the norms before; NaN where there are none.
        factor: How many times as large as that; infinite where the value is not finite.
        points: How many norms.
    """

    step: float
    last: float
    value: float
    usual: float
    factor: float
    points: int


def detect_explosions(
    grad_norms: ArrayLike, steps: ArrayLike | None = None, *, factor: float = 10.0
) -> tuple[Explosion, ...]:
    """Tell where gradients explode: an order of magnitude beyond what they just were.

    A norm explodes where it is ``factor`` times the median of the 51 before it, and on a
    logarithmic scale, on which norms scatter evenly, 5 robust standard deviations above it. A norm
    that is NaN or infinite always does. Norms that explode at most 5 points apart are one
    explosion; the first 5 norms are compared with nothing. Norms that grow slowly do not explode;
    of those that leap up and stay, the leap is found.

    Args:
        grad_norms: Norms of the gradient before clipping, of shape (n,); the sign of a number does
            not count.
        steps: Finite numbers of shape (n,); 0, 1, 2 ... by default.
        factor: How many times as large; above 1.

    Returns:
        The explosions in the order of their steps.

    Raises:
        InvalidValue: A factor of 1 or less, something that is no number, or as many steps as
            there are no values.
        MissingExtra: scipy is not installed.

    Source: what is to be found is described by Pascanu, Mikolov, Bengio, "On the difficulty of
    training recurrent neural networks" (ICML, 2013), whose clipping also takes a multiple of the
    usual norm for a threshold.

    Example:
        >>> norms = [1.0, 1.1, 0.9, 1.0, 1.2, 0.8, 1.0, 1.1, 0.9, 80.0, 1.0, 1.1]
        >>> [(found.step, found.value) for found in detect_explosions(norms)]
        [(9, 80.0)]
    """
    if not factor > 1:
        raise InvalidValue(f"factor must be above 1, not {factor}")
    curve = as_curve(grad_norms, steps)
    norms = np.abs(curve.values)
    # A norm of 0 is that of a step in which nothing was learned: it is no measure of the others.
    (usable,) = np.nonzero(np.isfinite(norms) & (norms > 0))
    logs = np.log(norms[usable])
    above = logs - _median_before(logs)
    # From one to the next: slow growth is no scatter, and neither are a few explosions.
    scatter = SIGMA * median(np.abs(np.diff(logs))) / math.sqrt(2) if len(logs) > 1 else 0.0
    explodes = ~np.isfinite(norms)
    explodes[usable] = above > max(math.log(factor), _CLEAR * scatter)
    found = np.flatnonzero(explodes)
    if not len(found):
        return ()
    parts = np.split(found, np.flatnonzero(np.diff(found) > _APART) + 1)
    return tuple(_explosion(curve, norms, part, usable) for part in parts)


def _median_before(logs: Floats) -> Floats:
    """Return the median of the 51 values before each; NaN for the first few."""
    found = np.full(len(logs), math.nan)
    for index in range(_FEWEST, min(_BEFORE, len(logs))):
        found[index] = median(logs[:index])
    if len(logs) > _BEFORE:
        # With this origin the window ends at a value; so its median is that before the next.
        filtered = load("scipy.ndimage").median_filter(logs, _BEFORE, origin=_BEFORE // 2)
        found[_BEFORE:] = filtered[_BEFORE - 1 : -1]
    return found


def _explosion(
    curve: Curve, norms: Floats, part: NDArray[np.intp], usable: NDArray[np.intp]
) -> Explosion:
    sizes = norms[part]
    largest = float(sizes.max())  # NaN where one is
    before = usable[: np.searchsorted(usable, part[0])][-_BEFORE:]
    usual = median(norms[before]) if len(before) else math.nan
    is_finite = math.isfinite(largest)
    return Explosion(
        step=curve.step(part[0]),
        last=curve.step(part[-1]),
        value=largest,
        usual=usual,
        factor=_ratio(largest, usual) if is_finite else math.inf,
        points=len(part),
    )


def _ratio(one: float, other: float) -> float:
    exponent = math.log(one) - math.log(other)
    return math.exp(exponent) if exponent < _LARGEST else math.inf
