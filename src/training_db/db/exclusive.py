"""The one transaction of a migration, which no other migration can overlap."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, text

from training_db.db.engine import LOCK_SECONDS, open_engine, unlimited, writing
from training_db.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.db.report import Note

ADVISORY_LOCK = 0x7472_6169_6E64_6221  # any number will do that other programs do not use
_BRIEFLY = 500  # milliseconds to wait for SQLite's lock before saying that we wait
_LOCK = "SELECT pg_try_advisory_xact_lock(:key)", "SELECT pg_advisory_xact_lock(:key)"
_SHARED_LOCK = (
    "SELECT pg_try_advisory_xact_lock_shared(:key)",
    "SELECT pg_advisory_xact_lock_shared(:key)",
)
_WAITING = "waiting for another program that writes to the database"


@contextmanager
def exclusive(place: Engine | URL, note: Note, *, shared: bool = False) -> Iterator[Connection]:
    """Open a transaction that migrates alone; commit it at the end, or roll all of it back.

    Args:
        place: An engine, or the resolved URL of a database.
        note: Takes the line that says we wait for another program. However long that takes, we
            wait: to give up would help nobody, and to interrupt us is safe.
        shared: Whether others that say so too may write beside it, where a backend has several
            writers.

    Yields:
        A connection in that transaction. On SQLite, foreign keys are off in it, so that tables can
        be replaced; who replaces one checks them before the end.
    """
    engine = place if isinstance(place, Engine) else open_engine(place)
    try:
        if engine.dialect.name == "sqlite":
            with _sqlite(writing(engine), note) as connection:
                yield connection
        else:
            with engine.begin() as connection:
                _lock_postgresql(connection, note, shared=shared)
                yield connection
    finally:
        if engine is not place:
            engine.dispose()


@contextmanager
def _sqlite(engine: Engine, note: Note) -> Iterator[Connection]:
    connection = _begin_sqlite(engine, note)
    try:
        yield connection
        connection.commit()
    finally:
        connection.rollback()
        # The connection may go back to a pool, so what was changed for us is changed back.
        _pragma(connection, "foreign_keys = ON")
        connection.close()


def _begin_sqlite(engine: Engine, note: Note) -> Connection:
    patience = _BRIEFLY
    while True:
        connection = None
        try:
            connection = engine.connect()
            _pragma(connection, f"busy_timeout = {patience}")
            _pragma(connection, "foreign_keys = OFF")  # inside a transaction it would do nothing
            connection.begin()
        except DatabaseUnavailable as error:
            if connection is not None:
                connection.close()
            if " is locked" not in str(error):  # every such error speaks of what is kept locked
                raise
            if patience == _BRIEFLY:
                note(_WAITING)
            patience = LOCK_SECONDS * 1000
        else:
            return connection


def _pragma(connection: Connection, setting: str) -> None:
    # By the driver itself: a statement of SQLAlchemy's would begin a transaction.
    cursor = connection.connection.cursor()
    cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _lock_postgresql(connection: Connection, note: Note, *, shared: bool) -> None:
    unlimited(connection)
    at_once, patiently = _SHARED_LOCK if shared else _LOCK
    key = {"key": ADVISORY_LOCK}
    if not connection.scalar(text(at_once), key):
        note(_WAITING)
        connection.execute(text(patiently), key)
