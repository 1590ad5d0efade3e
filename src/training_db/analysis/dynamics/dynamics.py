"""What happened in trainings: plateaus, instabilities, conflicts of objectives, speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from training_db.analysis.curves.convergence import convergence_speed
from training_db.analysis.curves.explosion import detect_explosions
from training_db.analysis.curves.instability import detect_instability
from training_db.analysis.curves.plateau import detect_plateau
from training_db.analysis.direction import direction_if_said
from training_db.analysis.dynamics import findings as sentences
from training_db.analysis.dynamics.looks import Look
from training_db.analysis.dynamics.objective_conflicts import ObjectiveConflicts
from training_db.analysis.dynamics.run_findings import Watched, ends, findings_of
from training_db.errors import InvalidValue
from training_db.segments import is_number, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from training_db.analysis.curves.convergence import Convergence
    from training_db.analysis.curves.explosion import Explosion
    from training_db.analysis.curves.instability import Instability
    from training_db.analysis.curves.plateau import Plateau
    from training_db.analysis.dynamics.findings import Finding
    from training_db.repository.history_series import Series

Found = TypeVar("Found")

_FEWEST = 8


class Dynamics(ObjectiveConflicts):
    """What happened in trainings: plateaus, instabilities, conflicts, speed, as ``db.analysis``.

    Each question is asked of one run (``run_id``), or of all that match a filter. Answers come in
    the order of the runs' numbers, one for each run that has the metric: one that has too few
    values of it says so (``skipped``), which is another thing than having been looked at and found
    without.
    """

    def plateaus(
        self,
        metric: str = "loss",
        filters: Any = None,
        save: bool = False,
        run_id: str | None = None,
    ) -> list[Look[Plateau]]:
        """Tell since when a metric of runs stays where it is.

        Args:
            metric: The metric.
            filters: Which runs, as for ``db.runs.query``.
            save: Keep each answer as an event of the run, instead of the one kept before.
            run_id: This run only.

        Returns:
            For each run that has the metric its plateau, by
            :func:`~training_db.analysis.curves.plateau.detect_plateau`.

        Raises:
            MetricNotFound: No run has such a metric.
            RunNotFound: There is no such run.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1"), db.runs.insert("r2")
            >>> _ = db.history.append("r1", {"loss": [2.0, 1.5, 1.0, 0.5] + [0.1] * 20})
            >>> _ = db.history.append("r2", {"loss": [2.0, 1.0]})
            >>> one, other = db.analysis.plateaus("loss")
            >>> one.run_id, one.found.step, one.found.level
            ('r1', 4, 0.1)
            >>> other.run_id, other.skipped
            ('r2', '2 finite values, 8 are needed')
        """
        question = Question("plateau", detect_plateau, _tell_plateau, _FEWEST)
        return self._look(metric, (filters, run_id), question, save)

    def instabilities(
        self,
        metric: str = "loss",
        filters: Any = None,
        save: bool = False,
        run_id: str | None = None,
        direction: str | None = None,
    ) -> list[Look[Instability]]:
        """Tell where a metric of runs spiked, was not finite, or diverged.

        Args:
            metric: The metric.
            filters: Which runs, as for ``db.runs.query``.
            save: Keep each answer as an event of the run, instead of the one kept before.
            run_id: This run only.
            direction: ``"minimize"`` or ``"maximize"``: which way is better; for divergence.

        Returns:
            For each run that has the metric what was unstable in it, by
            :func:`~training_db.analysis.curves.instability.detect_instability`.

        Raises:
            MetricNotFound: No run has such a metric.
            RunNotFound: There is no such run.
            InvalidInput: A filter or direction that cannot be used.
        """
        way = direction_if_said(direction)

        def detect(values: Any, steps: Any) -> Instability | None:
            return detect_instability(values, steps, direction=way) or None

        question = Question("instability", detect, _tell_instability)
        return self._look(metric, (filters, run_id), question, save)

    def explosions(
        self,
        metric: str = "grad_norm",
        filters: Any = None,
        save: bool = False,
        run_id: str | None = None,
    ) -> list[Look[tuple[Explosion, ...]]]:
        """Tell where the gradients of runs exploded.

        Args:
            metric: The norm of the gradient.
            filters: Which runs, as for ``db.runs.query``.
            save: Keep each answer as an event of the run, instead of the one kept before.
            run_id: This run only.

        Returns:
            For each run that has the metric its explosions, by
            :func:`~training_db.analysis.curves.explosion.detect_explosions`.

        Raises:
            MetricNotFound: No run has such a metric.
            RunNotFound: There is no such run.
            InvalidInput: A filter that cannot be used.
        """

        def detect(values: Any, steps: Any) -> tuple[Explosion, ...] | None:
            return tuple(detect_explosions(values, steps)) or None

        question = Question("explosions", detect, _tell_explosions)
        return self._look(metric, (filters, run_id), question, save)

    def convergence(
        self,
        metric: str = "loss",
        filters: Any = None,
        direction: str | None = None,
        save: bool = False,
        run_id: str | None = None,
    ) -> list[Look[Convergence]]:
        """Tell how fast a metric of runs got where it got.

        Args:
            metric: The metric.
            filters: Which runs, as for ``db.runs.query``.
            direction: ``"minimize"`` or ``"maximize"``: which way is better; if not given,
                whichever way it went.
            save: Keep each answer as an event of the run, instead of the one kept before.
            run_id: This run only.

        Returns:
            For each run that has the metric its speed, by
            :func:`~training_db.analysis.curves.convergence.convergence_speed`.

        Raises:
            MetricNotFound: No run has such a metric.
            RunNotFound: There is no such run.
            InvalidInput: A filter or direction that cannot be used.
        """
        way = direction_if_said(direction)

        def detect(values: Any, steps: Any) -> Convergence | None:
            return convergence_speed(values, steps, way)

        question = Question("convergence", detect, _tell_convergence, _FEWEST)
        return self._look(metric, (filters, run_id), question, save)

    def findings(self, run_id: str) -> list[Finding]:
        """Return what is worth saying of a run: of its losses, gradients and objectives.

        Args:
            run_id: The run.

        Returns:
            Sentences with their numbers, the gravest first; none where nothing was logged by which
            to tell. Which metrics are looked at is said in
            :mod:`training_db.analysis.dynamics.key_metrics` and
            :mod:`training_db.analysis.dynamics.objective_series`. Of a curve that diverged, or
            that is not finite at its end, plateau and convergence are not told.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> _ = db.history.append("r1", {"loss": [2.0, 1.0, float("nan")]})
            >>> [finding.sentence for finding in db.analysis.findings("r1")]
            ['loss was NaN at 1 step, first at step 2, and to the end.']
        """
        names = self._metrics_of(run_id)
        watched = Watched.of(names, self._source.objectives.of_run(run_id))
        return findings_of(watched, self._curves(run_id, watched.metrics))

    def _look(
        self,
        metric: str,
        which: tuple[Any, str | None],
        question: Question[Found],
        save: bool,
    ) -> list[Look[Found]]:
        looks, answers = [], []
        for run_id, series in self._of_runs(metric, *which):
            skipped = _reason_to_skip(series, question.fewest)
            found = None if skipped else question.detect(series.values, series.x)
            look = Look(run_id, metric, found, skipped)
            looks.append(look)
            if save and not skipped:
                answers.append((look, _answer(question, look, series)))
        if answers:
            with self._source.transaction():
                for look, answer in answers:
                    self._save(look.run_id, question.kind, metric, answer, look.as_dict())
        return looks

    def _of_runs(
        self, metric: str, filters: Any, run_id: str | None
    ) -> Iterable[tuple[str, Series]]:
        if run_id is None:
            return self._series(metric, filters)
        if not isinstance(metric, str):
            raise InvalidValue(f"the metric {metric!r} is no name; pass text, such as 'loss'")
        if filters:
            raise InvalidValue("there are both a run_id and filters; pass one of them")
        return [(run_id, self._source.history.arrays(run_id, metric)[run_id][metric])]


@dataclass(frozen=True, slots=True)
class Question(Generic[Found]):
    """A question about one metric of a run: by which function, and in which words to answer."""

    kind: str
    detect: Callable[[Any, Any], Found | None]
    tell: Callable[[str, Found, Series], Iterable[Finding]]
    fewest: int = 0


def _reason_to_skip(series: Series, fewest: int) -> str | None:
    count = int(np.isfinite(numbers(series.values)).sum())
    if count < fewest:
        values = "value" if count == 1 else "values"
        return f"{count} finite {values}, {fewest} are needed"
    return None if is_number(series.values).any() else "it holds no numbers"


def _answer(question: Question[Found], look: Look[Found], series: Series) -> str:
    if look.found is None:
        return f"{look.metric}: no {question.kind}"
    found = question.tell(look.metric, look.found, series)
    return " ".join(finding.sentence for finding in found)


def _tell_plateau(metric: str, found: Plateau, series: Series) -> list[Finding]:
    return [sentences.of_plateau(metric, found, *ends(series))]


def _tell_instability(metric: str, found: Instability, _: Series) -> Iterable[Finding]:
    return sentences.of_instability(metric, found)


def _tell_explosions(metric: str, found: tuple[Explosion, ...], _: Series) -> list[Finding]:
    return [sentences.of_explosions(metric, found)]


def _tell_convergence(metric: str, found: Convergence, _: Series) -> list[Finding]:
    return [sentences.of_convergence(metric, found)]
