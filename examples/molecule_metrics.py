"""What is recorded of each step, as flat keys the way W&B shows them in panels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from gradient_methods import cosine_similarities
from molecule_objectives import OBJECTIVES, PROPERTIES, Assessment, assess
from molecule_space import IS_LINKER, SCAFFOLD_NAMES, assemble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from molecule_space import Growth

    Array = NDArray[np.float64]

Metrics = dict[str, float]


@dataclass(frozen=True)
class Batch:
    """The molecules of one step.

    Args:
        growths: How each was grown.
        smiles: Its canonical SMILES, or None for one that is no valid molecule.
    """

    growths: list[Growth]
    smiles: list[str | None]

    @classmethod
    def of(cls, growths: list[Growth]) -> Batch:
        """Assemble what was grown."""
        return cls(growths, [assemble(one.scaffold, tuple(one.choices)) for one in growths])

    @property
    def scaffolds(self) -> NDArray[np.int64]:
        """The scaffold of each molecule, shape (molecules,)."""
        return np.array([growth.scaffold for growth in self.growths])

    def scores(self) -> Array:
        """Return the normalized scores, shape (molecules, objectives); 0 for the invalid."""
        nothing = np.zeros(len(OBJECTIVES))
        return np.stack([assess(one).normalized if one else nothing for one in self.smiles])

    def raw_scores(self) -> Array:
        """Return the raw scores, shape (molecules, objectives); NaN for the invalid."""
        nothing = np.full(len(OBJECTIVES), np.nan)
        return np.stack([assess(one).raw if one else nothing for one in self.smiles])

    def assessments(self) -> list[Assessment]:
        """Return what is known of each valid molecule."""
        return [assess(one) for one in self.smiles if one]


def objective_metrics(batch: Batch) -> Metrics:
    """Return mean and standard deviation of each objective over the valid molecules."""
    known = batch.assessments()
    metrics: Metrics = {}
    for index, objective in enumerate(OBJECTIVES):
        columns = {
            "raw": [one.raw[index] for one in known],
            "normalized": [one.normalized[index] for one in known],
        }
        for kind, values in columns.items():
            for statistic in ("mean", "std"):
                value = _statistics(values)[statistic]
                metrics[f"objectives/{objective.label}/{kind}_{statistic}"] = value
    return metrics


def property_metrics(batch: Batch, seen: set[str]) -> Metrics:
    """Return how valid, varied and new the molecules are, and what they are like.

    Args:
        batch: The molecules of a step.
        seen: The SMILES of all steps before; those of this step are added.
    """
    valid = [one for one in batch.smiles if one]
    distinct = set(valid)
    known = batch.assessments()
    choices = np.concatenate([growth.choices for growth in batch.growths])
    metrics: Metrics = {
        "validity": len(valid) / len(batch.smiles),
        "uniqueness": _share(len(distinct), len(valid)),
        "novelty": _share(len(distinct - seen), len(distinct)),
        "scaffold_diversity": _share(len({one.murcko for one in known}), len(distinct)),
        "distinct_fragments": len(np.unique(choices)),
        "linker_share": float(IS_LINKER[choices].mean()),
        "decisions_per_molecule": len(choices) / len(batch.growths),
        "molecules_seen": len(seen | distinct),
    }
    for index, name in enumerate(PROPERTIES):
        for statistic, value in _statistics([one.properties[index] for one in known]).items():
            metrics[f"{name}_{statistic}"] = value
    seen |= distinct
    return _under("general_prop", metrics)


def scaffold_metrics(batch: Batch, scores: Array) -> Metrics:
    """Return for each scaffold how many valid molecules it gave, and their mean scores.

    Args:
        batch: The molecules of a step.
        scores: Their normalized scores, shape (molecules, objectives).
    """
    valid = np.array([one is not None for one in batch.smiles])
    metrics: Metrics = {}
    for index, name in enumerate(SCAFFOLD_NAMES):
        chosen = valid & (batch.scaffolds == index)
        metrics[f"scaffolds/{name}/count"] = int(chosen.sum())
        for column, objective in enumerate(OBJECTIVES):
            mean = _statistics(list(scores[chosen, column]))["mean"]
            metrics[f"scaffolds/{name}/{objective.name}_mean"] = mean
    return metrics


def gradient_metrics(
    gradients: Array, direction: Array, weights: Array, layers: Mapping[str, slice]
) -> Metrics:
    """Return how the objectives' gradients relate to each other and to what was made of them.

    Args:
        gradients: Shape (objectives, parameters).
        direction: What is descended, shape (parameters,).
        weights: Of the combination, shape (objectives,).
        layers: Where each layer's parameters lie.
    """
    names = [objective.name for objective in OBJECTIVES]
    metrics: Metrics = {"grad_norm": float(np.linalg.norm(direction))}
    for layer, part in layers.items():
        metrics[f"grad_norm/{layer}"] = float(np.linalg.norm(direction[part]))
        for name, norm in zip(names, np.linalg.norm(gradients[:, part], axis=1), strict=True):
            metrics[f"grad_norm/{name}/{layer}"] = float(norm)
    for name, weight, gradient in zip(names, weights, gradients, strict=True):
        metrics[f"grad_norm/{name}"] = float(np.linalg.norm(gradient))
        metrics[f"weights/{name}"] = float(weight)
    cosines = cosine_similarities(np.vstack([gradients, direction]))
    for (row, one), (column, other) in combinations(enumerate([*names, "combined"]), 2):
        metrics[f"gradient_cosine/{one}_{other}"] = float(cosines[row, column])
    conflicts = np.triu(cosines[:-1, :-1] < 0, k=1).sum()
    metrics["gradient_cosine/conflicting_pairs"] = int(conflicts)
    return metrics


def _statistics(values: list[float]) -> Metrics:
    if not values:
        return dict.fromkeys(("mean", "std", "min", "max"), float("nan"))
    column = np.array(values)
    return {
        "mean": float(column.mean()),
        "std": float(column.std()),
        "min": float(column.min()),
        "max": float(column.max()),
    }


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _under(prefix: str, metrics: Metrics) -> Metrics:
    return {f"{prefix}/{name}": value for name, value in metrics.items()}
