"""Engines: the only running code that knows SQLite and PostgreSQL apart.

Each PRAGMA and each connection option stands beside its reason. Driver errors become ours here,
once, for every statement of every caller.
"""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.pool import StaticPool

from training_db.documents import look_up, strict_json
from training_db.errors import (
    ConfigurationError,
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
    MissingExtra,
    TrainingDBError,
)
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import URL, Connection, Engine, Table
    from sqlalchemy.engine import ExceptionContext

_WRITES = "training_db_writes"
LOCK_SECONDS = 60
CONNECT_SECONDS = 10
_UNAVAILABLE_WORDS = ("locked", "unable to open", "readonly", "disk", "not a database", "malformed")
# Lost connections, refused logins, no such database, too few resources, an operator's stop.
_UNAVAILABLE_CLASSES = {"08", "28", "3D", "53", "57"}
_BINARY_TYPES = {int: "int8", float: "float8", str: "text", bytes: "bytea"}
_IAM_AUTH = "training_db_iam_auth"
_SECRET = re.compile(r"(://[^:/@\s]*:)[^@\s]*@|(password=)\S+", re.IGNORECASE)


def open_engine(url: URL) -> Engine:
    """Make an engine for a resolved URL; nothing is connected yet.

    Args:
        url: What :func:`training_db.settings.resolve_url` returned.

    Returns:
        An engine whose connections raise this library's errors only.
    """
    make = _sqlite_engine if url.get_backend_name() == "sqlite" else _postgresql_engine
    engine = make(url)
    event.listen(engine, "handle_error", _translate, retval=True)
    return engine


def reading(engine: Engine) -> Engine:
    """Return the engine for transactions that only read."""
    if engine.dialect.name == "sqlite":
        return engine
    # Statement by statement, as READ COMMITTED sees things anyway: BEGIN and COMMIT would be two
    # more trips to the server.
    return engine.execution_options(isolation_level="AUTOCOMMIT")


def writing(engine: Engine) -> Engine:
    """Return the engine for transactions that write.

    SQLite then takes its lock at the start: a writer that began as a reader cannot wait for
    another one, and fails half-way.
    """
    return engine.execution_options(**{_WRITES: True})


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


def _sqlite_engine(url: URL) -> Engine:
    path = sqlite_path(url)
    # One connection is the whole of a database in memory, so all threads share it.
    pool: dict[str, Any] = {} if path else {"poolclass": StaticPool}
    arguments = {
        "timeout": LOCK_SECONDS,  # wait for another writer, instead of failing at once
        "check_same_thread": False,  # the pool hands a connection to one thread at a time
        "isolation_level": None,  # BEGIN is ours: Python's own is late, and skips DDL
    }
    engine = create_engine(url, connect_args=arguments, hide_parameters=True, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.create_function("training_db_document", 1, _or_null(strict_json), deterministic=True)
    connection.create_function(
        "training_db_lookup",
        2,
        _or_null(lambda text, keys: look_up(text, json.loads(keys))),
        deterministic=True,
    )
    # Off by default: deleting a run has to take its rows along.
    connection.execute("PRAGMA foreign_keys = ON")
    # Readers do not wait for the writer, nor it for them. A read-only file keeps its mode.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode = WAL")
    # With WAL, a crash of the machine still leaves the file whole.
    connection.execute("PRAGMA synchronous = NORMAL")
    # 64 MiB hold the indexes of 100,000 runs.
    connection.execute("PRAGMA cache_size = -65536")


def _or_null(function: Any) -> Any:
    # A column may hold NULL or, adopted from elsewhere, a blob or a number.
    return lambda text, *rest: function(text, *rest) if isinstance(text, str) else None


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgresql_engine(url: URL) -> Engine:
    iam = url.query.get(_IAM_AUTH) in ("1", "true")
    arguments = {
        "connect_timeout": CONNECT_SECONDS,
        "application_name": "training-db",
        # A prepared statement gets one plan for all values, and a threshold that hardly a run
        # passes needs another one than a threshold that most do (1 ms instead of 18).
        "prepare_threshold": None,
    }
    engine = create_engine(
        url.difference_update_query([_IAM_AUTH]),
        connect_args={key: value for key, value in arguments.items() if key not in url.query},
        pool_pre_ping=True,  # a server that failed over leaves dead connections in the pool
        hide_parameters=True,
    )
    if iam:
        event.listen(engine, "do_connect", _IAMToken(url))
    return engine


class _IAMToken:
    """Puts a fresh AWS IAM token in the place of the password; one lives for 15 minutes."""

    def __init__(self, url: URL) -> None:
        try:
            import boto3
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise MissingExtra(
                "TRAINING_DB_IAM_AUTH needs boto3; run: pip install 'training-db[aws]'"
            ) from None
        if not (url.host and url.username):
            raise ConfigurationError("IAM login needs TRAINING_DB_HOST and TRAINING_DB_USER")
        try:
            self._client = boto3.client("rds")
        except BotoCoreError as error:  # no region, a broken profile ...
            raise ConfigurationError(f"IAM login cannot be set up: {error}") from None
        self._place = {"DBHostname": url.host, "Port": url.port or 5432, "DBUsername": url.username}

    def __call__(
        self, _dialect: object, _record: object, _args: object, arguments: dict[str, Any]
    ) -> None:
        arguments["password"] = self._client.generate_db_auth_token(**self._place)


def bulk_insert(
    connection: Connection, table: Table, columns: Sequence[str], rows: list[list[Any]]
) -> None:
    """Insert many rows by the fastest way the backend has.

    Args:
        connection: A connection inside a transaction.
        table: The table.
        columns: The names of the columns that the rows fill.
        rows: One list a row, in the order of ``columns``, as Python values. They are turned into
            the driver's in place.
    """
    dialect = connection.dialect
    for index, name in enumerate(columns):
        bind = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if bind is not None:
            for row in rows:
                if row[index] is not None:
                    row[index] = bind(row[index])
    names = ", ".join(columns)
    cursor: Any = connection.connection.cursor()
    try:
        if dialect.name == "sqlite":
            marks = ", ".join("?" * len(columns))
            cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # noqa: S608 - names of our own columns
        else:
            types = _binary_types(table, columns)
            form = " (FORMAT BINARY)" if types else ""
            with cursor.copy(f"COPY {table.name} ({names}) FROM STDIN{form}") as copy:
                if types:
                    copy.set_types(types)
                for row in rows:
                    copy.write_row(row)
    except dialect.loaded_dbapi.Error as error:
        raise translated(error) from error
    finally:
        cursor.close()


def reclaim(engine: Engine, *tables: Table) -> None:
    """Make the space of deleted and changed rows free again; not inside a transaction.

    SQLite does so by itself. PostgreSQL does it once a minute at best, and by then a run that is
    logged fast would have grown the table for good.
    """
    if engine.dialect.name == "sqlite":
        return
    names = ", ".join(table.name for table in tables)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"VACUUM (SKIP_LOCKED) {names}")


