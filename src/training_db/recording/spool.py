"""A spool: the local SQLite file that holds what was logged until the database has it.

The process that opens it keeps it locked for as long as it lives. The lock dies with the process,
however that ends, and a forked child does not inherit it: so a spool that can be opened is one
whose writer is gone.

A row that was added survives the end of the process by any signal. It does not have to survive a
power cut: nothing waits for the disk here.
"""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training_db.errors import TrainingDBError
from training_db.recording.rows import JSONRows, Layout, columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from training_db.segments import Column

FETCHED = 64
"""Rows that are read or deleted while loggers wait: 0.1 ms on a usual machine."""

MOST_LAYOUTS = 1_000
"""Layouts that a spool keeps; what has another one becomes a JSON row."""

_FORM = 1
_ROW_BYTES = 24
_PAUSE = 0.0002  # seconds; without it the lock would be taken again before anyone wakes up
_HEADER = 512
_MADE_WITHIN = 60.0  # seconds; until SQLite writes to a new file, no lock says whose it is
_DAMAGES = (
    ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError,
    struct.error,
)  # fmt: skip
"""What comes of bytes that are not as they were written."""
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE layouts (number INTEGER PRIMARY KEY, codes TEXT NOT NULL, keys TEXT NOT NULL);
CREATE TABLE rows (row INTEGER PRIMARY KEY, layout INTEGER NOT NULL, cells BLOB NOT NULL);
CREATE TABLE events (number INTEGER PRIMARY KEY, body TEXT NOT NULL);
PRAGMA user_version = {_FORM};
"""


class SpoolInUse(TrainingDBError):
    """Another process, which is alive, writes this spool."""


class SpoolUnreadable(TrainingDBError):
    """The file cannot be opened, or is of another version of this library."""


class SpoolCorrupt(SpoolUnreadable):
    """The file is no spool, or is damaged."""


@dataclass(slots=True)
class Batch:
    """Some rows of a spool that follow each other.

    Attributes:
        first: The number of the first row.
        stop: The number after the last.
        size: Bytes that they take.
        cells: How many cells there are, about.
        parts: For each layout the numbers of its rows and their bytes.
    """

    first: int
    stop: int
    size: int = 0
    cells: int = 0
    parts: dict[Layout, tuple[list[int], list[bytes]]] = field(default_factory=dict)

    def columns(self) -> dict[str, Column]:
        """Return the rows by columns.

        Raises:
            SpoolCorrupt: A row is damaged.
        """
        with _decoding(f"rows {self.first} to {self.stop}"):
            return columns(self.parts)


class Spool:
    """One writer's rows and events; shared by threads under its lock.

    Args:
        connection: A connection to a database that has the tables.
        path: The file, or ``None`` in memory.

    Attributes:
        lock: Held while the connection is used.
        first_row: The first row that was not sent.
        next_row: The number of the next row.
        waiting_bytes: What was not sent, in bytes.
        waiting_cells: What was not sent, in cells.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        self._connection = connection
        self._insert = connection.cursor().execute
        self.path = path
        self.lock = threading.RLock()
        self._pause = threading.Event()
        self.meta = dict(connection.execute("SELECT name, value FROM meta"))
        self.writer = int(self.meta["writer"])
        found = connection.execute("SELECT number, codes, keys FROM layouts")
        self._layouts: dict[int, Layout] = {
            one[0]: Layout(one[0], one[1], tuple(json.loads(one[2]))) for one in found
        }
        self._layouts[0] = JSONRows()
        count, size, first, last = connection.execute(
            "SELECT count(*), coalesce(sum(length(cells)), 0), min(row), max(row) FROM rows"
        ).fetchone()
        self.first_row, self.next_row = first or 0, 0 if last is None else last + 1
        self.waiting_bytes = size + _ROW_BYTES * count
        self.waiting_cells = size // 8
        count, size, self.first_event, last = connection.execute(
            "SELECT count(*), coalesce(sum(length(body)), 0), coalesce(min(number), 0), "
            "coalesce(max(number), -1) FROM events"
        ).fetchone()
        self.next_event = last + 1
        self.waiting_bytes += size + _ROW_BYTES * count

    @classmethod
    def create(cls, path: Path | None, meta: Mapping[str, str]) -> Spool:
        """Make a new spool.

        Args:
            path: A file that is not there yet; ``None`` for memory.
            meta: What it says about itself, ``writer`` among it.

        Raises:
            OSError: The file cannot be made.
            sqlite3.Error: The file cannot be written.
        """
        if path is not None:
            # Before SQLite opens it: to close a file ends all locks this process has on it.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = _connect(path)
        try:
            connection.executescript(_SCHEMA)
            # In the same transaction: a process that is killed here leaves all of it or nothing.
            connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
            connection.execute("COMMIT")
            return cls(connection, path)
        except sqlite3.Error:
            connection.close()
            if path is not None:
                unlink(path)
            raise

    @classmethod
    def open(cls, path: Path) -> Spool:
        """Open the spool of a writer who is gone.

        Raises:
            FileNotFoundError: There is nothing in it, and it was deleted; or it was gone before.
            SpoolInUse: The writer is alive.
            SpoolUnreadable: It cannot be opened.
            SpoolCorrupt: It is no spool, or is damaged.
        """
        stat = path.stat()
        if not stat.st_size and time.time() - stat.st_mtime < _MADE_WITHIN:
            raise SpoolInUse(f"{path} is just being made")
        if 0 < stat.st_size < _HEADER:  # SQLite would take it for a new file
            raise SpoolCorrupt(f"{path} cannot be read as a spool: it has {stat.st_size} bytes")
        try:
            connection = _connect(path)
        except sqlite3.Error as error:
            raise _trouble(path, error) from error
        try:
            connection.execute("BEGIN IMMEDIATE")
            (form,) = connection.execute("PRAGMA user_version").fetchone()
            if form == _FORM:
                spool = cls(connection, path)
                for name in ("run_id", "place"):
                    if spool.meta[name] is None:
                        raise ValueError(f"it does not say its {name}")
                connection.execute("COMMIT")
                return spool
            is_blank = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        except (sqlite3.Error, *_DAMAGES) as error:
            connection.close()
            raise _trouble(path, error) from error
        connection.close()
        if is_blank:  # its writer was killed while it made it
            unlink(path)
            raise FileNotFoundError(path)
        raise SpoolUnreadable(f"{path} is no spool that this version of training-db can read")

    @property
    def is_empty(self) -> bool:
        """Whether everything in it was sent."""
        return self.first_row >= self.next_row and self.first_event >= self.next_event

    @property
    def waiting_rows(self) -> int:
        """How many rows were not sent."""
        return max(0, self.next_row - self.first_row)

    def layout(self, codes: str, keys: tuple[str, ...]) -> Layout | None:
        """Add a layout, or return ``None`` where there are too many; call it once for each."""
        with self.lock:
            number = len(self._layouts)
            if number > MOST_LAYOUTS:
                return None
            self._connection.execute(
                "INSERT INTO layouts VALUES (?, ?, ?)", (number, codes, json.dumps(keys))
            )
            layout = self._layouts[number] = Layout(number, codes, keys)
        return layout

    def add(self, layout: int, cells: bytes, count: int) -> None:
        """Add a row; the lock is held by the caller."""
        row = self.next_row
        try:
            self._insert("INSERT INTO rows VALUES (?, ?, ?)", (row, layout, cells))
        except sqlite3.IntegrityError:  # a signal's exception came between two lines of this
            row += 1
            self._insert("INSERT INTO rows VALUES (?, ?, ?)", (row, layout, cells))
        self.next_row = row + 1
        self.waiting_bytes += len(cells) + _ROW_BYTES
        self.waiting_cells += count

    def draft(self, layout: int, cells: bytes) -> None:
        """Write the row that comes next, or write it anew; the lock is held by the caller.

        It counts, and is sent, when it was kept; or when its writer is gone.
        """
        self._insert("REPLACE INTO rows VALUES (?, ?, ?)", (self.next_row, layout, cells))

    def keep(self, size: int, count: int) -> None:
        """Let the draft be a row; the lock is held by the caller."""
        self.next_row += 1
        self.waiting_bytes += size + _ROW_BYTES
        self.waiting_cells += count

    def add_event(self, event: Mapping[str, Any]) -> None:
        """Add an event, whose values JSON can hold."""
        with self.lock:
            body = json.dumps(event)
            try:
                self._insert("INSERT INTO events VALUES (?, ?)", (self.next_event, body))
            except sqlite3.IntegrityError:  # as for rows
                self.next_event += 1
                self._insert("INSERT INTO events VALUES (?, ?)", (self.next_event, body))
            self.next_event += 1
            self.waiting_bytes += len(body) + _ROW_BYTES

    def set(self, name: str, value: str | None) -> None:
        """Note something about the writer."""
        with self.lock:
            self._connection.execute("REPLACE INTO meta VALUES (?, ?)", (name, value))
        self.meta[name] = value

    def read(self, most_cells: int, stop: int) -> Batch:
        """Return the next rows that were not sent.

        Args:
            most_cells: How many cells to read, about.
            stop: The number of the row to stop before.

        Raises:
            SpoolCorrupt: A row is damaged.
        """
        batch = Batch(self.first_row, self.first_row)
        select = "SELECT row, layout, cells FROM rows WHERE row >= ? AND row < ? LIMIT ?"
        while batch.cells < most_cells and batch.stop < stop:
            with self.lock:
                found = self._connection.execute(select, (batch.stop, stop, FETCHED)).fetchall()
            with _decoding(f"a row from {batch.stop} on"):
                for row, number, cells in found:
                    layout = self._layouts[number]
                    rows, packed = batch.parts.setdefault(layout, ([], []))
                    rows.append(row)
                    packed.append(cells)
                    batch.size += len(cells) + _ROW_BYTES
                    batch.cells += len(layout.keys) or len(cells) // 8
            if not found:
                batch.stop = stop
                break
            batch.stop = found[-1][0] + 1
        return batch

    def forget(self, batch: Batch) -> None:
        """Delete rows that were sent."""
        self.first_row = batch.stop  # whatever becomes of the file: they are sent once
        with self.lock:
            self.waiting_bytes -= batch.size
            self.waiting_cells = max(0, self.waiting_cells - batch.cells)
        for row in range(batch.first + FETCHED, batch.stop + FETCHED, FETCHED):
            with self.lock, suppress(sqlite3.Error):  # a full disk; the file is deleted in the end
                self._connection.execute("DELETE FROM rows WHERE row < ?", (min(row, batch.stop),))
            self._pause.wait(_PAUSE)

    def events(self, limit: int = 100) -> list[tuple[int, dict[str, Any]]]:
        """Return the next events that were not sent, with their numbers.

        Raises:
            SpoolCorrupt: One of them is damaged.
        """
        with self.lock:
            found = self._connection.execute(
                "SELECT number, body FROM events WHERE number >= ? ORDER BY number LIMIT ?",
                (self.first_event, limit),
            ).fetchall()
        with _decoding(f"an event from {self.first_event} on"):
            return [(number, {**json.loads(body)}) for number, body in found]

    def forget_events(self, stop: int) -> None:
        """Delete events that were sent, before the number."""
        first, self.first_event = self.first_event, stop
        with self.lock, suppress(sqlite3.Error):
            count, size = self._connection.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0) FROM events "
                "WHERE number >= ? AND number < ?",
                (first, stop),
            ).fetchone()
            self.waiting_bytes -= size + _ROW_BYTES * count
            self._connection.execute("DELETE FROM events WHERE number < ?", (stop,))

    def shrink(self) -> None:
        """Give back the space of what was sent."""
        with self.lock, suppress(sqlite3.Error):  # a full disk; it is deleted some day
            self._connection.execute("VACUUM")

    def close(self, *, delete: bool = False) -> None:
        """Close the file, and delete it if wanted."""
        with self.lock:
            self._connection.close()
        if delete and self.path is not None:
            unlink(self.path)


