"""What the doctor says of a server, which only these tests use."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.servers import servers
from tests.servers.servers import PostgreSQL
from tests.upkeep.patients import care, execute, fill, only, run
from training_db import TrainingDB
from training_db.upkeep.checks import server as server_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of Debian's, which has amcheck, or of the wheel's."""
    one = PostgreSQL(servers.debian(15) or servers.wheel(18))
    yield one
    one.remove()


@pytest.fixture
def url(server: PostgreSQL) -> str:
    return server.by_socket(server.migrated())


def stop(server: PostgreSQL) -> None:
    servers.run(server.programs / "pg_ctl", "-D", server.data, "-m", "fast", "-w", "stop")


def test_autovacuum_is_switched_on_again(server: PostgreSQL, url: str) -> None:
    server.execute("ALTER SYSTEM SET autovacuum = off")
    server.execute("SELECT pg_reload_conf()")
    server.execute("SELECT pg_sleep(0.2)")
    found = only(url)
    assert found.what.startswith("autovacuum is off")
    run(found.mend)
    server.execute("SELECT pg_sleep(0.2)")
    assert care(url) == []


def test_tables_without_vacuum_get_it_again(url: str) -> None:
    with TrainingDB(url) as db:
        execute(db, "ALTER TABLE run_events SET (autovacuum_enabled = off)")
    found = only(url)
    assert found.which == ("run_events",)
    run(found.mend)
    assert care(url) == []


def test_a_session_that_holds_its_transaction_open_is_ended(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_checks, "IDLE_SECONDS", 0.0)
    with psycopg.connect(url, application_name="a notebook") as forgotten:
        forgotten.execute("SELECT count(*) FROM training_runs")
        found = only(url)
        assert f"{forgotten.info.backend_pid} (postgres, a notebook)" in found.which[0]
        run(found.mend)
        with pytest.raises(psycopg.OperationalError):
            forgotten.execute("SELECT 1")
    assert care(url) == []


def test_a_slot_that_nobody_reads_is_dropped(
    server: PostgreSQL, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_checks, "_SLOT_BYTES", 0)
    server.execute("SELECT pg_create_physical_replication_slot('gone', true)")
    found = only(url)
    assert "'gone'" in found.what
    run(found.mend)
    assert care(url) == []


@pytest.mark.torture
def test_a_server_that_is_nearly_full_is_told_of(server: PostgreSQL, url: str) -> None:
    with ExitStack() as others:
        for _ in range(53):
            others.enter_context(psycopg.connect(server.by_socket("postgres"), autocommit=True))
        found = only(url)
        assert "of 57 connections are taken" in found.what
        run(found.mend)
        stop(server)
        server.start()
        for _ in range(53):
            others.enter_context(psycopg.connect(server.by_socket("postgres"), autocommit=True))
        assert care(url) == []


def test_who_may_only_read_may_look(server: PostgreSQL, url: str) -> None:
    server.login("reader", "secret")
    with TrainingDB(url) as db:
        execute(db, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        name = str(db.url.database)
    reader = server.by_socket(name, "reader")
    assert care(reader, is_thorough=True) == []


@pytest.mark.parametrize("kind", ["table", "index"])
def test_a_damaged_page_of_a_server_is_found(server: PostgreSQL, url: str, kind: str) -> None:
    if servers.debian(15) is None:
        pytest.skip("amcheck comes with Debian's postgresql-15")
    with TrainingDB(url) as db:
        fill(db, 3)
        name = str(db.url.database)
    relation = "run_tags" if kind == "table" else "ix_run_tags_name"
    server.execute("CREATE EXTENSION IF NOT EXISTS amcheck", name)
    row = server.execute(f"SELECT pg_relation_filepath('{relation}')", name)  # type: ignore[arg-type]
    assert row is not None
    stop(server)
    file = server.data / str(row[0])
    file.write_bytes(b"\xff" * 100 + file.read_bytes()[100:])
    server.start()

    found = care(url)[0]
    assert "run_tags" in found.what
    if kind == "index":
        assert found.which[0].startswith("ix_run_tags_name: ")
        run(found.mend)
        assert care(url, is_thorough=True) == []
    else:
        assert "not all of its rows can be read" in found.what
        assert str(found.mend).startswith("training-db restore BACKUP --force")
