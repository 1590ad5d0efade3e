"""A database that is only read: as it is at one moment, and without a byte of it changed."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import NullPool, create_engine, event, text

from training_db.db.engine.driver_errors import translate, translated
from training_db.db.engine.opening import open_engine, snapshots, unlimited
from training_db.db.engine.streams import keep_bad_text
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Connection, Engine


@contextmanager
def source(url: URL) -> Iterator[Connection]:
    """Open a database to read it as it is now, whatever others write meanwhile.

    Args:
        url: A resolved URL; a SQLite file has to be there.

    Yields:
        A connection in a transaction that cannot write. Of SQLite it gives text that is no UTF-8
        as :data:`training_db.db.engine.streams.BAD_TEXT` says.

    Raises:
        DatabaseUnavailable: The database cannot be opened.
    """
    path = sqlite_path(url)
    engine = open_engine(url) if path is None else _untouched(path)
    try:
        with snapshots(engine).begin() as connection:
            unlimited(connection)
            keep_bad_text(connection)
            if path is not None:  # the moment is that of the first look
                connection.execute(text("SELECT 1 FROM sqlite_master LIMIT 1")).all()
            yield connection
    finally:
        engine.dispose()


def _untouched(path: Path) -> Engine:
    """Make an engine that does not turn the file to WAL, as ours do."""

    def connect() -> sqlite3.Connection:
        try:
            return _opened(path, "mode=ro")
        except sqlite3.OperationalError as error:
            # In a folder where no file can be made, a log of writes cannot be shared. Without such
            # a log nobody is writing.
            log = path.with_name(f"{path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise translated(error) from error
            return _opened(path, "immutable=1")

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    event.listen(engine, "handle_error", translate, retval=True)
    return engine


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.resolve().as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection
