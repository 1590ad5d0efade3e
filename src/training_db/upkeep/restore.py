"""A backup brought back: into an empty database, or in the place of what is there."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sqlalchemy import text

from training_db.db import inspection
from training_db.db.backup import check_file, copy_pages, replace_pages, stamp, unfinished_file
from training_db.db.dumps import MAGIC, OURS, load, version_in
from training_db.db.engine import open_engine, translated
from training_db.db.version import HEAD, VERSION_TABLE, check_known
from training_db.errors import Conflict, DatabaseError, DatabaseUnavailable, UnreadableSource
from training_db.settings import is_in_memory, resolve_url, sqlite_path

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

    from training_db.db.report import Progress

_SQLITE_MAGIC = b"SQLite format 3\x00"
_REPLACE = "to replace that, say --force"
_UNREADABLE = "is there, and cannot be read"
_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB 'sqlite[_]*'"


@dataclass
class Restored:
    """What a restore did.

    Attributes:
        version: The version of the schema that is there now.
        aside: Where the file that was replaced is kept.
        notes: What is still to be done, one line each.
    """

    version: str | None
    aside: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def is_outdated(self) -> bool:
        """Whether the database has to be upgraded before it can be used."""
        return self.version != HEAD


def restore(
    file: str | os.PathLike[str],
    place: URL | str | os.PathLike[str] | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Bring a backup back.

    Args:
        file: What :func:`training_db.upkeep.backup.back_up` wrote.
        place: A URL, the path of a SQLite file, or ``None`` for what the environment says.
        force: Whether runs that are there are replaced. A SQLite file is then kept beside the new
            one; on PostgreSQL our tables are dropped and made anew in one transaction.
        progress: Takes a label, how much is done and how much there is.

    Returns:
        What is there now. Interrupted at any moment, the old database is there or the new one.

    Raises:
        UnreadableSource: The file is no backup of a training-db database, or is damaged.
        SchemaNewer: It is of a version that this library does not know.
        Conflict: There are runs in the database, and nobody said that they may be replaced.
        DatabaseError: It could not be done; the database is as it was.

    Example:
        >>> from training_db import TrainingDB, init_db
        >>> from training_db.upkeep.backup import back_up
        >>> folder = getfixture("tmp_path")
        >>> init_db(folder / "runs.db")
        >>> backup = back_up(folder / "runs.db")
        >>> restore(backup.path, folder / "other.db").version
        'v3'
    """
    url, source = resolve_url(place), Path(file).expanduser().absolute()
    if is_in_memory(url):
        raise UnreadableSource("a database in memory ends with this process; name a file by --url")
    path = sqlite_path(url)
    try:
        _refuse_unless_backup_for(source, path)
        if path is None:
            return _into_server(source, url, force=force, progress=progress)
        return _into_file(source, path, force=force, progress=progress)
    except OSError as error:
        if isinstance(error, DatabaseUnavailable):
            raise
        raise DatabaseUnavailable(
            f"{source} could not be restored: {error.strerror or error} ({error.filename}); the "
            "database is as it was"
        ) from error
    except sqlite3.Error as error:
        raise translated(error) from error


def _refuse_unless_backup_for(source: Path, path: Path | None) -> None:
    if not source.is_file():
        raise UnreadableSource(f"there is no file {source}")
    with source.open("rb") as opened:
        begins = opened.read(len(_SQLITE_MAGIC))
    if begins == _SQLITE_MAGIC:
        if path is None:
            raise UnreadableSource(
                f"{source} is a SQLite file, and the database is on PostgreSQL; run: "
                f"training-db copy {source} URL"
            )
        if path.exists() and path.samefile(source):
            raise UnreadableSource(f"{source} is the database itself; name another file")
    elif begins.startswith(MAGIC):
        if path is not None:
            raise UnreadableSource(
                f"{source} is an archive of pg_dump, which only PostgreSQL can read: restore it "
                "there, and run: training-db copy URL FILE"
            )
    else:
        raise UnreadableSource(f"{source} is neither a SQLite file nor an archive of pg_dump")


