"""TrainingDB: one object for a whole database."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from training_db.db.session import Transactions
from training_db.extraction import RULES, ExtractionRules
from training_db.repository.artifacts import ArtifactRepository
from training_db.repository.events import EventRepository
from training_db.repository.metrics import MetricRepository
from training_db.repository.objectives import ObjectiveRepository
from training_db.repository.runs import RunRepository
from training_db.repository.scaffolds import ScaffoldRepository
from training_db.repository.statistics import StatisticsRepository
from training_db.repository.tags import TagRepository
from training_db.settings import resolve_read_url, resolve_url

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine

    from training_db.analysis.analysis import Analysis
    from training_db.recording.recorder import Recorder
    from training_db.repository.history import HistoryRepository
    from training_db.repository.stored_rows import StoredRows


class TrainingDB:
    """A database of training runs.

    Args:
        url: Where it is: a URL, the path of a SQLite file, or ``None`` for what the environment
            says (see :mod:`training_db.settings`).
        rules: Where the columns of a run are found in its config and summary.
        read_url: A streaming replica of a PostgreSQL database, from which is read outside of
            transactions; ``None`` for ``TRAINING_DB_READ_URL`` where the environment names the
            database, too. What was written by this object is read by it at once; what others
            write comes with the replica's lag.

    Attributes:
        runs: The runs.
        objectives: Their objectives.
        scaffolds: Their scaffolds.
        metrics: What each metric of each run came to, and the best run by it.
        artifacts: Where files of the runs stand.
        events: What happened to the runs, and when.
        tags: Words pinned to the runs.
        statistics: Figures over the runs.

    Nothing is connected before the first question. An instance may be shared by threads, and may
    be used as a context manager, which closes it.

    Raises:
        ConfigurationError: The URL cannot work.

    Example:
        >>> from training_db import init_db
        >>> path = getfixture("tmp_path") / "runs.db"
        >>> init_db(path)
        >>> with TrainingDB(path) as db, db.transaction():
        ...     run_id = db.runs.insert("r1", config={"lr": 0.1})
        ...     db.objectives.insert("r1", "QED", raw_mean=0.6)
        >>> with TrainingDB(path) as db:
        ...     [run["run_id"] for run in db.runs.query("objective.QED > 0.5")]
        ['r1']
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | URL | None = None,
        *,
        rules: ExtractionRules = RULES,
        read_url: str | URL | None = None,
    ) -> None:
        self.url = resolve_url(url)
        is_alone = url is not None and read_url is None
        replica = None if is_alone else resolve_read_url(read_url, self.url)
        self._transactions = Transactions(self.url, replica)
        self.runs = RunRepository(self._transactions, rules)
        self.objectives = ObjectiveRepository(self._transactions)
        self.scaffolds = ScaffoldRepository(self._transactions)
        self.metrics = MetricRepository(self._transactions)
        self.artifacts = ArtifactRepository(self._transactions)
        self.events = EventRepository(self._transactions)
        self.tags = TagRepository(self._transactions)
        self.statistics = StatisticsRepository(self._transactions)

    @cached_property
    def history(self) -> HistoryRepository:
        """The history of the runs: every metric at every step."""
        # Not at the top: it loads numpy, which many a script has no use for.
        from training_db.repository.history import HistoryRepository

        return HistoryRepository(self._transactions)

    @cached_property
    def analysis(self) -> Analysis:
        """Answers about the runs: plateaus, fronts, comparisons, what matters."""
        from training_db.analysis.analysis import Analysis  # it loads numpy

        return Analysis(self)

    @cached_property
    def stored(self) -> StoredRows:
        """What the tables hold, as it is stored: for exports of the whole."""
        from training_db.repository.stored_rows import StoredRows  # it loads numpy

        return StoredRows(self._transactions)

    @property
    def engine(self) -> Engine:
        """The SQLAlchemy engine, for SQL of one's own."""
        return self._transactions.engine

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Let everything inside the block happen, or nothing of it.

        Yields:
            This database. Whatever this thread does with it inside the block belongs to the
            transaction. A block inside a block is rolled back alone.

        Raises:
            SchemaError: The schema is not of the version this library needs.
        """
        with self._transactions(writes=True):
            yield self

    @contextmanager
    def snapshot(self) -> Iterator[Self]:
        """Let everything that is read inside the block be of one moment, whoever writes meanwhile.

        Yields:
            This database. Inside a transaction, the block sees what that sees.

        Raises:
            SchemaError: The schema is not of the version this library needs.
        """
        with self._transactions.snapshot():
            yield self

    def recorder(self, run_id: str, **options: Any) -> Recorder:
        """Log the history of a run while it trains, without slowing it.

        Args:
            run_id: The run.
            options: What :class:`training_db.recording.recorder.Recorder` takes, such as
                ``flush_seconds``.

        Returns:
            A recorder; a context manager, which closes it.
        """
        from training_db.recording.recorder import Recorder

        return Recorder(self, run_id, **options)

    def close(self) -> None:
        """Close all connections; the object opens new ones if it is used again."""
        self._transactions.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        place = self.url.set(query={})  # which may hold secrets of its own
        return f"TrainingDB({place.render_as_string(hide_password=True)!r})"
