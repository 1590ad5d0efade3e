"""Curves as small as words: drawn, and written with block characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

WIDTH, HEIGHT = 100, 24
_POINTS = 60
_BLOCKS = "▁▂▃▄▅▆▇█"
_LETTERS = 16
_ROOM = 2  # that the stroke is not cut at the edge


def paths(values: NDArray[Any]) -> list[str]:
    """Return a curve as the points of SVG polylines in a box of 100 x 24.

    Args:
        values: Of shape (n,), at equal distances. What is not finite leaves a gap.

    Returns:
        ``x,y`` pairs for each stretch without a gap; nothing where nothing is finite.

    Example:
        >>> paths(np.array([0.0, 1.0, 2.0]))
        ['0,22 50,12 100,2']
    """
    levels = _levels(values, _POINTS)
    if not np.isfinite(levels).any():
        return []
    x = np.linspace(0, WIDTH, len(levels)) if len(levels) > 1 else np.array([WIDTH / 2])
    y = HEIGHT - _ROOM - levels * (HEIGHT - 2 * _ROOM)
    return [
        " ".join(f"{x[at]:.4g},{y[at]:.3g}" for at in stretch) for stretch in _stretches(levels)
    ]


def blocks(values: NDArray[Any]) -> str:
    """Return a curve as block characters, a blank where nothing is finite.

    Args:
        values: Of shape (n,), at equal distances.

    Example:
        >>> blocks(np.array([3.0, 2.0, 1.0, 0.0])), blocks(np.array([1.0, 1.0]))
        ('█▆▃▁', '▅▅')
    """
    return "".join(
        _BLOCKS[min(int(level * len(_BLOCKS)), len(_BLOCKS) - 1)] if np.isfinite(level) else " "
        for level in _levels(values, _LETTERS)
    )


def _levels(values: NDArray[Any], most: int) -> NDArray[np.float64]:
    """Return the means of at most so many stretches, between 0 (the lowest) and 1."""
    given = numbers(values)
    finite = np.where(np.isfinite(given), given, np.nan)
    largest = np.nanmax(np.abs(finite)) if np.isfinite(finite).any() else 0.0
    if largest == 0:
        return np.where(np.isfinite(finite), 0.5, np.nan)[:most]
    scaled = finite / largest  # so that neither a sum nor a difference overflows
    parts = np.array_split(scaled, min(most, len(scaled)))
    means = np.array([_mean(part) for part in parts])
    low, high = np.nanmin(means), np.nanmax(means)
    if high - low <= 0:
        return np.where(np.isfinite(means), 0.5, np.nan)
    spread: NDArray[np.float64] = (means - low) / (high - low)
    return spread


def _mean(part: NDArray[np.float64]) -> float:
    known = part[np.isfinite(part)]
    return float(known.mean()) if len(known) else np.nan


def _stretches(levels: NDArray[np.float64]) -> Iterable[NDArray[np.int64]]:
    known = np.flatnonzero(np.isfinite(levels))
    return np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
