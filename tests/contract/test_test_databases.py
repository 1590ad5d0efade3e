"""A test's PostgreSQL database may have served another test, and nobody can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from tests.postgres import Server


@pytest.fixture
def template(postgres: Server) -> str:
    return postgres.migrated_template(upgrade)


def plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def rows(url: str) -> dict[str, int]:
    tables = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    with psycopg.connect(plain(url)) as session:
        return {
            name: session.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # type: ignore[index]
            for (name,) in session.execute(tables).fetchall()
        }


def fill(url: str) -> None:
    with TrainingDB(url) as db:
        db.runs.insert("r1", config={"gradient_method": "mgda"})
        db.history.append("r1", {"loss": [0.5, 0.25], "note": ["a", "b"]})
        db.objectives.insert("r1", "QED", raw_mean=0.5)
        db.tags.add("r1", "kind", "test")
        assert db.runs.get("r1")["number"] == 1


def test_a_database_that_was_used_is_empty_and_has_another_name(
    postgres: Server, template: str
) -> None:
    with postgres.database(template=template) as first:
        empty = rows(first)
        fill(first)
        assert rows(first) != empty
    with postgres.database(template=template) as second:
        assert second != first
        assert rows(second) == empty
        fill(second)


def test_nobody_reaches_a_database_that_was_used(postgres: Server, template: str) -> None:
    with postgres.database(template=template) as url:
        left_open = psycopg.connect(plain(url))
        left_open.execute("SELECT 1")
    with (
        postgres.database(template=template),
        pytest.raises(psycopg.OperationalError, match="does not exist"),
    ):
        psycopg.connect(plain(url))
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")
    left_open.close()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE extra (a integer)",
        "DROP INDEX ix_training_runs_status",
        "ALTER TABLE training_runs ADD COLUMN extra integer",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA extra",
        "INSERT INTO training_runs (run_id) VALUES ('a'); ANALYZE",
        "UPDATE training_db_version SET version_num = 'v2'",
        "ALTER TABLE run_tags ALTER COLUMN value SET DEFAULT 'x'",
        "ALTER SEQUENCE training_runs_number_seq INCREMENT 2",
    ],
)
def test_a_database_that_was_changed_serves_no_other_test(
    postgres: Server, template: str, change: str
) -> None:
    with (
        postgres.database(template=template) as url,
        psycopg.connect(plain(url), autocommit=True) as session,
    ):
        number = "SELECT oid FROM pg_database WHERE datname = current_database()"
        found = session.execute(number).fetchone()
        session.execute(change)  # type: ignore[call-overload]
    with psycopg.connect(plain(postgres.url("postgres"))) as session:
        assert found is not None
        there = "SELECT 1 FROM pg_database WHERE oid = %s"
        assert session.execute(there, found).fetchone() is None


def test_what_a_vacuum_noted_is_forgotten(postgres: Server, template: str) -> None:
    def known(session: psycopg.Connection[Any]) -> list[Any]:
        ours = "relnamespace = 'public'::regnamespace"
        query = f"SELECT oid, relpages, reltuples FROM pg_class WHERE {ours} ORDER BY oid"
        number = "SELECT oid FROM pg_database WHERE datname = current_database()"
        return session.execute(query).fetchall() + session.execute(number).fetchall()

    for _ in range(2):
        with (
            postgres.database(template=template) as url,
            psycopg.connect(plain(url), autocommit=True) as session,
        ):
            before = known(session)
            fill(url)
            session.execute("VACUUM run_metrics, run_history_tails")
            assert known(session) != before
    with postgres.database(template=template) as url, psycopg.connect(plain(url)) as session:
        assert known(session) == before
