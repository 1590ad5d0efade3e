"""What the contract's tests share: both backends at once, and a recorder of statements."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text

from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.postgres import Server

    Recorder = Callable[[TrainingDB], AbstractContextManager[list[str]]]


def migrate(url: str) -> None:
    from training_db.db.migrations import upgrade

    upgrade(url)


@pytest.fixture
def both(
    migrated_file: Path, postgres: Server, tmp_path: Path
) -> Iterator[tuple[TrainingDB, TrainingDB]]:
    """An empty, migrated database on each of the two backends."""
    copy = tmp_path / "training.db"
    shutil.copy(migrated_file, copy)
    template = postgres.migrated_template(migrate)
    with (
        postgres.database(template=template) as url,
        TrainingDB(copy) as on_sqlite,
        TrainingDB(url) as on_postgresql,
    ):
        yield on_sqlite, on_postgresql


def empty(db: TrainingDB) -> None:
    """Delete every run, with all that belongs to it."""
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs"))


@pytest.fixture
def recorded() -> Recorder:
    """Record the SELECT, INSERT, UPDATE and DELETE statements that a database is sent."""

    @contextmanager
    def record(db: TrainingDB) -> Iterator[list[str]]:
        db.runs.count()  # the schema is checked once, before
        statements: list[str] = []

        def note(_conn, _cursor, statement, _parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"):
                statements.append(statement)

        event.listen(db.engine, "before_cursor_execute", note)
        try:
            yield statements
        finally:
            event.remove(db.engine, "before_cursor_execute", note)

    return record
