"""The trends of stretches of a curve, by the means of blocks that these are cut into."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.noise import median
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

BLOCKS = 8
"""Blocks that a stretch is cut into to learn its trend."""

_FREEDOM = BLOCKS - 2
_PLACES = np.arange(BLOCKS) - (BLOCKS - 1) / 2
_SPREAD = float(_PLACES @ _PLACES)


@dataclass(frozen=True, slots=True)
class Trends:
    """The trends of some stretches of a curve.

    Attributes:
        change: From the beginning to the end of each stretch, by a straight line, of shape (k,).
        error: The standard error of each change.
        level: The mean of each stretch.
        noise: The standard deviation of the mean of an eighth of each stretch.
    """

    change: Floats
    error: Floats
    level: Floats
    noise: Floats

    def within(self, margin: Floats) -> Floats:
        """Return how sure it is that each change is smaller than a margin either way."""
        below = load("scipy.special").stdtr
        inside: Floats = below(_FREEDOM, (margin - self.change) / self.error)
        inside -= below(_FREEDOM, (-margin - self.change) / self.error)
        return inside


def block_means(sums: Floats, begin: Floats, end: Floats, blocks: int = BLOCKS) -> Floats:
    """Cut stretches of a curve into blocks, and take their means.

    Args:
        sums: The sums of the first 0, 1, ... n values, of shape (n + 1,).
        begin: Where the stretches begin, of shape (k,), in points; what lies before 0 is cut off.
        end: Where they end.
        blocks: Into how many.

    Returns:
        Of shape (k, blocks); NaN where nothing of a block is left.
    """
    edges = begin[:, None] + (end - begin)[:, None] * np.linspace(0.0, 1.0, blocks + 1)
    np.clip(edges, 0, len(sums) - 1, out=edges)
    at = np.interp(edges, np.arange(len(sums)), sums)
    width = edges[:, 1:] - edges[:, :-1]
    is_left = width > 0
    found = np.full(width.shape, np.nan)
    np.divide(at[:, 1:] - at[:, :-1], width, out=found, where=is_left)
    return found


def block_trends(means: Floats, smallest: float) -> Trends:
    """Fit a straight line to each stretch, with an error that holds for noise with a memory too.

    The noise of means of long enough blocks is independent, however the points of a block go
    together: so the scatter of the means around the line is an honest measure of its error.

    Args:
        means: Of the blocks of each stretch, of shape (k, 8).
        smallest: What no error is below; > 0.

    Source: the method of batch means; Schmeiser, "Batch size effects in the analysis of simulation
    output" (Operations Research, 1982).
    """
    level = means.mean(axis=1)
    slope = means @ _PLACES / _SPREAD
    rest = means - level[:, None] - slope[:, None] * _PLACES
    noise = np.sqrt((rest * rest).sum(axis=1) / _FREEDOM)
    error = np.maximum(noise * (BLOCKS / math.sqrt(_SPREAD)), smallest)
    return Trends(slope * BLOCKS, error, level, noise)


def leaps_between(sums: Floats, noise: float) -> float:
    """Compare how far the means of eight blocks scatter with what the noise inside them explains.

    Args:
        sums: The sums of the first 0, 1, ... n values, of shape (n + 1,), n >= 8.
        noise: The standard deviation of single points, for curves of fewer than 16 of them.

    Returns:
        About 1 for noise alone, some more where it has a long memory, and much more for a curve
        that goes anywhere; infinite without noise.

    Source: the F ratio of a one-way analysis of variance (Fisher, 1925), with the median of the
    variances inside the blocks, so that a steep beginning does not count as noise.
    """
    points = len(sums) - 1
    parts = 4 if points >= 4 * BLOCKS else 2 if points >= 2 * BLOCKS else 1
    edges = np.linspace(0, points, BLOCKS * parts + 1)
    at: Any = np.interp(edges, np.arange(points + 1), sums)
    means = (np.diff(at) / (points / (BLOCKS * parts))).reshape(BLOCKS, parts)
    between = parts * means.mean(axis=1).var(ddof=1)
    if parts == 1:
        within = noise**2
    else:
        # The median of a variance of so few parts is smaller than its mean: of chi-square.
        typical = {2: 0.455, 4: 0.789}[parts]
        within = median(means.var(axis=1, ddof=1)) / typical
    return float(between / within) if within > 0 else math.inf
