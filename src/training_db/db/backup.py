"""A copy of the SQLite file, taken before a migration changes it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from training_db.errors import MigrationFailed

if TYPE_CHECKING:
    from pathlib import Path

    from training_db.db.report import Progress

_PAGES = 4096  # copied between two reports of progress: 16 MiB
_UNFINISHED = ".partial"


def create_file(path: Path) -> None:
    """Create an empty database file that only its owner can read, and the folder it is in."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return


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
    for leftover in path.parent.glob(f"{path.name}.*.backup{_UNFINISHED}"):
        leftover.unlink()  # of a migration that was killed; we hold the lock, so none is running
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    copy = path.with_name(f"{path.name}.{version}-{stamp}.backup")
    unfinished = copy.with_name(copy.name + _UNFINISHED)
    try:
        create_file(unfinished)
        _copy(path, unfinished, progress)
        unfinished.rename(copy)
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            unfinished.unlink()
        raise MigrationFailed(
            f"the copy {copy} could not be written: {error}; make room, or run the command "
            "again with --no-backup"
        ) from error
    return copy


def _copy(path: Path, target: Path, progress: Progress | None) -> None:
    def report(_status: int, remaining: int, total: int) -> None:
        if progress:
            progress("copying the file", total - remaining, total)

    with (
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(target)) as destination,
    ):
        # One read transaction over all pages: without it, each step would look at the file anew.
        source.execute("BEGIN")
        source.backup(destination, pages=_PAGES, progress=report)
        source.execute("COMMIT")
    with target.open("rb") as written:
        os.fsync(written.fileno())
