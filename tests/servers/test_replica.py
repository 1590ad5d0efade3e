"""Reading from a streaming replica: a real second server."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest
from sqlalchemy import text

from tests.faults.processes import until
from tests.servers.servers import ADMIN
from training_db import ExperimentDB, TrainingDB, functions
from training_db.db import replica
from training_db.db.engine import libpq_environment
from training_db.db.replica import ReplicaWarning
from training_db.db.session import primary_only
from training_db.errors import ConfigurationError, DatabaseError, RunNotFound
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers.servers import PostgreSQL, Standby


@pytest.fixture
def place(primary: PostgreSQL, standby: Standby) -> Iterator[tuple[str, str]]:
    """The URLs of an empty, migrated database, on the primary and on its replica."""
    name = primary.migrated()
    standby.catch_up()
    yield primary.by_socket(name), standby.by_socket(name)
    standby.follow()


@pytest.fixture
def db(place: tuple[str, str]) -> Iterator[TrainingDB]:
    """The database as somebody sees it who reads from the replica."""
    with TrainingDB(place[0], read_url=place[1]) as database:
        yield database


@pytest.fixture
def other(place: tuple[str, str]) -> Iterator[TrainingDB]:
    """The database as somebody else sees it, who knows of no replica."""
    with TrainingDB(place[0]) as database:
        yield database


def reads_from_replica(db: TrainingDB) -> bool:
    with db._transactions(writes=False) as connection:
        return bool(connection.scalar(text("SELECT pg_is_in_recovery()")))


def test_what_is_read_comes_from_the_replica_and_what_is_written_goes_to_the_primary(
    db: TrainingDB, other: TrainingDB, standby: Standby
) -> None:
    other.runs.insert("r1")
    other.history.append("r1", {"loss": np.linspace(2, 1, 100)})
    standby.catch_up()
    assert reads_from_replica(db)
    assert db.runs.get("r1")["run_id"] == "r1"
    assert db.history.arrays("r1", "loss")["r1"]["loss"].values[-1] == 1
    standby.stop_following()
    other.runs.insert("r2")
    assert db.runs.ids() == ["r1"]  # the replica lags
    db.runs.insert("r3")
    assert sorted(other.runs.ids()) == ["r1", "r2", "r3"]


def test_who_wrote_something_reads_it_at_once(db: TrainingDB, standby: Standby) -> None:
    standby.stop_following()
    for number in range(5):
        db.runs.insert(f"r{number}")
        assert db.runs.count() == number + 1
        assert not reads_from_replica(db)
    standby.follow()
    standby.catch_up()
    until(lambda: reads_from_replica(db), "the replica has it, and is read from again")
    assert db.runs.count() == 5


def test_a_transaction_and_a_snapshot_read_from_the_primary(
    db: TrainingDB, other: TrainingDB, standby: Standby
) -> None:
    standby.stop_following()
    other.runs.insert("r1")
    assert db.runs.count() == 0
    with primary_only():
        assert db.runs.count() == 1
    with db.snapshot():
        assert db.runs.count() == 1
    assert db.runs.count() == 0
    with db.transaction():
        assert db.runs.count() == 1


@pytest.mark.usefixtures("spool_dir")
def test_a_recorder_asks_no_replica(db: TrainingDB, other: TrainingDB, standby: Standby) -> None:
    other.runs.insert("r1", run_name="launched elsewhere")
    standby.stop_following()
    with db.recorder("r1") as recorder:
        recorder.log({"loss": 0.5}, step=1)
    assert other.runs.get("r1")["status"] == "completed"
    assert other.metrics.of("r1")[0]["count"] == 1


@pytest.mark.usefixtures("spool_dir")
def test_an_experiment_that_another_process_has_just_begun_is_found(
    place: tuple[str, str], other: TrainingDB, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", place[0])
    monkeypatch.setenv("TRAINING_DB_READ_URL", place[1])
    with ExperimentDB() as tracker:
        standby.stop_following()
        other.runs.insert("r1")
        tracker.log_metric(other.runs.number("r1"), "loss", 0.5, step=1)
    assert other.metrics.of("r1")[-1]["last"] == 0.5


def test_a_replica_that_is_gone_costs_one_warning_and_is_taken_up_again(
    db: TrainingDB, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.runs.insert("r1")
    standby.catch_up()
    assert reads_from_replica(db)
    standby.kill()
    try:
        with pytest.warns(ReplicaWarning, match="the primary answers"):
            assert db.runs.get("r1")["run_id"] == "r1"
        for _ in range(5):  # each warning is an error of these tests
            assert db.runs.get("r1")["run_id"] == "r1"
        monkeypatch.setattr(replica, "monotonic", lambda: float("inf"))  # later
        assert db.runs.count() == 1  # tried again, and no second warning
        monkeypatch.undo()
    finally:
        standby.start()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReplicaWarning)
        monkeypatch.setattr(replica, "AWAY_SECONDS", 0.0)
        db._transactions._replica._away_until = 0.0  # type: ignore[union-attr]
        until(lambda: reads_from_replica(db), "the replica is there again")


def test_a_replica_that_has_no_tables_yet_is_not_read_from(
    place: tuple[str, str], standby: Standby
) -> None:
    with (
        TrainingDB(place[0], read_url=standby.by_socket("postgres")) as db,
        pytest.warns(ReplicaWarning, match="no training-db schema"),
    ):
        assert db.runs.count() == 0


def test_a_replica_that_became_the_primary_is_read_from(place: tuple[str, str]) -> None:
    with TrainingDB(place[0], read_url=place[0]) as db:
        db.runs.insert("r1")
        assert db.runs.count() == 1
        assert db._transactions._replica.connect() is not None  # type: ignore[union-attr]


def test_the_environment_names_the_replica_of_its_own_database_only(
    place: tuple[str, str], other: TrainingDB, standby: Standby, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", place[0])
    monkeypatch.setenv("TRAINING_DB_READ_URL", place[1])
    standby.stop_following()
    other.runs.insert("r1")
    with TrainingDB() as db:
        assert db.runs.count() == 0
    with TrainingDB(place[0]) as db:
        assert db.runs.count() == 1
    with pytest.raises(RunNotFound):
        functions.default_db().runs.get("r1")
    functions.default_db().close()


def test_a_replica_of_a_file_is_refused(place: tuple[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="replica"):
        TrainingDB(":memory:", read_url=place[1])


def test_the_replica_takes_no_writes(place: tuple[str, str]) -> None:
    with TrainingDB(place[1]) as db, pytest.raises(DatabaseError, match="only reads"):
        db.runs.insert("r1")


def test_a_primary_that_is_gone_does_not_keep_the_replica_from_answering(
    db: TrainingDB, primary: PostgreSQL, standby: Standby
) -> None:
    db.runs.insert("r1")
    standby.catch_up()
    primary.kill()
    try:
        assert db.runs.get("r1")["run_id"] == "r1"
    finally:
        primary.start()
    db.runs.insert("r2")
    assert db.runs.count() == 2


def test_of_several_hosts_the_primary_is_written_to(primary: PostgreSQL, standby: Standby) -> None:
    hosts = [f"host={server.folder}:{server.port}" for server in (standby, primary)]
    name = primary.migrated()
    url = f"postgresql://{ADMIN}@/{name}?{'&'.join(hosts)}&target_session_attrs=read-write"
    with TrainingDB(url) as db:
        db.runs.insert("r1")
        assert db.runs.count() == 1
    told = libpq_environment(resolve_url(url))
    assert told["PGHOST"] == f"{standby.folder},{primary.folder}"
    assert told["PGPORT"] == f"{standby.port},{primary.port}"
    assert told["PGTARGETSESSIONATTRS"] == "read-write"


def test_a_child_that_was_forked_reads_from_the_replica_too(
    db: TrainingDB, standby: Standby
) -> None:
    db.runs.insert("r1")
    standby.catch_up()
    assert reads_from_replica(db)
    child = os.fork()
    if child == 0:
        os._exit(0 if db.runs.count() == 1 and reads_from_replica(db) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert reads_from_replica(db)
