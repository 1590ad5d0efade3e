"""What makes a PostgreSQL server slow, full or unsafe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.counts import counted
from training_db.db.engine import server_health
from training_db.models import Base
from training_db.upkeep.findings import Finding, Severity, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from training_db.upkeep.findings import Case

IDLE_SECONDS = 300.0
"""From then on a transaction that does nothing is told of: it keeps VACUUM from all tables."""

_NEAR = 0.9
_LAG_SECONDS, _SLOT_BYTES = 60.0, 1_000_000_000
_RELOAD = "SELECT pg_reload_conf()"
_SAFE = {
    "fsync": "a power cut can damage the whole database",
    "full_page_writes": "a power cut can damage pages",
    "synchronous_commit": "a power cut can lose the last second",
}


def check_server(case: Case) -> Iterator[Finding]:
    """Ask the server for its sessions, settings and copies."""
    with case.engine.connect() as connection:
        if not server_health.is_server(connection):
            return
        needs_care = False
        for finding in (
            *_settings(case, connection),
            *_sessions(case, connection),
            *_copies(case, connection),
        ):
            needs_care |= finding.severity.needs_care
            yield finding
    if not needs_care:
        yield Finding("server", Severity.OK, "sessions, settings and copies are as they should be")


def _settings(case: Case, connection: Connection) -> Iterator[Finding]:
    found = server_health.settings(connection, ["autovacuum", *_SAFE])
    if found.get("autovacuum") == "off":
        yield Finding(
            "server",
            Severity.WARNING,
            "autovacuum is off: tables grow with each change, and plans get worse",
            mend=case.sql("ALTER SYSTEM SET autovacuum = on", _RELOAD),
        )
    without = server_health.tables_without_vacuum(connection, Base.metadata.sorted_tables)
    if without:
        resets = [f"ALTER TABLE {name} RESET (autovacuum_enabled)" for name in without]
        what = "autovacuum was switched off for tables, which grow with each change"
        yield Finding("server", Severity.WARNING, what, tuple(without), case.sql(*resets))
    for name, harm in _SAFE.items():
        if found.get(name) == "off":
            yield Finding(
                "server",
                Severity.NOTE,
                f"{name} is off: {harm}",
                mend=case.sql(f"ALTER SYSTEM RESET {name}", _RELOAD),
            )


def _sessions(case: Case, connection: Connection) -> Iterator[Finding]:
    used, most = server_health.connections(connection)
    if used > most * _NEAR:
        yield Finding(
            "server",
            Severity.WARNING,
            f"{used} of {most} connections are taken: the next recorders will be refused. Put "
            "PgBouncer in between, or allow more (the server has to be started again)",
            mend=case.sql(f"ALTER SYSTEM SET max_connections = {2 * most}"),
        )
    idle = server_health.idle_in_transaction(connection, IDLE_SECONDS)
    if idle:
        ends = [f"SELECT pg_terminate_backend({one.pid})" for one in idle]
        yield Finding(
            "server",
            Severity.WARNING,
            f"{counted(len(idle), 'session')} hold a transaction open and do nothing: what is "
            "deleted or changed since cannot be cleared away",
            some([f"{one.pid} ({one.user}, {one.program}): {one.seconds:.0f} s" for one in idle]),
            case.sql(*ends),
        )


def _copies(case: Case, connection: Connection) -> Iterator[Finding]:
    for lag in server_health.replicas_behind(connection, _LAG_SECONDS, _SLOT_BYTES):
        if lag.seconds is None:
            yield Finding(
                "server",
                Severity.WARNING,
                f"nobody reads the replication slot {lag.name!r}, for which the server keeps "
                f"{lag.bytes:,} bytes, and more with each change until its disk is full",
                mend=case.sql(f"SELECT pg_drop_replication_slot('{lag.name}')"),
            )
        else:
            yield Finding(
                "server",
                Severity.WARNING,
                f"the replica {lag.name!r} is {lag.seconds:.0f} s behind; readers see the past",
                mend="unset TRAINING_DB_READ_URL",
            )
    behind = server_health.standby_lag(connection)
    if behind is not None:
        is_late = behind > _LAG_SECONDS
        yield Finding(
            "server",
            Severity.WARNING if is_late else Severity.NOTE,
            f"this server is a replica, {behind:.0f} s behind its primary; nothing can be written",
            mend="unset TRAINING_DB_READ_URL" if is_late else None,
        )
