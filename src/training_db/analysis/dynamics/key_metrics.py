"""Which metrics of a run are looked at when nobody says which, by their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 12
"""Metrics of each sort that are looked at."""

_LOSS = re.compile(r"(?:.*[^a-z])?loss(?:es)?(?:[/_. -](?:total|mean|[0-9]+))?")
_LOSS_IN_CAMELS = re.compile(r".*[a-z]Loss")
_SCORE = re.compile(r"(?:.*[^a-z])?(?:accuracy|acc|auc|auroc|f1|reward|return)(?:[/_. -]mean)?")
_GRADIENT_NORM = re.compile(
    r"(?:.*[/_. -])?grad(?:ient)?s?[_. -]?(?:[0-9.]+[_. -])?norm(?:[/_. -](?:total|global|mean))?"
)


def losses(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are losses: named ``loss``, or ending so, or numbered, or the total.

    Args:
        metrics: The names of a run's metrics.

    Returns:
        At most 12, the shortest names first: parts of a loss have longer ones.

    Example:
        >>> losses(["eval/loss", "loss", "loss/QED", "td_loss", "glossary", "losses/total"])
        ['loss', 'td_loss', 'eval/loss', 'losses/total']
        >>> losses(["valLoss", "loss/total", "Train Loss"])
        ['valLoss', 'Train Loss', 'loss/total']
    """
    return _shortest(
        name for name in metrics if _is(_LOSS, name) or _LOSS_IN_CAMELS.fullmatch(name)
    )


def scores(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are better the more there is of them: accuracies, rewards, returns.

    Args:
        metrics: The names of a run's metrics.

    Returns:
        At most 12, the shortest names first.

    Example:
        >>> scores(["eval/accuracy", "return", "reward_scale", "Test acc"])
        ['return', 'Test acc', 'eval/accuracy']
    """
    return _shortest(name for name in metrics if _is(_SCORE, name))


def gradient_norms(metrics: Iterable[str]) -> list[str]:
    """Return the metrics that are norms of all gradients; not those of single layers.

    Args:
        metrics: The names of a run's metrics.

    Returns:
        At most 12, the shortest names first.

    Example:
        >>> gradient_norms(["grad_norm/layer1", "train/grad_norm", "grad_2.0_norm_total"])
        ['train/grad_norm', 'grad_2.0_norm_total']
    """
    return _shortest(name for name in metrics if _is(_GRADIENT_NORM, name))


def _is(pattern: re.Pattern[str], name: str) -> bool:
    return pattern.fullmatch(name.strip().lower()) is not None


def _shortest(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (len(name), name))[:MOST]
