"""Which schema a database has, and which one this version of the library needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from training_db.errors import DatabaseError, SchemaMissing, SchemaNewer, SchemaOutdated

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

VERSION_TABLE = "training_db_version"
VERSIONS = ("v1", "v2", "v2.1", "v3")
HEAD = VERSIONS[-1]


def check_schema(connection: Connection | Session) -> None:
    """Make sure that the schema is the one this version of the library needs.

    Args:
        connection: A connection or session; one small SELECT is made on it.

    Raises:
        SchemaMissing: There is no schema yet.
        SchemaOutdated: The schema is an older one.
        SchemaNewer: The schema is of a later version of this library.

    Example:
        >>> from training_db.db.engine import open_engine
        >>> from training_db.settings import resolve_url
        >>> with open_engine(resolve_url("sqlite://")).connect() as connection:
        ...     check_schema(connection)
        Traceback (most recent call last):
            ...
        training_db.errors.SchemaMissing: the database has no training-db schema yet; \
run: training-db upgrade
    """
    version = read_version(connection)
    if version == HEAD:
        return
    if version is None:
        raise SchemaMissing("the database has no training-db schema yet; run: training-db upgrade")
    check_known(version)
    raise SchemaOutdated(
        f"the database has schema {version}, and this version of training-db needs {HEAD}; "
        "run: training-db upgrade"
    )


def read_version(connection: Connection | Session) -> str | None:
    """Return the version that the database says it has, or ``None`` where it says nothing.

    Where the version table is missing on PostgreSQL, the transaction cannot go on after this.

    Raises:
        SchemaNewer: The version table has several rows, as no version known here writes.
    """
    try:
        rows = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).all()  # nosec  # noqa: S608 - a constant
    except DatabaseError as error:
        if _is_missing_table(error.__cause__):
            return None
        raise
    if len(rows) > 1:
        found = ", ".join(str(row[0]) for row in rows)
        raise SchemaNewer(
            f"{VERSION_TABLE} names several versions ({found}); one row is what it should have: "
            "restore a backup, or delete the rows that are wrong"
        )
    return str(rows[0][0]) if rows else None


def check_known(version: str) -> None:
    """Make sure that a version is one of those this library has migrations for.

    Raises:
        SchemaNewer: It is not.
    """
    if version not in VERSIONS:
        raise SchemaNewer(
            f"the database has schema {version}, which this version of training-db does not know "
            f"(it knows {', '.join(VERSIONS)}); run: pip install --upgrade training-db"
        )


def _is_missing_table(cause: BaseException | None) -> bool:
    # 42P01 is the SQL standard's "undefined table"; SQLite has words only.
    return getattr(cause, "sqlstate", None) == "42P01" or "no such table" in str(cause)
