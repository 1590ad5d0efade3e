"""The power of the number of runs with which something grows."""

from __future__ import annotations

import numpy as np


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Fit ``seconds = factor * sizes ** exponent`` by least squares of the logarithms.

    Args:
        sizes: Numbers of runs, shape (n,), n of 2 or more.
        seconds: What it took at each.

    Returns:
        The exponent: 0 for what takes the same at any size, 1 for what grows with the runs.

    Example:
        >>> round(exponent([10, 100, 1000], [1.0, 10.0, 100.0]), 6)
        1.0
    """
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)