def _into_file(source: Path, path: Path, *, force: bool, progress: Progress | None) -> Restored:
    path = path.resolve()
    holds = _held_by_file(path)
    if holds and not force:
        raise Conflict(f"{path} {holds}; {_REPLACE}, and it is kept under another name")
    if progress:
        progress("checking the backup", 0, 0)
    done = _checked(source)
    if not path.exists() or holds == _UNREADABLE:
        done.aside = _put_in_place(source, path, progress)
        return done
    if holds:
        done.aside = _copied_aside(path, progress)
    try:
        # In its place, so that whoever has the file open sees the one or the other.
        replace_pages(source, path, progress)
    except BaseException:
        if done.aside is not None:
            done.aside.unlink(missing_ok=True)
        raise
    return done


def _put_in_place(source: Path, path: Path, progress: Progress | None) -> Path | None:
    """Make a file of a name that nobody can have open as a database, and keep what has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = _kept_name(path) if path.exists() else None
    with unfinished_file(path, replace=path.exists()) as new:
        copy_pages(source, new, progress)
        if aside is not None:
            try:
                os.link(path, aside)
            except OSError:  # not every file system has links
                shutil.copyfile(path, aside)
        for rest in ("-wal", "-shm", "-journal"):
            # SQLite would take what is in them for a part of the new file.
            beside = path.with_name(path.name + rest)
            if aside is not None and beside.exists():
                beside.rename(aside.with_name(aside.name + rest))
            beside.unlink(missing_ok=True)
    return aside


def _checked(source: Path) -> Restored:
    """Make sure that a file can be restored, and return what it will have been."""
    try:
        notes = check_file(source, read_only=True)
        with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute(_TABLES)}
            version = None
            if VERSION_TABLE in tables:
                found = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # nosec  # noqa: S608 - a constant
                version = str(found[0]) if found else None
    except (DatabaseError, sqlite3.Error) as error:
        raise UnreadableSource(f"{source} cannot be restored: {error}") from error
    return Restored(_known(version, "training_runs" in tables, source), notes=notes)


def _known(version: str | None, has_runs: bool, source: Path) -> str | None:
    if version is None and not has_runs:
        raise UnreadableSource(f"{source} has no tables of training-db; nothing was changed")
    if version is not None:
        check_known(version)
    return version


def _held_by_file(path: Path) -> str:
    """Say what a file holds that would be lost; nothing where it is empty or missing."""
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            tables = {name for (name,) in connection.execute(_TABLES)}
            others = sorted(tables - {*OURS})
            if others:
                return f"holds other tables, such as {others[0]!r}"
            runs = 0
            if "training_runs" in tables:
                runs = connection.execute("SELECT count(*) FROM training_runs").fetchone()[0]
            return f"holds {runs} runs" if runs else ""
    except sqlite3.Error as error:
        if "locked" in str(error):
            raise
        return _UNREADABLE


def _copied_aside(path: Path, progress: Progress | None) -> Path:
    aside = _kept_name(path)
    with unfinished_file(aside, replace=False) as kept:
        copy_pages(path, kept, progress)
    return aside


def _kept_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.replaced-{stamp()}.backup")


def _into_server(archive: Path, url: URL, *, force: bool, progress: Progress | None) -> Restored:
    if progress:
        progress("checking the archive", 0, 0)
    try:
        version, has_runs = version_in(archive)
    except DatabaseError as error:
        raise UnreadableSource(f"{archive} cannot be restored: {error}") from error
    done = Restored(_known(version, has_runs, archive))
    engine = open_engine(url)
    try:
        state = inspection.peek(engine)
        has_tables = any(name in state.tables for name in OURS)
        runs = _runs_on_server(engine) if state.has("training_runs") else 0
        if runs and not force:
            raise Conflict(f"the database holds {runs} runs; {_REPLACE} for good")
        if progress:
            progress("running pg_restore", 0, 0)
        with TemporaryDirectory(prefix="training-db-") as folder:
            load(url, archive, Path(folder) / "contents", replace=has_tables)
    finally:
        engine.dispose()
    return done


def _runs_on_server(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM training_runs")).scalar_one())
