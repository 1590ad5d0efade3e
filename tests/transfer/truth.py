"""What stands in a database, read by the bare driver and told in the same words of both backends.

No code of the library takes part, but for the codec of a tail: what a copy says of itself is
what these tests doubt.
"""

from __future__ import annotations

import math
import sqlite3
import struct
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from training_db.models import Base
from training_db.segment_blocks import unpack
from training_db.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

TABLES = tuple(sorted(Base.metadata.tables))
GENERATED = ("config_document", "summary_document")
Row = tuple[tuple[str, Any], ...]
Contents = dict[str, Counter[Row]]


def contents(url: str, *, by_name: bool = False) -> Contents:
    """Return the rows of every table, each as often as it is there.

    Args:
        url: A database.
        by_name: Whether surrogate ids are left out, and runs and metrics go by their names. Two
            databases that were filled in another order are then the same.
    """
    tables = {table: rows(url, table) for table in TABLES}
    if by_name:
        tables = _named(tables)
    return {
        table: Counter(tuple(sorted(row.items())) for row in found)
        for table, found in tables.items()
    }


def rows(url: str, table: str) -> list[dict[str, Any]]:
    """Return the rows of one table, columns that are not ours included."""
    read = _sqlite_rows if is_sqlite(url) else _postgresql_rows
    kinds = {column.name: column.type.python_type for column in own_columns(table)}
    return [
        {name: plain(value, kinds.get(name)) for name, value in row.items()}
        for row in read(url, table)
    ]


def is_sqlite(url: str) -> bool:
    return not url.startswith("postgresql")


def differences(left: Contents, right: Contents) -> dict[str, tuple[list[Row], list[Row]]]:
    """Return what only the one has, and what only the other: empty where both are the same."""
    found = {}
    for table in TABLES:
        only = left[table] - right[table], right[table] - left[table]
        if any(only):
            found[table] = [*only[0].elements()][:5], [*only[1].elements()][:5]
    return found


def numbering(url: str) -> dict[str, int]:
    """Return the numbers of the runs."""
    return {row["run_id"]: row["number"] for row in rows(url, "training_runs")}


def own_columns(table: str) -> Iterable[Any]:
    """Return the columns of a table that both backends have."""
    return (one for one in Base.metadata.tables[table].columns if one.name not in GENERATED)


def _sqlite_rows(url: str, table: str) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        # Files that others made may hold text that is no UTF-8.
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]


def _postgresql_rows(url: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("SET timezone = 'UTC'")
        found = connection.execute(
            "SELECT attname, atttypid::regtype::text AS kind FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [table],
        ).fetchall()
        # Times before Christ, and infinity, are none that the driver can make a datetime of.
        columns = ", ".join(
            f'"{one["attname"]}"' + ("::text" if one["kind"].startswith("time") else "")
            for one in found
            if one["attname"] not in GENERATED
        )
        return connection.execute(f'SELECT {columns} FROM "{table}"').fetchall()


def plain(value: Any, kind: type | None = None) -> Any:
    """Return a value as one that can be compared: floats by their bits, times in one form."""
    if kind is bool and type(value) is int and value in (0, 1):
        return bool(value)
    if kind is float and value == "NaN":
        value = math.nan
    if kind is datetime and isinstance(value, str):
        return _moment(value)
    if type(value) is float:
        # SQLite has a whole number in a column of floats as an integer, and so no -0.0.
        return "nan" if value != value else ("float", struct.pack("<d", value or 0.0).hex())
    if isinstance(value, list):
        return tuple(value)
    return value


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return format_timestamp(moment.replace(tzinfo=moment.tzinfo or UTC))


def _named(tables: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    runs = {row["number"]: row["run_id"] for row in tables["training_runs"]}
    metrics = {row["id"]: row["name"] for row in tables["metric_names"]}
    renamed: dict[str, list[dict[str, Any]]] = {}
    for table, found in tables.items():
        renamed[table] = []
        for row in found:
            named = {name: value for name, value in row.items() if name not in ("id", "number")}
            if "run_number" in row:
                named["run_number"] = runs[row["run_number"]]
            if "metric_id" in row:
                named["metric_id"] = metrics[row["metric_id"]]
            if table == "run_history_tails":
                named["block"] = _block(row, metrics)
            renamed[table].append(named)
    return renamed


def _block(row: dict[str, Any], metrics: dict[int, str]) -> tuple[Any, ...]:
    columns = unpack(row["block"], row["first_row"])
    return tuple(
        sorted(
            (metrics[metric], tuple(cells.rows.tolist()), repr(cells.values.tolist()))
            for metric, cells in columns.items()
        )
    )
