"""Whether every page of the database is as it was written."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from training_db.counts import counted
from training_db.db.engine import server_health
from training_db.db.engine.damage import damages, only_indexes
from training_db.errors import DatabaseError
from training_db.models import Base
from training_db.upkeep.checks.place import newest_backup
from training_db.upkeep.findings import Finding, Severity, some

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training_db.db.engine.damage import Damage
    from training_db.upkeep.findings import Case

_QUICK_FROM = 2_000_000_000  # bytes; a minute on a usual disk
_NAME = "integrity"
_OURS = frozenset(Base.metadata.tables)


def check_integrity(case: Case) -> Iterator[Finding]:
    """Let the backend check its own pages."""
    found = _file(case, case.path) if case.path else _server(case)
    is_sound = True
    for finding in found:
        is_sound &= not finding.severity.needs_care
        yield finding
    if is_sound:
        yield Finding(_NAME, Severity.OK, "no page is damaged, as far as the backend was asked")


def _file(case: Case, path: Path) -> Iterator[Finding]:
    is_quick = path.stat().st_size > _QUICK_FROM and not case.is_thorough
    try:
        found = damages(path, is_quick=is_quick)
    except sqlite3.Error as error:
        yield Finding(
            _NAME, Severity.FAULT, f"{path} cannot be checked: {error}", mend=_rescue(case, path)
        )
        return
    for damage in found:
        yield _of_file(case, path, damage)
    if is_quick:
        yield Finding(
            _NAME,
            Severity.NOTE,
            "the file is large: whether indexes and tables agree was not checked",
            mend=case.command("doctor", "--thorough"),
        )


def _of_file(case: Case, path: Path, damage: Damage) -> Finding:
    pages = f", on {'page' if len(damage.pages) == 1 else 'pages'} " if damage.pages else ""
    where = pages + ", ".join(map(str, damage.pages[:20]))
    if damage.table is None:
        what = f"{path} is damaged{where}"
    elif damage.is_readable:
        what = f"an index of {damage.table} is damaged{where}: the table itself can be read"
    else:
        what = f"the table {damage.table} is damaged{where}: not all of its rows can be read"
    # To make an index anew, SQLite has to go through the old one's pages.
    is_mendable = damage.is_readable and only_indexes(damage) and damage.table in _OURS
    mend = case.command("doctor", "--mend", "indexes") if is_mendable else _rescue(case, path)
    return Finding(_NAME, Severity.FAULT, what, some(damage.messages), mend)


def _rescue(case: Case, path: Path) -> str:
    """Return the command that saves what can be read: a backup would be older."""
    number, rescued = 0, path.with_name(f"{path.stem}-rescued{path.suffix}")
    while rescued.exists():
        number += 1
        rescued = path.with_name(f"{path.stem}-rescued-{number}{path.suffix}")
    return case.command("doctor", "--rescue", str(rescued))


def _server(case: Case) -> Iterator[Finding]:
    with case.engine.connect() as connection:
        failures = server_health.checksum_failures(connection)
        has_amcheck = server_health.has_amcheck(connection)
    if failures:
        yield Finding(
            _NAME,
            Severity.FAULT,
            f"the server has met {counted(failures, 'damaged page')} in this database: its disk or "
            "memory is failing. Bring it back from a backup, on another disk",
            mend=_from_backup(case),
        )
    if not has_amcheck:
        yield Finding(
            _NAME,
            Severity.NOTE,
            "the server can check tables and indexes more closely with its extension amcheck",
            mend=case.sql("CREATE EXTENSION amcheck"),
        )
    for table in Base.metadata.sorted_tables:
        rows: list[str] = []
        indexes: list[str] = []
        if has_amcheck:
            try:
                rows, indexes = server_health.amcheck(
                    case.engine, table, is_quick=not case.is_thorough
                )
            except DatabaseError as error:  # not every role may
                yield Finding(_NAME, Severity.NOTE, f"{table.name} was not checked: {error}")
        if case.is_thorough and not rows:
            told = server_health.read_whole(case.engine, table)
            rows = [] if told is None else [told]
        if rows:
            what = f"the table {table.name} is damaged: not all of its rows can be read"
            yield Finding(_NAME, Severity.FAULT, what, some(rows), _from_backup(case))
        if indexes:
            what = f"indexes of {table.name} are damaged; the table itself is as it should be"
            mend = case.command("doctor", "--mend", "indexes")
            yield Finding(_NAME, Severity.FAULT, what, some(indexes), mend)


def _from_backup(case: Case) -> str:
    copy = None if case.path is None else newest_backup(case.path)
    return case.command("restore", str(copy or "BACKUP"), "--force")
