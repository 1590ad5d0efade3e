"""The history of runs, read: as arrays, as a DataFrame, as what is new, thinned out, searched."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import select

from training_db.errors import InvalidValue
from training_db.history_rules import AXES
from training_db.models import metric_names, run_metrics
from training_db.repository.arguments import names_in, one_of
from training_db.repository.base import Repository, page_size, require_run, run_key, run_number
from training_db.repository.downsampling import MIN_MAX, min_max
from training_db.repository.filters import as_filter, plain
from training_db.repository.history_frame import frame_of
from training_db.repository.history_json import history_text
from training_db.repository.history_names import (
    known_metrics,
    metrics_of,
    require_metric,
)
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_rows import row_count
from training_db.repository.history_search import passed
from training_db.repository.history_series import Points, Series, points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training_db.repository.filters import Filter
    from training_db.repository.history_reading import Writers

    Histories = dict[str, dict[str, Series]]

Axis = Literal["step", "epoch", "timestamp"]
_DUPLICATES = ("last", "all")
FEWEST = 2
"""Points that can be kept of a series: its lowest and its highest."""


@dataclass(frozen=True)
class Tail:
    """What is new in the history of a run.

    Attributes:
        cursor: What to pass as ``since`` for what comes next.
        series: For each metric its new values, in the order in which they were logged.
    """

    cursor: str
    series: dict[str, Points]


@dataclass(frozen=True)
class Downsampled:
    """Series with fewer points.

    Attributes:
        method: How the points were chosen, in words.
        series: For each run and metric the points that were kept.
    """

    method: str
    series: dict[str, dict[str, Series]]


class HistoryQueries(Repository):
    """What can be asked about the history of runs."""

    def arrays(
        self,
        run_ids: str | Iterable[str],
        metrics: str | Iterable[str] | None = None,
        steps: tuple[float, float] | None = None,
        x: Axis = "step",
        duplicates: Literal["last", "all"] = "last",
    ) -> Histories:
        """Return the history of one or many runs as arrays, by one statement.

        Args:
            run_ids: The runs.
            metrics: Which metrics; ``None`` for all, axes among them.
            steps: Only from the first to the second of these steps, both inclusive.
            x: What the values stand over: the step (the row's number where nothing says it), the
                epoch or the time in Unix seconds.
            duplicates: What to do with steps that were logged more than once, as after a restart:
                ``"last"`` keeps the value of the writer who began last, in the order of the steps;
                ``"all"`` keeps all, as they were logged.

        Returns:
            For each run a mapping of metric to :class:`Series`. A metric that a run does not have
            is left out there.

        Raises:
            RunNotFound: A run that does not exist.
            MetricNotFound: A metric that none of the runs has.
            UnknownName: An axis or a way with duplicates that does not exist.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h2")
            >>> _ = db.history.append("h2", {"loss": [2.0, 1.0, 0.5]})
            >>> db.history.arrays("h2", "loss", steps=(1, 2))["h2"]["loss"].values.tolist()
            [1.0, 0.5]
        """
        histories = self.points(run_ids, metrics, steps, x, duplicates)
        return {
            run_id: {name: Series(one.x, one.values) for name, one in history.items()}
            for run_id, history in histories.items()
        }

    def points(
        self,
        run_ids: str | Iterable[str],
        metrics: str | Iterable[str] | None = None,
        steps: tuple[float, float] | None = None,
        x: Axis = "step",
        duplicates: Literal["last", "all"] = "last",
    ) -> dict[str, dict[str, Points]]:
        """Return what :meth:`arrays` returns, with keys by which metrics can be put side by side.

        Args:
            run_ids: The runs.
            metrics: As for :meth:`arrays`, and likewise the rest.
            steps: Both ends of a range of steps.
            x: The axis.
            duplicates: ``"last"`` or ``"all"``.
        """
        one_of("axis", x, AXES)
        one_of("way with duplicates", duplicates, _DUPLICATES)
        runs = names_in(run_ids, "run")
        wanted = None if metrics is None else names_in(metrics, "metric")
        span = None if steps is None else span_of(steps)
        columns = None if wanted is None else {*wanted, *AXIS_NAMES}
        with self._transactions(writes=False) as connection:
            stored = stored_columns(connection, [run_key(one) for one in runs], columns, span)
            present = {run_id: _there(stored.get(run_id, {})) for run_id in runs}
            for run_id, names in present.items():
                if not names:
                    require_run(connection, run_id)
            if span is not None and not all(
                wanted is not None and set(wanted).issubset(names) for names in present.values()
            ):
                present = metrics_of(connection, runs)  # with those that have nothing in the range
            chosen = {
                run_id: names if wanted is None else [name for name in wanted if name in names]
                for run_id, names in present.items()
            }
            for name in wanted or ():
                if not any(name in names for names in chosen.values()):
                    require_metric(connection, runs, name)
        last_only = duplicates == "last"
        return {
            run_id: {
                name: points(stored.get(run_id, {}), name, x, span, last_only=last_only)
                for name in names
            }
            for run_id, names in chosen.items()
        }

    def frame(
        self,
        run_ids: str | Iterable[str],
        metrics: str | Iterable[str] | None = None,
        steps: tuple[float, float] | None = None,
        x: Axis = "step",
        duplicates: Literal["last", "all"] = "last",
    ) -> Any:
        """Return the history of one or many runs as a DataFrame.

        Args:
            run_ids: The runs.
            metrics: As for :meth:`arrays`, and likewise the rest.
            steps: Both ends of a range of steps.
            x: The axis.
            duplicates: ``"last"`` or ``"all"``.

        Returns:
            A ``pandas.DataFrame`` with the columns ``run_id``, the axis, and one a metric, and a
            row for what was logged together; NaN where a metric was not.

        Raises:
            MissingExtra: pandas is not installed.
        """
        return frame_of(self.points(run_ids, metrics, steps, x, duplicates), x)

    def keys(self, run_id: str) -> list[dict[str, Any]]:
        """Return the metrics of a run, in the order in which the database came to know them.

        Returns:
            For each ``metric``, ``count`` (its cells) and ``kind``: ``"number"``, ``"other"`` (text
            and whatever else is no number), or ``"mixed"``.

        Raises:
            RunNotFound: There is no such run.
        """
        total = run_metrics.c
        with self._transactions(writes=False) as connection:
            rows = connection.execute(
                select(metric_names.c.name, total.count, total.other_count)
                .join(run_metrics, total.metric_id == metric_names.c.id)
                .where(total.run_number == run_number(connection, run_id))
                .order_by(metric_names.c.id)
            ).all()
        return [
            {"metric": name, "count": count + others, "kind": _kind(count, others)}
            for name, count, others in rows
        ]

    def tail(
        self, run_id: str, since: str | None = None, metrics: str | Iterable[str] | None = None
    ) -> Tail:
        """Return what was logged after the last time one asked; for polling.

        Args:
            run_id: The run.
            since: The ``cursor`` of the last answer; ``None`` for all there is.
            metrics: Which metrics; ``None`` for all.

        A history that was replaced or deleted in between is not told apart from one that went on:
        read it anew, without a cursor.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A cursor that is none.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h3")
            >>> _ = db.history.append("h3", {"loss": [2.0]})
            >>> seen = db.history.tail("h3")
            >>> _ = db.history.append("h3", {"loss": [1.0, 0.5]})
            >>> db.history.tail("h3", seen.cursor).series["loss"].values.tolist()
            [1.0, 0.5]
        """
        known = {} if since is None else _read_cursor(since)
        wanted = None if metrics is None else names_in(metrics, "metric")
        columns = None if wanted is None else {*wanted, *AXIS_NAMES}
        with self._transactions(writes=False) as connection:
            stored = stored_columns(connection, [run_key(run_id)], columns, since=known)
            if run_id not in stored:
                require_run(connection, run_id)
        writers = stored.get(run_id, {})
        for writer, cells in writers.items():
            start = known.get(writer, 0)
            writers[writer] = {name: one.from_row(start) for name, one in cells.items()}
            known[writer] = max(start, row_count(writers[writer]))
        news = {
            name: points(writers, name, "step", None, last_only=False)
            for name in _there(writers)
            if wanted is None or name in wanted
        }
        return Tail(json.dumps(known), {name: one for name, one in news.items() if len(one)})

    def downsample(
        self,
        run_ids: str | Iterable[str],
        metrics: str | Iterable[str] | None = None,
        n: int = 1000,
        x: Axis = "step",
    ) -> Downsampled:
        """Return series of about ``n`` points that keep every peak, for plots.

        Args:
            run_ids: The runs.
            metrics: As for :meth:`arrays`.
            n: Points a series, at least 2; NaN and infinities come on top.
            x: The axis.

        Returns:
            The points, and by which method they were chosen.

        Raises:
            InvalidValue: ``n`` is no such number.
        """
        if isinstance(n, bool) or not isinstance(n, int) or n < FEWEST:
            raise InvalidValue(f"n is {n!r}; keep at least {FEWEST} points")
        thinned = {}
        for run_id, history in self.arrays(run_ids, metrics, x=x).items():
            thinned[run_id] = {
                name: Series(one.x[kept], one.values[kept])
                for name, one in history.items()
                for kept in [min_max(one, n)]
            }
        return Downsampled(MIN_MAX, thinned)

    def search(
        self,
        metric: str,
        above: float | None = None,
        below: float | None = None,
        non_finite: bool = False,
        filters: Mapping[str, Any] | str | Filter | None = None,
        limit: int | None = 100,
    ) -> list[dict[str, Any]]:
        """Find the runs in which a metric ever passed a bound.

        Args:
            metric: The metric.
            above: Find values greater than this.
            below: Find values less than this.
            non_finite: Find NaN and infinities.
            filters: Which runs to look at, as for ``db.runs.query``.
            limit: At most so many runs; ``None`` for all.

        Returns:
            For each run that has such a value, in the order of their numbers: ``run_id``, ``count``
            (how many), and the ``step`` and ``value`` of the first.

        Raises:
            MetricNotFound: No run has such a metric.
            InvalidValue: No bound at all, or one that is no number.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h4")
            >>> _ = db.history.append("h4", {"grad_norm": [1.0, 5000.0, float("nan")]})
            >>> db.history.search("grad_norm", above=1e3)
            [{'run_id': 'h4', 'count': 1, 'step': 1, 'value': 5000.0}]
        """
        tree = as_filter(filters)
        with self._transactions(writes=False) as connection:
            if not known_metrics(connection, [metric]):
                require_metric(connection, None, metric)
            size = page_size(limit, "limit")
            return passed(connection, metric, (above, below), tree, size, non_finite=non_finite)

    def json(self, run_id: str) -> str | None:
        """Return the whole history of a run as JSON text; ``None`` where there is none.

        Raises:
            RunNotFound: There is no such run.
        """
        with self._transactions(writes=False) as connection:
            text = history_text(connection, run_id)
            if text is None:
                require_run(connection, run_id)
            return text


def _there(writers: Writers) -> list[str]:
    return list(dict.fromkeys(name for columns in writers.values() for name in columns))


def span_of(steps: tuple[float, float]) -> tuple[float, float]:
    """Return both ends of a range of steps, which the caller passed.

    Raises:
        InvalidValue: They are none.
    """
    try:
        low, high = (plain(end) for end in steps)
        are_numbers = isinstance(low, (int, float)) and isinstance(high, (int, float))
        if are_numbers and float(low) <= float(high):
            return low, high
    except (TypeError, ValueError, OverflowError):
        pass
    raise InvalidValue(f"steps is {steps!r}; pass the first step and the last")


def _read_cursor(text: str) -> dict[int, int]:
    try:
        return {int(writer): int(row) for writer, row in json.loads(text).items()}
    except (TypeError, ValueError, AttributeError, OverflowError):
        raise InvalidValue(f"{text!r} is no cursor; pass the one of the last answer") from None


def _kind(count: int, others: int) -> str:
    if not others:
        return "number"
    return "mixed" if count else "other"
