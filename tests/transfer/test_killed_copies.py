"""Killed, interrupted, out of disk, twice at once: the same command again ends well."""

from __future__ import annotations

import random
import signal
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import inspect

from tests.torture import rounds, some
from tests.transfer.copiers import Copier
from tests.transfer.databases import fill
from tests.transfer.truth import contents, differences, is_sqlite
from training_db import TrainingDB
from training_db.db.migrations import check
from training_db.errors import Conflict
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from tests.transfer.conftest import Places

ACROSS = [("sqlite", "postgresql"), ("postgresql", "sqlite")]
KILLS = rounds(2, 30)
RUNS = 5
to_a_server = pytest.mark.parametrize("backends", some(ACROSS), ids=" to ".join)
to_a_file = pytest.mark.parametrize("backends", some(ACROSS[::-1]), ids=" to ".join)


def objects(url: str) -> dict[str, tuple[list[str], list[str]]]:
    """Return the tables, and of each the names of its indexes and foreign keys."""
    with closing(TrainingDB(url)) as db:
        seen = inspect(db.engine)
        return {
            table: (
                sorted(str(one["name"]) for one in seen.get_indexes(table)),
                sorted(str(one["name"]) for one in seen.get_foreign_keys(table)),
            )
            for table in seen.get_table_names()
        }


def assert_whole(source: str, target: str, places: Places) -> None:
    assert differences(contents(source), contents(target)) == {}
    findings = check(target)
    assert (findings.faults, findings.notes) == ([], [])
    assert objects(target) == objects(
        places.migrated("sqlite" if is_sqlite(target) else "postgresql")
    )


@pytest.mark.faults
@to_a_server
def test_a_copy_killed_at_any_moment_goes_on_and_has_every_row_once(
    places: Places, backends: tuple[str, str]
) -> None:
    source, target = places.filled(backends[0], runs=RUNS), places.migrated(backends[1])
    moments = random.Random()  # noqa: S311 - no secrets
    ended = []
    for _ in range(KILLS):
        moment = (moments.randint(0, 6), round(10 ** moments.uniform(0, 4)))
        copier = Copier(source, target, end_at=moment, few=0).go()  # its indexes come last
        ended.append((moment, copier.killed_after(60)))
        if ended[-1][1] == 0:  # it had less to do, and came to its end
            break

    assert copy_database(source, target).ok, ended
    assert_whole(source, target, places)


@pytest.mark.faults
@to_a_file
def test_a_copy_goes_on_when_its_source_has_changed_since(
    places: Places, backends: tuple[str, str]
) -> None:
    source, target = places.filled(backends[0], runs=RUNS), places.migrated(backends[1])
    killed = Copier(source, target, end_at=(3, 400)).go().killed_after(60)
    assert killed == -signal.SIGKILL
    with TrainingDB(source) as db:
        db.runs.update("run-0", notes="changed since")
        db.tags.add("run-1", "since")
        db.runs.insert("run-since")
        with db.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM training_runs WHERE run_id = 'run-2'")

    assert copy_database(source, target).ok

    assert_whole(source, target, places)


@pytest.mark.faults
@to_a_server
def test_what_is_unfinished_is_named_and_taken_by_no_other_copy(
    places: Places, backends: tuple[str, str]
) -> None:
    source, target = places.filled(backends[0], runs=RUNS), places.migrated(backends[1])
    assert Copier(source, target, end_at=(3, 400)).go().killed_after(60) == -signal.SIGKILL

    told = " ".join(check(target).notes + check(target).faults)
    assert "training-db copy" in told
    with pytest.raises(Conflict, match=r"unfinished|not finished"):
        copy_database(places.filled("sqlite", runs=1, prefix="other"), target)

    report = copy_database(source, target)

    assert report.ok
    assert report.resumed
    assert_whole(source, target, places)


@pytest.mark.faults
@pytest.mark.parametrize("backend", some(["sqlite", "postgresql"]))
def test_a_killed_merge_leaves_whole_runs_and_the_same_command_goes_on(
    places: Places, backend: str
) -> None:
    source, target = places.filled("sqlite", runs=RUNS), places.migrated(backend)
    fill(target, runs=2, prefix="own")
    own = contents(target, by_name=True)
    moments = random.Random()  # noqa: S311 - no secrets
    for _ in range(rounds(2, 30)):
        moment = (moments.randint(0, 4), round(10 ** moments.uniform(0, 4)))
        Copier(source, target, merge="fail", end_at=moment).go().killed_after(60)
        # Whole runs: none of those that are there differs from the source's.
        assert copy_database(source, target, merge="fail", dry_run=True).conflicts == []

    assert copy_database(source, target, merge="fail").ok

    for name, before in contents(source, by_name=True).items():
        expected = own[name] | before if name == "metric_names" else own[name] + before
        assert contents(target, by_name=True)[name] == expected
    assert check(target).faults == []


@pytest.mark.faults
@pytest.mark.parametrize("number", some([signal.SIGINT, signal.SIGTERM]))
def test_a_copy_that_is_interrupted_can_go_on(places: Places, number: int) -> None:
    source, target = places.filled("sqlite", runs=RUNS), places.nothing("sqlite")
    for after in some((0.05, 0.2)):
        Copier(source, target).go().interrupted_after(after, number)

    with suppress(Conflict):  # it had come to its end
        copy_database(source, target)

    assert_whole(source, target, places)


@pytest.mark.faults
def test_a_full_disk_is_said_and_the_copy_goes_on_when_there_is_room(
    places: Places, migrated_file: Path
) -> None:
    source, target = places.filled("postgresql", runs=RUNS), places.nothing("sqlite")
    empty = migrated_file.stat().st_size
    for size in some((empty + 60_000, empty // 2)):
        answer = Copier(source, target, largest_file=size).go().answer()
        assert answer["error"] in ("DatabaseUnavailable", "DatabaseError"), answer

    assert copy_database(source, target).ok

    assert_whole(source, target, places)


@pytest.mark.faults
@to_a_file
def test_two_copies_into_one_target_do_the_work_once(
    places: Places, backends: tuple[str, str]
) -> None:
    source, target = places.filled(backends[0], runs=RUNS), places.migrated(backends[1])

    pair = [Copier(source, target) for _ in range(2)]
    answers = [copier.answer() for copier in [copier.go() for copier in pair]]

    assert any(answer.get("ok") for answer in answers)
    assert all(answer.get("ok") or answer["error"] == "Conflict" for answer in answers)
    assert_whole(source, target, places)


def test_nothing_is_left_beside_the_file(places: Places, tmp_path: Path) -> None:
    source, target = places.filled("sqlite", runs=1), places.nothing("sqlite")

    copy_database(source, target)

    # Who reads a file in WAL mode without writing cannot take these two away.
    own = ("-wal", "-shm")
    left = {path.name for path in tmp_path.iterdir() if not path.name.endswith(own)}
    assert left == {Path(source).name, Path(target).name}


@pytest.mark.faults
def test_a_lost_server_is_said_and_the_copy_goes_on(places: Places) -> None:
    source, target = places.filled("sqlite", runs=RUNS), places.nothing("postgresql")
    copier = Copier(source, target)
    with psycopg.connect(target, autocommit=True) as connection:
        copier.go()
        ended = 0
        while not ended:
            [(ended,)] = connection.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
    answer = copier.answer()
    assert answer["error"] == "DatabaseUnavailable", answer

    assert copy_database(source, target).ok

    assert_whole(source, target, places)
