"""What each backend knows of its own health, asked without changing anything."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, create_engine, event, text

from training_db.db.engine.damage import read_only
from training_db.db.engine.driver_errors import translate
from training_db.db.engine.opening import open_engine, writing
from training_db.db.engine.sqlite import add_functions
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import URL, Connection, Engine, Table

_INVALID = """
    SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT (i.indisvalid AND i.indisready) AND i.indrelid = to_regclass(:name)
    ORDER BY c.relname
"""


def looking(url: URL) -> Engine:
    """Make an engine that only looks: a SQLite file keeps every byte, and its journal's mode."""
    path = sqlite_path(url)
    if path is None:
        return open_engine(url)

    def connect() -> sqlite3.Connection:
        connection = read_only(path)
        connection.isolation_level = None  # BEGIN is ours, as it is for those who write
        add_functions(connection)
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    event.listen(engine, "handle_error", translate, retval=True)
    return engine


def invalid_indexes(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Return the indexes that PostgreSQL does not use, because to make them failed half-way."""
    if connection.dialect.name == "sqlite":
        return []
    return [
        name
        for table in tables
        for name in connection.scalars(text(_INVALID), {"name": table.name}).all()
    ]


def full_scans(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """Return the tables that a statement would read from end to end.

    Args:
        connection: A connection.
        statement: As the driver gets it.
        parameters: Its parameters, likewise.
    """
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [str(row[-1]) for row in rows]
        return [
            _scanned(step) for step in steps if step.startswith("SCAN ") and " USING " not in step
        ]
    rows = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    return _sequential(rows.scalar_one()[0]["Plan"])


def _scanned(step: str) -> str:
    words = step.removeprefix("SCAN ").removeprefix("TABLE ").split()
    return words[0]


def _sequential(plan: dict[str, Any]) -> list[str]:
    found = [plan["Relation Name"]] if plan["Node Type"].endswith("Seq Scan") else []
    for part in plan.get("Plans", ()):
        found += _sequential(part)
    return found


def refresh_statistics(engine: Engine, tables: Sequence[Table]) -> None:
    """Let the backend look at its tables anew, by which it plans; not inside a transaction."""
    with _each_at_once(engine) as connection:
        for table in tables:
            connection.exec_driver_sql(f"ANALYZE {table.name}")


def rebuild_indexes(engine: Engine, table: Table) -> None:
    """Make all indexes of a table anew, from the table; not inside a transaction.

    PostgreSQL does so without keeping anyone from reading or writing.
    """
    with _each_at_once(engine) as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"REINDEX {table.name}")
        else:
            connection.exec_driver_sql(f"REINDEX TABLE CONCURRENTLY {table.name}")


def drop_half_made(engine: Engine, index: str) -> None:
    """Drop an index that PostgreSQL left half-made; not inside a transaction."""
    with _each_at_once(engine) as connection:
        name = connection.dialect.identifier_preparer.quote(index)
        connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


@contextmanager
def _each_at_once(engine: Engine) -> Iterator[Connection]:
    """Connect for statements that PostgreSQL runs in no transaction, and SQLite in one."""
    if engine.dialect.name == "sqlite":
        with writing(engine).begin() as connection:
            yield connection
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection


def free_bytes_inside(connection: Connection) -> tuple[int, int]:
    """Return the bytes that a SQLite file has for nothing, and all of them."""
    free, pages, size = (
        connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
        for name in ("freelist_count", "page_count", "page_size")
    )
    return int(free) * int(size), int(pages) * int(size)


def journal_mode(connection: Connection) -> str:
    """Return how a SQLite file keeps its transactions whole, such as ``"wal"``."""
    return str(connection.exec_driver_sql("PRAGMA journal_mode").scalar_one())
