"""How SQLite is connected to; each PRAGMA stands beside its reason."""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from training_db.db.engine.file_systems import network_file_system
from training_db.documents import look_up, strict_json
from training_db.errors import DatabaseUnavailable
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import URL, Connection, Engine

WRITES = "training_db_writes"
LOCK_SECONDS = 60


def sqlite_engine(url: URL) -> Engine:
    """Make an engine for a SQLite file, or for a database in memory."""
    path = sqlite_path(url)
    # One connection is the whole of a database in memory, so all threads share it.
    pool: dict[str, Any] = {} if path else {"poolclass": StaticPool}
    arguments = {
        "timeout": LOCK_SECONDS,  # wait for another writer, instead of failing at once
        "check_same_thread": False,  # the pool hands a connection to one thread at a time
        "isolation_level": None,  # BEGIN is ours: Python's own is late, and skips DDL
    }
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, **pool)

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        add_functions(connection)
        # Off by default: deleting a run has to take its rows along.
        connection.execute("PRAGMA foreign_keys = ON")
        _choose_journal(connection, path)
        # 64 MiB hold the indexes of 100,000 runs.
        connection.execute("PRAGMA cache_size = -65536")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", _begin)
    return engine


def add_functions(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that our statements call."""
    connection.create_function("training_db_document", 1, _or_null(strict_json), deterministic=True)
    connection.create_function(
        "training_db_lookup",
        2,
        _or_null(lambda text, keys: look_up(text, json.loads(keys))),
        deterministic=True,
    )


def _choose_journal(connection: sqlite3.Connection, path: Path | None) -> None:
    kind = None if path is None else network_file_system(path)
    if kind is None:
        # Readers do not wait for the writer, nor it for them. A read-only file keeps its mode.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        # With WAL, a crash of the machine still leaves the file whole.
        connection.execute("PRAGMA synchronous = NORMAL")
        return
    # WAL needs memory that all who use the file share, which two machines do not have.
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error):
            raise DatabaseUnavailable(
                f"{path} is on a network file system ({kind}), where SQLite has to do without WAL, "
                f"and the file cannot leave WAL now: {error}; end the programs that have it open, "
                "and try again"
            ) from error
    connection.execute("PRAGMA synchronous = FULL")


def quoted_name(name: str) -> str:
    """Return a name, such as somebody else's of a column, as it stands in SQL."""
    return '"{}"'.format(name.replace('"', '""'))


def _or_null(function: Any) -> Any:
    # A column may hold NULL or, adopted from elsewhere, a blob or a number.
    return lambda text, *rest: function(text, *rest) if isinstance(text, str) else None


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
