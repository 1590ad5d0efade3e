"""Rows of whole tables on their way out of a database and into one: as fast as the driver goes.

On both backends a row has the values that SQLite would store: times are text of our one form, and
flags are 0 and 1. NaN is a float here; SQLite's text for it is put in place and taken away by
:mod:`training_db.transfer.copying.forms`, which knows odd rows from plain ones.
"""

from __future__ import annotations

from operator import methodcaller
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Double,
    Integer,
    Text,
    case,
    cast,
    column,
    func,
    literal,
)

from training_db.db.engine.driver_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Select

Row = tuple[Any, ...]

KINDS = ("text", "moment", "integer", "number", "flag", "bytes", "any")
"""What a column holds, whatever its type is called; one of any kind goes as its text."""

_BINARY = {"text": "text", "moment": "text", "integer": "int8", "number": "float8", "flag": "int4",
           "bytes": "bytea", "any": "text"}  # fmt: skip
_MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_TIME = DateTime(timezone=True)
_FIRST = cast(literal("0001-01-01 00:00:00+00", Text), _TIME)
_LAST = cast(literal("9999-12-31 23:59:59.999999+00", Text), _TIME)
_NAN = cast(literal("NaN", Text), Double)
BAD_TEXT = "surrogateescape"
"""How bytes that are no UTF-8 stand in a text of Python, so that they can be written again."""


def stored(name: str, kind: str, backend: str, *, has_signed_zero: bool = True) -> Any:
    """Return what to select of a column, so that both backends give the same.

    Args:
        name: The column.
        kind: One of :data:`KINDS`.
        backend: Where it is selected.
        has_signed_zero: Whether a zero keeps its sign, as SQLite's does not.
    """
    plain: ColumnElement[Any] = column(name)
    if backend == "sqlite":
        return plain
    if kind == "moment":
        # What is beyond the years of our form, or infinite, comes as PostgreSQL writes it.
        utc = func.to_char(func.timezone("UTC", plain), _MOMENT)
        return case((plain.between(_FIRST, _LAST), utc), else_=cast(plain, Text)).label(name)
    if kind == "number":  # of the many NaNs there are, one
        value: Any = plain if has_signed_zero else plain + 0.0
        return case((plain == _NAN, _NAN), else_=value).label(name)
    if kind == "flag":
        return cast(plain, Integer).label(name)
    if kind == "integer":
        return cast(plain, BigInteger).label(name)
    return cast(plain, Text).label(name) if kind == "any" else plain


def read_rows(connection: Connection, query: Select[Any], kinds: Sequence[str]) -> Iterator[Row]:
    """Read rows one by one; no more than a few are in memory.

    Args:
        connection: A connection in a transaction.
        query: What to read: columns as :func:`stored` gives them.
        kinds: The kind of each column.

    Yields:
        The values of a row.
    """
    compiled = query.compile(
        dialect=connection.dialect, compile_kwargs={"render_postcompile": True}
    )
    values: Any = compiled.params
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            cursor.execute(str(compiled), [values[name] for name in compiled.positiontup or ()])
            yield from cursor
        else:
            with cursor.copy(f"COPY ({compiled}) TO STDOUT (FORMAT BINARY)", values) as copy:
                copy.set_types([_BINARY[kind] for kind in kinds])
                yield from copy.rows()
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error) from error
    finally:
        cursor.close()


def write_rows(
    connection: Connection,
    table: str,
    columns: Sequence[str],
    kinds: Sequence[str],
    rows: Iterable[Row],
) -> None:
    """Write rows one by one, as they come.

    Args:
        connection: A connection in a transaction that writes.
        table: The table.
        columns: Its columns.
        kinds: The kind of each.
        rows: Their values; what is no UTF-8 has to be escaped as :data:`BAD_TEXT` does.
    """
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name in columns)
    cursor: Any = connection.connection.cursor()
    try:
        if connection.dialect.name == "sqlite":
            start = f"INSERT INTO {quote(table)} ({names}) VALUES"
            marks = ", ".join("?" * len(columns))
            plain = _without_bad_text(connection, start, rows)
            cursor.executemany(f"{start} ({marks})", plain)
        else:
            _copy_in(cursor, f"COPY {quote(table)} ({names}) FROM STDIN", kinds, rows)
    except connection.dialect.loaded_dbapi.Error as error:
        raise translated(error) from error
    finally:
        cursor.close()


def _copy_in(cursor: Any, statement: str, kinds: Sequence[str], rows: Iterable[Row]) -> None:
    # Bytes would double as text, while times and flags can only come as text.
    is_binary = not {"moment", "flag", "any"} & set(kinds)
    statement = statement.replace("%%", "%")  # quoted for statements with parameters
    with cursor.copy(f"{statement} (FORMAT BINARY)" if is_binary else statement) as copy:
        if is_binary:
            copy.set_types([_BINARY[kind] for kind in kinds])
        write = copy.write_row
        for row in rows:
            write(row)


def _without_bad_text(connection: Connection, start: str, rows: Iterable[Row]) -> Iterator[Row]:
    """Yield the rows, but write those with text that is no UTF-8, which the driver refuses."""
    for row in rows:
        try:
            for value in row:
                if value.__class__ is str and not value.isascii():
                    value.encode()
        except UnicodeEncodeError:
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(one, str) else "?" for one in row)
            values = [one.encode(errors=BAD_TEXT) if isinstance(one, str) else one for one in row]
            cursor: Any = connection.connection.cursor()
            cursor.execute(f"{start} ({marks})", values)
            cursor.close()
        else:
            yield row


def keep_bad_text(connection: Connection) -> None:
    """Let a connection to SQLite read text that is no UTF-8, which is an error otherwise."""
    if connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.text_factory = methodcaller("decode", "utf-8", BAD_TEXT)


def interrupt(connection: Connection) -> None:
    """Let PostgreSQL end what another thread does with a connection."""
    driver: Any = connection.connection.driver_connection
    driver.cancel()
