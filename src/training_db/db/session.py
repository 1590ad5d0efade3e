"""The unit of work: everything inside a transaction commits once, or nothing of it does."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from training_db.db.engine import (
    connected,
    is_writing,
    open_engine,
    reading,
    snapshots,
    writing,
)
from training_db.db.replica import Replica
from training_db.db.version import check_schema
from training_db.errors import DatabaseError, SchemaMissing
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL, Connection, Engine

# The open transactions of this thread or task, by the ids of whose they are and of the thread.
_NONE: Mapping[tuple[int, int], Connection] = MappingProxyType({})
_open = ContextVar("training_db_transactions", default=_NONE)
_primary_only = ContextVar("training_db_primary_only", default=False)


@contextmanager
def primary_only() -> Iterator[None]:
    """Read from no replica inside the block: who writes by what was read must not read old rows.

    It holds for this thread or task; as a decorator, for a function.
    """
    token = _primary_only.set(True)
    try:
        yield
    finally:
        _primary_only.reset(token)


class Transactions:
    """The transactions of one database: in each thread or task, one at a time.

    Args:
        url: Where the database is. Nothing is connected before the first transaction.
        read_url: A replica, from which is read outside of transactions that write.
    """

    def __init__(self, url: URL, read_url: URL | None = None) -> None:
        self.url = url
        self.engine = open_engine(url)
        self._readers, self._writers = reading(self.engine), writing(self.engine)
        self._snapshots = snapshots(self.engine)
        self._replica = Replica(read_url, self._readers) if read_url is not None else None
        self._is_checked = False
        self._process = os.getpid()

    @contextmanager
    def __call__(self, *, writes: bool) -> Iterator[Connection]:
        """Join the transaction that is open, or open one for this block.

        Args:
            writes: Whether the block will write.

        Yields:
            The connection. An ORM session would do too, and take 0.1 ms more each time.

        Raises:
            SchemaError: The schema is not of the version this library needs.
            DatabaseError: The block will write, and stands inside one that only reads.
        """
        connection = self._joined()
        if connection is not None:
            if writes and not is_writing(connection):
                raise DatabaseError(
                    "this is inside a snapshot, which only reads; write before it or after it"
                )
            # What fails inside goes back alone; PostgreSQL could do nothing more after it else.
            with connection.begin_nested() if writes else nullcontext():
                yield connection
            return
        connection = None if writes else self._of_replica()
        if connection is not None:
            with connection, self._shared(connection):
                yield connection
            return
        with self._opened(self._writers if writes else self._readers) as connection:
            yield connection
        if writes and self._replica is not None:
            self._replica.note_write()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Join the transaction that is open, or open one in which all reads see one moment.

        Yields:
            The connection, on which nothing can be written.

        Raises:
            SchemaError: The schema is not of the version this library needs.
        """
        connection = self._joined()
        if connection is not None:
            yield connection
            return
        with self._opened(self._snapshots) as connection:
            yield connection

    def close(self) -> None:
        """Close all connections; a next transaction opens new ones."""
        self.engine.dispose()
        if self._replica is not None:
            self._replica.close()

    def _joined(self) -> Connection | None:
        """Return the connection of the transaction that is open in this thread or task."""
        if self._process != os.getpid():
            self._start_over_after_fork()
        connection = _open.get().get(self._key())
        # A task that was started inside a transaction may outlive it.
        return connection if connection is not None and not connection.closed else None

    def _of_replica(self) -> Connection | None:
        if self._replica is None or _primary_only.get():
            return None
        return self._replica.connect()

    @contextmanager
    def _opened(self, engine: Engine) -> Iterator[Connection]:
        if not self._is_checked:
            self._require_file()
        with connected(engine) as connection, connection.begin():
            if not self._is_checked:
                check_schema(connection)
                self._is_checked = True
            with self._shared(connection):
                yield connection

    @contextmanager
    def _shared(self, connection: Connection) -> Iterator[None]:
        """Let what this thread or task does inside the block join the connection."""
        token = _open.set({**_open.get(), self._key(): connection})
        try:
            yield
        finally:
            _open.reset(token)

    def _key(self) -> tuple[int, int]:
        return id(self), threading.get_ident()  # a context may be copied to another thread

    def _require_file(self) -> None:
        path = sqlite_path(self.url)
        if path is not None and not path.exists():
            # SQLite would make an empty file of whatever name was mistyped.
            raise SchemaMissing(f"there is no database at {path} yet; run: training-db upgrade")

    def _start_over_after_fork(self) -> None:
        # The parent goes on with these connections, so the child forgets them unclosed.
        self.engine.dispose(close=False)
        if self._replica is not None:
            self._replica.close(is_fork=True)
        _open.set(_NONE)
        self._process = os.getpid()
