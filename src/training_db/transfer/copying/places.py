"""From where and to where: what a copy needs both places to be before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, text

from training_db.db import inspection, migrations
from training_db.db.engine import open_engine
from training_db.db.version import HEAD, check_schema
from training_db.errors import ConfigurationError, InvalidValue, SchemaMissing
from training_db.models import training_runs
from training_db.settings import is_in_memory, sqlite_path

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

_NAMED = 5
_NUMBERS = "UPDATE training_runs SET number = 1000001 WHERE run_id = '...'"
_WHERE = {"host", "hostaddr", "port"}  # of a URL's query, what says where a server is
_IDENTITY = """
    SELECT concat(pg_postmaster_start_time(), ' ', oid, ' ', to_regclass('training_runs')::oid)
    FROM pg_database WHERE datname = current_database()
"""


def place_of(url: URL) -> str:
    """Return a place as it is shown and written down: without a password.

    Example:
        >>> from training_db.settings import resolve_url
        >>> place_of(resolve_url("postgresql://ann:secret@db.example.org/runs"))
        'postgresql://ann@db.example.org/runs'
    """
    path = sqlite_path(url)
    if path is not None:
        return str(path)
    query = {key: value for key, value in url.query.items() if key in _WHERE}
    # To set None would leave the password as it is.
    plain = url.set(query=query, drivername=url.get_backend_name())._replace(password=None)
    return plain.render_as_string(hide_password=True)


def refuse_same(source: URL, target: URL) -> None:
    """Make sure that a database is not copied into itself, whatever both are called.

    Raises:
        InvalidValue: It would be.
        ConfigurationError: A place is a database in memory, which would end with the copy.
        SchemaMissing: There is no source.
    """
    for url in (source, target):
        if is_in_memory(url):
            raise ConfigurationError("a database in memory cannot be copied; name a file or a URL")
    here, there = sqlite_path(source), sqlite_path(target)
    if here is not None and not here.exists():
        raise SchemaMissing(f"there is no database at {here} to copy")
    if (here is None) != (there is None):
        return
    if here is not None and there is not None:
        is_same = there.exists() and here.samefile(there)
    else:
        is_same = source == target or _identity(source) == _identity(target)
    if is_same:
        raise InvalidValue(f"the source and the target are the same database: {place_of(source)}")


def check_source(connection: Connection) -> None:
    """Make sure that a database can be copied.

    Raises:
        SchemaError: It has not the newest schema; the error names the command.
        InvalidValue: Runs have no number by which their rows could be found.
    """
    check_schema(connection)
    of_what = "typeof(number) <> 'integer'" if _is_sqlite(connection) else "number IS NULL"
    lost = connection.scalars(
        text(f"SELECT run_id FROM training_runs WHERE {of_what} LIMIT {_NAMED}")  # nosec  # noqa: S608 - constants
    ).all()
    if lost:
        raise InvalidValue(
            f"runs have no whole number: {', '.join(map(repr, lost))}; give each of them a free "
            "one: " + _NUMBERS
        )


def prepare(target: URL) -> None:
    """Make the target where there is nothing.

    Raises:
        SchemaError: There are tables of ours that are not of the newest version.
    """
    if needs_making(target):
        migrations.upgrade(target, backup=False)


def needs_making(target: URL) -> bool:
    """Tell whether there is nothing at a place yet.

    Raises:
        SchemaError: There are tables of ours that are not of the newest version.
    """
    path = sqlite_path(target)
    if path is not None and not path.exists():
        return True
    engine = open_engine(target)
    try:
        state = inspection.peek(engine)
        inspection.refuse_foreign_tables(state, HEAD)
        if state.is_handmade:
            raise SchemaMissing(
                f"the target {place_of(target)} was made by hand; run: training-db adopt"
            )
        if state.version is None:
            return True
        with engine.connect() as connection:
            check_schema(connection)
    finally:
        engine.dispose()
    return False


def is_empty(connection: Connection) -> bool:
    """Tell whether a database has no runs."""
    return connection.execute(select(training_runs.c.number).limit(1)).first() is None


def _identity(url: URL) -> str:
    """Return what no other database has alike, on any server."""
    engine = open_engine(url)
    try:
        with engine.connect() as connection:
            return str(connection.scalar(text(_IDENTITY)))
    finally:
        engine.dispose()


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"
