"""Rank correlation of a setting with a target, the other settings taken into account."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEWEST = 4
_CERTAIN = 1 - 1e-12
_NOTHING_LEFT = 1e-9


def partial_rank_correlation(
    setting: NDArray[np.float64],
    target: NDArray[np.float64],
    others: NDArray[np.float64],
    confidence: float = 0.95,
) -> tuple[float, float, float] | None:
    """Return the partial rank correlation of a setting with a target, and its interval.

    Partial rank correlation coefficients as sensitivity analysis uses them (R. L. Iman & W. J.
    Conover, "The Use of the Rank Transform in Regression", Technometrics 21, 1979; A. Saltelli et
    al., "Sensitivity Analysis", Wiley, 2000): what the others explain of the ranks of both is taken
    away by least squares, and what is left is correlated. The interval is Fisher's, by his
    transformation with n - k - 3 in place of n - 3 for k others.

    Args:
        setting: Ranks of shape (runs,).
        target: Ranks of shape (runs,).
        others: Ranks of the other settings, of shape (runs, k).
        confidence: Of the interval.

    Returns:
        The correlation, and both ends of its interval; ``None`` where too few runs are left
        over, or the others leave nothing of one of the two.

    Example:
        >>> random = np.random.default_rng(0)
        >>> common, noise = random.normal(size=(2, 500))
        >>> setting, target = common + noise, common + random.normal(size=500)
        >>> round(partial_rank_correlation(setting, target, np.empty((500, 0)))[0], 1)
        0.5
        >>> abs(partial_rank_correlation(setting, target, common[:, None])[0]) < 0.1
        True
    """
    runs = len(target)
    design = np.column_stack([np.ones(runs), others])
    freedom = runs - np.linalg.matrix_rank(design) - 2
    if freedom < _FEWEST:
        return None
    left = [one - design @ np.linalg.lstsq(design, one)[0] for one in (setting, target)]
    sizes = [float(np.linalg.norm(one)) for one in left]
    if min(sizes) <= _NOTHING_LEFT * math.sqrt(runs):
        return None
    correlation = float(left[0] @ left[1] / (sizes[0] * sizes[1]))
    correlation = max(-1.0, min(1.0, correlation))
    reach = float(load("scipy.special").ndtri((1 + confidence) / 2)) / math.sqrt(freedom)
    middle = math.atanh(max(-_CERTAIN, min(_CERTAIN, correlation)))
    return correlation, math.tanh(middle - reach), math.tanh(middle + reach)
