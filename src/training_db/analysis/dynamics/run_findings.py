"""A run looked at from all sides: its losses, scores, norms of gradients, and objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.conflicts import detect_conflicts
from training_db.analysis.curves.convergence import convergence_speed
from training_db.analysis.curves.explosion import detect_explosions
from training_db.analysis.curves.instability import detect_instability
from training_db.analysis.curves.plateau import detect_plateau
from training_db.analysis.dynamics import findings as sentences
from training_db.analysis.dynamics.findings import SEVERITIES
from training_db.analysis.dynamics.key_metrics import gradient_norms, losses, scores
from training_db.analysis.dynamics.objective_conflicts import series_of
from training_db.analysis.dynamics.objective_series import objective_series
from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from training_db.analysis.curves.instability import Instability
    from training_db.analysis.dynamics.findings import Finding
    from training_db.analysis.dynamics.objective_series import ObjectiveSeries
    from training_db.repository.history_series import Series


@dataclass(frozen=True, slots=True)
class Watched:
    """Which metrics of a run are looked at.

    Attributes:
        losses: Losses.
        scores: Accuracies, rewards and the like.
        gradient_norms: Norms of gradients.
        objectives: Objectives, and where their curves stand.
    """

    losses: tuple[str, ...]
    scores: tuple[str, ...]
    gradient_norms: tuple[str, ...]
    objectives: tuple[ObjectiveSeries, ...]

    @classmethod
    def of(cls, metrics: Sequence[str], objectives: Iterable[Mapping[str, Any]]) -> Watched:
        """Choose by name among the metrics of a run.

        Args:
            metrics: Their names.
            objectives: The run's rows of ``run_objectives``.
        """
        found = tuple(objective_series(metrics, objectives))
        taken = {one.metric for one in found}
        rest = [name for name in metrics if name not in taken]
        return cls(tuple(losses(rest)), tuple(scores(rest)), tuple(gradient_norms(rest)), found)

    @property
    def metrics(self) -> list[str]:
        """The names of all of them."""
        named = (*self.losses, *self.scores, *self.gradient_norms)
        return [*named, *(one.metric for one in self.objectives)]


def findings_of(watched: Watched, curves: Mapping[str, Series]) -> list[Finding]:
    """Return what is worth saying of a run, the gravest first.

    Args:
        watched: Which metrics to look at.
        curves: Their values.
    """
    found = [finding for name in watched.losses for finding in _of(name, curves[name], "minimize")]
    for name in watched.scores:
        found += _of(name, curves[name], "maximize")
    for name in watched.gradient_norms:
        explosions = detect_explosions(curves[name].values, curves[name].x)
        if explosions:
            found.append(sentences.of_explosions(name, explosions))
    for one in watched.objectives:
        found += _of(one.name, curves[one.metric], one.direction)
    if len(watched.objectives) > 1:
        conflicts = detect_conflicts(*series_of(watched.objectives, curves))
        found += map(sentences.of_conflict, conflicts)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def ends(series: Series) -> tuple[float, float, float]:
    """Return the first and the last step of a series, and the last at which it is finite."""
    finite = series.x[np.isfinite(numbers(series.values))]
    return series.x[0].item(), series.x[-1].item(), finite[-1].item()


def _of(name: str, series: Series, direction: Any) -> Iterator[Finding]:
    instability = detect_instability(series.values, series.x, direction=direction)
    yield from sentences.of_instability(name, instability)
    if _is_lost(instability, series):
        return
    plateau = detect_plateau(series.values, series.x)
    if plateau is not None:
        yield sentences.of_plateau(name, plateau, *ends(series))
    speed = convergence_speed(series.values, series.x)
    if speed is not None and direction in (None, speed.direction):
        yield sentences.of_convergence(name, speed)
    elif speed is not None:
        yield sentences.of_worsening(name, speed)


def _is_lost(instability: Instability, series: Series) -> bool:
    """Whether a curve came to nothing, so that where it stayed or got before is beside the point.

    Args:
        instability: What was unstable in it.
        series: The curve.
    """
    if instability.divergence is not None:
        return True
    return instability.non_finite is not None and not math.isfinite(numbers(series.values)[-1])
