"""How much worse runs are predicted when one of their settings is shuffled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TREES = 60
_DRAWN = 500  # runs a tree learns from, at most
_LARGEST_LEAF = 5
_RUNS_A_LEAF = 20  # as few as these grow leaves of one run
_CELLS = 2**20  # of shuffled copies held at a time: 4 MiB


@dataclass(frozen=True, slots=True, eq=False)
class Shuffled:
    """What came of shuffling.

    Attributes:
        errors: Shape (seeds, runs): the squared error of each run, by trees that had not seen it.
        harm: Shape (seeds, groups, runs): by how much that grew when a group was shuffled.
    """

    errors: NDArray[np.float64]
    harm: NDArray[np.float64]


def shuffle_groups(
    matrix: NDArray[np.float64],
    groups: Sequence[Sequence[int]],
    target: NDArray[np.float64],
    seeds: int = 5,
    seed: int = 0,
) -> Shuffled:
    """Fit random forests, and shuffle the columns of each group among the runs they had not seen.

    Permutation importance out of bag (L. Breiman, "Random Forests", Machine Learning 45, 2001),
    but of the whole forest: a run's prediction is the mean of the trees that were grown without
    it, as a forest is used, and so is its prediction with shuffled settings. The columns of a
    group, such as those of the words of one setting, are shuffled together. Each split may be made
    in any column: where it is one of a few drawn, a setting that only goes with an important one
    stands in for it, and looks important itself (C. Strobl et al., "Conditional Variable Importance
    for Random Forests", BMC Bioinformatics 9, 2008).

    Args:
        matrix: Shape (runs, columns); NaN where a value is missing.
        groups: For each the columns that are shuffled together.
        target: Shape (runs,), its mean 0.
        seeds: How many forests, each with a shuffling of its own.
        seed: Of all that is drawn.

    Returns:
        Errors of each run in each forest.

    Raises:
        MissingExtra: scikit-learn is not installed.

    Example:
        >>> matrix = np.random.default_rng(0).normal(size=(60, 2))
        >>> harm = shuffle_groups(matrix, [[0], [1]], matrix[:, 0]).harm.mean(axis=(0, 2))
        >>> bool(harm[0] > 1 > 0.1 > harm[1])
        True
    """
    forest = load("sklearn.ensemble").RandomForestRegressor
    floats = matrix.astype(np.float32)
    leaf = max(1, min(_LARGEST_LEAF, len(target) // _RUNS_A_LEAF))
    owner = np.full(floats.shape[1], -1)
    for number, columns in enumerate(groups):
        owner[list(columns)] = number
    errors = np.empty((seeds, len(target)))
    harm = np.empty((seeds, len(groups), len(target)))
    for place in range(seeds):
        random = np.random.default_rng([seed, place])
        fitted = forest(
            _TREES,
            min_samples_leaf=leaf,
            max_samples=min(len(target), _DRAWN),
            random_state=int(random.integers(2**31)),
        ).fit(floats, target)
        own, shuffled = _predictions(fitted, floats, owner, random)
        errors[place] = (target - own) ** 2
        harm[place] = (target - shuffled) ** 2 - errors[place]
    return Shuffled(errors, harm)


def _predictions(
    fitted: Any, matrix: NDArray[np.float32], owner: NDArray[np.intp], random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the predictions of runs out of bag, as they are and with each group shuffled."""
    runs = len(matrix)
    other = random.permutation(runs)
    own, counts = np.zeros(runs), np.zeros(runs)
    shuffled = np.zeros((int(owner.max(initial=-1)) + 1, runs))
    for tree, drawn in zip(fitted.estimators_, fitted.estimators_samples_, strict=True):
        unseen = np.setdiff1d(np.arange(runs), drawn)
        grown = tree.tree_
        mine, theirs = matrix[unseen], matrix[other[unseen]]
        told = grown.predict(mine)[:, 0] if len(unseen) else np.empty(0)
        own[unseen] += told
        counts[unseen] += 1
        shuffled[:, unseen] += told
        # A group that a tree does not look at changes nothing in it.
        asked = np.unique(owner[grown.feature[grown.feature >= 0]])
        for some in _chunks(asked, max(1, _CELLS // max(1, mine.size))):
            mixed = np.where((owner == some[:, None])[:, None, :], theirs, mine)
            found = grown.predict(mixed.reshape(-1, matrix.shape[1])).reshape(len(some), -1)
            shuffled[np.ix_(some, unseen)] += found - told
    counts = np.maximum(counts, 1)  # a run that every tree saw is predicted by the mean, 0
    return own / counts, shuffled / counts


def _chunks(values: NDArray[Any], size: int) -> list[NDArray[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]
