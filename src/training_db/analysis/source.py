"""Where an analysis reads from: the repositories of one database."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from training_db.repository.events import EventRepository
    from training_db.repository.history import HistoryRepository
    from training_db.repository.history_series import Series
    from training_db.repository.metrics import MetricRepository
    from training_db.repository.objectives import ObjectiveRepository
    from training_db.repository.runs import RunRepository
    from training_db.repository.scaffolds import ScaffoldRepository
    from training_db.repository.statistics import StatisticsRepository
    from training_db.repository.tags import TagRepository

_AT_ONCE = 500
_LONGEST = 900  # bytes of a key, as far as it may be text; the index takes 1,000


class Source(Protocol):
    """What an analysis needs of :class:`training_db.TrainingDB`."""

    @property
    def runs(self) -> RunRepository:
        """The runs."""

    @property
    def objectives(self) -> ObjectiveRepository:
        """Their objectives."""

    @property
    def scaffolds(self) -> ScaffoldRepository:
        """Their scaffolds."""

    @property
    def metrics(self) -> MetricRepository:
        """What their metrics came to."""

    @property
    def history(self) -> HistoryRepository:
        """Their history."""

    @property
    def events(self) -> EventRepository:
        """What happened to them."""

    @property
    def tags(self) -> TagRepository:
        """Their tags."""

    @property
    def statistics(self) -> StatisticsRepository:
        """Figures over them."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Let all inside happen, or nothing."""


class Questions:
    """Questions about the runs of a database.

    Args:
        source: The database.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def _series(self, metric: str, filters: Any = None) -> Iterator[tuple[str, Series]]:
        """Yield one metric of each run that matches and has it, by the runs' numbers.

        Raises:
            MetricNotFound: No run has such a metric.
            InvalidInput: A filter that cannot be used.
        """
        run_ids = self._source.metrics.runs_with(metric, filters)
        for start in range(0, len(run_ids), _AT_ONCE):
            histories = self._source.history.arrays(run_ids[start : start + _AT_ONCE], metric)
            for run_id, history in histories.items():
                yield run_id, history[metric]

    def _save(self, run_id: str, kind: str, about: str, message: str, data: Any) -> None:
        """Keep a result as an event of the run, instead of the one that was kept before.

        Args:
            run_id: The run.
            kind: What was asked, such as ``"plateau"``.
            about: Of what, such as the metric.
            message: The answer in a sentence.
            data: The answer in figures.
        """
        kind, name = f"analysis.{kind}", about.encode()
        if len(name) > _LONGEST:
            about = hashlib.sha256(name).hexdigest()
        self._source.events.add(run_id, kind, message, data, event_key=f"{kind}:{about}")
