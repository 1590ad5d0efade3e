"""How far settings go together, so that what one does may be the other's doing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training_db.analysis.sensitivity.settings_table import Setting

_SAME = 0.95
_ROUNDING = 1e-12


def association(one: Setting, other: Setting) -> float:
    """Return how far two settings go together, from 0 to 1.

    Of two that have an order it is Spearman's rank correlation without its sign; of words and
    numbers the root of epsilon squared of the numbers' ranks (T. L. Kelley, "An Unbiased
    Correlation Ratio Measure", PNAS 21, 1935); of two of words Cramer's V without its bias
    (W. Bergsma, "A Bias-Correction for Cramer's V and Tschuprow's T", Journal of the Korean
    Statistical Society 42, 2013).

    Args:
        one: A setting.
        other: Another one of the same runs.

    Example:
        >>> from training_db.analysis.sensitivity.settings_table import Setting
        >>> lr = Setting("lr", "numeric", np.arange(9.0))
        >>> decay = Setting("decay", "numeric", -np.arange(9.0))
        >>> round(association(lr, decay), 6)
        1.0
    """
    if one.is_ordered and other.is_ordered:
        return min(1.0, abs(float(np.mean(one.ranks * other.ranks))))
    if one.is_ordered:
        return _epsilon(one.ranks, other)
    if other.is_ordered:
        return _epsilon(other.ranks, one)
    return _cramer(one, other)


def merged(settings: Sequence[Setting]) -> list[tuple[Setting, ...]]:
    """Gather settings that always change together, which nothing can tell apart.

    Args:
        settings: Settings of the same runs.

    Returns:
        Groups in the order of their first. Of a group with several, each goes with the first by
        0.95 or more in rank (scikit-learn's documentation on permutation importance says why that
        is to be done: shuffled alone, each of the two would look unimportant), or each value of
        one stands beside one value of the other.
    """
    groups: list[list[Setting]] = []
    for setting in settings:
        found = next((group for group in groups if _are_same(group[0], setting)), None)
        if found is None:
            groups.append([setting])
        else:
            found.append(setting)
    return [tuple(group) for group in groups]


def _are_same(one: Setting, other: Setting) -> bool:
    if one.is_ordered and other.is_ordered:
        return association(one, other) >= _SAME
    if one.count != other.count or one.count > len(one.values) / 2:
        return False
    return len(np.unique(one.codes * other.count + other.codes)) == one.count


def _epsilon(placed: NDArray[np.float64], words: Setting) -> float:
    codes, count = words.codes, words.count
    if count >= len(placed):
        return 0.0  # each run has a word of its own, which says nothing
    sizes = np.bincount(codes)
    means = np.bincount(codes, placed) / sizes
    within = float(np.sum((placed - means[codes]) ** 2)) / (len(placed) - count)
    whole = float(np.sum(placed**2)) / (len(placed) - 1)
    return math.sqrt(max(0.0, 1 - within / whole)) if whole > _ROUNDING else 0.0


def _cramer(one: Setting, other: Setting) -> float:
    rows, columns, runs = one.count, other.count, len(one.values)
    table = np.zeros((rows, columns))
    np.add.at(table, (one.codes, other.codes), 1)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / runs
    phi = float(np.sum((table - expected) ** 2 / expected)) / runs
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (runs - 1))
    rows_left = rows - (rows - 1) ** 2 / (runs - 1)
    columns_left = columns - (columns - 1) ** 2 / (runs - 1)
    least = min(rows_left, columns_left) - 1
    return math.sqrt(min(1.0, phi / least)) if least > _ROUNDING else 0.0
