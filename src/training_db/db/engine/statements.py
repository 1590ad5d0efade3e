"""Statements that each backend has in a form of its own."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from training_db.db.engine.driver_errors import translated
from training_db.db.engine.opening import connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Engine, Table

_BINARY_TYPES = {int: "int8", float: "float8", str: "text", bytes: "bytea"}


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
            cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)  # nosec  # noqa: S608 - names of our own columns
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
    with connected(engine).execution_options(isolation_level="AUTOCOMMIT") as connection:
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
    # Two writers of the same rows in other orders would each wait for what the other one has.
    for row in sorted(rows, key=itemgetter(*key)):
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
