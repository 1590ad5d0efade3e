"""Which settings matter for a target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.source import Questions
from training_db.analysis.targets import is_finite, numbers_of, target_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_db.analysis.sensitivity.sensitivity import Sensitivity

_MOST = 1_000


class Sensitivities(Questions):
    """Which settings matter for a target, as ``db.analysis``."""

    def sensitivity(
        self,
        target: str,
        filters: Any = None,
        *,
        statistic: str | None = None,
        settings: Sequence[str] | None = None,
        seeds: int = 5,
        seed: int = 0,
        confidence: float = 0.95,
    ) -> Sensitivity:
        """Tell which settings matter for what runs came to.

        The answer rests on the runs that have a finite value, on 1,000 drawn of them where there
        are more. The importances are those of
        :func:`~training_db.analysis.sensitivity.importance.settings_importance`, by random
        forests; the partial rank correlations beside them are those of
        :func:`~training_db.analysis.sensitivity.partial_rank.partial_rank_correlation`.

        Args:
            target: An objective; or ``metric.NAME[.min]``, ``summary.KEY``, a column that holds
                numbers, or the name of a metric.
            filters: Of which runs, as for ``db.runs.query``.
            statistic: Which number of an objective or a metric, where the target does not say:
                ``raw_mean`` of an objective, ``last`` of a metric.
            settings: Paths in the config, such as ``"optimizer.lr"``; all that differ if nothing is
                said.
            seeds: How many times all is done, each time with a forest and a shuffling of its own.
            seed: Of all that is drawn.
            confidence: Of the intervals.

        Returns:
            The settings and their importances, or why it cannot be told.

        Raises:
            UnknownName: A target, statistic or setting that no run has.
            MetricNotFound: A metric that no run has.
            InvalidInput: A filter or a number that cannot be used.
            MissingExtra: scikit-learn or scipy is not installed.

        Example:
            >>> db = getfixture("example_db")
            >>> for number in range(5):
            ...     _ = db.runs.insert(f"r{number}", config={"lr": 0.1**number})
            ...     db.objectives.insert(f"r{number}", "QED", raw_mean=number / 5)
            >>> found = db.analysis.sensitivity("QED")
            >>> found.can_tell, found.reason
            (False, 'too few runs have a value of it: 5, and 16 are needed')
        """
        from training_db.analysis.sensitivity.importance import settings_importance
        from training_db.analysis.sensitivity.settings_table import settings_table

        asked = target_of(self._source, target, statistic)
        numbers = numbers_of(self._source, asked, filters)
        finite = {run_id: value for run_id, value in numbers.items() if is_finite(value)}
        drawn = _drawn(list(finite), seed)
        runs = self._source.runs.query({"run_id": drawn}, order_by="number ASC", limit=None)
        table = settings_table(runs, settings)
        found = settings_importance(
            table.settings,
            [finite[run["run_id"]] for run in runs],
            name=asked.name,
            seeds=seeds,
            seed=seed,
            confidence=confidence,
        )
        return replace(
            found,
            without_value=len(numbers) - len(finite),
            not_drawn=len(finite) - len(drawn),
            left_out=table.left_out,
        )


def _drawn(run_ids: list[str], seed: int) -> list[str]:
    if len(run_ids) <= _MOST:
        return run_ids
    generator = np.random.default_rng(abs(seed) if isinstance(seed, int) else 0)
    chosen = generator.choice(len(run_ids), _MOST, replace=False)
    return [run_ids[place] for place in np.sort(chosen)]
