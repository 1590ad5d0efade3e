"""Four ways to make one descent direction out of the gradients of several objectives.

Every method takes the gradients as an array of shape (objectives, parameters), each the gradient
of a loss to be made smaller, and returns weights of shape (objectives,). The direction to descend
is ``weights @ gradients``: all four methods stay in the span of the gradients they combine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]


def mgda(gradients: Array, max_iterations: int = 500, tolerance: float = 1e-9) -> Array:
    """Return the weights of the shortest vector in the convex hull of the gradients.

    Sener and Koltun, "Multi-Task Learning as Multi-Objective Optimization", NeurIPS 2018,
    solve this with Frank-Wolfe. We take its pairwise steps (Lacoste-Julien and Jaggi, "On the
    Global Linear Convergence of Frank-Wolfe Optimization Variants", NeurIPS 2015), which reach
    the same point without the zigzag of the plain steps near a face of the simplex.

    Args:
        gradients: Shape (objectives, parameters).
        max_iterations: Steps after which the weights are returned as they are.
        tolerance: Stop when the gap falls to this share of the summed squared gradient norms.

    Returns:
        Shape (objectives,), none negative, of sum 1.

    Example:
        >>> mgda(np.array([[2.0, 0.0], [0.0, 1.0]])).round(3).tolist()
        [0.2, 0.8]
    """
    gram = gradients @ gradients.T
    weights = np.full(len(gram), 1.0 / len(gram))
    for _ in range(max_iterations):
        slopes = gram @ weights
        toward = int(np.argmin(slopes))
        away = int(np.argmax(np.where(weights > 0, slopes, -np.inf)))
        gap = slopes[away] - slopes[toward]
        if gap <= tolerance * np.trace(gram):
            break
        curvature = gram[toward, toward] - 2 * gram[toward, away] + gram[away, away]
        step = min(weights[away], gap / curvature)
        weights[toward] += step
        weights[away] -= step
    return weights


def pcgrad(gradients: Array, rng: np.random.Generator) -> Array:
    """Return the weights of the sum of gradients rid of what conflicts with the others.

    Yu et al., "Gradient Surgery for Multi-Task Learning", NeurIPS 2020, algorithm 1: each
    gradient meets the others in random order and loses its part against those it conflicts with.

    Args:
        gradients: Shape (objectives, parameters).
        rng: Draws the order in which a gradient meets the others.

    Returns:
        Shape (objectives,); all ones when no two gradients conflict.

    Example:
        >>> pcgrad(np.array([[1.0, 0.0], [1.0, 1.0]]), np.random.default_rng(0)).tolist()
        [1.0, 1.0]
    """
    gram = gradients @ gradients.T
    total = np.zeros(len(gram))
    for task in range(len(gram)):
        kept = np.zeros(len(gram))
        kept[task] = 1.0
        for other in rng.permutation(np.delete(np.arange(len(gram)), task)):
            overlap = kept @ gram[:, other]
            if overlap < 0:
                kept[other] -= overlap / gram[other, other]
        total += kept
    return total


def imtlg(gradients: Array) -> Array:
    """Return the weights of the vector whose projections onto all gradients are equal.

    Liu et al., "Towards Impartial Multi-task Learning", ICLR 2021, section 3.1, closed form.

    Args:
        gradients: Shape (objectives, parameters).

    Returns:
        Shape (objectives,), of sum 1; single weights may be negative.

    Example:
        >>> imtlg(np.array([[2.0, 0.0], [0.0, 1.0]])).round(3).tolist()
        [0.333, 0.667]
    """
    units = _unit(gradients)
    gradient_differences = gradients[0] - gradients[1:]
    unit_differences = units[0] - units[1:]
    # Least squares, because parallel or vanished gradients leave the system singular.
    rest = np.linalg.lstsq(
        unit_differences @ gradient_differences.T, unit_differences @ gradients[0], rcond=None
    )[0]
    return np.concatenate(([1.0 - rest.sum()], rest))


def aligned_mtl(gradients: Array) -> Array:
    """Return the weights of the mean of gradients made orthogonal and equally long.

    Senushkin et al., "Independent Component Alignment for Multi-Task Learning", CVPR 2023,
    algorithm 1, with equal preferences.

    Args:
        gradients: Shape (objectives, parameters).

    Returns:
        Shape (objectives,).

    Example:
        >>> aligned_mtl(np.array([[2.0, 0.0], [0.0, 1.0]])).round(3).tolist()
        [0.25, 0.5]
    """
    balance = alignment(gradients)
    preferences: Array = np.full(len(balance), 1.0 / len(balance))
    return preferences @ balance


def alignment(gradients: Array) -> Array:
    """Return the matrix that makes a system of gradients perfectly conditioned.

    All singular values of ``alignment(gradients) @ gradients`` equal the smallest of the
    gradients' own that is not zero, so the scale is that of the weakest component (Senushkin et
    al. 2023, section 4).

    Args:
        gradients: Shape (objectives, parameters).

    Returns:
        Shape (objectives, objectives), symmetric; zeros when all gradients vanish.

    Example:
        >>> alignment(np.array([[2.0, 0.0], [0.0, 1.0]])).round(3).tolist()
        [[0.5, 0.0], [0.0, 1.0]]
    """
    eigenvalues, eigenvectors = np.linalg.eigh(gradients @ gradients.T)
    noise = eigenvalues.max() * len(eigenvalues) * np.finfo(np.float64).eps
    real = eigenvalues > max(noise, 0.0)
    if not real.any():
        return np.zeros((len(gradients), len(gradients)))
    strengths, components = eigenvalues[real], eigenvectors[:, real]
    balance: Array = components @ np.diag(np.sqrt(strengths.min() / strengths)) @ components.T
    return balance


def combine(method: str, gradients: Array, rng: np.random.Generator) -> Array:
    """Return a method's weights for the gradients.

    Args:
        method: One of ``METHODS``.
        gradients: Shape (objectives, parameters).
        rng: For the methods that draw something.

    Returns:
        Shape (objectives,).

    Raises:
        ValueError: There is no such method.

    Example:
        >>> combine("mgda", np.eye(2), np.random.default_rng(0)).tolist()
        [0.5, 0.5]
    """
    if method == "pcgrad":
        return pcgrad(gradients, rng)
    if method not in _DETERMINISTIC:
        raise ValueError(f"no gradient method {method!r}; choose one of {', '.join(METHODS)}")
    return _DETERMINISTIC[method](gradients)


def cosine_similarities(gradients: Array) -> Array:
    """Return the cosine of the angle between every two gradients, 0 where one vanishes.

    Args:
        gradients: Shape (objectives, parameters).

    Returns:
        Shape (objectives, objectives).

    Example:
        >>> cosine_similarities(np.array([[2.0, 0.0], [0.0, 1.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    units = _unit(gradients)
    return units @ units.T


def _unit(gradients: Array) -> Array:
    norms = np.linalg.norm(gradients, axis=1, keepdims=True)
    units: Array = gradients / np.maximum(norms, np.finfo(np.float64).tiny)
    return units


_DETERMINISTIC: dict[str, Callable[[Array], Array]] = {
    "mgda": mgda,
    "imtlg": imtlg,
    "aligned_mtl": aligned_mtl,
}
METHODS = ("mgda", "pcgrad", "imtlg", "aligned_mtl")