def _binary_types(table: Table, columns: Sequence[str]) -> list[str]:
    """Return the types of the columns where bytes are among them, which text would double."""
    kinds = [table.c[name].type.python_type for name in columns]
    return [_BINARY_TYPES[kind] for kind in kinds] if bytes in kinds else []


def upsert(
    connection: Connection, table: Table, key: Sequence[str], rows: list[dict[str, Any]]
) -> None:
    """Insert rows; where one with the same key is there, change the columns that are given.

    Args:
        connection: A connection inside a transaction.
        table: The table.
        key: The columns of one of its unique constraints.
        rows: Column names and values; what a row does not name stays as it is.
    """
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(tuple(sorted(row)), []).append(row)
    for columns, alike in by_columns.items():
        statement = _upsert_statement(connection.dialect.name, table, tuple(key), columns)
        connection.execute(statement, alike)


@lru_cache(maxsize=256)  # making one takes longer than running it
def _upsert_statement(
    backend: str, table: Table, key: tuple[str, ...], columns: tuple[str, ...]
) -> Any:
    # Only the backend's own dialect is loaded: PostgreSQL's alone takes 30 ms.
    statement = import_module(f"sqlalchemy.dialects.{backend}").insert(table)
    changes = {name: statement.excluded[name] for name in columns if name not in key}
    if not changes:
        return statement.on_conflict_do_nothing(index_elements=key)
    return statement.on_conflict_do_update(index_elements=key, set_=changes)


def translated(error: BaseException) -> Exception:
    """Return the error of our tree for one that a database driver raised."""
    message = _one_line(error)
    if isinstance(error, sqlite3.IntegrityError) or _state(error).startswith("23"):
        return Conflict(f"the database refused a row: {message}")
    if isinstance(error, (OverflowError, UnicodeError)) or _is_data_error(error):
        return InvalidValue(f"the database cannot hold a value: {message}")
    if _is_unavailable(error):
        return DatabaseUnavailable(
            f"the database cannot be used: {message}; check that it runs, that the URL is right, "
            "and that no other program keeps it locked"
        )
    return DatabaseError(f"the database reported: {message}")


def _is_data_error(error: BaseException) -> bool:
    # 54000: more than an index row can hold. psycopg's own refusals carry no state.
    return _state(error)[:2] in {"22", "54"} or type(error).__name__ == "DataError"


def _is_unavailable(error: BaseException) -> bool:
    if isinstance(error, sqlite3.DatabaseError):
        return any(words in str(error) for words in _UNAVAILABLE_WORDS)
    name = type(error).__name__
    if _state(error)[:2] in _UNAVAILABLE_CLASSES:
        return True
    return name in {"OperationalError", "ConnectionTimeout"} and not _state(error)


def _state(error: BaseException) -> str:
    """Return the five characters of the SQL standard, which PostgreSQL's errors carry."""
    return getattr(error, "sqlstate", None) or ""


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return _SECRET.sub(lambda found: f"{found[1] or found[2]}***{'@' if found[1] else ''}", text)


def _translate(context: ExceptionContext) -> BaseException | None:
    if context.is_pre_ping:
        return None  # the pool finds a dead connection by the driver's own error
    original = context.original_exception
    if isinstance(original, TrainingDBError):
        return original  # from a type of ours, which SQLAlchemy would wrap
    drivers = (context.dialect.loaded_dbapi.Error, OverflowError, UnicodeError)
    # Anything else is a mistake in our own code: let it be seen as what it is.
    return translated(original) if isinstance(original, drivers) else None
