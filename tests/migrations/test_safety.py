"""Killed, overlapped, interrupted: the old version stays whole, and the next upgrade ends well."""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Queue
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.migrations.conftest import kill, start
from training_db.db.exclusive import exclusive
from training_db.db.migrations import check, current, downgrade, upgrade
from training_db.errors import MigrationFailed, SchemaNewer, UnknownName
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from pathlib import Path

    from tests.migrations.conftest import Database

RUNS = torture.rounds(1_500, 3_000)
LONG = 3_000  # runs, so that the second of two upgrades mostly comes before the first has ended
CONFIG = '{"max_steps": 7, "objectives": ["QED_maximize", "SA_minimize"], "pad": "%s"}'


def fill(v1: Database, runs: int = RUNS) -> None:
    rows = [{"id": f"run {index:05}", "config": CONFIG % ("x" * 2000)} for index in range(runs)]
    v1.run(
        "INSERT INTO training_runs (run_id, config_json, created_at) "
        "VALUES (:id, :config, '2024-05-06 07:08:09')",
        *rows,
    )


@pytest.mark.faults
def test_an_upgrade_killed_at_any_moment_loses_nothing(v1: Database) -> None:
    fill(v1)
    moments = [0.0, *(random.uniform(0, 0.8) for _ in range(torture.rounds(2, 29)))]  # noqa: S311 - no secrets
    killed = 0
    for moment in moments:
        process = start(v1.url)
        process.stdout.readline()  # it has started
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
        kill(process)
        if current(v1.url) == "v1":
            killed += 1
        else:
            downgrade(v1.url, "v1", backup=False)
        assert v1.value("SELECT count(*) FROM training_runs") == RUNS

    report = upgrade(v1.url)

    assert killed >= 1
    assert report.to_version == "v3"
    assert check(v1.url).faults == []
    assert v1.value("SELECT count(*) FROM training_runs WHERE max_steps = 7") == RUNS
    assert v1.value("SELECT count(*) FROM run_objectives") == 2 * RUNS
    assert (
        v1.value(f"SELECT count(*) FROM training_runs WHERE length(config_json) > {2000}") == RUNS
    )


@pytest.mark.faults
@pytest.mark.parametrize("batches", torture.some([1, 2, 3]))
def test_what_a_killed_upgrade_leaves_is_the_old_version(v1: Database, batches: int) -> None:
    fill(v1)
    before = v1.schema()
    process = start(v1.url)
    seen = 0
    while seen < batches:
        seen += process.stdout.readline().startswith("filling")
    kill(process)

    if batches < 3:  # after the third, it may have come to its end before the signal did
        assert v1.schema() == before
        assert current(v1.url) == "v1"
    upgrade(v1.url)
    assert v1.value("SELECT count(*) FROM training_runs WHERE max_steps = 7") == RUNS


@torture.on_one_backend
def test_a_move_of_the_history_killed_at_any_moment_leaves_the_old_version(
    database: Database,
) -> None:
    upgrade(database.url, "v2.1")
    texts = [f'{{"loss": [{index}, 0.5], "note": ["x", null]}}' for index in range(RUNS)]
    rows = [{"id": f"run {index:05}", "text": text} for index, text in enumerate(texts)]
    database.run("INSERT INTO training_runs (run_id, history_json) VALUES (:id, :text)", *rows)
    before = database.schema()
    query = "SELECT history_json FROM training_runs ORDER BY run_id"
    for batches in (1, 3):
        process = start(database.url)
        seen = 0
        while seen < batches:
            seen += process.stdout.readline().startswith("moving the history")
        kill(process)

        assert database.schema() == before
        assert [row["history_json"] for row in database.rows(query)] == texts

    upgrade(database.url, backup=False)

    assert check(database.url).faults == []
    assert database.value("SELECT count(*) FROM run_metrics") == 2 * RUNS
    downgrade(database.url, "v2.1", backup=False)
    found = [json.loads(row["history_json"]) for row in database.rows(query)]
    assert found == [json.loads(text) for text in texts]


def test_who_waits_for_another_migration_says_so(v1: Database) -> None:
    said: Queue[str] = Queue()

    def migrate() -> None:
        with exclusive(resolve_url(v1.url), said.put):
            said.put("alone now")

    with ThreadPoolExecutor() as pool:
        with exclusive(resolve_url(v1.url), said.put):
            waiting = pool.submit(migrate)
            assert said.get(timeout=20) == "waiting for another program that writes to the database"
            assert not waiting.done()
        waiting.result(timeout=20)
    assert said.get_nowait() == "alone now"


def test_two_upgrades_at_once_end_well_and_do_the_work_once(v1: Database) -> None:
    fill(v1, LONG)

    both = [start(v1.url), start(v1.url)]
    outputs = [process.communicate(timeout=60)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0], outputs
    assert sorted(output.splitlines()[-1] for output in outputs) == [
        "ended v1 v3",
        "ended v3 v3",
    ]
    assert v1.value("SELECT count(*) FROM run_objectives") == 2 * LONG


def test_a_migration_that_fails_changes_nothing_and_says_why(v1: Database) -> None:
    v1.run("CREATE INDEX ix_training_runs_status ON training_runs (status)")  # in v2's way
    before = v1.schema()

    with pytest.raises(MigrationFailed, match=r"nothing was changed: .*ix_training_runs_status"):
        upgrade(v1.url)

    assert v1.schema() == before
    assert current(v1.url) == "v1"


