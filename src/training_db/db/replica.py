"""A streaming replica that is read from, as long as it is there and has what was written here."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import text

from training_db.db.engine import at_once, connected, open_replica, reading
from training_db.db.version import check_schema
from training_db.errors import DatabaseError, DatabaseUnavailable, SchemaError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

AWAY_SECONDS = 30.0
"""How long a replica that could not be used is left alone."""

_WRITTEN = text("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
# A server that was promoted in the meantime has its own end of the log.
_HAS = text("""
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                ELSE pg_current_wal_insert_lsn() END >= CAST(:position AS pg_lsn)
""")


class ReplicaWarning(UserWarning):
    """The read replica cannot be used; the primary answers in its place."""


@dataclass
class _Mark:
    """Something was written here; what the log of the primary came to by then, once asked."""

    position: str | None = None


class Replica:
    """A replica of a primary.

    Whoever wrote something reads it: after a write, the primary answers until the replica has
    what was written. What others write may be seen late, by the replica's lag. While the primary is
    away, the replica answers with what it has.

    Args:
        url: Where it is.
        primary: The engine of the primary, in autocommit mode.
    """

    def __init__(self, url: URL, primary: Engine) -> None:
        self.engine = open_replica(url)
        self._readers, self._primary = reading(self.engine), primary
        self._lock = Lock()
        self._mark: _Mark | None = None
        self._away_until = float("-inf")
        self._is_checked = self._has_warned = False

    def connect(self) -> Connection | None:
        """Return a connection to read from, or ``None`` where the primary has to answer."""
        if monotonic() < self._away_until:
            return None
        connection, fault = None, None
        try:
            connection = connected(self._readers)
            if not self._is_checked:
                check_schema(connection)
            if self._has_own_writes(connection):
                self._is_checked, self._has_warned = True, False
                return connection
        except (DatabaseError, SchemaError) as error:
            fault = error
        if connection is not None:
            connection.close()
        if fault is not None:
            self._leave_alone(fault)
        return None

    def note_write(self) -> None:
        """Remember that something was written to the primary just now."""
        with self._lock:
            self._mark = _Mark()

    def close(self, *, is_fork: bool = False) -> None:
        """Close its connections; those of a parent process are forgotten unclosed."""
        self.engine.dispose(close=not is_fork)
        if is_fork:
            self._lock = Lock()  # a thread of the parent may have held it

    def _has_own_writes(self, connection: Connection) -> bool:
        mark = self._mark
        if mark is None:
            return True
        try:
            if mark.position is None:
                with at_once(), connected(self._primary) as primary:
                    mark.position = primary.scalar(_WRITTEN)
        except DatabaseUnavailable:
            return True  # nobody else can answer
        if not connection.scalar(_HAS, {"position": mark.position}):
            return False
        with self._lock:
            if self._mark is mark:  # else there was another write in the meantime
                self._mark = None
        return True

    def _leave_alone(self, error: Exception) -> None:
        self._away_until = monotonic() + AWAY_SECONDS
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the read replica (TRAINING_DB_READ_URL) is not used for now, and the primary "
                f"answers: {error}",
                ReplicaWarning,
                stacklevel=2,
            )
