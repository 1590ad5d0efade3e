"""TrainingDB: one object for a whole database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from training_db.db.session import Transactions
from training_db.extraction import RULES, ExtractionRules
from training_db.repository.objectives import ObjectiveRepository
from training_db.repository.runs import RunRepository
from training_db.repository.scaffolds import ScaffoldRepository
from training_db.repository.statistics import StatisticsRepository
from training_db.settings import resolve_url

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from sqlalchemy import URL, Engine


class TrainingDB:
    """A database of training runs.

    Args:
        url: Where it is: a URL, the path of a SQLite file, or ``None`` for what the environment
            says (see :mod:`training_db.settings`).
        rules: Where the columns of a run are found in its config and summary.

    Attributes:
        runs: The runs.
        objectives: Their objectives.
        scaffolds: Their scaffolds.
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
        self, url: str | os.PathLike[str] | URL | None = None, *, rules: ExtractionRules = RULES
    ) -> None:
        self.url = resolve_url(url)
        self._transactions = Transactions(self.url)
        self.runs = RunRepository(self._transactions, rules)
        self.objectives = ObjectiveRepository(self._transactions)
        self.scaffolds = ScaffoldRepository(self._transactions)
        self.statistics = StatisticsRepository(self._transactions)

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
