"""Whether the database can be looked at, and the disk that a SQLite file is on."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from training_db.db.engine.file_systems import network_file_system
from training_db.db.engine.health import free_bytes_inside, journal_mode
from training_db.errors import DatabaseError, TrainingDBError
from training_db.upkeep.findings import Finding, Severity, place_for_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from training_db.upkeep.findings import Case

LEAST_FREE = 500_000_000
"""Bytes on the disk below which a warning is given; a migration or a VACUUM needs a second copy."""

_HEADER = b"SQLite format 3\x00"
_SPARE = 64_000_000  # bytes inside the file
_SPARE_SHARE = 0.25


def check_place(case: Case) -> Iterator[Finding]:
    """Look whether there is a database at all; a fault here ends all other checks."""
    if case.path is not None and (fault := _file_fault(case, case.path)) is not None:
        yield fault
        return
    try:
        with case.engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1" if case.path is None else "PRAGMA schema_version")
    except TrainingDBError as error:
        yield _refused(case, error)
        return
    yield Finding("place", Severity.OK, f"{place_for_commands(case.url)} can be read")


def check_disk(case: Case) -> Iterator[Finding]:
    """Look at who may read the file, the file system, and the room on the disk and in the file."""
    path = case.path
    if path is None:
        return
    yield from _permissions(path)
    yield from _journal(case, path)
    free = shutil.disk_usage(path.parent).free
    if free < LEAST_FREE:
        yield Finding(
            "disk",
            Severity.WARNING,
            f"the disk of {path} has {free:,} bytes left; recorders keep what does not fit in "
            "their spools",
            mend=case.command("gc", "--older-than", "30d", "--vacuum"),
        )
    with case.engine.connect() as connection:
        spare, size = free_bytes_inside(connection)
    if spare > max(_SPARE, size * _SPARE_SHARE):
        yield Finding(
            "disk",
            Severity.NOTE,
            f"{spare:,} of the {size:,} bytes of {path} are free, and used again by what comes",
            mend=case.command("gc", "--older-than", "30d", "--vacuum"),
        )


def newest_backup(path: Path) -> Path | None:
    """Return the newest copy of a file that a command of ours left beside it."""
    return max(_backups(path), key=lambda one: one.stat().st_mtime, default=None)


def open_to_others(paths: Iterable[Path]) -> list[str]:
    """Return those of some files that others on this machine may read or write."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # it went since it was listed
            if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
                found.append(str(path))
    return found


def _backups(path: Path) -> list[Path]:
    found = path.parent.glob(f"{glob.escape(path.name)}.*backup")
    return [one for one in found if one.is_file()]


def _refused(case: Case, error: TrainingDBError) -> Finding:
    path = case.path
    if path is None or os.access(path.parent, os.W_OK):
        return Finding("place", Severity.FAULT, str(error), mend=_way_back(case))
    what = (
        f"{path} is in a folder that cannot be written to, as SQLite has to even to read: {error}"
    )
    mend = shlex.join(["sudo", "chown", str(os.getuid()), str(path.parent), str(path)])
    return Finding("place", Severity.FAULT, what, mend=mend)


def _file_fault(case: Case, path: Path) -> Finding | None:
    try:
        with path.open("rb") as file:
            start = file.read(len(_HEADER))
    except FileNotFoundError:
        return Finding(
            "place", Severity.FAULT, f"there is no database at {path}", mend=case.command("upgrade")
        )
    except PermissionError as error:
        command = shlex.join(["sudo", "chown", str(os.getuid()), str(path)])
        return Finding("place", Severity.FAULT, f"{path} cannot be read: {error}", mend=command)
    except OSError as error:
        return Finding("place", Severity.FAULT, f"{path} cannot be read: {error}")
    if start and start != _HEADER:
        what = f"{path} is no SQLite database, or its first page is damaged"
        return Finding("place", Severity.FAULT, what, mend=_way_back(case))
    return None


def _way_back(case: Case) -> str | None:
    copy = None if case.path is None else newest_backup(case.path)
    return None if copy is None else case.command("restore", str(copy), "--force")


def _permissions(path: Path) -> Iterator[Finding]:
    beside = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm", "-journal")]
    open_to_all = open_to_others([*beside, *_backups(path)])
    if open_to_all:
        yield Finding(
            "permissions",
            Severity.WARNING,
            "others on this machine may read or write what belongs to the database",
            tuple(open_to_all),
            shlex.join(["chmod", "600", *open_to_all]),
        )


def _journal(case: Case, path: Path) -> Iterator[Finding]:
    kind = network_file_system(path)
    with case.engine.connect() as connection:
        try:
            mode = journal_mode(connection)
        except DatabaseError:
            return
    if kind is None:
        return
    target = "postgresql://USER@HOST/NAME"
    yield Finding(
        "file system",
        Severity.NOTE if mode != "wal" else Severity.WARNING,
        f"{path} is on a network file system ({kind}). SQLite's WAL needs memory that all who use "
        "the file share, which two machines do not have: the file would be damaged. So it is "
        f"used without WAL (it is in {mode!r} mode now): readers and writers wait for each other, "
        "and its locks are as good as those of the file system. For several machines take a "
        "PostgreSQL server",
        mend=case.command("runs", "list", "--limit", "1")
        if mode == "wal"  # whoever opens it next takes it out of that mode
        else f"training-db copy {shlex.quote(str(path))} {target}",
    )
