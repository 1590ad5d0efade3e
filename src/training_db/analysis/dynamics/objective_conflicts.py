"""Which objectives of runs part ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.curves.conflicts import FEWEST, conflicts_and_matrix
from training_db.analysis.dynamics import findings as sentences
from training_db.analysis.dynamics.looks import ConflictLook
from training_db.analysis.dynamics.objective_series import objective_series
from training_db.analysis.source import Questions
from training_db.errors import InvalidValue, UnknownName
from training_db.repository.arguments import names_in
from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.analysis.dynamics.objective_series import ObjectiveSeries
    from training_db.repository.history_series import Series

_NONE = "No two objectives part ways."


class ObjectiveConflicts(Questions):
    """Which objectives of runs part ways, as ``db.analysis``."""

    def conflicts(
        self,
        filters: Any = None,
        objectives: str | Iterable[str] | None = None,
        save: bool = False,
        run_id: str | None = None,
    ) -> list[ConflictLook]:
        """Tell which objectives of runs part ways: one gets better while another gets worse.

        Where the curves of objectives stand is said by
        :func:`~training_db.analysis.dynamics.objective_series.objective_series`; an objective
        without a direction is taken to be better the more there is of it.

        Args:
            filters: Which runs, as for ``db.runs.query``.
            objectives: These only.
            save: Keep each answer as an event of the run, instead of the one kept before.
            run_id: This run only.

        Returns:
            For each run, in the order of their numbers, its conflicts by
            :func:`~training_db.analysis.curves.conflicts.detect_conflicts`, and how each two
            objectives go together. A run of fewer than two objectives, or of too few values, says
            so.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: An objective that has a curve in none of the runs.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> up = [0.01 * step for step in range(100)]
            >>> curves = {"objective/QED_maximize": up, "objective/SA_minimize": up}
            >>> _ = db.history.append("r1", curves)
            >>> [look] = db.analysis.conflicts(run_id="r1")
            >>> [(one.better, one.worse, one.since) for one in look.conflicts]
            [('QED', 'SA', 0)]
        """
        names = None if objectives is None else names_in(objectives, "objective")
        if run_id is not None and filters:
            raise InvalidValue("there are both a run_id and filters; pass one of them")
        run_ids = self._source.runs.ids(filters) if run_id is None else [run_id]
        looks = []
        for one, found in self._objective_curves(run_ids, names):
            looks.append(_look(one, found, self._curves(one, [each.metric for each in found])))
        if save:
            with self._source.transaction():
                for look in looks:
                    if look.skipped is None:
                        self._save(look.run_id, "conflicts", "", _answer(look), look.as_dict())
        return looks

    def _objective_curves(
        self, run_ids: Sequence[str], names: Sequence[str] | None
    ) -> list[tuple[str, list[ObjectiveSeries]]]:
        curves = []
        for run_id in run_ids:
            rows = self._source.objectives.of_run(run_id)
            curves.append((run_id, objective_series(self._metrics_of(run_id), rows)))
        known = dict.fromkeys(curve.name for _, found in curves for curve in found)
        for name in names or ():
            if name not in known:
                raise UnknownName("objective with a curve", name, known)
        if names is None:
            return curves
        return [(run_id, [one for one in found if one.name in names]) for run_id, found in curves]

    def _metrics_of(self, run_id: str) -> list[str]:
        """Return the names of a run's metrics that hold numbers."""
        keys = self._source.history.keys(run_id)
        return [key["metric"] for key in keys if key["kind"] != "other"]

    def _curves(self, run_id: str, metrics: Sequence[str]) -> dict[str, Series]:
        if not metrics:
            return {}
        return self._source.history.arrays(run_id, metrics)[run_id]


def aligned(curves: Mapping[str, Series]) -> tuple[dict[str, NDArray[np.float64]], NDArray[Any]]:
    """Put curves over the steps that any of them has.

    Args:
        curves: By their names, each in the order of its steps.

    Returns:
        For each its values, float64 of shape (n,), NaN where it has none; and the steps.

    Example:
        >>> from training_db.repository.history_series import Series
        >>> every = Series(np.array([0, 1, 2]), np.array([1.0, 2.0, 3.0]))
        >>> other = Series(np.array([0, 2]), np.array([5.0, 6.0]))
        >>> values, steps = aligned({"a": every, "b": other})
        >>> values["b"].tolist(), steps.tolist()
        ([5.0, nan, 6.0], [0, 1, 2])
    """
    steps = np.unique(np.concatenate([curve.x for curve in curves.values()] or [np.empty(0)]))
    values = {}
    for name, curve in curves.items():
        values[name] = np.full(len(steps), np.nan)
        values[name][np.searchsorted(steps, curve.x)] = numbers(curve.values)
    return values, steps


def series_of(
    objectives: Sequence[ObjectiveSeries], curves: Mapping[str, Series]
) -> tuple[dict[str, NDArray[np.float64]], NDArray[Any], dict[str, str | None]]:
    """Return what :func:`~training_db.analysis.curves.conflicts.detect_conflicts` asks for.

    Args:
        objectives: The objectives.
        curves: Values by metric.

    Returns:
        Values by objective, the steps, and the directions by objective.
    """
    values, steps = aligned({one.name: curves[one.metric] for one in objectives})
    return values, steps, {one.name: one.direction for one in objectives}


def _look(
    run_id: str, objectives: list[ObjectiveSeries], curves: Mapping[str, Series]
) -> ConflictLook:
    if len(objectives) < 2:
        have = f"{len(objectives)} of its objectives has" if objectives else "no objective has"
        skipped = f"{have} a curve, 2 are needed"
        return ConflictLook(run_id, tuple(objectives), (), None, skipped)
    counts = {
        one.name: int(np.isfinite(numbers(curves[one.metric].values)).sum()) for one in objectives
    }
    few = [f"{name} has {count}" for name, count in counts.items() if count < FEWEST]
    if len(objectives) - len(few) < 2:
        skipped = f"{', '.join(few)} finite values, {FEWEST} are needed"
        return ConflictLook(run_id, tuple(objectives), (), None, skipped)
    conflicts, matrix = conflicts_and_matrix(*series_of(objectives, curves))
    return ConflictLook(run_id, tuple(objectives), tuple(conflicts), matrix)


def _answer(look: ConflictLook) -> str:
    return " ".join(sentences.of_conflict(one).sentence for one in look.conflicts) or _NONE
