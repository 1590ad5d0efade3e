"""Which metrics of a run are the curves of its objectives, by their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_db.extraction import objective_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ROOTS = ("objectives/", "objective/")
_MEAN = "raw_mean"


@dataclass(frozen=True, slots=True)
class ObjectiveSeries:
    """Where the curve of an objective stands.

    Attributes:
        name: The objective.
        metric: The metric of the history.
        direction: ``"maximize"`` or ``"minimize"``; ``None`` where nobody says.
    """

    name: str
    metric: str
    direction: str | None


def objective_series(
    metrics: Iterable[str], objectives: Iterable[Mapping[str, Any]] = ()
) -> list[ObjectiveSeries]:
    """Find the metrics that are the curves of objectives.

    In this order: ``objectives/NAME_DIRECTION/raw_mean``, as W&B's exports have it, with or
    without the direction; ``objectives/NAME`` and ``objective/NAME``, likewise; and, for
    objectives that the run is known to have, ``NAME/raw_mean``, the bare ``NAME`` and the alias.
    Normalized means are not looked at: nothing says which way they were turned.

    Args:
        metrics: The names of the run's metrics.
        objectives: Rows of ``run_objectives``: their direction goes before that of the name.

    Returns:
        One for each objective that has a curve: first those the run is known to have.

    Example:
        >>> rows = [{"objective_name": "SA", "direction": "minimize"}]
        >>> found = objective_series(["loss", "SA", "objectives/QED_maximize/raw_mean"], rows)
        >>> [(one.name, one.metric, one.direction) for one in found]
        [('SA', 'SA', 'minimize'), ('QED', 'objectives/QED_maximize/raw_mean', 'maximize')]
    """
    names = list(metrics)
    present = set(names)
    said = _said_by_name(names)
    found = []
    for row in objectives:
        name = row["objective_name"]
        spoken = said.pop(name, None)
        bare = (f"{name}/{_MEAN}", name, row.get("objective_alias"))
        metric = spoken.metric if spoken else next((one for one in bare if one in present), None)
        if metric is not None:
            direction = row.get("direction") or (spoken.direction if spoken else None)
            found.append(ObjectiveSeries(name, metric, direction))
    return found + list(said.values())


def _said_by_name(metrics: Iterable[str]) -> dict[str, ObjectiveSeries]:
    """Return the objectives that metrics name by themselves; means before plain values."""
    means: dict[str, ObjectiveSeries] = {}
    plain: dict[str, ObjectiveSeries] = {}
    for metric in metrics:
        parsed = objective_key(metric)
        if parsed is not None:
            if parsed[2] == _MEAN:
                means.setdefault(parsed[0], ObjectiveSeries(parsed[0], metric, parsed[1]))
            continue
        root = next((root for root in _ROOTS if metric.startswith(root)), "")
        label = metric.removeprefix(root)
        if root and label and "/" not in label:
            name, direction = _cut_direction(label)
            plain.setdefault(name, ObjectiveSeries(name, metric, direction))
    return plain | means


def _cut_direction(label: str) -> tuple[str, str | None]:
    # The same rule as for summaries, which ask for a statistic behind it.
    parsed = objective_key(f"objectives/{label}/{_MEAN}")
    return (label, None) if parsed is None else (parsed[0], parsed[1])
