"""What became worse than a baseline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from training_db.analysis.intervals import check_confidence
from training_db.analysis.regression.baseline import good_runs, named_baseline
from training_db.analysis.regression.tolerance import as_tolerance
from training_db.analysis.regression.verdict import Compared, verdict
from training_db.analysis.source import Questions
from training_db.analysis.targets import better_direction, is_finite, number_of_run, target_of
from training_db.errors import InvalidValue
from training_db.models import RunStatus
from training_db.repository.filters import MetricField, as_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_db.analysis.regression.regression import Regression
    from training_db.analysis.targets import Target
    from training_db.repository.run_dict import RunDict


class Regressions(Questions):
    """What became worse than a baseline, as ``db.analysis``."""

    def regression(
        self,
        target: str,
        run_id: str | None = None,
        filters: Any = None,
        *,
        baseline: str | None = None,
        last: int = 10,
        same: str | Sequence[str] = "group_name",
        direction: str | None = None,
        statistic: str | None = None,
        tolerance: float | str | None = None,
        min_runs: int = 3,
        confidence: float = 0.99,
        save: bool = False,
    ) -> Regression:
        """Tell whether a run is worse than a baseline by one of its numbers.

        Args:
            target: An objective or a metric; or ``metric.NAME[.min]``, ``summary.KEY``, or a
                column that holds numbers.
            run_id: The run; the newest one that matches if nothing is said.
            filters: Of which runs that is the newest, and the baseline the last good ones.
            baseline: A run's id or number, or the name of a baseline: runs tagged
                ``baseline=NAME``. If nothing is said, the last good runs before the run: those that
                completed and have a finite value, without those that lie far off the others, see
                :func:`~training_db.analysis.regression.outliers.far_off`.
            last: How many good runs count, at most.
            same: A field, or several, by which good runs are like the run, such as
                ``"gradient_method"`` or ``"config.data.name"``; an empty list for all runs.
            direction: ``"min"`` or ``"max"``; if nothing is said, what is stored for the objective,
                or what the name tells: a loss is better when it is less.
            statistic: Which number of an objective or a metric, where the target does not say.
            tolerance: How much worse is let pass: a number, or a share of the baseline such as
                ``"5%"``. If nothing is said, as much as runs differ by noise: the limit that one
                more run like the good ones passes with probability 1 - confidence, see
                :func:`~training_db.analysis.regression.prediction.expected`.
            min_runs: With fewer good runs their noise is not known, and nothing is told without a
                tolerance; at least 2. So many good runs count, however far off they lie.
            confidence: See ``tolerance``.
            save: Whether to keep the answer as an event ``analysis.regression`` of the run.

        Returns:
            The answer; ``is_worse`` is ``None`` where it cannot be told, as of a run that is
            launched or running. A run that failed or crashed is worse whatever its value is, and so
            is one without a finite value, or whose metric ends in NaN or infinity.

        Raises:
            RunNotFound: There is no such run.
            NotFound: There is no such baseline.
            UnknownName: A target, field or direction that does not exist.
            MetricNotFound: A metric that no run has.
            InvalidInput: What cannot be used, and a direction that nothing tells.
            MissingExtra: scipy is not installed.

        Example:
            >>> db = getfixture("example_db")
            >>> for number, loss in enumerate([0.50, 0.51, 0.49, 0.50, 0.61]):
            ...     _ = db.runs.insert(f"r{number}", status="completed", final_loss=loss)
            >>> found = db.analysis.regression("final_loss")
            >>> found.run_id, found.is_worse, round(found.threshold, 3)
            ('r4', True, 0.541)
        """
        asked = target_of(self._source, target, statistic)
        least = _whole("min_runs", min_runs, 2)
        limit = None if tolerance is None else as_tolerance(tolerance)
        run = self._run(run_id, filters)
        better = better_direction(self._source, asked, direction, run["run_id"])
        good = good_runs(
            self._source,
            asked,
            run,
            last=_whole("last", last, 1),
            keep=least,
            same=_fields(same),
            among=as_filter(filters),
        )
        against = good
        if baseline is not None:
            against = named_baseline(self._source, asked, baseline, run["run_id"])
        compared = Compared(
            asked.name,
            run["run_id"],
            RunStatus(run["status"]),
            better,
            number_of_run(self._source, asked, run["run_id"]),
            self._ends_finite(asked, run["run_id"]),
            against,
            # Runs enough to tell the noise among themselves know it best.
            against if len(against.values) >= least else good,
        )
        found = verdict(compared, limit, least, check_confidence(confidence))
        if save:
            self._save(found.run_id, "regression", found.target, found.sentence, found.as_dict())
        return found

    def _run(self, run_id: str | None, filters: Any) -> RunDict:
        if run_id is None:
            newest = self._source.runs.query(filters, limit=1)
            if not newest:
                raise InvalidValue("no run matches; name one, or change the filter")
            return newest[0]
        return self._source.runs.get(run_id)

    def _ends_finite(self, target: Target, run_id: str) -> bool:
        """Tell whether a metric ends with a number; its least and its mean do not show that."""
        if not isinstance(target.field, MetricField):
            return True
        last = replace(target, field=replace(target.field, statistic="last"))
        return is_finite(number_of_run(self._source, last, run_id))


def _whole(name: str, number: int, least: int) -> int:
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise InvalidValue(f"{name} is {number!r}; pass a whole number, {least} or more")
    return number


def _fields(same: str | Sequence[str]) -> list[str]:
    names = [same] if isinstance(same, str) else same
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise InvalidValue(f"same is {same!r}; pass a field, such as 'gradient_method', or several")
    return list(names)