def test_a_newer_database_is_left_alone(v1: Database) -> None:
    v1.run("UPDATE training_db_version SET version_num = 'v99'")

    for function in (upgrade, check, lambda url: downgrade(url, "v1")):
        with pytest.raises(
            SchemaNewer, match="v99, which this version of training-db does not know"
        ):
            function(v1.url)


def test_a_version_that_does_not_exist_is_named(v1: Database) -> None:
    with pytest.raises(UnknownName, match=r"unknown schema version 'v7'.*v1, v2, v2\.1, v3, head"):
        upgrade(v1.url, "v7")


def test_a_step_in_the_wrong_direction_says_which_command_to_run(v1: Database) -> None:
    with pytest.raises(MigrationFailed, match="run: training-db upgrade v2"):
        downgrade(v1.url, "v2")
    upgrade(v1.url)
    with pytest.raises(MigrationFailed, match="run: training-db downgrade v1"):
        upgrade(v1.url, "v1")


def test_a_downgrade_tells_what_the_older_schema_cannot_hold(v1: Database) -> None:
    upgrade(v1.url)
    v1.insert("training_runs", run_id="a", final_loss=1.5, history_layout="=[]", notes="mine",
              group_name="g", deleted_at="2024-05-06T07:08:09.000000Z")  # fmt: skip
    for table, values in {
        "run_tags": {"name": "good"},
        "run_events": {"kind": "k", "message": "m"},
        "run_artifacts": {"artifact_type": "t", "filepath": "f"},
    }.items():
        v1.insert(table, run_number=1, **values)
    v1.insert("run_history_key_metrics", run_id="a", step=1)
    v1.insert("run_objectives", run_id="a", objective_name="QED")
    v1.insert("run_scaffolds", run_id="a", scaffold_id="s")

    notes = downgrade(v1.url, "base", backup=False).notes

    assert notes == [
        "dropped 1 tags",
        "dropped 1 events",
        "dropped 1 artifacts",
        "dropped 1 runs' numbers",
        "dropped 1 runs' notes",
        "dropped 1 runs' values of columns that v2.1 does not have",
        "dropped 1 runs' marks of having been deleted; v2.1 lists them again",
        "dropped 1 values of history_json",
        "dropped 1 rows of run_history_key_metrics",
        "dropped 1 objectives",
        "dropped 1 scaffolds",
        "dropped 1 runs' values of columns that v1 does not have",
        "dropped 1 runs",
    ]


def test_a_downgrade_keeps_what_the_older_schema_can_hold(v1: Database) -> None:
    v1.insert("training_runs", run_id="a", config_json='{"max_steps": NaN}', beta=0.5)
    before = v1.rows("SELECT * FROM training_runs")
    upgrade(v1.url)

    downgrade(v1.url, "v1")

    assert v1.rows("SELECT * FROM training_runs") == before


class TestSQLiteFile:
    def test_the_file_is_copied_before_it_is_changed(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        upgrade(path, "v1")
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO training_runs (run_id) VALUES ('a')")
        connection.close()

        backup = upgrade(path).backup

        assert backup is not None
        assert re.fullmatch(r"runs\.db\.v1-\d{8}T\d{6}\.\d{6}Z\.backup", backup.name)
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        assert current(backup) == "v1"
        with sqlite3.connect(backup) as connection:
            assert connection.execute("SELECT run_id FROM training_runs").fetchall() == [("a",)]
        connection.close()

    def test_no_copy_is_taken_of_nothing_or_when_told_not_to(self, tmp_path: Path) -> None:
        assert upgrade(tmp_path / "runs.db", "v1").backup is None
        assert upgrade(tmp_path / "runs.db", "v2", backup=False).backup is None
        assert upgrade(tmp_path / "runs.db", "v2").backup is None  # it is there already

    def test_what_a_killed_copy_left_is_cleaned_away(self, tmp_path: Path) -> None:
        leftover = tmp_path / "runs.db.v1-20240506T070809.000000Z.backup.partial"
        upgrade(tmp_path / "runs.db", "v1")
        leftover.write_bytes(b"half")

        upgrade(tmp_path / "runs.db")

        assert not leftover.exists()

    def test_a_copy_that_cannot_be_written_stops_the_upgrade(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        upgrade(path, "v1")
        # Room for the suffixes of SQLite's own files, and none for that of a copy.
        long = path.rename(tmp_path / ("x" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 20)))

        with pytest.raises(MigrationFailed, match="again with --no-backup"):
            upgrade(long)

        assert current(long) == "v1"

    def test_the_folder_and_the_file_are_made_for_their_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "runs.db"

        upgrade(path)

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def test_a_row_that_belongs_to_no_run_stops_the_upgrade(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        upgrade(path, "v2")
        with sqlite3.connect(path) as connection:
            connection.execute("INSERT INTO run_scaffolds (run_id, scaffold_id) VALUES ('?', 's')")
        connection.close()

        with pytest.raises(MigrationFailed, match=r"a row of run_scaffolds .* belongs to no row"):
            upgrade(path)

        assert current(path) == "v2"

    def test_an_upgrade_waits_for_another_writer_and_says_so(self, tmp_path: Path) -> None:
        path = tmp_path / "runs.db"
        upgrade(path, "v1")
        writer = sqlite3.connect(path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")

        process = start(str(path))
        while "waiting" not in (line := process.stdout.readline()):
            assert line == "started\n"
        writer.execute("COMMIT")

        assert process.communicate(timeout=30)[0] == "ended v1 v3\n"
        writer.close()