def _connect(path: Path | None) -> sqlite3.Connection:
    where = ":memory:" if path is None else f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(
        where, timeout=0, isolation_level=None, check_same_thread=False, uri=path is not None
    )
    try:
        # Kept until the process ends; and no shared memory, which network file systems lack.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        # A row is then one write to the end of a file.
        connection.execute("PRAGMA journal_mode = WAL")
        # What the operating system has taken survives the process, and nobody waits for the disk.
        connection.execute("PRAGMA synchronous = OFF")
        # Some builds overwrite what is deleted with zeros, which costs as much as to write it.
        connection.execute("PRAGMA secure_delete = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _trouble(path: Path, error: Exception) -> TrainingDBError:
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return SpoolInUse(f"{path} is in use by a process that is alive")
    kind = SpoolCorrupt if is_damage(error) else SpoolUnreadable
    return kind(f"{path} cannot be read as a spool: {error}")


def is_damage(error: Exception) -> bool:
    """Tell whether an error is about what is in the file, and not about rights or the disk."""
    return not isinstance(error, sqlite3.OperationalError) or "decode" in str(error)


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        raise SpoolCorrupt(
            f"{what} of a spool cannot be read: {type(error).__name__}: {error}"
        ) from error


def unlink(path: Path) -> None:
    """Delete a spool, and what SQLite put beside it."""
    for one in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-journal")):
        with suppress(OSError):
            one.unlink()
