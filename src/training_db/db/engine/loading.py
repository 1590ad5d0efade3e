"""What makes it faster to fill an empty database: indexes and foreign keys made after the rows."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from training_db.db.engine.driver_errors import translated
from training_db.db.engine.opening import open_engine, unlimited
from training_db.errors import Conflict, DatabaseUnavailable
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from sqlalchemy import URL, Connection, Table

LOCK = 0x7472_6169_6E64_6243
"""An advisory lock of PostgreSQL: any number will do that other programs do not use."""
# For the sorts while indexes are made. Since version 18, several processes make a GIN index of
# small parts that are merged, and parts that fit a processor's cache take a quarter less of its
# time; before, each part is one more way through the whole index.
_MEMORY, _MEMORY_FOR_PARTS = "256MB", "64MB"
_MERGES_PARTS = 18
_FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
        format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname,
            pg_get_constraintdef(oid))
    FROM pg_constraint WHERE contype = 'f' AND conrelid = to_regclass(:table) ORDER BY conname
"""
_INDEXES = """
    SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indrelid = to_regclass(:table) AND NOT indisunique ORDER BY 2
"""


def strip(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Take off what each new row would have to be entered in, or checked against.

    What keeps rows apart stays: primary keys, and whatever is unique.

    Args:
        connection: A connection in a transaction that writes.
        tables: The tables, all of them empty.

    Returns:
        The statements that put everything back as it was, for :func:`restore`.
    """
    later: list[str] = []
    for table in tables:
        if connection.dialect.name == "sqlite":
            found = connection.execute(
                text(
                    "SELECT name, sql FROM sqlite_master WHERE type = 'index' "
                    "AND tbl_name = :table AND sql IS NOT NULL AND sql NOT LIKE 'CREATE UNIQUE%'"
                ),
                {"table": table.name},
            ).all()
            quote = connection.dialect.identifier_preparer.quote
            statements = [(f"DROP INDEX {quote(name)}", made_by) for name, made_by in found]
        else:
            statements = [
                (drops, makes)
                for query in (_FOREIGN_KEYS, _INDEXES)
                for drops, makes in connection.execute(text(query), {"table": table.name})
            ]
        for drops, makes in statements:
            _run(connection, drops)
            later.append(makes)
    # A foreign key is checked once for all rows, and needs no index of those above.
    return sorted(later, key=lambda statement: statement.startswith("ALTER"))


def restore(connection: Connection, statements: Iterable[str]) -> None:
    """Put back what :func:`strip` took off."""
    if connection.dialect.name != "sqlite":
        version: Any = connection.dialect.server_version_info
        memory = _MEMORY_FOR_PARTS if version >= (_MERGES_PARTS,) else _MEMORY
        _run(connection, f"SET LOCAL maintenance_work_mem = '{memory}'")
    for statement in statements:
        _run(connection, statement)


def number_on(connection: Connection, tables: Iterable[Table]) -> None:
    """Let the next rows be numbered after those that came with numbers; SQLite does so by itself.

    Args:
        connection: A connection in a transaction that writes.
        tables: Those that were filled.
    """
    if connection.dialect.name == "sqlite":
        return
    for table in tables:
        for name in {"id", "number"} & set(table.c.keys()):
            sequence = (
                "training_runs_number_seq"
                if name == "number"
                else connection.scalar(
                    text("SELECT pg_get_serial_sequence(:table, :name)"),
                    {"table": table.name, "name": name},
                )
            )
            following = f"(SELECT greatest(max({name}), 0) + 1 FROM {table.name})"  # nosec  # noqa: S608 - names of ours
            connection.execute(
                text(f"SELECT setval(:sequence, {following}, false)"), {"sequence": sequence}
            )


def keep_writers_out(connection: Connection, tables: Iterable[Table]) -> None:
    """Let nobody else write to tables until the transaction ends; SQLite lets nobody anyway."""
    if connection.dialect.name != "sqlite":
        names = ", ".join(table.name for table in tables)
        _run(connection, f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE")


def count_anew(connection: Connection, tables: Iterable[Table]) -> None:
    """Let the database know at once what is in the tables; it plans its queries by that."""
    if connection.dialect.name != "sqlite":
        _run(connection, f"ANALYZE {', '.join(table.name for table in tables)}")


@contextmanager
def alone(url: URL) -> Iterator[None]:
    """Keep others that do the same with a database out, for as long as this process lives.

    Args:
        url: The database; others may read it and write to it as before.

    Raises:
        Conflict: Another one is at it.
    """
    path = sqlite_path(url)
    if path is None:
        engine = open_engine(url)
        try:
            # A transaction, and not a session: a pooler may give each to another server process.
            with engine.begin() as connection:
                unlimited(connection)
                query = text("SELECT pg_try_advisory_xact_lock(:key)")
                if not connection.scalar(query, {"key": LOCK}):
                    raise _at_work()
                yield
        finally:
            engine.dispose()
        return
    place = path.with_name(f"{path.name}.copying")
    with closing(_locked(place)):
        try:
            yield
        finally:
            place.unlink(missing_ok=True)


def _locked(place: Path) -> sqlite3.Connection:
    """Lock a file of its own by SQLite's lock, which ends with the process, however that ends."""
    while True:
        try:
            place.touch(mode=0o600)
        except OSError as error:
            raise DatabaseUnavailable(
                f"{place.parent} cannot be written to: {error.strerror}; nothing was copied"
            ) from None
        before = _identity(place)
        lock = sqlite3.connect(place, timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            raise (_at_work() if "locked" in str(error) else translated(error)) from error
        # Else the file has gone meanwhile, and somebody may hold the next one of this name.
        if before is not None and _identity(place) == before:
            return lock
        lock.close()


def _identity(place: Path) -> tuple[int, int] | None:
    try:
        found = place.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _at_work() -> Conflict:
    return Conflict("another copy into this database is at work; wait until it is done")


def _run(connection: Connection, statement: str) -> None:
    # Definitions come from the database itself; only psycopg reads signs in them.
    is_sqlite = connection.dialect.name == "sqlite"
    connection.exec_driver_sql(statement if is_sqlite else statement.replace("%", "%%"))
