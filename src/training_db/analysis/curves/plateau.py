"""Plateaus: from which step on a curve hardly changes any more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.curves.block_trends import (
    BLOCKS,
    Trends,
    block_means,
    block_trends,
    leaps_between,
)
from training_db.analysis.curves.curve import Curve, as_curve
from training_db.analysis.curves.noise import calmed, median, point_noise
from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

_FEWEST = 8  # points of a curve, and of a plateau
_FEWEST_SAME = 5  # and of one whose values are all the same
_HOLDS = 4  # values that are held, and points for which each is at least
_SHORTEST = 0.1  # of the curve, that a plateau takes at least
_FINE = 32  # blocks of what came before
_BINS = 256  # that a longer curve is averaged into
_SHARE = 0.25  # of the change before it, that a plateau may still change by
_SURE = 0.7  # of that, to be called a plateau after a change
_SURE_WHOLE = 0.5  # and from the start, where there is no change to compare it with
_STRUCTURE = 12.0  # ratio of variances: noise with a memory of an eighth of a block stays below
_TREND = 4.0  # standard errors at which a curve of mere noise is taken to go somewhere
_CLEARLY = 4.0  # standard errors of a trend that goes on
_SLOWING = 0.15  # of the trend of the first half of a stretch, that its second half keeps then
_SLOWING_LATER = 0.2  # and of a stretch without the steep part before it
_NOTHING = 0.01  # of the change before: a trend below it may go on
_LOST = 0.2  # of the standard deviation of a curve: a trend below it is lost in it
_LITTLE = 0.04  # of the change, that may be left to go when the plateau begins
_OFF = 2.5  # standard deviations that the mean of a stretch of it may be off by
_NEGLIGIBLE = 1e-9  # of the reach of a curve: rounding


@dataclass(frozen=True, slots=True)
class Plateau:
    """The stretch at the end of a curve in which it hardly changes.

    Attributes:
        step: Where it begins.
        level: The value that the curve stays at.
        confidence: From 0 to 1; what of, :func:`detect_plateau` says.
    """

    step: float
    level: float
    confidence: float


def detect_plateau(values: ArrayLike, steps: ArrayLike | None = None) -> Plateau | None:
    """Tell from which step on a curve hardly changes any more.

    Changepoints propose where the plateau may begin; the earliest is taken from which to the end a
    straight line changes, up or down, by less than a quarter of what the curve changed by in the
    stretch of the same length before. That has to be 70 % sure, the noise considered: a curve
    whose noise hides whether it still improves has no plateau yet. Neither has one that goes on
    changing slowly, by more than 1 % of that change and not much slower than before, nor one that
    comes back up or diverges. It begins at the changepoint where what is left to go is within 4 %
    of that change, or within 6 % where the noise may account for that, and takes at least a tenth
    of the curve, and 8 points, or 5 of the same value.

    A curve that never went anywhere is a plateau from its first step.

    Args:
        values: Numbers of shape (n,), falling or rising. NaN and infinities are left out, and
            single spikes held back; fewer than 8 numbers have no plateau. Of values that are logged
            again and again until the next is measured, each counts once.
        steps: Finite numbers of shape (n,); 0, 1, 2 ... by default. Stretches are measured in
            points, so that a gap of the steps counts as one.

    Returns:
        The plateau, or None where there is none. Its ``confidence`` is the probability, by a
        t-distribution, that the trend since then is within the margin (after a change, a quarter
        of that change; from the start, the standard deviation of the curve): more points and
        less noise make it higher.

    Raises:
        InvalidValue: Something that is no number, or as many steps as there are no values.
        MissingExtra: ruptures or scipy is not installed.

    Source: changepoints by a penalised least-squares segmentation, pruned as by Killick,
    Fearnhead, Eckley, "Optimal detection of changepoints with a linear computational cost" (JASA,
    2012), of ruptures (Truong, Oudre, Vayatis, Signal Processing, 2020). That a trend is shown to
    be small, rather than not shown to be large, is a test of equivalence: Schuirmann (1987).

    Example:
        >>> import numpy as np
        >>> loss = np.concatenate([np.linspace(2.0, 0.5, 60), np.full(140, 0.5)])
        >>> noise = np.random.default_rng(0).normal(0, 0.02, 200)
        >>> plateau = detect_plateau(loss + noise, steps=10 * np.arange(200))
        >>> 540 <= plateau.step <= 640, round(plateau.level, 1), plateau.confidence > 0.9
        (True, 0.5, True)
        >>> detect_plateau(np.linspace(2.0, 0.5, 200) + noise) is None
        True
    """
    curve = _measured(as_curve(values, steps).finite())
    if len(curve) < _FEWEST:
        return None
    curve, power = calmed(curve)
    calm = curve.values
    width = -(-len(calm) // _BINS)
    starts = np.arange(0, len(calm), width)
    bins = np.add.reduceat(calm, starts) / np.diff(starts, append=len(calm))
    origin = bins[-1]
    found = _of_bins(bins - origin, calm, np.spacing(np.abs(calm).max()))
    if found is None:
        return None
    at, level, confidence = found
    unscaled = float(np.ldexp(level + origin, power))
    return Plateau(curve.step(starts[at]), unscaled, min(max(float(confidence), 0.0), 1.0))


def _measured(curve: Curve) -> Curve:
    """Return the curve with each value once that is logged again until the next one is measured.

    Such values, as of an evaluation now and then, are held for about the same number of points
    each: that the last one is held as well is no evidence for a plateau.
    """
    begins = np.flatnonzero(np.append(True, curve.values[1:] != curve.values[:-1]))
    held = np.diff(begins)  # the last one may have been cut short
    if len(held) < _HOLDS or held.min() < _HOLDS or held.max() > 1.5 * held.min():
        return curve
    if len(curve) - begins[-1] > 1.5 * held.max():
        return curve
    return Curve(curve.steps[begins], curve.values[begins])


def _of_bins(bins: Floats, calm: Floats, rounding: float) -> tuple[int, float, float] | None:
    """Return the bin at which the plateau begins, its level, and how sure it is."""
    reach = float(np.ptp(bins))
    if reach <= 8 * rounding:
        return 0, median(bins), 1.0
    sums = np.concatenate(([0.0], np.cumsum(bins)))
    noise = point_noise(bins)
    whole = _trends(sums, np.zeros(1), reach)
    scatter = float(calm.std())
    sure = float(whole.within(np.array([scatter]))[0])
    goes_nowhere = abs(whole.change[0]) < max(_TREND * whole.error[0], _LOST * scatter)
    if sure >= _SURE_WHOLE and goes_nowhere and leaps_between(sums, noise) < _STRUCTURE:
        return 0, float(whole.level[0]), sure
    bounds = _changepoints(bins, max(noise, 1e-3 * reach))
    begins = bounds[1:-1]
    stays = len(bins) - 1 - int(np.flatnonzero(np.abs(bins - bins[-1]) > 8 * rounding)[-1])
    fewest = _FEWEST_SAME if stays >= _FEWEST_SAME else _FEWEST
    begins = begins[len(bins) - begins >= max(fewest, _SHORTEST * len(bins))]
    if not len(begins):
        return None
    return _after_a_change(sums, bounds, begins, reach)


def _after_a_change(
    sums: Floats, bounds: NDArray[np.int64], begins: NDArray[np.int64], reach: float
) -> tuple[int, float, float] | None:
    points = len(sums) - 1
    begin = begins.astype(np.float64)
    tails = _trends(sums, begin, reach)
    late = _trends(sums, (begin + points) / 2, reach)
    early = _trends(sums, begin, reach, (begin + points) / 2)
    change = _change_before(sums, begin, tails.level)
    sure = tails.within(_SHARE * change)
    goes_on = _goes_on(late, early, _SLOWING, change)
    (flat,) = np.nonzero((sure >= _SURE) & ~goes_on)
    offset = int(np.searchsorted(bounds, begins[0]))
    for index in flat:
        middle = (begins[index] + points) // 2
        level = float((sums[-1] - sums[middle]) / (points - middle))
        # What a mean of some points is off by, as far as the noise of the plateau has a memory.
        block = (points - begins[index]) / BLOCKS
        off = _OFF * tails.noise[index] * np.sqrt(block / np.diff(bounds))
        little = _LITTLE * change[index]
        allowed = np.maximum(little, np.minimum(off, 1.5 * little))
        is_far = np.abs(np.diff(sums[bounds]) / np.diff(bounds) - level) > allowed
        last = offset + len(begins) - 1
        at = offset + int(index)
        while at < last and is_far[at]:
            at += 1
        # Once the steep part is left behind, what is slow may turn out to go on all the same.
        still = _goes_on(late, early, _SLOWING_LATER, change)
        if not (still[at - offset] or is_far[at]):
            return int(bounds[at]), level, float(sure[flat].max())
    return None


def _goes_on(
    late: Trends, early: Trends, slowing: float, change: Floats | float
) -> NDArray[np.bool_]:
    """Tell which stretches still change in their second half much as in their first, or turn there.

    A power law slows down for ever and goes on for ever; what decays to a level stops.
    """
    moved = np.abs(late.change)
    return (
        (moved > _CLEARLY * late.error)
        & (moved > slowing * np.abs(early.change))
        & (moved > _NOTHING * change)
    )


def _trends(sums: Floats, begin: Floats, reach: float, end: Floats | None = None) -> Trends:
    """Return the trends from some bins on to others, or to the end."""
    if end is None:
        end = np.full(len(begin), len(sums) - 1.0)
    return block_trends(block_means(sums, begin, end), _NEGLIGIBLE * reach)


def _change_before(sums: Floats, begin: Floats, level: Floats) -> Floats:
    """Return how far the stretches of the same length before were from the levels after them.

    The farthest eighth of what there is before is left out: the first values of a training are
    often far above all that follows, and would make any later change look small.
    """
    length = len(sums) - 1 - begin
    off = np.abs(block_means(sums, begin - length, begin, _FINE) - level[:, None])
    count = _FINE - np.isnan(off).sum(axis=1)
    off.sort(axis=1)  # NaN, what lies before the curve, comes last
    left_out = np.where(count >= 3, np.maximum(count // 8, 1), 0)
    farthest: Floats = off[np.arange(len(off)), count - 1 - left_out]
    return farthest


def _changepoints(bins: Floats, noise: float) -> NDArray[np.int64]:
    """Return where the mean changes, between 0 and the number of bins."""
    search = load("ruptures").KernelCPD(kernel="linear", min_size=2).fit(bins[:, None])
    penalty = 3 * np.log(len(bins)) * noise**2
    return np.array([0, *search.predict(pen=penalty)], dtype=np.int64)
