"""The history of runs: appended to, read (see :class:`HistoryQueries`) and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.db.engine import reclaim
from training_db.errors import InvalidValue
from training_db.models import run_history_tails, run_metrics
from training_db.models.types import LARGEST
from training_db.records import history_columns
from training_db.repository.base import run_key, run_number
from training_db.repository.history_counts import stored_counts
from training_db.repository.history_deletion import delete_history, delete_metrics, forget_writer
from training_db.repository.history_json import is_list
from training_db.repository.history_layout import MOVED, moved_length
from training_db.repository.history_names import check_metric_name, require_metric
from training_db.repository.history_queries import HistoryQueries
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_writing import (
    compact_tail,
    lock_run,
    next_row,
    write_rows,
    writers_of,
)
from training_db.repository.writers import can_be_extended, new_writer
from training_db.segments import SEGMENT_CELLS, Column, column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from training_db.repository.history_reading import Writers


_LONGEST_TAIL = SEGMENT_CELLS // 16
"""Rows that wait for more when they are appended; who appends many at once seldom comes again."""


class HistoryRepository(HistoryQueries):
    """The history of runs, as ``db.history``: a sparse table a run, stored by columns.

    Rows stand in the order in which they were logged. ``_step``, ``_epoch`` and ``_timestamp``
    are columns like the others.
    """

    def append(self, run_id: str, history: Any) -> int:
        """Add rows to the end of the history of a run.

        Args:
            run_id: The run.
            history: A mapping of metric to list or array of shape (n,), a list of row mappings, or
                a DataFrame. ``None`` is a missing cell.

        Returns:
            How many cells were added.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A name or value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h1")
            >>> db.history.append("h1", {"_step": [0, 10, 20], "loss": [2.0, None, 0.5]})
            5
            >>> db.history.arrays("h1")["h1"]["loss"].x.tolist()
            [0, 20]
        """
        given = history_columns(history)
        for name, values in given.items():
            check_metric_name(name)
            if not is_list(values):
                raise InvalidValue(f"the history of {name!r} is {values!r}; pass a list or array")
        length = max(map(len, given.values()), default=0)
        with self._transactions(writes=True) as connection:
            number = lock_run(connection, run_id)
            if not length:
                return 0
            writer = max(writers_of(connection, number), default=None)
            if writer is None or not can_be_extended(writer):
                writer = max(new_writer(live=False), (writer or 0) + 1)
            first = next_row(connection, number, writer)
            if writer == MOVED:
                first = max(first, moved_length(connection, run_id))
            columns = {name: column(values, first) for name, values in given.items()}
            rows = (first, first + length)
            write_rows(connection, run_id, writer, columns, rows, longest_tail=_LONGEST_TAIL)
        return sum(map(len, columns.values()))

    def write(
        self, run_id: str, writer: int, columns: Mapping[str, Column], rows: tuple[int, int]
    ) -> int:
        """Write rows of a writer who numbers them; again and again, and each is there once.

        Args:
            run_id: The run.
            writer: An id from :func:`training_db.repository.writers.new_writer`.
            columns: For each metric its cells, whose row numbers lie within ``rows``.
            rows: The first row, and the one after the last. They go on from what is there, or
                begin before its end; the cells of rows that are there already are left out.

        Returns:
            The writer's next row.

        Raises:
            RunNotFound: There is no such run.
        """
        with self._transactions(writes=True) as connection:
            return write_rows(connection, run_id, writer, columns, rows)

    def progress(self, run_id: str, writer: int) -> int:
        """Return the next row of a writer: how many of its rows are there."""
        with self._transactions(writes=False) as connection:
            return next_row(connection, run_number(connection, run_id), writer)

    def hold(self, run_id: str, writer: int) -> int:
        """Let nobody else change the history of a run until the transaction ends.

        Args:
            run_id: The run.
            writer: A writer.

        Returns:
            The writer's next row.

        Raises:
            RunNotFound: There is no such run.
        """
        with self._transactions(writes=True) as connection:
            return next_row(connection, lock_run(connection, run_id), writer)

    def writers(self, run_id: str) -> list[int]:
        """Return the writers of a run, in the order in which they began."""
        with self._transactions(writes=False) as connection:
            return writers_of(connection, run_number(connection, run_id))

    def counts(
        self, run_id: str, writers: Collection[int] | None = None, rows: int | None = None
    ) -> dict[str, int]:
        """Count the cells that are stored of a run, from what holds them and not from the totals.

        Args:
            run_id: The run.
            writers: Those of these writers only; ``None`` for all.
            rows: Those in the first so many rows of each writer only; ``None`` for all.

        Returns:
            For each metric that has any, how many.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h5")
            >>> _ = db.history.append("h5", {"loss": [2.0, None, 0.5], "lr": [0.1, 0.1, 0.1]})
            >>> db.history.counts("h5"), db.history.counts("h5", rows=2)
            ({'loss': 2, 'lr': 3}, {'loss': 1, 'lr': 2})
        """
        with self._transactions(writes=False) as connection:
            return stored_counts(connection, run_number(connection, run_id), writers, rows)

    def columns_of(
        self,
        run_id: str,
        writers: Collection[int],
        metrics: Iterable[str] | None = None,
        steps: tuple[float, float] | None = None,
        first_row: int = 0,
    ) -> Writers:
        """Return columns as they are stored, writer by writer.

        Args:
            run_id: The run.
            writers: Those of these writers only.
            metrics: The names of the columns; ``None`` for all. Those that say where rows stand
                come along.
            steps: Pieces that lie outside these steps altogether are left out.
            first_row: Pieces that end before this row are left out.

        Returns:
            For each writer its columns by name.
        """
        wanted = None if metrics is None else {*metrics, *AXIS_NAMES}
        with self._transactions(writes=False) as connection:
            present = writers_of(connection, run_number(connection, run_id))
            since = {one: first_row if one in writers else LARGEST for one in present}
            found = stored_columns(connection, [run_key(run_id)], wanted, steps, since)
        return found.get(run_id, {})

    def compact(self, run_id: str, writer: int | None = None) -> None:
        """Bring the newest rows into the form that is fastest to read.

        Args:
            run_id: The run.
            writer: One of its writers; ``None`` for all.

        Raises:
            RunNotFound: There is no such run.
        """
        with self._transactions(writes=True) as connection:
            number = lock_run(connection, run_id)
            for one in writers_of(connection, number) if writer is None else [writer]:
                compact_tail(connection, number, one)

    def forget_writer(self, run_id: str, writer: int) -> int:
        """Delete what one writer wrote, so that it can be written anew from row 0 on.

        Args:
            run_id: The run.
            writer: The writer; what others wrote stays.

        Returns:
            How many cells there were.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> from training_db.segments import column
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h6")
            >>> _ = db.history.write("h6", 11, {"loss": column([2.0, 1.0])}, (0, 2))
            >>> _ = db.history.write("h6", 13, {"loss": column([3.0])}, (0, 1))
            >>> db.history.forget_writer("h6", 11), db.history.counts("h6")
            (2, {'loss': 1})
        """
        with self._transactions(writes=True) as connection:
            return forget_writer(connection, run_id, lock_run(connection, run_id), writer)

    def tidy(self) -> None:
        """Make the space free again that a live run leaves behind; not in a transaction."""
        reclaim(self._transactions.engine, run_history_tails, run_metrics)

    def delete(self, run_id: str, metrics: str | Iterable[str] | None = None) -> int:
        """Delete the history of a run, or of some of its metrics.

        Args:
            run_id: The run, which stays.
            metrics: Which metrics; ``None`` for all.

        Returns:
            How many cells there were.

        Raises:
            RunNotFound: There is no such run.
            MetricNotFound: The run has no such metric; nothing was deleted.
        """
        with self._transactions(writes=True) as connection:
            number = lock_run(connection, run_id)
            if metrics is None:
                return delete_history(connection, run_id, number)
            names = [metrics] if isinstance(metrics, str) else list(metrics)
            for name in names:
                require_metric(connection, [run_id], name)
            return delete_metrics(connection, run_id, number, names)
