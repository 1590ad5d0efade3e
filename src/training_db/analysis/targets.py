"""What runs are judged by: one number of each, and which way it is better."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.direction import direction_word
from training_db.analysis.dynamics.objective_series import objective_series
from training_db.analysis.fronts.objective_choice import stored_direction
from training_db.errors import InvalidValue
from training_db.extraction import objective_key
from training_db.repository.arguments import one_of
from training_db.repository.filters import (
    And,
    ColumnField,
    Compare,
    MetricField,
    Missing,
    ObjectiveField,
    Or,
)
from training_db.repository.run_scores import STATISTICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training_db.analysis.direction import Direction
    from training_db.analysis.source import Source
    from training_db.repository.filters import Field

_LESS = (
    "loss", "losses", "error", "err", "mse", "rmse", "mae", "mape", "nll", "perplexity", "ppl",
    "bpb", "cer", "wer", "fid", "latency", "regret", "norm", "duration", "runtime", "seconds",
)  # fmt: skip
_MORE = (
    "reward", "rewards", "return", "returns", "accuracy", "acc", "auc", "auroc", "auprc", "ap",
    "map", "f1", "precision", "recall", "r2", "score", "bleu", "rouge", "throughput",
    "hypervolume", "iou", "dice", "psnr", "ssim",
)  # fmt: skip
_NEITHER = ("std", "stddev", "var", "variance")
_AT_ONCE = 5_000
_DELETED = ColumnField("deleted_at")
_IN_TRASH_OR_NOT = Or((Missing(_DELETED), Missing(_DELETED, negated=True)))


@dataclass(frozen=True, slots=True)
class Target:
    """One number of each run.

    Attributes:
        name: As somebody calls it: ``"QED"``, or ``"loss (min)"`` of a statistic named apart.
        field: What it is.
    """

    name: str
    field: Field


def target_of(source: Source, text: str, statistic: str | None = None) -> Target:
    """Say which number of a run a name means.

    Args:
        source: The database.
        text: As ``db.objectives.score_field`` reads it.
        statistic: Which number of an objective (``raw_mean`` if nothing is said) or of a metric
            (``last``), where the name does not say.

    Raises:
        UnknownName: It means nothing that a run has, or there is no such statistic.
        MetricNotFound: No run has such a metric.
        InvalidValue: It is no number, or has no statistics.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1"), db.history.append("r1", {"loss": [0.5]})
        >>> target_of(db, "loss", "min")
        Target(name='loss (min)', field=MetricField(name='loss', statistic='min'))
    """
    if not isinstance(text, str) or not text:
        raise InvalidValue(f"the target is {text!r}; name an objective or a metric")
    field = source.objectives.score_field(text, statistic)
    if statistic is None:
        return Target(text, field)
    known = STATISTICS.get(type(field), ())
    if not known:
        raise InvalidValue(
            f"{text} has no statistic {statistic!r}; objectives and metrics have some"
        )
    one_of("statistic", statistic, known)
    return Target(f"{text} ({statistic})", field)


def numbers_of(source: Source, target: Target, filters: Any = None) -> dict[str, float]:
    """Return the number of each run that matches, by the runs' numbers; NaN where it has none.

    Args:
        source: The database.
        target: Which number.
        filters: Of which runs, as for ``db.runs.query``.
    """
    scores = source.objectives.scores([target.field], filters)
    return dict(zip(scores.run_ids, scores.values[:, 0].tolist(), strict=True))


def numbers_of_runs(source: Source, target: Target, run_ids: Iterable[str]) -> dict[str, float]:
    """Return the numbers of some runs, in their order; those in the trash are not there."""
    wanted = list(run_ids)
    found: dict[str, float] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        found |= numbers_of(source, target, {"run_id": wanted[start : start + _AT_ONCE]})
    return {run_id: found[run_id] for run_id in wanted if run_id in found}


def number_of_run(source: Source, target: Target, run_id: str) -> float:
    """Return the number of a run, in the trash or not; NaN where it has none."""
    named = Compare(ColumnField("run_id"), "=", run_id)
    return numbers_of(source, target, And((named, _IN_TRASH_OR_NOT)))[run_id]


def better_direction(
    source: Source, target: Target, said: str | None = None, run_id: str | None = None
) -> Direction:
    """Return ``"maximize"`` or ``"minimize"``.

    Args:
        source: The database.
        target: The number.
        said: What the caller says of it; else the stored direction counts for an objective, and
            for others the name: ``objectives/QED_maximize/raw_mean`` says it, and a loss is better
            when it is less, a reward when it is more.
        run_id: The run whose stored direction counts before that of others.

    Raises:
        InvalidValue: Nobody says it, or the runs do not agree.
        UnknownName: What is said is no direction.
    """
    if said is not None:
        return direction_word(said)
    if isinstance(target.field, ObjectiveField):
        own = {} if run_id is None else source.objectives.directions({"run_id": run_id})
        stored = own if target.field.name in own else source.objectives.directions()
        return stored_direction(target.name, target.field, stored)
    named = target.field.name if isinstance(target.field, MetricField) else target.name
    told = _by_name(named.removeprefix("summary."))
    if told is None:
        raise InvalidValue(f"nothing tells which way {target.name} is better; say 'min' or 'max'")
    return told


def is_finite(value: float | None) -> bool:
    """Tell whether a number can be compared."""
    return value is not None and bool(np.isfinite(value))


def _by_name(name: str) -> Direction | None:
    parsed = objective_key(name)
    if parsed is not None and parsed[2] != "raw_mean":
        return None
    for series in objective_series([name]):
        if series.direction is not None:
            return direction_word(series.direction)
    words = re.findall(r"[a-z]+\d?", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())
    for word in reversed(words):  # the last word is what it is: val_loss_norm, reward_loss
        if word in _NEITHER:
            return None
        if word in _LESS:
            return "minimize"
        if word in _MORE:
            return "maximize"
    return None
