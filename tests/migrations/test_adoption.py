"""Databases that were made by hand, before there were migrations."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training_db.db.migrations import adopt, check, current, upgrade
from training_db.errors import ForeignTable, MigrationFailed, SchemaMissing

if TYPE_CHECKING:
    from tests.migrations.conftest import Database

RUNS = """
    CREATE TABLE training_runs (
        run_id VARCHAR(64) PRIMARY KEY, wandb_run_id TEXT, wandb_url TEXT, run_name TEXT,
        chain_of_custody_id TEXT, host TEXT, created_at {time}, started_at TEXT, ended_at TEXT,
        duration_seconds REAL, status TEXT, batch_size TEXT, learning_rate TEXT, beta REAL,
        gradient_method TEXT, num_gpus INTEGER, config_json {json}, final_metrics_json TEXT {more})
"""
OBJECTIVES = """
    CREATE TABLE run_objectives (
        id {serial} PRIMARY KEY, run_id VARCHAR(64), objective_name TEXT, raw_mean REAL,
        weight TEXT, note TEXT)
"""
KEY_METRICS = (
    "CREATE TABLE run_history_key_metrics (run_id TEXT, step TEXT, loss TEXT, timestamp TEXT)"
)
WORDS = {
    "sqlite": {"time": "TIMESTAMP", "json": "JSON", "serial": "INTEGER"},
    "postgresql": {"time": "TIMESTAMP", "json": "JSONB", "serial": "SERIAL"},
}


def make(database: Database, *statements: str, more: str = "") -> None:
    for statement in statements:
        database.run(statement.format(more=more, **WORDS[database.backend]))


def test_a_v1_like_database_is_adopted_by_upgrade_with_all_its_rows(database: Database) -> None:
    make(database, RUNS)
    database.insert(
        "training_runs", run_id="a", created_at="2024-05-06 07:08:09", started_at="1714979289",
        status="completed", batch_size="16", learning_rate="3e-4", num_gpus=2,
        config_json=json.dumps({"max_steps": 5, "objectives": ["QED_maximize"]}),
        final_metrics_json='{"loss": NaN}', duration_seconds=59.6,
    )  # fmt: skip

    report = upgrade(database.url)

    [row] = database.rows(
        "SELECT run_id, status, batch_size, learning_rate, num_gpus, max_steps, duration_seconds, "
        "final_metrics_json, CAST(created_at AS text) AS created, "
        "CAST(started_at AS text) AS started FROM training_runs"
    )
    assert row.pop("created")[:10] == row.pop("started")[:10] == "2024-05-06"
    assert row == {
        "run_id": "a", "status": "completed", "batch_size": 16, "learning_rate": 3e-4,
        "num_gpus": 2, "max_steps": 5, "duration_seconds": 60,
        "final_metrics_json": '{"loss": NaN}',
    }  # fmt: skip
    assert database.value("SELECT objective_name FROM run_objectives") == "QED"
    assert "adopted as schema v1, made by hand: training_runs" in report.notes
    assert "training_runs: 1 values of duration_seconds rounded to whole seconds" in report.notes
    assert any("added the columns config_file_path, " in note for note in report.notes)
    assert check(database.url).faults == []


def test_adopt_stops_at_the_version_that_the_tables_resemble(database: Database) -> None:
    make(database, RUNS)

    assert adopt(database.url).to_version == current(database.url) == "v1"


def test_hand_made_values_win_over_what_the_json_says(database: Database) -> None:
    make(database, RUNS, OBJECTIVES, more=", final_loss REAL, max_steps INTEGER")
    database.insert(
        "training_runs", run_id="a", status="running", final_loss=9.5,
        config_json='{"max_steps": 5, "objectives": [{"name": "QED", "weight": 1}, "SA"]}',
        final_metrics_json='{"loss": 2, "objectives/QED_maximize/raw_mean": 7}',
    )  # fmt: skip
    database.insert(
        "run_objectives", id=41, run_id="a", objective_name="QED", raw_mean=1.5, note="mine"
    )

    assert adopt(database.url).to_version == "v2"

    assert database.rows("SELECT final_loss, max_steps FROM training_runs") == [
        {"final_loss": 9.5, "max_steps": 5}
    ]
    found = database.rows(
        "SELECT id, objective_name, raw_mean, weight, direction, note FROM run_objectives "
        "ORDER BY objective_name"
    )
    assert found[0] == {"id": 41, "objective_name": "QED", "raw_mean": 1.5, "weight": 1.0,
                        "direction": "maximize", "note": "mine"}  # fmt: skip
    assert found[1].pop("id") > 41
    assert found[1:] == [{"objective_name": "SA", "raw_mean": None, "weight": None,
                          "direction": None, "note": None}]  # fmt: skip


def test_a_v21_like_database_keeps_its_history(database: Database) -> None:
    make(database, RUNS, KEY_METRICS, more=", history_json TEXT")
    database.insert("training_runs", run_id="a", status="running", history_json='[{"loss": 1}]')
    database.insert("run_history_key_metrics", run_id="a", step="10", loss="nan",
                    timestamp="2024-05-06T07:08:09+02:00")  # fmt: skip

    assert adopt(database.url).to_version == "v2.1"

    assert database.value("SELECT history_json FROM training_runs") == '[{"loss": 1}]'
    assert upgrade(database.url).to_version == "v3"
    assert database.value("SELECT last FROM run_metrics") == 1
    [row] = database.rows("SELECT * FROM run_history_key_metrics")
    assert (row["step"], str(row["loss"]).lower()) == (10, "nan")


def test_a_history_beside_columns_of_v3_is_moved_too(database: Database) -> None:
    kind = "TEXT" if database.backend == "sqlite" else "JSONB"
    make(database, RUNS, more=f", notes TEXT, number TEXT, history_json {kind}")
    rows = [
        {"run": "a", "number": None, "history": '{"loss": [0.5, 0.25]}'},
        {"run": "b", "number": "2", "history": None},
        {"run": "c", "number": "1", "history": "[1]"},
    ]
    database.run(
        "INSERT INTO training_runs (run_id, status, notes, number, history_json) "
        f"VALUES (:run, 'running', 'mine', :number, CAST(:history AS {kind}))",
        *rows,
    )

    report = upgrade(database.url)

    assert "adopted as schema v3, made by hand: training_runs" in report.notes
    assert "moved the history of 2 runs: 2 values of 1 metrics" in report.notes
    runs = database.rows(
        "SELECT run_id, number, notes, history_layout FROM training_runs ORDER BY run_id"
    )
    assert [list(run.values()) for run in runs] == [
        ["a", 3, "mine", None], ["b", 2, "mine", None], ["c", 1, "mine", "=[1]"]
    ]  # fmt: skip
    assert database.rows("SELECT run_number, last FROM run_metrics") == [
        {"run_number": 3, "last": 0.25}
    ]
    findings = check(database.url)
    assert (findings.faults, findings.notes) == ([], [])
    database.insert("training_runs", run_id="d")
    assert database.value("SELECT number FROM training_runs WHERE run_id = 'd'") == 4


def test_columns_that_no_schema_has_are_kept_with_their_type(database: Database) -> None:
    kind = "TEXT" if database.backend == "sqlite" else "TEXT[]"
    make(database, RUNS, more=f', "My: Note" {kind}')
    value = "{a,b}"
    database.run("INSERT INTO training_runs (run_id, status, \"My: Note\") "
                 f"VALUES ('a', 'running', '{value}')")  # fmt: skip

    report = upgrade(database.url)

    assert "training_runs: kept the columns My: Note, which no schema has" in report.notes
    expected = value if database.backend == "sqlite" else ["a", "b"]
    assert database.value('SELECT "My: Note" FROM training_runs') == expected
    assert (
        "training_runs has a column 'My: Note' that the schema does not"
        in check(database.url).notes
    )


def test_other_peoples_tables_that_refer_to_runs_still_do(database: Database) -> None:
    make(database, RUNS)
    database.run("CREATE TABLE remarks (run_id VARCHAR(64) REFERENCES training_runs (run_id))")
    database.insert("training_runs", run_id="a", status="running")
    database.insert("remarks", run_id="a")

    upgrade(database.url)

    if database.backend == "sqlite":
        assert "REFERENCES training_runs (run_id)" in database.value(
            "SELECT sql FROM sqlite_master WHERE name = 'remarks'"
        )
    else:
        assert "REFERENCES training_runs(run_id)" in database.value(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE conrelid = CAST('remarks' AS regclass)"
        )


def test_indexes_and_triggers_that_go_are_named(database: Database) -> None:
    make(database, RUNS)
    database.run("CREATE INDEX ix_training_runs_status ON training_runs (status)")
    database.run("CREATE INDEX by_host ON training_runs (host)")
    if database.backend == "sqlite":
        database.run("CREATE TRIGGER watch AFTER INSERT ON training_runs BEGIN SELECT 1; END")
    else:
        database.run("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql "
                     "AS 'BEGIN RETURN NULL; END'")  # fmt: skip
        database.run("CREATE TRIGGER watch AFTER INSERT ON training_runs "
                     "FOR EACH ROW EXECUTE FUNCTION nothing()")  # fmt: skip

    went = [note for note in upgrade(database.url).notes if " went; it was: CREATE " in note]

    assert sorted(note.split(" of ")[0] for note in went) == [
        "the index by_host",
        "the trigger watch",
    ]


def test_the_schema_itself_without_its_version_is_adopted_unchanged(database: Database) -> None:
    upgrade(database.url)
    before = database.schema()
    database.run("DROP TABLE training_db_version")

    assert upgrade(database.url).to_version == "v3"

    assert sorted(row[1] for row in database.schema()) == sorted(row[1] for row in before)
    assert check(database.url).faults == []


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE training_runs (id INTEGER, name TEXT)",
         "no run_id, status, created_at, config_json"),
        ("CREATE TABLE training_runs (run_id TEXT, status TEXT, created_at TEXT, config_json TEXT)",
         "it has no wandb_run_id, wandb_url"),
        ("CREATE TABLE run_objectives (id INTEGER, goal TEXT)", "no run_id, objective_name"),
        ("CREATE TABLE run_scaffolds (run_id TEXT, scaffold_id TEXT, scores_json TEXT)",
         "no training_runs it could belong to"),
        ("CREATE VIEW training_runs AS SELECT 1 AS run_id", "is a view"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("function", [upgrade, adopt])
def test_a_foreign_table_is_refused_untouched(  # type: ignore[no-untyped-def]
    database: Database, statement: str, message: str, function
) -> None:
    database.run(statement)
    before = database.schema()
    bytes_before = file_bytes(database)

    with pytest.raises(ForeignTable, match=message):
        function(database.url)

    assert file_bytes(database) == bytes_before
    assert database.schema() == before


def file_bytes(database: Database) -> bytes | None:
    if database.backend != "sqlite":
        return None
    return Path(database.url.removeprefix("sqlite:///")).read_bytes()


def test_a_foreign_child_table_beside_our_runs_is_refused(v1: Database) -> None:
    v1.run("CREATE TABLE run_objectives (id INTEGER, goal TEXT)")

    with pytest.raises(ForeignTable, match="'run_objectives' that no migration made"):
        upgrade(v1.url)

    assert current(v1.url) == "v1"


ODD_ROWS = [
    ("INSERT INTO training_runs (run_id, status) VALUES (NULL, 'a')", "rows without run_id"),
    ("INSERT INTO training_runs (run_id, status) VALUES ('a', 'b'), ('a', 'c')",
     r"several rows of one run_id \(a\)"),
    ("INSERT INTO training_runs (run_id, wandb_run_id) VALUES ('a', 'w'), ('b', 'w')",
     r"several rows of one wandb_run_id \(w\)"),
    ("INSERT INTO run_objectives (run_id, objective_name) VALUES ('gone', 'x')",
     r"rows of runs that do not exist \(run_id gone\)"),
    ("INSERT INTO run_objectives (run_id, objective_name) VALUES ('gone', NULL)",
     "rows without objective_name"),
    (("CREATE TABLE run_tags (run_number INTEGER, name TEXT, value TEXT); INSERT INTO run_tags "
     "VALUES (7, 'good', NULL)"),
     r"run_tags has rows of runs that do not exist \(run_number 7\)"),
    (("ALTER TABLE training_runs ADD COLUMN number INTEGER; "
     "INSERT INTO training_runs (run_id, number) VALUES ('a', 1), ('b', 1)"),
     r"several rows of one number \(1\)"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "message"), ODD_ROWS)
def test_rows_that_cannot_be_adopted_are_named_and_nothing_is_changed(
    database: Database, statement: str, message: str
) -> None:
    runs = RUNS.replace(" PRIMARY KEY", "")
    make(database, runs, OBJECTIVES)
    for one in statement.split("; "):
        database.run(one)
    before = database.schema()

    with pytest.raises(MigrationFailed, match=message):
        upgrade(database.url)

    assert database.schema() == before
    assert current(database.url) is None


def test_an_unreadable_value_is_kept_by_sqlite_and_refused_by_postgresql(
    database: Database,
) -> None:
    make(database, RUNS)
    database.insert("training_runs", run_id="a", started_at="yesterday", batch_size="auto")

    if database.backend == "sqlite":
        notes = upgrade(database.url).notes
        [row] = database.rows("SELECT started_at, batch_size FROM training_runs")
        assert row == {"started_at": "yesterday", "batch_size": "auto"}
        for name in row:
            line = f"training_runs: 1 values of {name} that cannot be read, left as they are"
            assert line in notes
    else:
        with pytest.raises(MigrationFailed, match="started_at 'yesterday' of run 'a'; batch_size"):
            upgrade(database.url)
        assert database.value("SELECT started_at FROM training_runs") == "yesterday"


def test_there_is_nothing_to_adopt_in_an_empty_database(database: Database) -> None:
    database.run("CREATE TABLE other (x INTEGER)")
    with pytest.raises(SchemaMissing, match="no runs to adopt"):
        adopt(database.url)


def test_a_database_under_migrations_is_not_adopted_again(v1: Database) -> None:
    assert adopt(v1.url).notes == ["the database is under migrations already; nothing to adopt"]


def test_roles_keep_what_they_were_granted(postgres) -> None:  # type: ignore[no-untyped-def]
    from tests.migrations.conftest import Database

    with postgres.database() as url:
        database = Database(url)
        make(database, RUNS)
        database.run("GRANT SELECT, INSERT ON training_runs TO PUBLIC")

        upgrade(url)

        granted = database.rows(
            "SELECT privilege_type FROM information_schema.role_table_grants "
            "WHERE grantee = 'PUBLIC' AND table_name = 'training_runs'"
        )
        assert {row["privilege_type"] for row in granted} == {"SELECT", "INSERT"}
        database.close()


def test_column_names_in_capitals_are_the_same_columns_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as connection:
        statement = RUNS.format(more="", **WORDS["sqlite"])
        connection.execute(statement.replace("run_id VARCHAR", "Run_ID VARCHAR"))
        connection.execute("INSERT INTO training_runs (run_id, status) VALUES ('a', 'running')")
    connection.close()

    upgrade(path)

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT run_id FROM training_runs").fetchall() == [("a",)]
    connection.close()
