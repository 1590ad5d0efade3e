"""Pareto ranks of things that several objectives judge: the front, who dominates whom, the knee.

One thing dominates another if it is worse in no objective and better in at least one. Scores that
are NaN or infinite compare with nothing, so what has one is neither ranked nor dominated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.direction import direction_word
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

MOST_OBJECTIVES = 31
"""So many moocore can measure the hypervolume of."""

_BULGE = 1e-9  # of the front's own size; less is rounding
_ENDS_AND_BETWEEN = 3


def pareto_ranks(scores: ArrayLike, directions: Sequence[str] | str) -> NDArray[np.int64]:
    """Return 1 for what nothing dominates, 2 for what only those dominate, and so on.

    Equal rows have equal ranks.

    Args:
        scores: Shape (items, objectives).
        directions: ``"max"`` or ``"min"`` (or ``"maximize"``, ``"minimize"``) for each objective,
            or one for all.

    Returns:
        Shape (items,); 0 for an item with a NaN or infinite score, which has no rank and takes no
        part in those of others.

    Raises:
        InvalidValue: Scores that are no table of numbers, or not a direction for each objective.
        UnknownName: A direction that does not exist.

    Example:
        >>> pareto_ranks([[0.9, 3.0], [0.5, 1.0], [0.4, 2.0], [float("nan"), 1.0]], ["max", "min"])
        array([1, 1, 2, 0])

    Source: nondominated sorting (Deb et al., "A fast and elitist multiobjective genetic algorithm:
    NSGA-II", IEEE TEC 6(2), 2002), as moocore does it.
    """
    table, is_ranked = _ranked_rows(scores, directions)
    ranks = np.zeros(len(table), dtype=np.int64)
    if is_ranked.any():
        ranks[is_ranked] = load("moocore").pareto_rank(_orders(table[is_ranked])) + 1
    return ranks


def is_on_front(scores: ArrayLike, directions: Sequence[str] | str) -> NDArray[np.bool_]:
    """Tell of each item whether nothing dominates it, faster than by its rank.

    Args:
        scores: As for :func:`pareto_ranks`.
        directions: As for :func:`pareto_ranks`.

    Returns:
        Shape (items,).

    Raises:
        InvalidInput: As :func:`pareto_ranks`.

    Example:
        >>> is_on_front([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], "max").tolist()
        [True, True, False]
    """
    table, is_ranked = _ranked_rows(scores, directions)
    front = np.zeros(len(table), dtype=np.bool_)
    if is_ranked.any():
        front[is_ranked] = load("moocore").is_nondominated(table[is_ranked], keep_weakly=True)
    return front


def dominates(one: ArrayLike, other: ArrayLike, directions: Sequence[str] | str) -> bool:
    """Tell whether one item dominates another.

    Args:
        one: Its scores, shape (objectives,).
        other: Those of the other.
        directions: As for :func:`pareto_ranks`.

    Raises:
        InvalidInput: As :func:`pareto_ranks`.

    Example:
        >>> dominates([0.9, 3.0], [0.9, 4.0], ["max", "min"])
        True
    """
    both: Any = [one, other]
    return len(dominated_by(both, 1, directions)) > 0


def dominated_by(
    scores: ArrayLike, item: int, directions: Sequence[str] | str
) -> NDArray[np.int64]:
    """Return which items dominate one of them.

    Args:
        scores: As for :func:`pareto_ranks`.
        item: The row of the one.
        directions: As for :func:`pareto_ranks`.

    Returns:
        Their rows, rising.

    Raises:
        InvalidInput: As :func:`pareto_ranks`, or there is no such row.

    Example:
        >>> dominated_by([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], 2, "max").tolist()
        [0, 1]
    """
    costs, own = _costs_and_own(scores, item, directions)
    return np.flatnonzero((costs <= own).all(axis=1) & (costs < own).any(axis=1))


def dominates_which(
    scores: ArrayLike, item: int, directions: Sequence[str] | str
) -> NDArray[np.int64]:
    """Return which items one of them dominates.

    Args:
        scores: As for :func:`pareto_ranks`.
        item: The row of the one.
        directions: As for :func:`pareto_ranks`.

    Returns:
        Their rows, rising.

    Raises:
        InvalidInput: As :func:`dominated_by`.

    Example:
        >>> dominates_which([[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], 0, "max").tolist()
        [2]
    """
    costs, own = _costs_and_own(scores, item, directions)
    return np.flatnonzero((costs >= own).all(axis=1) & (costs > own).any(axis=1))


def knee_point(scores: ArrayLike, directions: Sequence[str] | str) -> int | None:
    """Return the item of the front where giving up a little of one objective buys least of others.

    Each objective is scaled so that its best on the front is 0 and its worst 1. The knee lies
    furthest from the hyperplane through 1 on every axis (of two objectives: the line through the
    ends of the front), on the side of the best.

    Args:
        scores: As for :func:`pareto_ranks`.
        directions: As for :func:`pareto_ranks`.

    Returns:
        The row of the knee, the first of equal ones; ``None`` for a front of fewer than three
        different points, and for one that nowhere bulges towards the best.

    Raises:
        InvalidInput: As :func:`pareto_ranks`.

    Example:
        >>> knee_point([[0.0, 1.0], [0.1, 0.2], [1.0, 0.0]], "min")
        1
        >>> knee_point([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], "min") is None
        True

    Source: Das, "On characterizing the knee of the Pareto curve based on normal-boundary
    intersection", Structural Optimization 18, 1999; with the intercepts of Deb and Jain's NSGA-III
    (IEEE TEC 18(4), 2014), which exist also where one item is best in two objectives.
    """
    rows = np.flatnonzero(is_on_front(scores, directions))
    front = as_costs(scores, directions)[rows]
    if len(np.unique(front, axis=0)) < _ENDS_AND_BETWEEN:
        return None
    # An objective in which all are the same adds nothing. The root of the number of objectives, by
    # which this is a distance, is the same for all.
    bulge = 1.0 - scaled_costs(front, front.min(axis=0), front.max(axis=0)).sum(axis=1)
    best = int(bulge.argmax())
    return int(rows[best]) if bulge[best] > _BULGE else None


def as_costs(scores: ArrayLike, directions: Sequence[str] | str) -> NDArray[np.float64]:
    """Return scores so that less is better in each objective.

    Args:
        scores: As for :func:`pareto_ranks`.
        directions: As for :func:`pareto_ranks`.

    Raises:
        InvalidInput: As :func:`pareto_ranks`.
    """
    table = _table(scores, 1 if isinstance(directions, str) else len(directions))
    words = [directions] * table.shape[1] if isinstance(directions, str) else list(directions)
    if len(words) != table.shape[1] or not 0 < len(words) <= MOST_OBJECTIVES:
        raise InvalidValue(
            f"scores of {table.shape[1]} objectives and {len(words)} directions; pass a column and "
            f"a direction for each objective, of which there may be 1 to {MOST_OBJECTIVES}"
        )
    is_maximized = [direction_word(word) == "maximize" for word in words]
    return np.where(is_maximized, -table, table)


def scaled_costs(
    costs: NDArray[np.float64], best: NDArray[np.float64], worst: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return costs as shares of the way from the best to the worst; 0 where both are the same.

    Args:
        costs: Finite, shape (items, objectives).
        best: Shape (objectives,).
        worst: Shape (objectives,), nowhere less.
    """
    # Halves, because the difference of two floats may be none.
    spread = worst / 2 - best / 2
    way = costs / 2 - best / 2
    with np.errstate(over="ignore", under="ignore"):
        return np.where(spread > 0, way / np.where(spread > 0, spread, 1.0), 0.0)


def _ranked_rows(
    scores: ArrayLike, directions: Sequence[str] | str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    costs = as_costs(scores, directions)
    return costs, np.asarray(np.isfinite(costs).all(axis=1))


def _costs_and_own(
    scores: ArrayLike, item: int, directions: Sequence[str] | str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    costs, is_ranked = _ranked_rows(scores, directions)
    if isinstance(item, bool) or not 0 <= item < len(costs):
        raise InvalidValue(f"there is no row {item!r} in scores of {len(costs)} items")
    # NaN compares with nothing, which is what an item without a rank should do.
    costs[~is_ranked] = np.nan
    return costs, costs[item]


def _orders(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each cost as its place among those of its objective, leaving out what says nothing.

    Ranks depend on the order only. Objectives that order all items alike count as one, which makes
    a front for each item (the slowest case there is) a matter of sorting.
    """
    columns = [np.unique(column, return_inverse=True)[1] for column in costs.T]
    different = {column.tobytes(): column for column in columns}
    return np.stack(list(different.values()), axis=1).astype(np.float64)


def _table(scores: ArrayLike, objectives: int) -> NDArray[np.float64]:
    try:
        table: NDArray[Any] = np.asarray(scores)
    except ValueError:
        raise InvalidValue("the scores are rows of different lengths; give each item all") from None
    if table.shape == (0,):
        return np.empty((0, objectives))
    if table.ndim != 2:
        raise InvalidValue(
            f"the scores have the shape {table.shape}; pass (items, objectives), a row for each"
        )
    if table.dtype.kind == "O":
        numbers = [_number(score) for score in table.ravel()]
        return np.array(numbers, dtype=np.float64).reshape(table.shape)
    if table.dtype.kind not in "fiub":
        raise InvalidValue(f"the scores are {table.dtype}; pass numbers")
    with np.errstate(over="ignore"):  # of longer floats; they become infinite, and have no rank
        return table.astype(np.float64)


def _number(score: Any) -> float:
    if score is None:
        return np.nan
    try:
        return float(score) if not isinstance(score, (str, bytes)) else _refuse(score)
    except OverflowError:
        return np.inf
    except (TypeError, ValueError):
        return _refuse(score)


def _refuse(score: object) -> float:
    raise InvalidValue(f"the score {score!r} is no number; pass None or NaN where there is none")
