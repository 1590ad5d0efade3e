"""`training-db upgrade --sql`: the script makes what the command makes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from training_db.db.migrations import check, current, upgrade, upgrade_sql
from training_db.errors import MigrationFailed

if TYPE_CHECKING:
    from tests.migrations.conftest import Database


def execute(database: Database, script: str) -> None:
    """Run a script as `sqlite3 file < script` and `psql -f script` would."""
    if database.backend == "sqlite":
        connection = sqlite3.connect(Path(database.url.removeprefix("sqlite:///")))
        connection.executescript(script)
        connection.close()
    else:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(script)


def test_the_script_for_an_empty_database_makes_the_same_schema(database: Database) -> None:
    script = upgrade_sql(database.url)
    execute(database, script)
    made_by_script = database.schema()

    assert current(database.url) == "v2.1"
    assert check(database.url).faults == []
    database.run("DROP TABLE training_db_version")
    for table in ("run_history_key_metrics", "run_scaffolds", "run_objectives", "training_runs"):
        database.run(f"DROP TABLE {table}")
    upgrade(database.url)
    assert database.schema() == made_by_script


def test_rows_that_a_script_cannot_fill_are_filled_by_the_next_upgrade(v1: Database) -> None:
    v1.insert("training_runs", run_id="a", config_json='{"max_steps": 5, "objectives": ["QED"]}')
    script = upgrade_sql(v1.url)
    assert "-- Rows that are there are filled from their JSON by: training-db upgrade" in script
    execute(v1, script)
    assert check(v1.url).faults == [
        "old rows are still to be filled from their JSON; run: training-db upgrade"
    ]

    notes = upgrade(v1.url).notes

    assert notes[0] == "read 1 runs: filled columns of 1 and 1 objectives"
    assert v1.value("SELECT max_steps FROM training_runs") == 5
    assert check(v1.url).faults == []
    assert upgrade(v1.url).notes == []


def test_a_range_needs_no_database(database: Database) -> None:
    script = upgrade_sql(database.url, "v2:head")

    assert "ADD COLUMN history_json TEXT" in script
    assert "objective_name" not in script
    assert script.startswith("BEGIN;")
    assert script.rstrip().endswith("COMMIT;")
    assert "there is nothing to do" in upgrade_sql(database.url, "v2:v1")


def test_a_hand_made_database_has_to_be_adopted_first(database: Database) -> None:
    database.run("CREATE TABLE training_runs (run_id TEXT)")

    with pytest.raises(MigrationFailed, match="run: training-db adopt"):
        upgrade_sql(database.url)
