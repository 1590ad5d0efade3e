"""What drivers report arrives as an error of this library: in one line, and without passwords."""

from __future__ import annotations

import os
import socket
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from psycopg import errors
from sqlalchemy import event, text

from training_db import TrainingDB
from training_db.db.engine import bulk_insert, open_engine, translated
from training_db.errors import (
    ConfigurationError,
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
    SchemaMissing,
    TrainingDBError,
)
from training_db.models import training_runs
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

PASSWORD = "s3cr3t-w0rd"  # noqa: S105 - of nobody


def assert_clean(error: BaseException) -> None:
    """Check one line, no password, and nothing of SQLAlchemy's."""
    message = str(error)
    assert "\n" not in message
    assert PASSWORD not in message
    assert "sqlalche.me" not in message
    assert "[SQL" not in message


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with TrainingDB(f"postgresql://ann:{PASSWORD}@127.0.0.1:{closed_port()}/runs") as db:
        for ask in (db.runs.count, db.runs.query, lambda: db.runs.insert("r1")):
            with pytest.raises(DatabaseUnavailable, match="cannot be used") as caught:
                ask()
            assert isinstance(caught.value, ConnectionError)
            assert_clean(caught.value)


def test_a_database_or_role_that_does_not_exist_is_unavailable(postgres: Server) -> None:
    with TrainingDB(postgres.url("no_such_database")) as db:
        with pytest.raises(DatabaseUnavailable, match="no_such_database") as caught:
            db.runs.count()
        assert_clean(caught.value)
    url = resolve_url(postgres.url("postgres")).set(username="nobody", password=PASSWORD)
    with TrainingDB(url) as db, pytest.raises(DatabaseUnavailable, match="nobody") as caught:
        db.runs.count()
    assert_clean(caught.value)


def test_an_option_that_the_server_does_not_know_is_an_error_of_ours() -> None:
    for option in ("nonsense=1", "sslmode=perhaps"):
        with TrainingDB(f"postgresql://ann:{PASSWORD}@127.0.0.1:1/runs?{option}") as db:
            with pytest.raises(TrainingDBError) as caught:
                db.runs.count()
            assert_clean(caught.value)


def test_a_connection_that_the_server_ends_is_unavailable_and_the_next_one_works(
    both: tuple[TrainingDB, TrainingDB], postgres: Server
) -> None:
    _, db = both
    db.runs.insert("r1")

    def end_all_others() -> None:
        postgres._admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
            [db.url.database],
        )

    with pytest.raises(DatabaseUnavailable) as caught, db.transaction():
        db.runs.insert("r2")
        end_all_others()
        db.runs.insert("r3")
    assert_clean(caught.value)
    assert db.runs.count() == 1
    end_all_others()
    assert db.runs.count() == 1  # a dead connection in the pool is noticed before it is used


@pytest.mark.parametrize("write", ["insert", "transaction"])
def test_a_file_that_another_program_keeps_locked_is_unavailable(
    migrated_file: Path, tmp_path: Path, write: str
) -> None:
    path = tmp_path / "training.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(f"sqlite:///{path}") as db:
        db.runs.count()

        def wait_shortly(connection: Any, *_: object) -> None:
            connection.execute("PRAGMA busy_timeout = 50")

        db.close()
        event.listen(db.engine, "connect", wait_shortly)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked") as caught:
            if write == "insert":
                db.runs.insert("r1")
            else:
                with db.transaction():
                    pass
        assert_clean(caught.value)
        assert db.runs.count() == 0  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        db.runs.insert("r1")


def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes " * 100)
    with TrainingDB(path) as db:
        with pytest.raises(DatabaseError, match="not a database") as caught:
            db.runs.count()
        assert_clean(caught.value)
    assert path.read_text() == "these are notes " * 100


def test_a_folder_without_a_database_says_what_to_run(tmp_path: Path) -> None:
    with TrainingDB(tmp_path) as db, pytest.raises(SchemaMissing, match="training-db upgrade"):
        db.runs.count()
    assert list(tmp_path.iterdir()) == []


def test_a_file_below_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with TrainingDB(tmp_path / "file" / "runs.db") as db, pytest.raises(TrainingDBError):
        db.runs.count()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="a superuser reads every file")
def test_a_file_that_may_not_be_read_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "training.db"
    path.write_bytes(b"")
    path.chmod(0)
    with TrainingDB(path) as db, pytest.raises(DatabaseUnavailable):
        db.runs.count()


def test_an_impossible_name_of_a_file_is_an_error_of_ours() -> None:
    with pytest.raises(ConfigurationError, match="NUL"):
        TrainingDB("runs\x00.db")


def test_a_statement_of_ones_own_that_fails_is_an_error_of_ours(db: TrainingDB) -> None:
    with db.engine.connect() as connection, pytest.raises(DatabaseError, match="no_such") as caught:
        connection.execute(text("SELECT * FROM no_such_table"))
    assert_clean(caught.value)


def test_a_row_that_breaks_a_rule_of_the_table_is_a_conflict(db: TrainingDB) -> None:
    rows = [["r1", "launched"], ["r1", "launched"]]
    with (
        db.engine.begin() as connection,
        pytest.raises(Conflict, match="refused a row") as caught,
    ):
        bulk_insert(connection, training_runs, ["run_id", "status"], rows)
    assert_clean(caught.value)


def test_a_number_that_the_driver_cannot_hold_is_an_invalid_value(db: TrainingDB) -> None:
    with db.engine.connect() as connection, pytest.raises(InvalidValue, match="cannot hold"):
        connection.execute(
            training_runs.insert(), {"run_id": "r1", "batch_size": 2**70, "status": "failed"}
        )


@pytest.mark.parametrize(
    ("reported", "kind"),
    [
        (sqlite3.OperationalError("database is locked"), DatabaseUnavailable),
        (sqlite3.OperationalError("unable to open database file"), DatabaseUnavailable),
        (sqlite3.OperationalError("attempt to write a readonly database"), DatabaseUnavailable),
        (sqlite3.OperationalError("database or disk is full"), DatabaseUnavailable),
        (sqlite3.OperationalError("near x: syntax error"), DatabaseError),
        (sqlite3.IntegrityError("UNIQUE constraint failed"), Conflict),
        (OverflowError("Python int too large"), InvalidValue),
        (RuntimeError(""), DatabaseError),
    ],
)
def test_each_kind_of_report_has_its_error(
    reported: Exception, kind: type[TrainingDBError]
) -> None:
    assert type(translated(reported)) is kind


@pytest.mark.parametrize(
    "reported", [errors.SerializationFailure("conflict"), errors.DeadlockDetected("deadlock")]
)
def test_what_others_were_in_the_way_of_may_be_tried_again(reported: Exception) -> None:
    error = translated(reported)
    assert type(error) is DatabaseError
    assert "try it again" in str(error)


@pytest.mark.parametrize(
    "report",
    [
        f"could not connect to postgresql://ann:{PASSWORD}@db/runs",
        f"connection to 'host=db user=ann password={PASSWORD} dbname=runs' failed",
        f"bad line\n  PASSWORD={PASSWORD}\nend",
        f"postgresql+psycopg://:{PASSWORD}@db",
    ],
)
def test_a_password_in_a_report_is_hidden(report: str) -> None:
    error = translated(RuntimeError(report))
    assert_clean(error)
    assert "***" in str(error)


def test_values_do_not_stand_in_errors_of_the_engine(db: TrainingDB) -> None:
    assert db.engine.hide_parameters
    assert open_engine(resolve_url("sqlite://")).hide_parameters
