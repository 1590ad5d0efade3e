"""Everything that can be read of a damaged SQLite file, in a new one; and what is lost, by run."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.db.backup import unfinished_file
from training_db.db.engine.damage import damages, read_only
from training_db.db.engine.salvage import Salvaged, salvage
from training_db.db.engine.space import INCREMENTAL
from training_db.db.version import HEAD
from training_db.errors import Conflict, DatabaseUnavailable, InvalidValue, SchemaMissing
from training_db.settings import resolve_url, sqlite_path
from training_db.timestamps import format_timestamp, now

if TYPE_CHECKING:
    import os

    from training_db.db.engine.salvage import Lost

_NAMED = 5  # columns
_KEYS = ("run_id", "run_number", "number")


@dataclass(frozen=True)
class Rescue:
    """What was saved.

    Attributes:
        file: The new database.
        tables: What became of each table.
        lost_by_run: For each run of which something is lost, what: a table with the rows or
            columns of it.
    """

    file: Path
    tables: list[Salvaged]
    lost_by_run: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether nothing at all is lost."""
        return not any(one.lost or one.partly or not one.is_counted for one in self.tables)


def rescue(place: str | os.PathLike[str] | None, file: str | os.PathLike[str]) -> Rescue:
    """Write everything that can be read of a damaged SQLite file to a new one.

    Of a row that cannot be read, indexes still know some columns: the row is there with those,
    where its table allows it. An event of each run says what is lost of it.

    Args:
        place: The damaged database; it is not changed.
        file: The new one, which is not there yet. Only its owner can read it.

    Returns:
        What was saved and what was lost.

    Raises:
        InvalidValue: The database is no SQLite file.
        SchemaMissing: There is no such file.
        Conflict: The new file is there already.
        DatabaseUnavailable: Not even the list of tables can be read, or the new file not written.

    Example:
        >>> from training_db import init_db
        >>> folder = getfixture("tmp_path")
        >>> init_db(folder / "runs.db")
        >>> rescue(folder / "runs.db", folder / "rescued.db").is_whole
        True
    """
    path = sqlite_path(resolve_url(place))
    if path is None:
        raise InvalidValue("only a SQLite file can be rescued; of a server, restore a backup")
    if not path.exists():
        raise SchemaMissing(f"there is no file {path} to rescue anything from")
    target = Path(file).expanduser().absolute()
    if target.exists():
        raise Conflict(f"{target} is there already; name a file that is not")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with unfinished_file(target, replace=False) as unfinished:
            tables, lost = _write(path, unfinished)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseUnavailable(
            f"nothing could be rescued from {path}: {error}; bring a backup back, by "
            "`training-db restore`"
        ) from error
    return Rescue(target, tables, lost)


def _write(path: Path, target: Path) -> tuple[list[Salvaged], dict[str, list[str]]]:
    with (
        closing(read_only(path)) as source,
        closing(sqlite3.connect(target, isolation_level=None)) as rescued,
    ):
        rescued.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
        tables = salvage(source, rescued)
        names = _names(rescued)
        lost: dict[str, list[str]] = {}
        for one in tables:
            for run, what in _losses(one, names).items():
                lost.setdefault(run, []).append(what)
        if _is_at_head(rescued):
            _note(rescued, lost)
    if damages(target):
        raise sqlite3.DatabaseError("what was written is not sound either")
    return tables, lost


def _names(rescued: sqlite3.Connection) -> dict[Any, str]:
    """Return the ids of the runs by their numbers, by which most tables know them."""
    try:
        found = rescued.execute("SELECT number, run_id FROM training_runs").fetchall()
    except sqlite3.DatabaseError:  # an older schema, or somebody else's tables
        return {}
    return {number: run_id for number, run_id in found}  # noqa: C416 - as the type checker sees it


def _losses(table: Salvaged, names: dict[Any, str]) -> dict[str, str]:
    """Say for each run what a table has lost of it."""
    said: dict[str, str] = {}
    rows = Counter(filter(None, (_run_of(row, names) for row in table.lost)))
    for run, count in rows.items():
        said[run] = f"{count} rows of {table.table}" if count > 1 else f"1 row of {table.table}"
    for row in table.partly:
        whose = _run_of(row, names)
        if whose is not None:
            is_short = len(row.missing) <= _NAMED
            lost = ", ".join(row.missing) if is_short else f"{len(row.missing)} columns"
            said[whose] = f"{lost} of a row of {table.table}"
    return said


def _run_of(row: Lost, names: dict[Any, str]) -> str | None:
    known = {name: row.known[name] for name in _KEYS if name in row.known}
    if "run_id" in known:
        return str(known["run_id"])
    number = known.get("run_number", known.get("number"))
    return None if number is None else names.get(number, f"number {number}")


def _is_at_head(rescued: sqlite3.Connection) -> bool:
    try:
        found = rescued.execute("SELECT version_num FROM training_db_version").fetchall()
    except sqlite3.DatabaseError:
        return False
    return found == [(HEAD,)]


def _note(rescued: sqlite3.Connection, lost: dict[str, list[str]]) -> None:
    moment = format_timestamp(now())
    rescued.execute("BEGIN")
    rescued.executemany(
        "INSERT INTO run_events (run_number, happened_at, kind, message) "
        "SELECT number, ?, 'rescue', ? FROM training_runs WHERE run_id = ? AND number IS NOT NULL",
        (
            (moment, f"the file was damaged; of this run was lost: {'; '.join(what)}", run_id)
            for run_id, what in lost.items()
        ),
    )
    rescued.execute("COMMIT")
