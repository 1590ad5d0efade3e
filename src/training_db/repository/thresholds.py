"""Objective thresholds: ``{"QED": 0.6, "SA": {"max": 3.5}}`` as a filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training_db.errors import InvalidValue, UnknownName
from training_db.models import OBJECTIVE_STATISTICS
from training_db.repository.arguments import one_of
from training_db.repository.filters import (
    OPERATORS,
    Among,
    And,
    Compare,
    Filter,
    ObjectiveField,
    plain,
)

_BOUNDS = {"min": ">=", "max": "<="}
_ACCEPTED = (
    "min",
    "max",
    *OBJECTIVE_STATISTICS,
    *(f"{bound}_{statistic}" for bound in _BOUNDS for statistic in OBJECTIVE_STATISTICS),
)


def from_thresholds(thresholds: Mapping[str, Any]) -> Filter:
    """Turn thresholds of any number of objectives into a filter that needs all of them.

    Args:
        thresholds: For each objective one of: a number (``raw_mean`` at least that); a pair of
            an operator and a number, ``("<", 3.5)``; or a mapping of ``min`` and ``max`` (of
            ``raw_mean``), ``min_<statistic>`` and ``max_<statistic>`` (all inclusive), or
            ``<statistic>`` (exactly).

    Raises:
        InvalidValue: A threshold that is none of these.
        UnknownName: A bound or operator that does not exist.

    Example:
        >>> from_thresholds({"QED": {"max_raw_std": 0.1}}).parts[0].operator
        '<='
    """
    if not isinstance(thresholds, Mapping):
        raise InvalidValue(
            f"the objective filters are {thresholds!r}; pass a mapping of objective to threshold"
        )
    return And(tuple(test for name, one in thresholds.items() for test in _tests(name, plain(one))))


def _tests(name: str, threshold: Any) -> list[Filter]:
    if not isinstance(name, str):
        raise InvalidValue(f"the objective's name {name!r} is no text")
    if isinstance(threshold, Mapping):
        return [_bound(name, bound, plain(value)) for bound, value in threshold.items()]
    if isinstance(threshold, (tuple, list)) and len(threshold) == 2:
        operator, value = threshold[0], plain(threshold[1])
        return [Compare(ObjectiveField(name), one_of("operator", operator, OPERATORS), value)]
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise InvalidValue(
            f"the threshold {threshold!r} of {name} is no number, (operator, number) or mapping"
        )
    return [Compare(ObjectiveField(name), ">=", threshold)]


def _bound(name: str, bound: str, value: Any) -> Filter:
    if bound not in _ACCEPTED:
        raise UnknownName("objective filter", bound, _ACCEPTED)
    if bound in OBJECTIVE_STATISTICS:
        field = ObjectiveField(name, bound)
        if isinstance(value, (list, tuple)):
            return Among(field, tuple(value))
        return Compare(field, "=", value)
    prefix, _, statistic = bound.partition("_")
    return Compare(ObjectiveField(name, statistic or "raw_mean"), _BOUNDS[prefix], value)
