"""Which of a run's many metrics a page draws."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from training_db.analysis.dynamics.key_metrics import gradient_norms, losses, scores
from training_db.analysis.dynamics.objective_series import objective_series
from training_db.extraction import objective_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_db.database import TrainingDB

_MOST = 6
_LOSSES, _SCORES, _NORMS, _RATES = 3, 2, 1, 1
_RATE = re.compile(r"(?:.*[/_. -])?(?:lr|learning[_ -]?rate)(?:[/_. -]\w+)?", re.IGNORECASE)
# What is logged beside a training, and parts of what is drawn whole.
_ASIDE = re.compile(
    r"_|system/|.*(?:grad|weight|bias|param|layer|(?:std|epochs?|steps?)\s*\Z)", re.IGNORECASE
)
_LOSS_ROOTS = ("loss", "losses")
_DEEPEST = 1  # slashes


class ObjectiveCurve(NamedTuple):
    """An objective, and the metric that is its curve."""

    objective: str
    metric: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The metrics that a page draws.

    Attributes:
        metrics: Those that say how a training went: losses, the norm of the gradients, the
            learning rate, and what else has a short name, as accuracies and rewards have.
        raw: The objectives' scores as they are.
        normalised: The objectives' scores from 0 to 1.
    """

    metrics: tuple[str, ...]
    raw: tuple[ObjectiveCurve, ...]
    normalised: tuple[ObjectiveCurve, ...]

    @classmethod
    def of(cls, db: TrainingDB, run_ids: Sequence[str], metrics: Sequence[str]) -> Chosen:
        """Choose among the metrics that runs have.

        Args:
            db: The database.
            run_ids: The runs.
            metrics: The names of those of their metrics that are numbers.

        Example:
            >>> db = getfixture("example_db")
            >>> names = ["_runtime", "loss", "grad_norm", "objectives/QED_maximize/raw_mean"]
            >>> chosen = Chosen.of(db, [], names)
            >>> chosen.metrics, chosen.raw[0].objective
            (('loss', 'grad_norm'), 'QED')
        """
        rows = db.objectives.query({"run_id": list(run_ids)}, limit=None) if run_ids else []
        known = {one["objective_name"]: one for one in rows}
        raw = [
            ObjectiveCurve(one.name, one.metric)
            for one in objective_series(metrics, known.values())
        ]
        normalised = [
            ObjectiveCurve(parsed[0], metric)
            for metric in metrics
            if (parsed := objective_key(metric)) and parsed[2] == "normalized_mean"
        ]
        taken = {one.metric for one in raw}
        telling = _telling([name for name in metrics if name not in taken], 0 if raw else _DEEPEST)
        return cls(tuple(telling), tuple(raw), tuple(normalised))

    def titles(self) -> dict[str, str]:
        """Return the metrics that are drawn of several runs, and what stands above each."""
        objectives = {one.metric: one.objective for one in self.raw or self.normalised}
        return {**{metric: metric for metric in self.metrics}, **objectives}


def numeric_metrics(db: TrainingDB, run_ids: Sequence[str]) -> list[str]:
    """Return the metrics of which some of the runs has numbers."""
    metrics = (one for run_id in run_ids for one in db.metrics.of(run_id))
    return list(dict.fromkeys(one["metric"] for one in metrics if one["count"]))


def _telling(metrics: Sequence[str], deepest: int) -> list[str]:
    rates = [name for name in metrics if _RATE.fullmatch(name)]
    chosen = [
        *losses(metrics)[:_LOSSES], *scores(metrics)[:_SCORES],
        *gradient_norms(metrics)[:_NORMS], *rates[:_RATES],
    ]  # fmt: skip
    others = [
        name
        for name in metrics
        if name.count("/") <= deepest
        and not (objective_key(name) or _ASIDE.match(name) or _RATE.fullmatch(name))
        and not (name in losses(metrics) or (chosen and name.partition("/")[0] in _LOSS_ROOTS))
    ]
    others.sort(key=lambda name: (name.count("/"), len(name), name))
    return list(dict.fromkeys([*chosen, *others]))[:_MOST]
