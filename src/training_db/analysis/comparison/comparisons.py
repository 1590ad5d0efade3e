"""Runs and groups of runs side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from training_db.analysis.comparison.bands import band
from training_db.analysis.comparison.costs import INSTANCE_TYPE, costs_of
from training_db.analysis.comparison.crashes import Crashes, crash_groups
from training_db.analysis.comparison.groups import grouped
from training_db.analysis.comparison.side_by_side import SideBySide, facts_of, side_by_side
from training_db.analysis.intervals import RESAMPLES, check_confidence, check_draws
from training_db.analysis.source import Questions
from training_db.models import METRIC_STATISTICS
from training_db.repository.arguments import names_in
from training_db.repository.grouping import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from training_db.analysis.comparison.bands import Band
    from training_db.analysis.comparison.costs import Costs
    from training_db.analysis.comparison.groups import Groups
    from training_db.repository.gathering import Gathered
    from training_db.repository.history_series import Series

_METHOD_AND_HOST = ("gradient_method", "host")


class Comparisons(Questions):
    """Runs and groups of runs side by side, as ``db.analysis``."""

    def side_by_side(self, run_ids: Iterable[str], everything: bool = False) -> SideBySide:
        """Put runs side by side: facts, settings, summary, objectives and last metrics.

        Args:
            run_ids: The runs; one that is named twice stands there once.
            everything: Whether to keep what is the same in all of them, and W&B's own axes:
                _step, _runtime and _timestamp.

        Raises:
            RunNotFound: A run that does not exist.

        Example:
            >>> db = getfixture("example_db")
            >>> for run_id, rate in {"r1": 0.1, "r2": 0.2}.items():
            ...     _ = db.runs.insert(run_id, config={"lr": rate, "layers": 3})
            >>> [(row.name, row.values) for row in db.analysis.side_by_side(["r1", "r2"]).rows]
            [('lr', (0.1, 0.2))]
        """
        asked = names_in(run_ids, "run")
        source = self._source
        sides = {
            run_id: facts_of(
                source.runs.get(run_id),
                source.objectives.of_run(run_id),
                source.metrics.of(run_id),
            )
            for run_id in asked
        }
        return side_by_side(sides, everything=everything)

    def groups(
        self,
        by: str = "gradient_method",
        objectives: str | Sequence[str] | None = None,
        filters: Any = None,
        metric: str | Sequence[str] | None = None,
        confidence: float = 0.95,
        resamples: int = RESAMPLES,
        seed: int = 0,
        statistic: str = "raw_mean",
    ) -> Groups:
        """Put groups of runs side by side, grouped by any attribute.

        Args:
            by: A column, ``config.PATH``, ``summary.KEY`` or ``tag.NAME``. The runs that have no
                value are a group of their own, ``None``.
            objectives: Which objectives; an empty list for none. If not given, all, or none where
                a metric is named.
            filters: Of which runs, as for ``db.runs.query``.
            metric: Which metrics, such as ``"loss"`` or ``"loss.min"``; if no
                statistic is named, by its last value.
            confidence: Of all intervals.
            resamples: How often the bootstrap draws.
            seed: Of the bootstrap and of permutations.
            statistic: What of the objectives: ``"raw_mean"``, ``"normalized_mean"``,
                ``"raw_std"`` or ``"normalized_std"``.

        Returns:
            The groups, the largest first, and for each objective and metric a rank test that says
            whether they differ by more than noise. Values that are missing or not finite are left
            out; the count of each measure says how many were there.

        Raises:
            UnknownName: There is no such attribute, objective or statistic.
            MetricNotFound: No run ever had such a metric.
            InvalidValue: A confidence that is not between 0 and 1, or resamples or a seed that are
                no whole numbers.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> for number, score in enumerate([0.7, 0.6, 0.2, 0.3]):
            ...     method = "mgda" if score > 0.5 else "sum"
            ...     _ = db.runs.insert(f"g{number}", gradient_method=method, status="completed")
            ...     db.objectives.insert(f"g{number}", "QED", raw_mean=score)
            >>> found = db.analysis.groups("gradient_method", "QED")
            >>> [(one.value, one.runs, one.measures["QED"].mean) for one in found.groups]
            [('mgda', 2, 0.65), ('sum', 2, 0.25)]
            >>> found.tests["QED"].verdict
            'too few runs to tell'
        """
        check_confidence(confidence)
        check_draws(resamples, seed)
        statistics = self._source.statistics
        metrics = [] if metric is None else [one for one in names_in(metric, "metric") if one]
        if objectives is None and metrics:
            objectives = ()
        names = None if objectives is None else names_in(objectives, "objective")
        counts = statistics.counts(by, filters)
        gathered: list[Gathered] = []
        if names is None or names:
            gathered += statistics.objective_values(by, names, filters, statistic)
        taken = {one.name for one in gathered}
        for name in metrics:
            of_metric = statistics.metric_values(by, *self._metric(name), filters=filters)
            shown = f"metric.{name}" if name in taken else name
            gathered += [replace(one, name=shown) for one in of_metric]
        return grouped(by, counts, gathered, confidence, resamples, seed)

    def _metric(self, name: str) -> tuple[str, str]:
        """Take a metric and its statistic apart, where the name is not that of a metric itself."""
        head, _, statistic = str(name).rpartition(".")
        if head and statistic in METRIC_STATISTICS and name not in self._source.metrics.names(name):
            return head, statistic
        return name, "last"

    def bands(
        self,
        metric: str,
        by: str = "gradient_method",
        filters: Any = None,
        n: int = 200,
        statistic: str = "mean",
        confidence: float = 0.95,
    ) -> list[Band]:
        """Average the curves of groups of runs, with bands.

        Args:
            metric: A metric of the history.
            by: What to group by, as for :meth:`groups`.
            filters: Of which runs, as for ``db.runs.query``.
            n: Steps on the grid that all groups share.
            statistic: ``"mean"`` with the t interval of the mean as band, or ``"median"`` with the
                middle half of the runs.
            confidence: Of the interval of the mean.

        Returns:
            A band for each group that has the metric, the group with most runs first. A run counts
            from its first to its last finite value and no further; ``runs`` says how many count at
            each step.

        Raises:
            MetricNotFound: No run has such a metric.
            UnknownName: There is no such attribute or statistic.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> for run_id, loss in {"b1": [2.0, 1.0, 0.0], "b2": [4.0, 3.0]}.items():
            ...     _ = db.runs.insert(run_id, gradient_method="mgda")
            ...     _ = db.history.append(run_id, {"loss": loss})
            >>> curve = db.analysis.bands("loss", n=3)[0]
            >>> curve.middle.tolist(), curve.runs.tolist()
            ([3.0, 2.0, 0.0], [2, 2, 1])
        """
        members = self._source.statistics.members(by, filters)
        groups: dict[Hashable, tuple[Any, list[Series]]] = {}
        for run_id, series in self._series(metric, filters):
            value = members.get(run_id)
            groups.setdefault(identity(value), (value, []))[1].append(series)
        return band(list(groups.values()), n=n, statistic=statistic, confidence=confidence)

    def crashes(
        self,
        filters: Any = None,
        by: str | Sequence[str] = _METHOD_AND_HOST,
        confidence: float = 0.95,
    ) -> Crashes:
        """Tell where runs crash and fail: how often, after which errors, at which step.

        Args:
            filters: Of which runs, as for ``db.runs.query``.
            by: By which attributes, as for :meth:`groups`; by method and by host if nothing is
                said.
            confidence: Of the intervals.

        Returns:
            For each attribute its groups, the one with most crashes first. Each is tested against
            all other runs.

        Raises:
            UnknownName: There is no such attribute.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("c1", status="crashed", host="gpu-1")
            >>> db.events.add("c1", "error", "CUDA out of memory")
            >>> worst = db.analysis.crashes(by="host").by["host"][0]
            >>> worst.value, worst.crashed, worst.error
            ('gpu-1', 1, 'CUDA out of memory')
        """
        check_confidence(confidence)
        statistics = self._source.statistics
        return Crashes(
            confidence,
            {
                name: crash_groups(
                    statistics.counts(name, filters), statistics.endings(name, filters), confidence
                )
                for name in names_in(by, "attribute")
            },
        )

    def costs(
        self,
        prices: Mapping[str, float],
        filters: Any = None,
        by: str | Sequence[str] = INSTANCE_TYPE,
    ) -> Costs:
        """Add up compute hours and what they cost, by instance type.

        Args:
            prices: The price of an hour of each instance type, in whatever currency.
            filters: Of which runs, as for ``db.runs.query``.
            by: Where a run says its instance type: a column, ``config.PATH``, ``summary.KEY`` or
                ``tag.NAME``; of several, the first that a run has. If nothing is said, the tag
                ``instance_type``, then the usual places of the config and the summary
                (:data:`training_db.analysis.comparison.costs.INSTANCE_TYPE`).

        Returns:
            The hours and costs. A run that has not ended counts until now, or until it was last
            heard of where its heartbeat stopped.

        Raises:
            InvalidValue: A price that is no number, or below 0.
            UnknownName: There is no such attribute.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("m1", status="completed", duration_seconds=7200)
            >>> db.tags.add("m1", "instance_type", "p4d.24xlarge")
            >>> db.analysis.costs({"p4d.24xlarge": 32.77}, "tag.instance_type is not missing").cost
            65.54
        """
        return costs_of(self._source.statistics.lengths(by, filters), prices)

    def without_blog_post(self, filters: Any = None) -> list[dict[str, Any]]:
        """Return the runs that no blog post was attached to, newest first.

        Args:
            filters: Of which runs, as for ``db.runs.query``.

        Returns:
            For each run ``run_id``, ``number``, ``run_name``, ``status`` and ``ended_at``.

        Raises:
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("p1", status="completed", host="blog-1")
            >>> [run["run_id"] for run in db.analysis.without_blog_post("host = 'blog-1'")]
            ['p1']
        """
        return self._source.statistics.without_blog_post(filters)
