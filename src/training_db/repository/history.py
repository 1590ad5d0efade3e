"""The history of runs: appended to, read (see :class:`HistoryQueries`) and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from training_db.db.engine import reclaim
from training_db.errors import InvalidValue
from training_db.models import run_history_tails, run_metrics, training_runs
from training_db.models.types import LARGEST
from training_db.records import history_columns
from training_db.repository.arguments import names_in, whole_number, whole_numbers
from training_db.repository.base import run_key, run_number
from training_db.repository.filter_sql import condition
from training_db.repository.filters import as_filter
from training_db.repository.history_counts import stored_counts
from training_db.repository.history_deletion import delete_history, delete_metrics, forget_writer
from training_db.repository.history_json import is_list
from training_db.repository.history_layout import MOVED, moved_length
from training_db.repository.history_names import check_metric_name, require_metric
from training_db.repository.history_queries import HistoryQueries, span_of
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_writing import (
    compact_tail,
    lock_run,
    next_row,
    write_rows,
    writers_of,
)
from training_db.repository.keeping import Keep
from training_db.repository.retention import Thinned, may_be_thinned, refuse_while_alive, thin
from training_db.repository.writers import can_be_extended, new_writer
from training_db.segments import SEGMENT_CELLS, Column, column

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import timedelta

    from training_db.repository.filters import Filter
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
            InvalidValue: What is passed is of another type.
        """
        writer, span = whole_number(writer, "the writer"), whole_numbers(rows, "rows")
        if len(span) != 2 or not isinstance(columns, Mapping):
            raise InvalidValue("pass columns by their names, and the first row and the one after")
        with self._transactions(writes=True) as connection:
            return write_rows(connection, run_id, writer, columns, (span[0], span[1]))

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
        asked = None if writers is None else whole_numbers(writers, "writers")
        with self._transactions(writes=False) as connection:
            return stored_counts(connection, run_number(connection, run_id), asked, rows)

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
        wanted = None if metrics is None else {*names_in(metrics, "metric"), *AXIS_NAMES}
        span = None if steps is None else span_of(steps)
        asked, first_row = whole_numbers(writers, "writers"), whole_number(first_row, "first_row")
        with self._transactions(writes=False) as connection:
            present = writers_of(connection, run_number(connection, run_id))
            since = {one: first_row if one in asked else LARGEST for one in present}
            found = stored_columns(connection, [run_key(run_id)], wanted, span, since)
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

    def retainable(
        self,
        older_than: timedelta,
        filters: Mapping[str, Any] | str | Filter | None = None,
        statuses: Iterable[str] | None = None,
    ) -> list[str]:
        """Return the runs whose history may be thinned out by now, in the order of their numbers.

        Args:
            older_than: They ended, or were heard of last, before so long by the database's clock.
            filters: Which runs to look at, as for ``db.runs.query``.
            statuses: Where they stand; without it, completed, failed and crashed.

        Returns:
            Their ids. A run that a recorder is writing to is none of them.

        Raises:
            UnknownName: A status that does not exist.
            InvalidValue: An age that is none.

        Example:
            >>> from datetime import timedelta
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h7", status="completed", history_json={"loss": [2.0, 1.0]})
            >>> db.history.retainable(timedelta(0)), db.history.retainable(timedelta(days=1))
            (['h7'], [])
        """
        tree = as_filter(filters)
        with self._transactions(writes=False) as connection:
            chosen = select(training_runs.c.run_id).where(
                condition(tree), may_be_thinned(connection, older_than, statuses)
            )
            return list(connection.scalars(chosen.order_by(training_runs.c.number)))

    def thin(self, run_id: str, keep: str, *, dry_run: bool = False) -> Thinned:
        """Keep some of the history of a run that is over, and drop the rest for good.

        Rows keep their steps. What :attr:`metrics` say stays as it was over all of the history,
        and so do the rows of ``run_history_key_metrics``. An event of the run says what went.

        Args:
            run_id: The run.
            keep: ``"every:10"`` for the first of every ten rows of each metric, and its last, least
                and greatest value; ``"metrics:loss,lr"`` for these metrics alone;
                ``"key-metrics"`` for loss, gradient norm, learning rate and objectives at the rows
                of ``run_history_key_metrics``.
            dry_run: Whether only to count.

        Returns:
            How many values and bytes there were, and are. A second time changes nothing.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: ``keep`` is none of these.
            Conflict: A recorder is writing to the run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("h8")
            >>> _ = db.history.append("h8", {"loss": [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]})
            >>> db.history.thin("h8", "every:4").cells_after
            3
            >>> db.history.arrays("h8", "loss")["h8"]["loss"].x.tolist()
            [0, 4, 5]
        """
        rule = Keep.parse(keep)
        with self._transactions(writes=not dry_run) as connection:
            number = (run_number if dry_run else lock_run)(connection, run_id)
            refuse_while_alive(connection, run_id, number)
            return thin(connection, run_id, number, rule, dry_run=dry_run)

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
            names = names_in(metrics, "metric")
            for name in names:
                require_metric(connection, [run_id], name)
            return delete_metrics(connection, run_id, number, names)
