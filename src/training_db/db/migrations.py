"""Upgrade, downgrade, adopt and check a database's schema.

Alembic is loaded by the functions that need it: importing this module is cheap.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from training_db.db import inspection
from training_db.db.backup import copy_file, create_file
from training_db.db.engine import open_engine
from training_db.db.exclusive import exclusive
from training_db.db.report import Findings, Progress, Report
from training_db.db.scripts import alembic_config, load_script
from training_db.db.version import HEAD, VERSION_TABLE, VERSIONS, check_known
from training_db.errors import (
    DatabaseUnavailable,
    ForeignTable,
    MigrationFailed,
    SchemaError,
    SchemaMissing,
    UnknownName,
)
from training_db.settings import resolve_url, sqlite_path

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from sqlalchemy import URL

    Place = Engine | URL | str | os.PathLike[str] | None

_BACKFILL = (
    "training_db_backfill"  # a script of --sql leaves this table where rows are to be filled
)
_COPY = "training_db_copy"  # stands there while a copy is on its way
_BASE = "base"


def upgrade(
    place: Place = None,
    revision: str = "head",
    *,
    backup: bool = True,
    progress: Progress | None = None,
) -> Report:
    """Bring a database to a newer schema, whole or not at all.

    A database that was made by hand before there were migrations is adopted on the way. On SQLite
    the file and its folder are created where they are missing.

    Args:
        place: An engine, a URL, the path of a SQLite file, or ``None`` for what the environment
            says.
        revision: ``"head"``, or the version to stop at, such as ``"v2"``.
        backup: Whether to copy a SQLite file first; an empty one is not copied.
        progress: Takes a label, how much is done and how much there is (0 where nobody knows).

    Returns:
        What was done. Nothing is changed where the database has that version already.

    Raises:
        UnknownName: There is no such version.
        SchemaNewer: The database has a version that this library does not know.
        ForeignTable: A table of one of our names is somebody else's.
        MigrationFailed: The migration stopped; nothing was changed.

    Example:
        >>> report = upgrade("sqlite://")
        >>> report.from_version, report.to_version
        (None, 'v3')
    """
    target = _version(revision)
    with _engine(place, create=True) as engine:
        before = inspection.peek(engine)
        inspection.refuse_foreign_tables(before, target)  # before the file is opened for writing
        if before.version == target and not before.has(_BACKFILL):
            return Report(target, target)
        with _migrating(engine, progress) as (connection, report):
            state = inspection.look(connection)
            _start(report, state, target)
            if state.position > VERSIONS.index(target):
                raise MigrationFailed(
                    f"the database has schema {state.version}, which is newer than {target}; "
                    f"run: training-db downgrade {target}"
                )
            inspection.refuse_foreign_tables(state, target)
            if backup and state.tables.keys() - {VERSION_TABLE}:
                _back_up(engine, state, report, progress)
            if state.is_handmade:
                _adopt(connection, state, report, progress)
            _alembic("upgrade", connection, target, report, progress)
            _fill_what_a_script_left(connection, report, progress)
            inspection.check_foreign_keys(connection)
        return report


def downgrade(
    place: Place, revision: str, *, backup: bool = True, progress: Progress | None = None
) -> Report:
    """Bring a database back to an older schema.

    What the older schema cannot hold is lost, and counted in the report.

    Args:
        place: As for :func:`upgrade`.
        revision: The version to go back to, or ``"base"`` to drop every table of ours.
        backup: Whether to copy a SQLite file first.
        progress: As for :func:`upgrade`.

    Returns:
        What was done, and what was lost.

    Raises:
        UnknownName: There is no such version.
        SchemaMissing: The database has no version.
        SchemaNewer: The database has a version that this library does not know.
        MigrationFailed: The migration stopped; nothing was changed.
    """
    target = None if revision == _BASE else _version(revision)
    with (
        _engine(place, create=False) as engine,
        _migrating(engine, progress) as (
            connection,
            report,
        ),
    ):
        state = inspection.look(connection)
        _start(report, state, target)
        if state.version is None:
            raise SchemaMissing("the database has no training-db schema to go back from")
        position = VERSIONS.index(target) if target else -1
        if state.position < position:
            raise MigrationFailed(
                f"the database has schema {state.version}, which is older than {target}; "
                f"run: training-db upgrade {target}"
            )
        if state.position > position:
            if backup:
                _back_up(engine, state, report, progress)
            _alembic("downgrade", connection, target or _BASE, report, progress)
            inspection.check_foreign_keys(connection)
    return report


def current(place: Place = None) -> str | None:
    """Return the version of a database's schema, or ``None`` where it has none.

    Args:
        place: As for :func:`upgrade`. A SQLite file that is missing is not created.

    Example:
        >>> current("sqlite://") is None
        True
    """
    return _state(place)[1].version


def adopt(place: Place = None, *, backup: bool = True, progress: Progress | None = None) -> Report:
    """Put a database that was made by hand under migrations, as the version it resembles.

    Args:
        place: As for :func:`upgrade`.
        backup: Whether to copy a SQLite file first.
        progress: As for :func:`upgrade`.

    Returns:
        What was done: which version it was taken for, what differed, and what became of that.

    Raises:
        SchemaMissing: There is nothing to adopt.
        ForeignTable: A table of one of our names is somebody else's; nothing was touched.
        MigrationFailed: Rows cannot be adopted as they are, which the message names; nothing was
            changed.
    """
    with _engine(place, create=False) as engine:
        inspection.refuse_foreign_tables(inspection.peek(engine), HEAD)
        with _migrating(engine, progress) as (connection, report):
            state = inspection.look(connection)
            _start(report, state, state.version)
            if state.version is not None:
                report.notes.append("the database is under migrations already; nothing to adopt")
            elif not state.is_handmade:
                raise SchemaMissing("the database has no runs to adopt; run: training-db upgrade")
            else:
                inspection.refuse_foreign_tables(state, HEAD)
                if backup:
                    _back_up(engine, state, report, progress)
                report.to_version = _adopt(connection, state, report, progress)
                inspection.check_foreign_keys(connection)
        return report


def upgrade_sql(place: Place = None, revision: str = "head") -> str:
    """Return the SQL script of an upgrade, for a person to read and run.

    SQL alone cannot read configs as the back-fill does. The script of an upgrade from v1 therefore
    leaves a small table behind, by which the next ``training-db upgrade`` knows that the rows are
    still to be filled.

    Args:
        place: As for :func:`upgrade`; it decides between SQLite and PostgreSQL.
        revision: Where to, from where the database is; or ``"v1:v2"``, for which no database is
            asked (``"base:head"`` makes everything).

    Returns:
        The script, in one transaction.

    Raises:
        UnknownName: There is no such version.
        MigrationFailed: The database has to be adopted first, or is past that version.
    """
    start, _, end = revision.rpartition(":")
    target = _version(end)
    if start:
        dialect = _url(place).get_backend_name()
        known = None if start == _BASE else _version(start)
    else:
        dialect, state = _state(place)
        if state.is_handmade:
            raise MigrationFailed(
                "the database was made by hand, and a script cannot adopt it; "
                "run: training-db adopt"
            )
        known = state.version
    if known and VERSIONS.index(known) >= VERSIONS.index(target):
        return f"-- The schema is {known} already: there is nothing to do.\n"
    from alembic import command

    script = io.StringIO()
    config = alembic_config(dialect=dialect)
    config.output_buffer = script
    command.upgrade(config, f"{known or _BASE}:{target}", sql=True)
    return script.getvalue()


def check(place: Place = None) -> Findings:
    """Compare a database with what this version of the library needs; change nothing.

    Args:
        place: As for :func:`upgrade`.

    Returns:
        What has to be mended, with the remedies, and what is only unusual.
    """
    _, state = _state(place)
    findings = Findings(state.version)
    try:
        inspection.refuse_foreign_tables(state, HEAD)
    except ForeignTable as error:
        findings.faults.append(str(error))
        return findings
    if state.version is None:
        remedy = "adopt" if state.is_handmade else "upgrade"
        findings.faults.append(f"there is no schema version; run: training-db {remedy}")
    elif state.version != HEAD:
        findings.faults.append(
            f"the schema is {state.version}, and {HEAD} is needed; run: training-db upgrade"
        )
    else:
        _check_newest(place, state, findings)
    return findings


def _check_newest(place: Place, state: inspection.State, findings: Findings) -> None:
    from training_db.db.drift import compare

    if state.has(_BACKFILL):
        findings.faults.append(
            "old rows are still to be filled from their JSON; run: training-db upgrade"
        )
    with _engine(place, create=False) as engine, engine.connect() as connection:
        if state.has(_COPY):  # its indexes are off on purpose until it goes on
            source = connection.scalar(text(f"SELECT source FROM {_COPY}"))  # nosec  # noqa: S608 - a constant
            findings.faults.append(
                f"a copy of {source or 'another database'} into this one is not complete; "
                f"run: training-db copy {source or 'SRC'} DST"
            )
            return
        compare(connection, findings)


def _version(revision: str) -> str:
    if revision == "head":
        return HEAD
    if revision not in VERSIONS:
        raise UnknownName("schema version", revision, [*VERSIONS, "head"])
    return revision


def _url(place: Place) -> URL:
    return place.url if isinstance(place, Engine) else resolve_url(place)


def _state(place: Place) -> tuple[str, inspection.State]:
    """Return the backend and what is in the database; a file that is missing holds nothing."""
    path = sqlite_path(_url(place))
    if path is not None and not path.exists():
        return "sqlite", inspection.State(None, {})
    with _engine(place, create=False) as engine:
        return engine.dialect.name, inspection.peek(engine)


@contextmanager
def _engine(place: Place, *, create: bool) -> Iterator[Engine]:
    if isinstance(place, Engine):
        yield place
        return
    url = resolve_url(place)
    path = sqlite_path(url)
    if path is not None and not path.exists():
        if not create:
            raise SchemaMissing(f"there is no file {path}; run: training-db upgrade")
        create_file(path)
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def _migrating(engine: Engine, progress: Progress | None) -> Iterator[tuple[Connection, Report]]:
    """Open the transaction; whatever goes wrong in it is told as what it is: nothing changed."""

    def wait(line: str) -> None:
        if progress:
            progress(line, 0, 0)

    try:
        with exclusive(engine, wait) as connection:
            yield connection, Report(None, None)
    except (SchemaError, DatabaseUnavailable):
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MigrationFailed(
            f"the migration stopped, and nothing was changed: {reason}"
        ) from error


def _start(report: Report, state: inspection.State, target: str | None) -> None:
    if state.version is not None:
        check_known(state.version)
    report.from_version, report.to_version = state.version, target


def _back_up(
    engine: Engine, state: inspection.State, report: Report, progress: Progress | None
) -> None:
    path = sqlite_path(engine.url)
    if path is not None:
        report.backup = copy_file(path, state.version or "unversioned", progress)


def _alembic(
    direction: str, connection: Connection, target: str, report: Report, progress: Progress | None
) -> None:
    from alembic import command

    config = alembic_config(connection=connection, note=report.notes.append, progress=progress)
    run = command.upgrade if direction == "upgrade" else command.downgrade
    run(config, target)


def _adopt(
    connection: Connection, state: inspection.State, report: Report, progress: Progress | None
) -> str:
    from training_db.db.adoption import adopt_tables

    def migrate(version: str) -> None:
        _alembic("upgrade", connection, version, Report(None, None), None)

    version = adopt_tables(connection, state, migrate, report.notes.append, progress)
    if version != VERSIONS[0]:  # from v1, the next migration fills them
        load_script("backfill_v2").back_fill(connection, report.notes.append, progress)
    if VERSIONS.index(version) >= VERSIONS.index("v3"):
        load_script("history_v3").finish(connection, report.notes.append, progress)
    return version


def _fill_what_a_script_left(
    connection: Connection, report: Report, progress: Progress | None
) -> None:
    if not inspect(connection).has_table(_BACKFILL):
        return
    left = connection.scalars(text(f"SELECT revision FROM {_BACKFILL}")).all()  # nosec  # noqa: S608 - a constant
    if left != ["v3"]:  # v2 says so with a row, and used to say so with none
        load_script("backfill_v2").back_fill(connection, report.notes.append, progress)
    load_script("history_v3").finish(connection, report.notes.append, progress)
    connection.execute(text(f"DROP TABLE {_BACKFILL}"))
