"""What a PostgreSQL server says of itself: its sessions, settings, copies and damage."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text

from training_db.db.engine.opening import unlimited
from training_db.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection, Engine, Table


_DAMAGE = "XX"
"""How the states of errors begin by which PostgreSQL says that its own files are wrong."""


class Session(NamedTuple):
    """A session of this database.

    Attributes:
        pid: The process on the server.
        user: Whose it is.
        program: What it calls itself.
        seconds: For how long it has held its transaction open without doing anything.
    """

    pid: int
    user: str
    program: str
    seconds: float


class Lag(NamedTuple):
    """How far a copy is behind.

    Attributes:
        name: The copy, or the slot that waits for it.
        seconds: By how much; ``None`` where it is not there at all.
        bytes: What the server keeps for it.
    """

    name: str
    seconds: float | None
    bytes: int


def is_server(connection: Connection) -> bool:
    """Tell whether there is a server to ask."""
    return connection.dialect.name == "postgresql"


def settings(connection: Connection, names: Iterable[str]) -> dict[str, str]:
    """Return settings of the server as text."""
    found = connection.execute(
        text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)"),
        {"names": list(names)},
    )
    return {name: value for name, value in found}  # noqa: C416 - rows are no pairs to dict()


def connections(connection: Connection) -> tuple[int, int]:
    """Return how many sessions of users the server has, and how many it takes."""
    used, most = connection.execute(
        text(
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), "
            "current_setting('max_connections')::int "
            "- current_setting('superuser_reserved_connections')::int"
        )
    ).one()
    return int(used), int(most)


def idle_in_transaction(connection: Connection, seconds: float) -> list[Session]:
    """Return the sessions that hold a transaction open for so long and do nothing in it."""
    found = connection.execute(
        text(
            "SELECT pid, coalesce(usename, ''), coalesce(application_name, ''), "
            "extract(epoch FROM pg_catalog.clock_timestamp() - state_change) FROM pg_stat_activity "
            "WHERE datname = current_database() AND state LIKE 'idle in transaction%' "
            "AND state_change < pg_catalog.clock_timestamp() - make_interval(secs => :seconds) "
            "ORDER BY state_change"
        ),
        {"seconds": seconds},
    )
    return [Session(pid, user, program, float(age)) for pid, user, program, age in found]


def tables_without_vacuum(connection: Connection, tables: Iterable[Table]) -> list[str]:
    """Return the tables for which autovacuum was switched off."""
    found = connection.scalars(
        text(
            "SELECT relname FROM pg_class WHERE oid = ANY "
            "(SELECT to_regclass(name) FROM unnest(CAST(:names AS text[])) AS name) "
            "AND EXISTS (SELECT 1 FROM unnest(reloptions) AS one "
            "WHERE one ~ '^autovacuum_enabled=(false|off|no|0)$') ORDER BY relname"
        ),
        {"names": [table.name for table in tables]},
    )
    return list(found)


def replicas_behind(connection: Connection, seconds: float, size: int) -> list[Lag]:
    """Return the copies that are so far behind, and the slots that nobody reads.

    Args:
        connection: A connection to the primary.
        seconds: From which lag on.
        size: From how many bytes on that a slot keeps.
    """
    slow = connection.execute(
        text(
            "SELECT application_name, extract(epoch FROM replay_lag), "
            "coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0) "
            "FROM pg_stat_replication "
            "WHERE NOT pg_is_in_recovery() AND replay_lag > make_interval(secs => :seconds)"
        ),
        {"seconds": seconds},
    )
    unread = connection.execute(
        text(
            "SELECT slot_name, NULL, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) "
            "FROM pg_replication_slots WHERE NOT active AND NOT pg_is_in_recovery() "
            "AND pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) >= :size"
        ),
        {"size": size},
    )
    return [
        Lag(name, None if age is None else float(age), int(kept))
        for name, age, kept in [*slow, *unread]
    ]


def standby_lag(connection: Connection) -> float | None:
    """Return the seconds by which this server is behind its primary; ``None`` of a primary."""
    found = connection.scalar(
        text(
            "SELECT CASE WHEN NOT pg_is_in_recovery() THEN NULL "
            "WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE coalesce("
            "extract(epoch FROM pg_catalog.clock_timestamp() - pg_last_xact_replay_timestamp()), 0)"
            " END"
        )
    )
    return None if found is None else float(found)


def checksum_failures(connection: Connection) -> int:
    """Return how many pages of this database the server found to be damaged, since it counts."""
    found = connection.scalar(
        text("SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()")
    )
    return int(found or 0)


def has_amcheck(connection: Connection) -> bool:
    """Tell whether the server's own check of tables and indexes is installed in this database."""
    return bool(
        connection.scalar(
            text("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'amcheck')")
        )
    )


def amcheck(engine: Engine, table: Table, *, is_quick: bool) -> tuple[list[str], list[str]]:
    """Let the server check a table and its indexes.

    Args:
        engine: The server; a statement for each, for a fault ends what it stands in.
        table: The table.
        is_quick: Whether to leave out that each row is in each index.

    Returns:
        What is wrong with the table, and what with its indexes.
    """
    whole = "false" if is_quick else "true"
    heap = (
        "SELECT format('block %s, row %s: %s', blkno, offnum, msg) "
        "FROM verify_heapam(to_regclass(:name))"
    )
    trees = (
        "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON oid = indexrelid "
        "WHERE indrelid = to_regclass(:name) AND indisvalid AND relam = "
        "(SELECT oid FROM pg_am WHERE amname = 'btree')"
    )
    name = {"name": table.name}
    with engine.connect() as connection:
        indexes = connection.scalars(text(trees), name).all()
    check = f"SELECT bt_index_check(to_regclass(:index)::oid, {whole})::text"
    damaged = [f"{one}: {said}" for one in indexes for said in _told(engine, check, index=one)]
    return _told(engine, heap, **name), damaged


def read_whole(engine: Engine, table: Table) -> str | None:
    """Read every row of a table on the server; return its complaint, if one cannot be read.

    Nothing of the rows leaves the server.
    """
    query = f"SELECT NULL FROM {table.name} AS t WHERE t::text IS NULL"  # nosec  # noqa: S608 - our table
    return next(iter(_told(engine, query)), None)


def _told(engine: Engine, statement: str, **values: str) -> list[str]:
    """Return what a check says, and what the server says when it cannot be made."""
    try:
        # A transaction of its own: a page that cannot be read ends what it stands in.
        with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            unlimited(connection)
            found = connection.execute(text(statement), values).scalars().all()
    except DatabaseError as error:
        if not getattr(error.__cause__, "sqlstate", "").startswith(_DAMAGE):
            raise  # it may not be asked, say
        return [str(error)]
    return [str(one) for one in found if one not in (None, "")]
