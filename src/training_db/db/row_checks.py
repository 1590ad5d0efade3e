"""Rows that cannot be adopted: found before anything is touched, and named."""

# ruff: noqa: S608 - the names in these statements are those of our own tables and columns

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from training_db.db.shapes import NEEDED, REFERENCES, UNIQUE
from training_db.errors import MigrationFailed

if TYPE_CHECKING:
    from training_db.db.inspection import State

_NAMED = 5


def refuse_rows(connection: Connection, state: State, tables: list[str]) -> None:
    """Make sure that every row can go into our tables.

    Args:
        connection: Where to look.
        state: What the database holds.
        tables: The tables to look at.

    Raises:
        MigrationFailed: Some cannot; the message names them, and says what to do.
    """
    faults = []
    for table in tables:
        columns = state.tables[table]
        faults += _without(
            connection, table, NEEDED[table][: 1 if table == "training_runs" else None]
        )
        if table != "training_runs":
            faults += _orphans(connection, table, state)
        for alike in UNIQUE.get(table, ()):
            if set(alike) <= set(columns):
                faults += _alike(connection, table, alike)
    if faults:
        raise MigrationFailed(
            f"nothing was changed, because rows cannot be adopted: {'; '.join(faults)}. "
            "Correct or delete them, and run the command again"
        )


def _without(connection: Connection, table: str, columns: tuple[str, ...]) -> list[str]:
    place = "rowid" if connection.dialect.name == "sqlite" else "CAST(ctid AS text)"
    faults = []
    for column in columns:
        rows = _some(connection, f"SELECT {place} FROM {table} WHERE {column} IS NULL")  # nosec  # names of ours
        if rows:
            faults.append(f"{table} has rows without {column} (at {rows})")
    return faults


def _alike(connection: Connection, table: str, columns: tuple[str, ...]) -> list[str]:
    texts = [f"CAST({column} AS text)" for column in columns]
    named = " || ' ' || ".join(texts)
    present = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    rows = _some(
        connection,
        f"SELECT {named} FROM {table} WHERE {present} "  # nosec  # names of ours
        f"GROUP BY {', '.join(texts)} HAVING count(*) > 1",
    )
    if not rows:
        return []
    return [f"{table} has several rows of one {' and '.join(columns)} ({rows})"]


def _orphans(connection: Connection, table: str, state: State) -> list[str]:
    faults = []
    for column in NEEDED[table]:
        if column not in REFERENCES:
            continue
        parent, key = REFERENCES[column]
        what = "runs" if parent == "training_runs" else "metrics"
        known = f"SELECT CAST({key} AS text) FROM {parent} WHERE {key} IS NOT NULL"  # nosec  # names of ours
        if key not in state.tables.get(parent, ()):
            known = "SELECT ''"
        rows = _some(
            connection,
            f"SELECT DISTINCT CAST({column} AS text) FROM {table} "  # nosec  # names of ours
            f"WHERE {column} IS NOT NULL AND CAST({column} AS text) NOT IN ({known})",
        )
        if rows:
            faults.append(f"{table} has rows of {what} that do not exist ({column} {rows})")
    return faults


def _some(connection: Connection, query: str) -> str:
    """Return the first few rows of a query as text, and how it goes on."""
    found = connection.scalars(text(f"{query} LIMIT {_NAMED + 1}")).all()
    more = ", ..." if len(found) > _NAMED else ""
    return ", ".join(str(row) for row in found[:_NAMED]) + more
