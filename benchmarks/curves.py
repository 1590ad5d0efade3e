"""The history that is timed: 149 curves of float32 precision, as a training logs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.runs import OBJECTIVES, STATISTICS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

METRICS = (
    "loss",
    "grad_norm",
    "learning_rate",
    *(f"objectives/{name}_maximize/{stat}" for name in OBJECTIVES for stat in STATISTICS),
    *(f"train/loss_{number}" for number in range(56)),
    *(f"grads/layer_{number}" for number in range(50)),
)
SEED = 149


def curve(name: str, steps: int, run: int = 0) -> NDArray[np.float64]:
    """Make one curve, always the same for the same name, length and run.

    Losses fall and scores rise under noise of 2 to 20 %, gradient norms are noise alone, and the
    learning rate is smooth. All are rounded to float32, as what comes off a GPU is.

    Args:
        name: The metric's name.
        steps: How many points.
        run: The number of the run.

    Returns:
        float64 of shape (steps,).
    """
    number = METRICS.index(name)
    dice = np.random.default_rng((SEED, number, run))
    done = np.arange(steps) / steps
    noise = dice.normal(scale=dice.uniform(0.02, 0.2), size=steps)
    if name == "learning_rate":
        values = 1e-3 * np.minimum(done * 20, 0.5 * (1 + np.cos(np.pi * done)))
    elif name.startswith("grad"):
        values = np.exp(dice.normal(scale=0.5, size=steps) - done)
    elif name.startswith("objectives/"):
        values = dice.uniform(0.4, 0.9) * (1 - np.exp(-5 * done)) * (1 + noise)
    else:
        values = dice.uniform(0.5, 5) * (0.2 + np.exp(-6 * done)) * (1 + noise)
    return values.astype(np.float32).astype(np.float64)


def curves(steps: int, run: int = 0) -> dict[str, NDArray[np.float64]]:
    """Make all the curves of a run.

    Returns:
        149 arrays of shape (steps,), by metric.
    """
    return {name: curve(name, steps, run) for name in METRICS}


def rows(columns: dict[str, NDArray[Any]]) -> Iterator[dict[str, Any]]:
    """Turn curves into what a training loop logs: a dict of Python floats a step."""
    lists = [values.tolist() for values in columns.values()]
    for cells in zip(*lists, strict=True):
        yield dict(zip(columns, cells, strict=True))
