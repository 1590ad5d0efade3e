"""A backup: a database as it is at one moment, in one file, checked."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from training_db.db import inspection
from training_db.db.backup import check_file, copy_pages, stamp, unfinished_file
from training_db.db.dumps import dump, version_in
from training_db.db.engine import open_engine, translated
from training_db.errors import Conflict, DatabaseUnavailable, SchemaMissing
from training_db.settings import is_in_memory, resolve_url, sqlite_path

if TYPE_CHECKING:
    import os

    from sqlalchemy import URL

    from training_db.db.report import Progress

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Backup:
    """A backup that was written.

    Attributes:
        path: The file.
        version: The version of the schema in it; ``None`` for tables that no migration made.
        bytes: Its size.
        notes: What is unusual about the database, one line each.
    """

    path: Path
    version: str | None
    bytes: int
    notes: list[str] = field(default_factory=list)


def back_up(
    place: URL | str | os.PathLike[str] | None = None,
    file: str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Backup:
    """Write a backup of a database, which others may read and write meanwhile.

    Args:
        place: A URL, the path of a SQLite file, or ``None`` for what the environment says.
        file: The file to write, or the folder to write it to. Without it, a file whose name says
            when it was taken: beside a SQLite database, else in the working folder.
        force: Whether a file of that name may be replaced.
        progress: Takes a label, how much is done and how much there is.

    Returns:
        What was written: a SQLite file, or an archive of ``pg_dump`` with our tables alone. It is
        there whole and checked, or not at all, and only its owner can read it.

    Raises:
        SchemaMissing: There is nothing of ours.
        Conflict: There is such a file already.
        ConfigurationError: There is no ``pg_dump`` that fits the server.
        DatabaseError: The database is damaged, or cannot be read.
        DatabaseUnavailable: The file cannot be written.

    Example:
        >>> from training_db import init_db
        >>> folder = getfixture("tmp_path")
        >>> init_db(folder / "runs.db")
        >>> backup = back_up(folder / "runs.db", folder / "monday.backup")
        >>> backup.version, sorted(path.name for path in folder.iterdir() if "backup" in path.name)
        ('v3', ['monday.backup'])
    """
    url = resolve_url(place)
    path = sqlite_path(url)
    if is_in_memory(url):
        raise SchemaMissing("a database in memory ends with its process; there is nothing to copy")
    if path is not None and not path.exists():
        raise SchemaMissing(f"there is no file {path}; name the database by --url")
    target = _target(url, path, None if file is None else Path(file).expanduser())
    try:
        if path is not None:
            return _of_file(path, target, force=force, progress=progress)
        return _of_server(url, target, force=force, progress=progress)
    except OSError as error:
        if isinstance(error, DatabaseUnavailable):
            raise
        raise DatabaseUnavailable(
            f"the backup {target} could not be written: {error.strerror or error}; make room, or "
            "name another place"
        ) from error
    except sqlite3.Error as error:
        raise translated(error) from error


def _of_file(path: Path, target: Path, *, force: bool, progress: Progress | None) -> Backup:
    if target.exists() and target.samefile(path):
        raise Conflict(f"{target} is the database itself; name another file")
    _refuse_if_in_use(target)
    state = _state(resolve_url(path))
    with unfinished_file(target, replace=force) as unfinished:
        copy_pages(path, unfinished, progress)
        if progress:
            progress("checking the copy", 0, 0)
        notes = check_file(unfinished)
        size = unfinished.stat().st_size
    return Backup(target, state.version, size, notes)


def _refuse_if_in_use(target: Path) -> None:
    """Leave alone what is open as a database: SQLite would take its log for the new file's."""
    place = target.resolve()
    for ending in ("-wal", "-journal"):
        log = place.with_name(place.name + ending)
        if log.exists() and log.stat().st_size:
            raise Conflict(
                f"{place} is in use as a database, for {log.name} is beside it; name another file"
            )


def _of_server(url: URL, target: Path, *, force: bool, progress: Progress | None) -> Backup:
    _state(url)
    with unfinished_file(target, replace=force) as unfinished:
        if progress:
            progress("running pg_dump", 0, 0)
        dump(url, unfinished)
        if progress:
            progress("checking the archive", 0, 0)
        version, _ = version_in(unfinished)
        size = unfinished.stat().st_size
    return Backup(target, version, size)


def _state(url: URL) -> inspection.State:
    """Say what is in a database, which has to have tables of ours."""
    engine = open_engine(url)
    try:
        state = inspection.peek(engine)
    finally:
        engine.dispose()
    if state.version is None and not state.is_handmade:
        raise SchemaMissing("the database has no tables of training-db; name another one by --url")
    return state


def _target(url: URL, path: Path | None, file: Path | None) -> Path:
    if file is not None and not file.is_dir():
        return file.absolute()
    if path is not None:
        name, folder = f"{path.name}.{stamp()}.backup", path.parent
    else:
        known = _UNSAFE.sub("-", url.database or "training-db")
        name, folder = f"{known}.{stamp()}.dump", Path.cwd()
    return (file or folder).absolute() / name
