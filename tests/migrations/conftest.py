"""Plain SQL for the tests of migrations: no model of ours, which later versions would change."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from training_db.db.migrations import upgrade
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from collections.abc import Iterator


class Database:
    """A database spoken to in plain SQL, on a connection of SQLAlchemy's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = create_engine(resolve_url(url))
        self.backend = self._engine.dialect.name

    def run(self, statement: str, *rows: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            if rows:
                connection.execute(text(statement), rows)
            else:
                connection.exec_driver_sql(statement)

    def rows(self, query: str) -> list[dict[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.exec_driver_sql(query).mappings()]

    def value(self, query: str) -> Any:
        [row] = self.rows(query)
        return next(iter(row.values()))

    def insert(self, table: str, **values: Any) -> None:
        marks = ", ".join(f":{name}" for name in values)
        self.run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", values)

    def schema(self) -> list[tuple[str, ...]]:
        """Everything that makes up the schema, as the database itself tells it."""
        if self.backend == "sqlite":
            query = "SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2"
        else:
            query = """
                SELECT 'column', format('%%s.%%s', table_name, column_name),
                    concat_ws(' ', data_type, is_nullable, collation_name, column_default,
                              generation_expression)
                FROM information_schema.columns WHERE table_schema = 'public'
                UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes
                WHERE schemaname = 'public'
                UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid)
                FROM pg_constraint WHERE connamespace = CAST('public' AS regnamespace)
                AND contype <> 'n'  -- PostgreSQL 18 numbers the names of NOT NULL
                UNION ALL SELECT 'function', proname, prosrc FROM pg_proc
                WHERE pronamespace = CAST('public' AS regnamespace) ORDER BY 1, 2, 3"""
        # SQLite keeps the text of CREATE TABLE, with whatever blanks it had.
        return [
            tuple(" ".join(str(value).split()) for value in row.values())
            for row in self.rows(query)
        ]

    def close(self) -> None:
        self._engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database in plain SQL, on one backend after the other."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def v1(database: Database) -> Database:
    """A database at v1."""
    upgrade(database.url, "v1")
    return database


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tests.migrations.run", *arguments]


def start(*arguments: str) -> subprocess.Popen[str]:
    """Start a migration in a process of its own; it may be killed."""
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    process.stdout.close()
