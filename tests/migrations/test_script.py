"""`training-db upgrade --sql`: the script makes what the command makes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from training_db.db.migrations import check, current, downgrade, upgrade, upgrade_sql
from training_db.db.shapes import SHAPES
from training_db.errors import MigrationFailed
from training_db.segment_blocks import pack
from training_db.segments import column

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

    assert current(database.url) == "v3"
    assert check(database.url).faults == []
    database.run("DROP TABLE training_db_version")
    tables = [*SHAPES]
    for table in [name for name in reversed(tables) if name != "metric_names"] + ["metric_names"]:
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


def test_history_that_a_script_cannot_move_is_moved_by_the_next_upgrade(
    database: Database,
) -> None:
    upgrade(database.url, "v2.1")
    for name in ("a", "b"):
        database.insert("training_runs", run_id=name, history_json='{"loss": [3, 1.5]}')
    script = upgrade_sql(database.url)
    assert "-- History that is there is moved, and its column dropped, by: training-db" in script
    execute(database, script)
    assert check(database.url).faults == [
        "old rows are still to be filled from their JSON; run: training-db upgrade"
    ]
    # A run goes on before anybody comes to that.
    database.insert("metric_names", id=1, name="loss")
    number = database.value("SELECT number FROM training_runs WHERE run_id = 'b'")
    database.insert("run_metrics", run_number=number, metric_id=1, count=1, non_finite_count=0,
                    other_count=0, min=1.0)  # fmt: skip
    block = pack({1: column([1.0])}, 0)
    database.insert(
        "run_history_tails", run_number=number, writer=5, first_row=0, last_row=0, block=block
    )

    notes = upgrade(database.url).notes

    assert notes == ["moved the history of 2 runs: 4 values of 0 metrics"]
    assert database.rows('SELECT run_number, "count", last, "min" FROM run_metrics ORDER BY 1') == [
        {"run_number": 1, "count": 2, "last": 1.5, "min": 1.5},
        {"run_number": 2, "count": 3, "last": 1.0, "min": 1.0},
    ]
    assert check(database.url).faults == []
    assert upgrade(database.url).notes == []
    downgrade(database.url, "v2.1", backup=False)
    histories = database.rows("SELECT history_json FROM training_runs ORDER BY run_id")
    assert [row["history_json"] for row in histories] == [
        '{"loss":[3,1.5]}', '{"loss":[3,1.5,1.0]}'
    ]  # fmt: skip


def test_a_downgrade_takes_along_what_a_script_left(database: Database) -> None:
    upgrade(database.url, "v2.1")
    database.insert("training_runs", run_id="a", history_json='{"loss": [3]}')
    execute(database, upgrade_sql(database.url))

    downgrade(database.url, "v2.1", backup=False)

    assert database.value("SELECT history_json FROM training_runs") == '{"loss":[3]}'


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
