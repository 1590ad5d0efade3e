"""SQLite files made, copied whole while others write, checked, and replaced in their place."""

from __future__ import annotations

import glob
import os
import socket
import sqlite3
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING
from uuid import uuid4

from training_db.db.engine import LOCK_SECONDS, translated
from training_db.db.engine.space import INCREMENTAL
from training_db.errors import Conflict, DatabaseError, DatabaseUnavailable, MigrationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training_db.db.report import Progress

_PAGES = 4096  # copied between two reports of progress: 16 MiB
_UNFINISHED = ".partial"
_PREFIX = ".training-db-"
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def create_file(path: Path) -> None:
    """Create an empty database file that only its owner can read, and the folder it is in."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnavailable(
            f"the folder {path.parent} cannot be made: {error.strerror}; name another place"
        ) from None
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=0)) as connection:
        # Only a file without tables can be told so: what is deleted then leaves room that can be
        # given back without writing the whole file anew.
        connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        connection.execute("VACUUM")


def copy_file(path: Path, version: str, progress: Progress | None) -> Path:
    """Copy a database, whole and as it is at this moment, while we hold its write lock.

    Args:
        path: The database.
        version: Its version, for the name of the copy.
        progress: Takes the pages done and the pages there are.

    Returns:
        The copy, beside the database. It has this name only once it is complete.

    Raises:
        MigrationFailed: It could not be written.
    """
    for leftover in path.parent.glob(f"{glob.escape(path.name)}.*.backup{_UNFINISHED}"):
        leftover.unlink()  # of a migration that was killed; we hold the lock, so none is running
    copy = path.with_name(f"{path.name}.{version}-{stamp()}.backup")
    unfinished = copy.with_name(copy.name + _UNFINISHED)
    try:
        _create_empty(unfinished)
        copy_pages(path, unfinished, progress)
        unfinished.rename(copy)
    except (OSError, sqlite3.Error, DatabaseError) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise MigrationFailed(
            f"the copy {copy} could not be written: {error}; make room, or run the command "
            "again with --no-backup"
        ) from error
    return copy


def stamp() -> str:
    """Return the present moment as a part of a file's name."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


@contextmanager
def unfinished_file(path: Path, *, replace: bool) -> Iterator[Path]:
    """Yield an empty file that takes its real name once the block is done.

    Args:
        path: The real name.
        replace: Whether what has that name may be replaced.

    Yields:
        A file beside it, which only its owner can read. It goes if the block fails, and the next
        time somebody writes here if the process was killed.

    Raises:
        Conflict: There is such a file, and it may not be replaced.
        OSError: It cannot be written.
    """
    place = path.resolve()
    if not replace and place.exists():
        raise _there_already(path)
    host = blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()
    for leftover in place.parent.glob(f"{_PREFIX}{host}-*{_UNFINISHED}*"):
        if not _is_running(leftover.name.removeprefix(_PREFIX).split("-")[1]):
            leftover.unlink(missing_ok=True)
    unfinished = place.with_name(f"{_PREFIX}{host}-{os.getpid()}-{uuid4().hex[:8]}{_UNFINISHED}")
    try:
        _create_empty(unfinished)
        yield unfinished
        _sync(unfinished)
        if replace:
            unfinished.replace(place)
        else:
            _name_newly(unfinished, place)
        _sync(place.parent)
    except FileExistsError:
        raise _there_already(path) from None
    finally:
        for rest in ("", "-journal", "-wal", "-shm"):
            unfinished.with_name(unfinished.name + rest).unlink(missing_ok=True)


def copy_pages(source: Path, target: Path, progress: Progress | None) -> None:
    """Copy a database as it is at one moment into another file, in that one's own transaction.

    Args:
        source: The database, which others may read and write meanwhile.
        target: A file that is there. Whoever has it open sees all of the copy at once, or what
            was there before if this is interrupted.
        progress: Takes a label, the pages done and the pages there are.

    Raises:
        DatabaseError: One of both cannot be read or written.
    """

    def report(status: int, remaining: int, total: int) -> None:
        if status in _BUSY:
            raise DatabaseUnavailable(
                f"{target} is locked by another program; stop it, and run the command again"
            )
        if progress:
            progress("copying the file", total - remaining, total)

    try:
        with (
            closing(_opened_to_read(source)) as reader,
            closing(sqlite3.connect(target, timeout=LOCK_SECONDS)) as writer,
        ):
            # One read transaction over all pages, which begins with the first thing that is read:
            # else each step would look at the file anew, and writers could make it never end.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            reader.backup(writer, pages=_PAGES, progress=report)
            reader.execute("COMMIT")
    except sqlite3.Error as error:
        raise translated(error) from error
    _sync(target)


def replace_pages(source: Path, target: Path, progress: Progress | None) -> None:
    """Put a copy of a database in the place of another, whose file stays; see :func:`copy_pages`.

    Args:
        source: The database to copy.
        target: The one to replace.
        progress: Takes a label, the pages done and the pages there are.

    Raises:
        DatabaseError: One of both cannot be read or written; the target is as it was.
    """
    try:
        with closing(sqlite3.connect(target)) as connection:
            size = connection.execute("PRAGMA page_size").fetchone()
            with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as other:
                differs = size != other.execute("PRAGMA page_size").fetchone()
            if differs:  # then SQLite can do it only without a write-ahead log
                connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise translated(error) from error
    copy_pages(source, target, progress)


def check_file(path: Path, *, read_only: bool = False) -> list[str]:
    """Look at every page of a database file.

    Args:
        path: A database.
        read_only: Whether it is left as it is. Else nobody may have it open, and it is brought
            into the form of a single file.

    Returns:
        What is unusual and no damage: rows that belong to no row.

    Raises:
        DatabaseError: The file is damaged.
    """
    try:
        mode = "ro" if read_only else "rw"
        with closing(sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True)) as connection:
            if not read_only:
                connection.execute("PRAGMA journal_mode = DELETE")
            faults = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(5)")]
            if faults != ["ok"]:
                raise _damaged("; ".join(faults))
            lost: dict[tuple[str, str], int] = {}
            for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
                lost[table, parent] = lost.get((table, parent), 0) + 1
    except sqlite3.OperationalError as error:
        raise translated(error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(str(error)) from error
    return [
        f"{count} rows of {table} belong to no row of {parent}; they are copied as they are"
        for (table, parent), count in lost.items()
    ]


def _opened_to_read(path: Path) -> sqlite3.Connection:
    # Read-only, it would leave a log behind where nobody else has the file open.
    return sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=LOCK_SECONDS)


def _damaged(how: str) -> DatabaseError:
    return DatabaseError(
        f"the database is damaged: {' '.join(how.split())}; run: training-db doctor"
    )


def _create_empty(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _name_newly(unfinished: Path, place: Path) -> None:
    """Rename a file unless somebody made one of that name meanwhile."""
    try:
        os.link(unfinished, place)
    except FileExistsError:
        raise
    except OSError:  # not every file system has links
        if place.exists():
            raise FileExistsError from None
        unfinished.rename(place)


def _there_already(path: Path) -> Conflict:
    return Conflict(f"there is a file {path} already; name another one, or say --force")


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        return True
    return True
