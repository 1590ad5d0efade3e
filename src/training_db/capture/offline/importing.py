"""Import of W&B's logs: ``run-ID.wandb`` files, as their client leaves them behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from training_db.capture.offline.copies import count_rows, step_column, stored_steps, unseen_rows
from training_db.capture.offline.discovery import find_logs
from training_db.capture.storing.outcome import Comparison, ImportOutcome
from training_db.capture.storing.run_store import RunStore
from training_db.db.session import primary_only
from training_db.errors import DatabaseUnavailable, InvalidInput

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray

    from training_db.capture.captured import RowBatch
    from training_db.capture.offline.log import WandbLog
    from training_db.database import TrainingDB

    Progress = Callable[[Path, int, int], None]
    """Told of a file how many bytes have been read, and of how many; the same when it is done."""

SOURCE = "wandb-offline"


def import_wandb_logs(
    db: TrainingDB, *paths: str | os.PathLike[str], progress: Progress | None = None
) -> list[ImportOutcome]:
    """Import W&B's logs: runs with their whole history, config, summary and all else.

    What is there already stays as it is, so a log may be imported again when it has grown. Logs
    that are damaged are taken as far as they can be read.

    Args:
        db: The database.
        paths: Files, run folders, whole ``wandb`` trees, or patterns of them.
        progress: Called now and then with a file, the bytes of it that were read, and its size.

    Returns:
        What came of each log, and of each path where there is none.

    Raises:
        MissingExtra: The package ``wandb`` is not installed.
        DatabaseError: The database cannot be written to.

    Example:
        >>> db = getfixture("example_db")
        >>> [outcome.error for outcome in import_wandb_logs(db, "no/such/run.wandb")]
        ["there is no file or folder 'no/such/run.wandb'; check the path"]
    """
    return list(imported_logs(db, paths, progress))


def imported_logs(
    db: TrainingDB, paths: Iterable[str | os.PathLike[str]], progress: Progress | None = None
) -> Iterator[ImportOutcome]:
    """Import W&B's logs one after another; see :func:`import_wandb_logs`.

    Yields:
        What came of each, once it is done.
    """
    found = find_logs(paths)
    for path, why in found.missing.items():
        yield ImportOutcome(SOURCE, path, error=why)
    for log in found.logs:
        yield import_log(db, log, progress)


@primary_only()
def import_log(db: TrainingDB, path: Path, progress: Progress | None = None) -> ImportOutcome:
    """Import one log; what makes it unreadable stands in the outcome."""
    one = LogImport(db, path, progress)
    try:
        one.go_on()
        if one.is_live:
            one.note_sign_of_life()
        return one.outcome()
    except DatabaseUnavailable:  # which is an OSError too
        raise
    except (InvalidInput, OSError) as error:
        return one.failed(error)
    finally:
        one.tell_end()


class LogImport:
    """The import of one log, which may grow.

    Args:
        db: The database.
        path: The log.
        progress: As for :func:`import_wandb_logs`.
    """

    def __init__(self, db: TrainingDB, path: Path, progress: Progress | None = None) -> None:
        self._db, self.path, self._progress = db, path, progress
        self._began = time.monotonic()
        self._log: WandbLog | None = None
        self._store: RunStore | None = None
        self._is_checked = False
        self._steps: NDArray[np.int64] | None = None  # which the database has, of other copies too
        self._said: list[str] = []
        self._seen: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether more is to be expected of it."""
        return self._log is not None and self._log.is_live

    @property
    def run_id(self) -> str | None:
        """The run in the database."""
        return None if self._store is None else self._store.run_id

    @property
    def rows(self) -> int:
        """How many rows have been read."""
        return 0 if self._log is None else self._log.rows

    @property
    def position(self) -> int:
        """How many bytes of the log have been read."""
        return 0 if self._log is None else self._log.position

    @primary_only()
    def go_on(self) -> None:
        """Store what the log has by now.

        Raises:
            UnreadableSource: It is no log.
            OSError: It cannot be read.
        """
        for batch in self._opened().batches():
            store = self._found_store()
            if store is None:
                continue
            if not self._is_checked and not self._agrees(store, batch):
                self._join(store)
                return
            self._write(store, batch)
        self._finish()

    @primary_only()
    def note_sign_of_life(self) -> None:
        """Note when the run was last alive, as far as its log tells."""
        seen = self._opened().last_seen
        if self._store is not None and seen != self._seen:
            self._store.heard_of(seen)
            self._seen = seen

    @primary_only()
    def tell_end(self) -> None:
        """Say that it is done: a log that is cut is so before its end."""
        if self._progress is not None:
            size = _size(self.path)
            self._progress(self.path, size, size)

    def outcome(self) -> ImportOutcome:
        """Count both sides, and return what came of the import so far."""
        log, store = self._opened(), self._store
        if store is None:
            return ImportOutcome(
                SOURCE,
                str(self.path),
                damage=list(log.damage),
                decision="there is no run in it yet",
                counts=Comparison([]),
                seconds=time.monotonic() - self._began,
            )
        there = store.verify(log.counts, log.rows)
        if not there.is_equal and store.first_row and store.is_intact:
            self._join(store)
            store.verify(log.counts, log.rows)
        elif not there.is_equal and not store.is_intact:
            self._said.append(
                "the database has lost values since they were imported; delete the history of "
                "the run, and import it again"
            )
        outcome = store.outcome(log.rows)
        outcome.file, outcome.seconds = str(self.path), time.monotonic() - self._began
        outcome.damage = outcome.damage or list(log.damage)
        outcome.left_out = dict(log.left_out)
        said = [store.decision] if store.decision else []
        outcome.decision = "; ".join([*said, *self._said]) or None
        return outcome

    def failed(self, error: Exception) -> ImportOutcome:
        """Return the outcome of an import that ended by an error."""
        outcome = ImportOutcome(SOURCE, str(self.path), run_id=self.run_id, error=_words(error))
        outcome.seconds = time.monotonic() - self._began
        return outcome

    def _opened(self) -> WandbLog:
        from training_db.capture.offline.log import WandbLog

        if self._log is None:
            self._log = WandbLog(self.path)
        return self._log

    def _found_store(self) -> RunStore | None:
        """Return where the run goes; ``None`` for a log that has hardly begun."""
        if self._store is None:
            run = self._opened().run
            if run is not None:
                self._store = RunStore(self._db, run, _shown_name(self.path))
        return self._store

    def _agrees(self, store: RunStore, batch: RowBatch) -> bool:
        """Tell whether the last row that is stored is in the file what it is in the database."""
        if not store.first_row:
            self._is_checked = True
        elif batch.rows[0] < store.first_row <= batch.rows[1]:
            self._is_checked = True
            return store.agrees_with(batch) or not store.is_intact
        return True

    def _write(self, store: RunStore, batch: RowBatch) -> None:
        if self._steps is not None:
            batch = unseen_rows(batch, self._steps, store.rows)
            self._steps = np.concatenate([self._steps, step_column(batch).values])
        store.write(batch)
        self._tell()

    def _join(self, store: RunStore) -> None:
        """Bring this copy of the log together with another that is stored; rows are lost in one."""
        steps = stored_steps(self._db, store.run_id, store.writer, store.rows)
        self._log = None
        here, there = count_rows(self._opened().batches(), steps), store.rows
        if here >= there:
            self._replace(store)
            return
        said = f"another copy of it with {there:,} rows is here, and was kept"
        if steps is not None:
            self._log, self._steps = None, steps
            for batch in self._opened().batches():
                self._write(store, batch)
            if store.rows > there:
                said += f"; {store.rows - there:,} rows that it lacked were added"
        self._said.append(said)
        self._finish()

    def _replace(self, store: RunStore) -> None:
        with self._db.transaction():
            cells = store.forget()
            self._log = self._steps = None
            for batch in self._opened().batches():
                self._write(store, batch)
            self._finish()
        self._said.append(
            f"{cells:,} values of a copy of it in which rows are damaged or missing were replaced"
        )

    def _finish(self) -> None:
        log, store = self._opened(), self._found_store()
        run = log.run
        if store is None or run is None:
            return
        if not store.new_rows and store.is_older(run, log.rows):
            if log.rows < store.first_row and not self._said:
                self._said.append(f"a longer copy of it, with {store.first_row:,} rows, is here")
        else:
            store.finish(run, log.damage, log.left_out)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            size = _size(self.path)
            self._progress(self.path, min(self.position, size), size)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _shown_name(path: Path) -> str:
    # The file of each attempt at a run has the same name.
    folder = path.resolve().parent.name
    return f"{folder}/{path.name}" if folder else path.name


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the file'} cannot be read: {error.strerror}"
    return str(error)
