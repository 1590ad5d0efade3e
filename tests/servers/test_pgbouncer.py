"""Through PgBouncer in transaction mode: each transaction may be in another session."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text

from tests.servers.conftest import NO_BOUNCER
from tests.servers.servers import PgBouncer, program
from training_db import TrainingDB
from training_db.db.migrations import check, current, downgrade, upgrade
from training_db.errors import DatabaseError
from training_db.settings import STATEMENT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.servers import PostgreSQL

pytestmark = pytest.mark.skipif(program() is None, reason=NO_BOUNCER)


@pytest.fixture
def pooled(primary: PostgreSQL, bouncer: PgBouncer) -> Iterator[TrainingDB]:
    """An empty, migrated database behind PgBouncer."""
    with TrainingDB(bouncer.url(primary.migrated())) as database:
        yield database


def test_a_schema_is_made_checked_and_unmade(primary: PostgreSQL, bouncer: PgBouncer) -> None:
    url = bouncer.url(primary.new_database())
    upgrade(url, "v2")
    upgrade(url)
    assert check(url).faults == []
    downgrade(url, "base")
    assert current(url) is None


def test_a_database_that_was_made_by_hand_is_adopted(
    primary: PostgreSQL, bouncer: PgBouncer
) -> None:
    name = primary.new_database()
    upgrade(bouncer.url(name), "v1")
    primary.execute("DROP TABLE training_db_version", name)
    primary.execute(
        "INSERT INTO training_runs (run_id, status) "
        "SELECT 'r' || n, 'completed' FROM generate_series(1, 300) n",
        name,
    )
    upgrade(bouncer.url(name))  # which reads the rows by a cursor of the server's
    with TrainingDB(bouncer.url(name)) as db:
        assert db.runs.count("status = 'completed'") == 300


def test_two_migrations_at_once_wait_for_each_other(
    primary: PostgreSQL, bouncer: PgBouncer
) -> None:
    url, reports = bouncer.url(primary.new_database()), []
    threads = [threading.Thread(target=lambda: reports.append(upgrade(url))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(str(report.from_version) for report in reports) == ["None", "v3"]


def test_many_threads_write_and_read_over_two_sessions(pooled: TrainingDB) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for one in range(4):
                run_id = f"{number}-{one}"
                with pooled.transaction():
                    pooled.runs.insert(run_id, config={"objectives": ["QED"], "lr": 0.1 * one})
                    pooled.objectives.update_metric(run_id, "QED", "raw_mean", 0.5)
                pooled.history.append(run_id, {"loss": np.linspace(2, 1, 50)})
                assert pooled.runs.count("objective.QED > 0.4 and config.lr >= 0") > 0
                assert pooled.metrics.of(run_id)[0]["last"] == 1
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            faults.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert pooled.runs.count("metric.loss.last = 1") == 24


def test_nothing_is_prepared_for_a_session_that_somebody_else_gets(
    pooled: TrainingDB,
) -> None:
    for number in range(12):  # the driver would prepare a statement from its fifth time on
        pooled.runs.insert(f"r{number}")
        assert pooled.runs.get(f"r{number}")["status"] == "launched"
    with pooled.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM pg_prepared_statements")) == 0


@pytest.mark.usefixtures("spool_dir")
def test_a_recorder_logs_through_it(pooled: TrainingDB) -> None:
    with pooled.recorder("r1") as recorder:
        for step in range(300):
            recorder.log({"loss": 1 / (step + 1), "note": "x"}, step=step)
    assert pooled.metrics.of("r1")[0]["count"] == 300
    assert pooled.runs.get("r1")["status"] == "completed"


def test_what_is_read_in_a_snapshot_is_of_one_moment(pooled: TrainingDB) -> None:
    pooled.runs.insert("r1")
    with TrainingDB(pooled.url) as other, pooled.snapshot():
        assert pooled.runs.count() == 1
        other.runs.insert("r2")
        assert pooled.runs.count() == 1
    assert pooled.runs.count() == 2


@pytest.mark.parametrize("pooler", ["refusing", "ignoring"])
def test_statements_are_limited_also_where_the_session_cannot_be(
    primary: PostgreSQL,
    bouncer: PgBouncer,
    pooler: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if pooler == "ignoring":
        bouncer = PgBouncer(primary, ["ignore_startup_parameters = options"])
        request.addfinalizer(bouncer.remove)
    monkeypatch.setenv("TRAINING_DB_STATEMENT_TIMEOUT", "200ms")
    with TrainingDB(bouncer.url(primary.migrated())) as db:
        with db.transaction(), pytest.raises(DatabaseError, match="STATEMENT_TIMEOUT"):
            _sleep(db, writes=True)
        with pytest.raises(DatabaseError, match="STATEMENT_TIMEOUT"):
            _sleep(db, writes=False)
        db.runs.insert("r1")
        assert db.runs.get("r1")["run_id"] == "r1"
        db.history.tidy()  # VACUUM, which is possible outside of transactions only
    monkeypatch.delenv("TRAINING_DB_STATEMENT_TIMEOUT")
    with (
        TrainingDB(db.url.difference_update_query([STATEMENT_TIMEOUT])) as other,
        other.engine.connect() as connection,  # in the same session of the server
    ):
        assert connection.scalar(text("SHOW statement_timeout")) == "0"


def _sleep(db: TrainingDB, *, writes: bool) -> None:
    with db._transactions(writes=writes) as connection:
        connection.execute(text("SELECT pg_sleep(30)"))
