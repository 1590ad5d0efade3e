"""Ranks, in which any scale is the same and no value is far off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training_db.extras import load

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return mean ranks brought to mean 0 and variance 1; a missing value stands in the middle.

    Args:
        values: float64 of shape (n,); infinities are the least and the greatest.

    Returns:
        float64 of shape (n,); zeros where nothing differs.

    Example:
        >>> ranks(np.array([1e308, -1.0, np.nan])).round(2).tolist()
        [1.22, -1.22, 0.0]
    """
    there = ~np.isnan(values)
    placed = np.zeros(len(values))
    if there.any():
        placed[there] = load("scipy.stats").rankdata(values[there])
        placed[there] -= placed[there].mean()
    spread = placed.std()
    return placed / spread if spread > 0 else placed
