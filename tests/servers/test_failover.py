"""A server that is killed and comes back while a program reads, writes and records."""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.faults.processes import elapse, until
from training_db import TrainingDB
from training_db.db.engine import at_once
from training_db.errors import DatabaseError, DatabaseUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.servers import PgBouncer, PostgreSQL


class Caller:
    """Calls something again and again in a thread, and keeps the errors."""

    def __init__(self, call: Callable[[int], object]) -> None:
        self.errors: list[Exception] = []
        self.calls = 0
        self._call, self._is_over = call, threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def _work(self) -> None:
        while not self._is_over.is_set():
            try:
                self._call(self.calls)
            except Exception as error:  # noqa: BLE001 - the test looks at it
                self.errors.append(error)
            self.calls += 1

    def goes_on(self) -> None:
        """Wait until calls that begin from now on have ended."""
        wanted = self.calls + 2
        until(lambda: self.calls >= wanted, "the calls go on")

    def end(self) -> None:
        self._is_over.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def kill_and_start(server: PostgreSQL, seconds: float) -> None:
    server.kill()
    elapse(seconds)
    server.start()


def assert_at_most_one_clear(caller: Caller) -> None:
    assert len(caller.errors) <= 1, caller.errors
    for error in caller.errors:
        assert type(error) is DatabaseUnavailable
        assert "\n" not in str(error)


@pytest.mark.filterwarnings("ignore:run 'r1' cannot be sent now", "ignore:the recorder of run 'r1'")
@pytest.mark.usefixtures("spool_dir")
def test_a_program_sees_at_most_one_error_of_a_server_that_is_killed(
    primary: PostgreSQL, db: TrainingDB
) -> None:
    db.runs.insert("read")
    stored: list[str] = []

    def write(number: int) -> None:
        stored.append(db.runs.insert(f"written-{number}"))

    with db.recorder("r1", flush_seconds=0.1) as recorder:
        reader, writer = Caller(lambda _: db.runs.get("read")), Caller(write)
        logger = Caller(lambda step: (recorder.log({"loss": 1.0}, step=step), elapse(0.002)))
        callers = (reader, writer, logger)
        for caller in callers:
            caller.goes_on()
        until(lambda: db.runs.find("r1"), "the run is known")
        kill_and_start(primary, 1.0)
        for caller in callers:
            caller.goes_on()
            caller.end()
    assert_at_most_one_clear(reader)
    assert_at_most_one_clear(writer)
    assert logger.errors == []
    assert set(stored) <= set(db.runs.ids())
    assert db.metrics.of("r1")[0]["count"] == logger.calls
    assert db.runs.get("r1")["status"] == "completed"


def test_a_server_that_was_replaced_between_two_calls_costs_no_error(
    primary: PostgreSQL, db: TrainingDB
) -> None:
    db.runs.insert("r1")
    with TrainingDB(db.url) as other:
        other.runs.count()
        kill_and_start(primary, 0)
        assert db.runs.get("r1")["run_id"] == "r1"
        other.runs.insert("r2")
    assert db.runs.count() == 2


def test_a_server_that_does_not_come_back_is_given_up_in_time(
    primary: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_CONNECT_TIMEOUT", "1")
    with TrainingDB(primary.by_socket(primary.migrated())) as db:
        db.runs.count()
        primary.kill()
        try:
            started = monotonic()
            with pytest.raises(DatabaseUnavailable):
                db.runs.count()
            assert 0.8 < monotonic() - started < 8
            started = monotonic()
            with at_once(), pytest.raises(DatabaseUnavailable):
                db.runs.count()
            assert monotonic() - started < 0.8
        finally:
            primary.start()
        assert db.runs.count() == 0


def test_behind_pgbouncer_a_server_that_is_replaced_costs_at_most_one_error(
    primary: PostgreSQL, bouncer: PgBouncer
) -> None:
    with TrainingDB(bouncer.url(primary.migrated())) as db:
        db.runs.insert("r1")
        reader = Caller(lambda _: db.runs.get("r1"))
        reader.goes_on()
        kill_and_start(primary, 0)
        reader.goes_on()
        reader.end()
        assert_at_most_one_clear(reader)


def test_a_server_that_became_a_replica_is_left_for_the_primary(
    primary: PostgreSQL, db: TrainingDB
) -> None:
    with db.engine.connect() as connection:
        before = connection.scalar(text("SELECT pg_backend_pid()"))
    primary.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    primary.execute("SELECT pg_reload_conf()")
    try:
        with pytest.raises(DatabaseError, match="only reads") as caught:
            until(lambda: db.runs.insert(f"r{monotonic()}") is None, "it is read-only")
        assert "primary" in str(caught.value)
    finally:
        primary.execute("ALTER SYSTEM RESET default_transaction_read_only")
        primary.execute("SELECT pg_reload_conf()")
    with db.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) != before
    until(lambda: _is_written(db), "the next attempts find the primary")


def _is_written(db: TrainingDB) -> bool:
    try:
        return bool(db.runs.insert("r1"))
    except DatabaseError:
        return False
