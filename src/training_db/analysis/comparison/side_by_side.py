"""Runs side by side: where their facts, settings, results and metrics differ."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from training_db.documents import decode
from training_db.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SECTIONS = ("run", "config", "summary", "objective", "metric")
_FACTS = (
    "run_name", "status", "stale", "host", "duration_seconds", "num_gpus", "group_name",
    "parent_run_id", "git_branch", "git_commit", "git_dirty",
)  # fmt: skip
_AXES = frozenset({"_step", "_runtime", "_timestamp"})
"""What W&B logs beside everything; no two runs agree in them, and that tells nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fact of several runs.

    Attributes:
        section: ``"run"``, ``"config"``, ``"summary"``, ``"objective"`` or ``"metric"``.
        name: What it is; places in documents are dotted.
        values: Its value in each run; ``None`` where a run has none.
        differs: Whether the values are not all the same.
    """

    section: str
    name: str
    values: tuple[Any, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Runs side by side.

    Attributes:
        run_ids: The runs, in the order of the values of each row.
        rows: Their facts, section by section.
    """

    run_ids: tuple[str, ...]
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def side_by_side(
    sides: Mapping[str, Mapping[tuple[str, str], Any]], everything: bool = False
) -> SideBySide:
    """Put the facts of runs side by side.

    Args:
        sides: For each run its facts, by section and name, as :func:`facts_of` returns them.
        everything: Whether to keep what is the same in all of them, and W&B's own axes: _step,
            _runtime and _timestamp.

    Example:
        >>> sides = {"r1": {("config", "lr"): 0.1}, "r2": {}}
        >>> side_by_side(sides).rows[0].values
        (0.1, None)
    """
    names = dict.fromkeys(name for side in sides.values() for name in side)
    rows = []
    for section, name in sorted(names, key=lambda one: SECTIONS.index(one[0])):
        values = tuple(side.get((section, name)) for side in sides.values())
        differs = not all(_is_same(values[0], other) for other in values[1:])
        is_axis = section in ("summary", "metric") and name in _AXES
        if everything or (differs and not is_axis):
            rows.append(Row(section, name, values, differs))
    return SideBySide(tuple(sides), tuple(rows))


def facts_of(
    run: Mapping[str, Any],
    objectives: Iterable[Mapping[str, Any]],
    metrics: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, str], Any]:
    """Return all that is compared of a run, by section and name.

    Args:
        run: The run, as ``db.runs.get`` returns it.
        objectives: As ``db.objectives.of_run`` returns them.
        metrics: As ``db.metrics.of`` returns them.
    """
    return dict(_facts(run, objectives, metrics))


def leaves(text: str | None) -> dict[str, Any]:
    """Flatten JSON text to dotted names; what is no JSON object is one leaf.

    Example:
        >>> leaves('{"optimizer": {"lr": 0.1}, "betas": [0.9, 0.95]}')
        {'optimizer.lr': 0.1, 'betas': '[0.9, 0.95]'}
    """
    try:
        document = decode(text or "{}")
    except InvalidValue:
        return {"(no JSON)": text}
    if not isinstance(document, dict):
        return {"(no object)": text}
    return dict(_walk(document, "")) if document else {}


def _facts(
    run: Mapping[str, Any],
    objectives: Iterable[Mapping[str, Any]],
    metrics: Iterable[Mapping[str, Any]],
) -> Iterator[tuple[tuple[str, str], Any]]:
    for name in _FACTS:
        yield ("run", name), run[name]
    for section, document in (("config", "config_json"), ("summary", "final_metrics_json")):
        for name, value in leaves(run[document]).items():
            yield (section, name), value
    for objective in objectives:
        for statistic in ("raw_mean", "normalized_mean"):
            yield ("objective", f"{objective['objective_name']}.{statistic}"), objective[statistic]
    for metric in metrics:
        yield ("metric", metric["metric"]), metric["last"]


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _walk(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, json.dumps(node) if isinstance(node, (dict, list)) else node


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
