"""Whether the tables are what this version of the library needs, and all of them are there."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from training_db.db import migrations
from training_db.db.engine.health import invalid_indexes
from training_db.errors import DatabaseError, SchemaError
from training_db.models import Base
from training_db.upkeep.checks.place import newest_backup
from training_db.upkeep.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.upkeep.findings import Case

_COMMAND = "; run: "
_OURS = "training-db "
_COPY_MARKER = "training_db_copy"


def check_schema(case: Case) -> Iterator[Finding]:
    """Compare the schema with the one that is needed; a fault here ends the checks of rows."""
    try:
        found = migrations.check(case.engine)
    except SchemaError as error:
        yield _fault(case, str(error))
        return
    except DatabaseError as error:
        yield Finding("schema", Severity.FAULT, f"the schema cannot be read: {error}")
        return
    for line in found.faults:
        yield _fault(case, line)
    for line in found.notes:
        yield Finding("schema", Severity.NOTE, line)
    if found.sound:
        yield Finding("schema", Severity.OK, f"the schema is {found.version}, as it should be")


def check_indexes(case: Case) -> Iterator[Finding]:
    """Look for indexes that are there and not used."""
    with case.engine.connect() as connection:
        broken = invalid_indexes(connection, Base.metadata.sorted_tables)
    if broken:
        yield Finding(
            "indexes",
            Severity.FAULT,
            "indexes are there that the server does not use: to make them failed half-way",
            tuple(broken),
            case.command("doctor", "--mend", "indexes"),
        )


def check_copy(case: Case) -> Iterator[Finding]:
    """Look whether a copy into this database was left half-done."""
    with case.engine.connect() as connection:
        if not inspect(connection).has_table(_COPY_MARKER):
            return
        source = connection.scalar(text(f"SELECT source FROM {_COPY_MARKER}"))  # nosec  # noqa: S608 - a constant
    words = ["training-db", "copy", str(source or "SOURCE"), case.place or "TARGET"]
    yield Finding(
        "copy",
        Severity.FAULT,
        f"a copy of {source or 'another database'} into this one did not come to its end: runs are "
        "missing, and indexes may be",
        mend=shlex.join(words),
    )


def _fault(case: Case, line: str) -> Finding:
    what, _, command = line.partition(_COMMAND)
    if not command:
        copy = None if case.path is None else newest_backup(case.path)
        restores = None if copy is None else case.command("restore", str(copy), "--force")
        return Finding("schema", Severity.FAULT, line, mend=restores)
    if command.startswith(_OURS):
        return Finding("schema", Severity.FAULT, what, mend=case.command(*command.split()[1:]))
    if command.startswith("pip "):
        return Finding("schema", Severity.FAULT, what, mend=command)
    mend = case.command("doctor", "--mend", "schema")
    return Finding("schema", Severity.FAULT, what, (command,), mend)
