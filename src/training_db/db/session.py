"""The unit of work: everything inside a transaction commits once, or nothing of it does."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING

from training_db.db.engine import open_engine, reading, writing
from training_db.db.version import check_schema
from training_db.errors import SchemaMissing
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import URL, Connection

# The open transactions of this thread or task, by the ids of whose they are and of the thread.
_NONE: Mapping[tuple[int, int], Connection] = MappingProxyType({})
_open = ContextVar("training_db_transactions", default=_NONE)


class Transactions:
    """The transactions of one database: in each thread or task, one at a time.

    Args:
        url: Where the database is. Nothing is connected before the first transaction.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
        self.engine = open_engine(url)
        self._readers, self._writers = reading(self.engine), writing(self.engine)
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
        """
        if self._process != os.getpid():
            self._start_over_after_fork()
        key = id(self), threading.get_ident()  # a context may be copied to another thread
        connection = _open.get().get(key)
        # A task that was started inside a transaction may outlive it.
        if connection is not None and not connection.closed:
            # What fails inside goes back alone; PostgreSQL could do nothing more after it else.
            with connection.begin_nested() if writes else nullcontext():
                yield connection
            return
        if not self._is_checked:
            self._require_file()
        with (self._writers if writes else self._readers).begin() as connection:
            if not self._is_checked:
                check_schema(connection)
                self._is_checked = True
            token = _open.set({**_open.get(), key: connection})
            try:
                yield connection
            finally:
                _open.reset(token)

    def close(self) -> None:
        """Close all connections; a next transaction opens new ones."""
        self.engine.dispose()

    def _require_file(self) -> None:
        path = sqlite_path(self.url)
        if path is not None and not path.exists():
            # SQLite would make an empty file of whatever name was mistyped.
            raise SchemaMissing(f"there is no database at {path} yet; run: training-db upgrade")

    def _start_over_after_fork(self) -> None:
        # The parent goes on with these connections, so the child forgets them unclosed.
        self.engine.dispose(close=False)
        _open.set(_NONE)
        self._process = os.getpid()
