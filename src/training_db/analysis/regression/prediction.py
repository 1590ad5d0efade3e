"""Where a run is expected to come out that is no worse than others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.intervals import check_confidence
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROUNDING = 1e-9  # of the baseline, relatively: runs that repeat each other differ by that much


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a run.

    Attributes:
        centre: The mean of the baseline.
        margin: By how much a run may be worse than that.
        spread: The standard deviation of runs that the margin is made of.
    """

    centre: float
    margin: float
    spread: float


def expected(
    baseline: Sequence[float], alike: Sequence[float], confidence: float = 0.99
) -> Expectation:
    """Return the one-sided prediction limit of one more run.

    Where the runs are a sample of a normal distribution, one more of them is worse than the limit
    with probability 1 - confidence: t(n - 1) standard deviations, times the root of 1 + 1/m for a
    baseline of m runs (G. A. Whitmore, "Prediction Limits for a Univariate Normal Observation",
    The American Statistician 40, 1986; G. J. Hahn & W. Q. Meeker, "Statistical Intervals", 1991).

    Args:
        baseline: Finite values of the runs that are compared with, at least 1.
        alike: Finite values of at least 2 runs of the same kind, whose spread is noise; they may be
            the baseline.
        confidence: How seldom a run that is no worse is called worse.

    Raises:
        InvalidValue: Too few values, or a confidence that is not between 0 and 1.

    Example:
        >>> found = expected([0.48, 0.5, 0.52], [0.48, 0.5, 0.52])
        >>> round(found.centre, 3), round(found.margin, 3)
        (0.5, 0.161)
    """
    check_confidence(confidence)
    if len(baseline) < 1 or len(alike) < 2:
        raise InvalidValue(
            f"{len(baseline)} runs to compare with and {len(alike)} to tell the noise by; "
            "1 and 2 are needed at least"
        )
    centre, spread = mean_of(baseline), _deviation(alike)
    student = float(load("scipy.special").stdtrit(len(alike) - 1, confidence))
    margin = student * spread * math.sqrt(1 + 1 / len(baseline))
    return Expectation(centre, max(margin, abs(centre) * _ROUNDING), spread)


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of finite values, of which there is 1 at least, however large they are."""
    size = max(map(abs, values)) or 1.0  # sums and squares of 1e308 are not finite
    return float(np.mean(np.asarray(values) / size)) * size


def _deviation(values: Sequence[float]) -> float:
    size = max(map(abs, values)) or 1.0
    return min(float(np.std(np.asarray(values) / size, ddof=1)) * size, 1e308)
