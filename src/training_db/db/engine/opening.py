"""Engines of either backend, and the ways in which transactions use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from training_db.db.engine.driver_errors import translate
from training_db.db.engine.postgresql import READS, postgresql_engine
from training_db.db.engine.sqlite import WRITES, sqlite_engine
from training_db.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine


def open_engine(url: URL) -> Engine:
    """Make an engine for a resolved URL; nothing is connected yet.

    Args:
        url: What :func:`training_db.settings.resolve_url` returned.

    Returns:
        An engine whose connections raise this library's errors only.
    """
    make = sqlite_engine if url.get_backend_name() == "sqlite" else postgresql_engine
    return _translating(make(url))


def open_replica(url: URL) -> Engine:
    """Make an engine for a PostgreSQL server that others can stand in for; it is not waited for."""
    return _translating(postgresql_engine(url, waits=False))


def reading(engine: Engine) -> Engine:
    """Return the engine for transactions that only read."""
    if engine.dialect.name == "sqlite":
        return engine
    # Statement by statement, as READ COMMITTED sees things anyway: BEGIN and COMMIT would be two
    # more trips to the server.
    return engine.execution_options(isolation_level="AUTOCOMMIT", **{READS: True})


def snapshots(engine: Engine) -> Engine:
    """Return the engine for transactions in which all that is read is of one moment."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write.

    SQLite then takes its lock at the start: a writer that began as a reader cannot wait for
    another one, and fails half-way.
    """
    return engine.execution_options(**{WRITES: True})


def is_writing(connection: Connection) -> bool:
    """Tell whether a connection is one of an engine for transactions that write."""
    return bool(connection.get_execution_options().get(WRITES))


def connected(engine: Engine) -> Connection:
    """Return a connection, of which a process has so many; who needs one more waits for it.

    Raises:
        DatabaseUnavailable: None became free, or the server is not to be reached.
    """
    try:
        return engine.connect()
    except PoolTimeoutError as error:
        raise DatabaseUnavailable(
            "all connections of this process are in use, and none became free: "
            f"{str(error).partition(' (')[0]}; let fewer threads share the object, or have shorter "
            "transactions"
        ) from error


def unlimited(connection: Connection) -> None:
    """Let the statements of this transaction take the time that they take.

    A role or a setting may have limits that suit queries.
    """
    if connection.dialect.name == "sqlite":
        return
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


def plans_by_statistics(connection: Connection) -> bool:
    """Tell whether the backend knows by itself how many rows a condition will find.

    SQLite does not, unless somebody runs ANALYZE.
    """
    return connection.dialect.name != "sqlite"


def joins_by_hash(connection: Connection) -> bool:
    """Tell whether the backend joins two large sets fast.

    SQLite makes a sorted tree of the one, which takes twice as long as a dict of Python does.
    """
    return connection.dialect.name != "sqlite"


def _translating(engine: Engine) -> Engine:
    event.listen(engine, "handle_error", translate, retval=True)
    return engine
