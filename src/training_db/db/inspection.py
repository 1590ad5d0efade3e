"""What is in a database: its version, its tables, and whether those are ours."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text

from training_db.db.engine import translated
from training_db.db.shapes import NEEDED, SHAPES
from training_db.db.version import VERSION_TABLE, VERSIONS, check_known, read_version
from training_db.errors import ForeignTable, MigrationFailed
from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Inspector
    from sqlalchemy.engine import ExceptionContext


@dataclass(frozen=True)
class State:
    """What a database holds.

    Attributes:
        version: What its version table says.
        tables: Its tables, and the names of the columns of those that have one of our names.
        views: The views that have one of our names.
    """

    version: str | None
    tables: dict[str, tuple[str, ...]]
    views: tuple[str, ...] = ()

    @property
    def position(self) -> int:
        """How many migrations past the first; -1 without any."""
        return VERSIONS.index(self.version) if self.version in VERSIONS else -1

    @property
    def is_handmade(self) -> bool:
        """Whether it has tables of our names that no migration made."""
        return self.version is None and any(table in self.tables for table in SHAPES)

    def has(self, table: str) -> bool:
        """Tell whether there is such a table."""
        return table in self.tables

    @cached_property
    def resembles(self) -> str:
        """The newest version of which it has a table or a column."""
        return max(
            (
                version
                for table, columns in self.tables.items()
                for version, added in SHAPES.get(table, {}).items()
                if set(added) & set(columns)
            ),
            key=VERSIONS.index,
            default=VERSIONS[0],
        )


def peek(engine: Engine) -> State:
    """Look at a database without changing a byte of it.

    To open a SQLite file as the engine does would turn it to WAL, which a file that is somebody
    else's should be spared.
    """
    path = sqlite_path(engine.url)
    reader = engine if path is None else _read_only(path)
    try:
        with reader.connect() as connection:
            return look(connection)
    finally:
        if reader is not engine:
            reader.dispose()


def look(connection: Connection) -> State:
    """Look at a database in a transaction that is open."""
    inspector = inspect(connection)
    names = inspector.get_table_names()
    tables = {name: _columns(inspector, name) if name in SHAPES else () for name in names}
    version = read_version(connection) if VERSION_TABLE in tables else None
    views = tuple(name for name in inspector.get_view_names() if name in SHAPES)
    return State(version, tables, views)


def _columns(inspector: Inspector, table: str) -> tuple[str, ...]:
    known = {name for added in SHAPES[table].values() for name in added}
    names = [column["name"] for column in inspector.get_columns(table)]
    # SQLite takes `Run_ID` and `run_id` for one column, as PostgreSQL does not.
    fold = inspector.dialect.name == "sqlite"
    return tuple(name.lower() if fold and name.lower() in known else name for name in names)


def refuse_foreign_tables(state: State, target: str) -> None:
    """Make sure that no table of somebody else stands where a migration would make ours.

    Args:
        state: What the database holds.
        target: The version that is to be made.

    Raises:
        SchemaNewer: The version is none that this library knows.
        ForeignTable: One does; the message names what it lacks.
    """
    if state.version is not None:
        check_known(state.version)
    for name in state.views:
        raise ForeignTable(
            f"{name!r} is a view here; rename it, because training-db needs the name"
        )
    if state.is_handmade:
        for table in SHAPES:
            if table in state.tables:
                _refuse_unless_ours(table, state)
        return
    for table, versions in SHAPES.items():
        first = VERSIONS.index(next(iter(versions)))
        if state.position < first <= VERSIONS.index(target) and table in state.tables:
            raise ForeignTable(
                f"there is a table {table!r} that no migration made, in a database of version "
                f"{state.version}; rename it, because training-db needs the name"
            )


def check_foreign_keys(connection: Connection) -> None:
    """Make sure, before SQLite's checks are on again, that every row has the row it belongs to.

    Raises:
        MigrationFailed: One has not.
    """
    if connection.dialect.name != "sqlite":
        return
    for table in SHAPES.keys() & set(inspect(connection).get_table_names()):
        lost = connection.execute(text(f"PRAGMA foreign_key_check({table})")).first()
        if lost is not None:
            raise MigrationFailed(
                f"a row of {table} (rowid {lost[1]}) belongs to no row of {lost[2]}; "
                f"nothing was changed: delete such rows, and run the command again"
            )


def _refuse_unless_ours(table: str, state: State) -> None:
    columns = state.tables[table]
    missing = [name for name in NEEDED[table] if name not in columns]
    first = next(iter(SHAPES[table].values()))
    known = [name for name in first if name in columns]
    # Half of the runs' columns; of a table that hangs on the runs, one besides its key.
    enough = (
        len(first) / 2
        if table == "training_runs"
        else min(len({"id", *NEEDED[table]}) + 1, len({"id", *first}))
    )
    if not missing and len({"id", *known} if table != "training_runs" else known) < enough:
        missing = [name for name in first if name not in columns]
    if missing:
        raise ForeignTable(
            f"the table {table!r} is not one of training-db: it has no {', '.join(missing)}. "
            "It was left untouched; rename it, or use another database"
        )
    if "training_runs" not in state.tables:
        raise ForeignTable(
            f"there is a table {table!r} but no training_runs it could belong to. It was left "
            "untouched; rename it, or use another database"
        )


def _read_only(path: Path) -> Engine:
    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        connection.execute("PRAGMA query_only = ON")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "handle_error", _translate, retval=True)
    return engine


def _translate(context: ExceptionContext) -> BaseException:
    return translated(context.original_exception)
