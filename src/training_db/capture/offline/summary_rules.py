"""Which metrics W&B summarises by more than their last value, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.offline.records import text
from training_db.segments import is_number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Path = tuple[str, ...]

_GOALS = {1: "minimize", 2: "maximize"}


class _Seen:
    """The values of a metric so far, NaN aside."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        self.count, self.total = len(values), float(values.sum())
        self.min, self.max = float(values.min()), float(values.max())
        self.first, self.last = float(values[0]), float(values[-1])

    def go_on(self, later: _Seen) -> None:
        self.count, self.total = self.count + later.count, self.total + later.total
        self.min, self.max = min(self.min, later.min), max(self.max, later.max)
        self.last = later.last


_OWN_SUMMARIES: dict[str, Callable[[_Seen], float]] = {
    "min": lambda seen: seen.min,
    "max": lambda seen: seen.max,
    "mean": lambda seen: seen.total / seen.count,
    "first": lambda seen: seen.first,
    "last": lambda seen: seen.last,
}


class SummaryRules:
    """What ``define_metric`` said.

    Attributes:
        defined: For each metric, or glob of metrics, what was defined.
    """

    def __init__(self) -> None:
        self.defined: dict[str, dict[str, Any]] = {}
        self._seen: dict[Path, _Seen] = {}

    def take(self, metric: Any) -> None:
        """Take a record of a definition, which adds to those before."""
        name = text(metric.name or metric.glob_name)
        known = {} if metric.control.overwrite else self.defined.get(name, {})
        kinds = [field.name for field, is_set in metric.summary.ListFields() if is_set]
        found = {
            "summary": sorted({*known.get("summary", ()), *kinds}),
            "step_metric": text(metric.step_metric),
            "hidden": metric.options.hidden,
            "goal": _GOALS.get(metric.goal),
        }
        self.defined[name] = known | {key: value for key, value in found.items() if value}

    def keeps_last(self, path: Path) -> bool:
        """Tell whether the summary of a metric is its last value.

        Args:
            path: The parts of its key.
        """
        return {"copy"}.issuperset(self._rule(path).get("summary", ()))

    def observe(self, path: Path, values: NDArray[Any]) -> None:
        """Take values of a metric that is summarised otherwise.

        Args:
            path: The parts of its key.
            values: What was logged next, of shape (n,).
        """
        found = numbers(values[is_number(values)])
        found = found[~np.isnan(found)]
        if len(found):
            later = _Seen(found)
            if path in self._seen:
                self._seen[path].go_on(later)
            else:
                self._seen[path] = later

    def summaries(self) -> Iterator[tuple[Path, dict[str, float]]]:
        """Return what clients before 0.18 would have written at the end, by the metrics' keys."""
        for path, seen in self._seen.items():
            rule = self._rule(path)
            values = {
                kind: summarised(seen)
                for kind, summarised in _OWN_SUMMARIES.items()
                if kind in rule.get("summary", ())
            }
            if "best" in rule.get("summary", ()):
                values["best"] = seen.max if rule.get("goal") == _GOALS[2] else seen.min
            if values:
                yield path, values

    def _rule(self, path: Path) -> dict[str, Any]:
        if not self.defined:
            return {}
        # A dot that is no division between keys is escaped where metrics are defined.
        names = {".".join(path), ".".join(part.replace(".", "\\.") for part in path)}
        for name in names:
            if name in self.defined:
                return self.defined[name]
        for glob, rule in self.defined.items():
            if glob.endswith("*") and any(name.startswith(glob[:-1]) for name in names):
                return rule
        return {}
