"""The room that a database takes, and how it gives back what deleted rows left."""

from __future__ import annotations

import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import LargeBinary, cast, func, literal

from training_db.db.engine.driver_errors import translated
from training_db.errors import DatabaseUnavailable
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Engine, Table

    from training_db.db.report import Progress

INCREMENTAL = 2
"""What ``PRAGMA auto_vacuum`` says of a file that can give back pages without being rewritten."""

_PAGES = 2_000  # given back at a time: 8 MB, so that no writer waits for long
_CHECKPOINT_MILLISECONDS = 2_000
_LOCK_MILLISECONDS = 2_000
_NUMBER_BYTES = 8


def taken(engine: Engine, tables: Sequence[Table]) -> int:
    """Return the bytes that a database takes: its file on SQLite, these tables on PostgreSQL.

    Args:
        engine: The database.
        tables: Those of them that are there count, with their indexes.
    """
    if engine.dialect.name != "sqlite":
        names = ", ".join(f"to_regclass('{table.name}')" for table in tables)
        sizes = f"SELECT sum(pg_total_relation_size(t)) FROM unnest(ARRAY[{names}]) t"  # nosec  # noqa: S608 - names of our own tables
        with engine.connect() as connection:
            return int(connection.exec_driver_sql(sizes).scalar() or 0)
    path = sqlite_path(engine.url)
    if path is None:
        return 0
    files = (path, path.with_name(f"{path.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def row_bytes(connection: Connection, table: Table) -> ColumnElement[int]:
    """Return the bytes of the values of a row, as they are stored, for a query to add up."""
    size: ColumnElement[int] = literal(0)
    backend = connection.dialect.name
    for column in table.c:
        if column.info.get("backend") not in (None, backend):
            continue
        if backend != "sqlite":
            of_column: ColumnElement[Any] = func.pg_column_size(column)
        elif column.type.python_type is bytes:
            of_column = func.length(column)
        elif column.type.python_type in (int, float, bool):
            of_column = func.iif(column.is_(None), 0, _NUMBER_BYTES)
        else:
            of_column = func.length(cast(column, LargeBinary))
        size = size + func.coalesce(of_column, 0)
    return size


def give_back(
    engine: Engine, tables: Sequence[Table], *, whole: bool, progress: Progress | None = None
) -> None:
    """Give the room of deleted rows back to the file system; not inside a transaction.

    Args:
        engine: The database.
        tables: Its tables.
        whole: Whether to write everything anew, for which SQLite needs the room of another copy
            and PostgreSQL locks one table after the other. Without it, SQLite gives back the free
            pages of a file that was made for that, and PostgreSQL what is free at the end of a
            table.
        progress: Takes a label, how much is done and how much there is.

    Raises:
        DatabaseUnavailable: There is too little room, or somebody else uses the database.
    """
    if engine.dialect.name != "sqlite":
        _give_back_postgresql(engine, tables, whole=whole, progress=progress)
        return
    with _driver(engine) as driver:
        if whole:
            _refuse_without_room(engine)
            driver.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            driver.execute("VACUUM")
        elif _pragma(driver, "auto_vacuum") == INCREMENTAL:
            _free_pages(driver, progress)
        # A reader may need what stands in the log: then it is cut off another time.
        driver.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def kept(engine: Engine) -> int:
    """Return the bytes that are free inside a SQLite file which has to be rewritten to shrink."""
    if engine.dialect.name != "sqlite":
        return 0
    with _driver(engine) as driver:
        if _pragma(driver, "auto_vacuum") == INCREMENTAL:
            return 0
        return _pragma(driver, "freelist_count") * _pragma(driver, "page_size")


def lock_out(connection: Connection, table: Table) -> bool:
    """Let nobody else read or write a table until the transaction ends.

    Args:
        connection: A connection inside a transaction that writes and has locked nothing else.
        table: The table.

    Returns:
        Whether that could be had soon. Where not, the transaction cannot go on.
    """
    if connection.dialect.name == "sqlite":
        return True  # a transaction that writes is alone as it is
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_LOCK_MILLISECONDS}")
    try:
        connection.exec_driver_sql(f"LOCK TABLE {table.name} IN ACCESS EXCLUSIVE MODE")
    except DatabaseUnavailable:
        return False
    return True


def _give_back_postgresql(
    engine: Engine, tables: Sequence[Table], *, whole: bool, progress: Progress | None
) -> None:
    how = "FULL, ANALYZE" if whole else "ANALYZE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        for done, table in enumerate(tables):
            if progress:
                progress("giving room back", done, len(tables))
            connection.exec_driver_sql(f"VACUUM ({how}) {table.name}")
        connection.exec_driver_sql("RESET statement_timeout")


def _free_pages(driver: Any, progress: Progress | None) -> None:
    total = left = _pragma(driver, "freelist_count")
    while left:
        driver.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        before, left = left, _pragma(driver, "freelist_count")
        if progress:
            progress("giving room back", max(0, total - left), total)
        if left >= before:  # others fill and free pages meanwhile
            return


def _refuse_without_room(engine: Engine) -> None:
    path = sqlite_path(engine.url)
    if path is None:
        return
    # A copy beside the system's temporary files, and all pages in the log.
    needed = 2 * path.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise DatabaseUnavailable(
            f"to write {path} anew takes {needed:,} bytes of room for a while, and {free:,} are "
            "free; make room, or do without --vacuum"
        )


@contextmanager
def _driver(engine: Engine) -> Iterator[Any]:
    """Yield the driver's own connection: SQLAlchemy's would begin a transaction."""
    with closing(engine.raw_connection()) as connection:
        try:
            yield connection.driver_connection
        except engine.dialect.loaded_dbapi.Error as error:
            connection.invalidate()
            raise translated(error) from error


def _pragma(driver: Any, name: str) -> int:
    return int(driver.execute(f"PRAGMA {name}").fetchone()[0])
