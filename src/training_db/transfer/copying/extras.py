"""Columns that are none of ours, which adoption keeps, and which a copy takes along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect

from training_db.transfer.copying.carried import TABLES, Carried, Extra

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_PARTS = {
    "sqlite": (("INT", "integer"), ("CHAR", "any"), ("CLOB", "any"), ("TEXT", "any"),
               ("REAL", "number"), ("FLOA", "number"), ("DOUB", "number"), ("BLOB", "bytes")),
    "postgresql": (("SMALLINT", "integer"), ("INTEGER", "integer"), ("BIGINT", "integer"),
                   ("DOUBLE", "number"), ("BOOLEAN", "flag"), ("BYTEA", "bytes")),
}  # fmt: skip
_TYPES = {
    "sqlite": {"integer": "INTEGER", "number": "DOUBLE", "flag": "BOOLEAN", "bytes": "BLOB"},
    "postgresql": {"integer": "BIGINT", "number": "DOUBLE PRECISION", "bytes": "BYTEA",
                   "flag": "BOOLEAN"},
}  # fmt: skip


def carried_tables(connection: Connection) -> list[Carried]:
    """Return our tables as a database has them.

    Args:
        connection: Where to look.
    """
    inspector = inspect(connection)
    backend = connection.dialect.name
    tables = []
    for table in TABLES:
        ours = {one.name.lower() for one in table.c}
        extras = tuple(
            Extra(found["name"], _kind(str(found["type"]), backend), str(found["type"]))
            for found in inspector.get_columns(table.name)
            if found["name"].lower() not in ours and not found.get("computed")
        )
        tables.append(Carried(table, extras))
    return tables


def add_columns(connection: Connection, tables: Iterable[Carried], backend: str) -> list[str]:
    """Add to a database the columns that another one has besides ours.

    Args:
        connection: A connection in a transaction that writes.
        tables: The tables of the other database.
        backend: Its backend.

    Returns:
        A line for each table that has such columns.
    """
    inspector, here = inspect(connection), connection.dialect.name
    quote = connection.dialect.identifier_preparer.quote
    notes = []
    for carried in tables:
        present = {found["name"].lower() for found in inspector.get_columns(carried.name)}
        for extra in carried.extras:
            if extra.name.lower() not in present:
                declared = (
                    extra.declared if backend == here else _TYPES[here].get(extra.kind, "TEXT")
                )
                adds = f"ALTER TABLE {carried.name} ADD COLUMN {quote(extra.name)} {declared}"
                connection.exec_driver_sql(adds)
        if carried.extras:
            names = ", ".join(extra.name for extra in carried.extras)
            notes.append(f"{carried.name}: took along the columns {names}, which no schema has")
    return notes


def _kind(declared: str, backend: str) -> str:
    name = declared.upper()
    if backend == "sqlite" and "BOOL" in name:
        return "integer"
    return next((kind for part, kind in _PARTS[backend] if part in name and "[" not in name), "any")
