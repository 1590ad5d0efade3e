"""How scaffolds compare over several objectives: Pareto ranks and clusters of their scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def pareto_ranks(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return 1 for what nothing dominates, 2 for what only those dominate, and so on.

    Args:
        scores: Shape (items, objectives), larger is better in each.

    Returns:
        Shape (items,).

    Example:
        >>> pareto_ranks(np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5]])).tolist()
        [1, 1, 2]
    """
    differences = scores[:, None] - scores[None]
    dominates = np.all(differences >= 0, axis=2) & np.any(differences > 0, axis=2)
    ranks = np.zeros(len(scores), dtype=np.int64)
    while (ranks == 0).any():
        front = (ranks == 0) & ~dominates[ranks == 0].any(axis=0)
        ranks[front] = ranks.max() + 1
    return ranks


def clusters(
    scores: NDArray[np.float64], n_clusters: int, iterations: int = 50
) -> NDArray[np.int64]:
    """Return which cluster each item belongs to, by k-means from centers far apart.

    Args:
        scores: Shape (items, objectives).
        n_clusters: How many; no more than there are items.
        iterations: Rounds of assigning and averaging.

    Returns:
        Shape (items,), 0 ... n_clusters - 1.

    Example:
        >>> clusters(np.array([[0.0], [0.1], [5.0]]), 2).tolist()
        [0, 0, 1]
    """
    centers = scores[:1].copy()
    while len(centers) < n_clusters:
        centers = np.vstack([centers, scores[_distances(scores, centers).min(axis=1).argmax()]])
    for _ in range(iterations):
        nearest: NDArray[np.int64] = _distances(scores, centers).argmin(axis=1)
        for cluster in np.unique(nearest):
            centers[cluster] = scores[nearest == cluster].mean(axis=0)
    return nearest


def _distances(scores: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.linalg.norm(scores[:, None] - centers[None], axis=2)
    return distances
