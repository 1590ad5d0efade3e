"""The commands, as people type them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.testing import CliRunner

from training_db.cli.schema import register

if TYPE_CHECKING:
    from click.testing import Result

    from tests.migrations.conftest import Database

app = typer.Typer()
register(app)


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_upgrade_downgrade_and_current_tell_what_they_did(database: Database) -> None:
    assert run("current", "--url", database.url).output == (
        "no schema yet; run: training-db upgrade (to v3)\n"
    )
    assert run("upgrade", "v1", "--url", database.url).stdout == "no schema -> v1\n"
    assert run("current", "--url", database.url).output == "v1 (the newest is v3)\n"
    database.insert("training_runs", run_id="a", config_json="{broken")

    upgraded = run("upgrade", "--url", database.url, "--no-backup")

    assert upgraded.stdout.splitlines() == [
        "read 1 runs: filled columns of 0 and 0 objectives",
        "config_json: 1 malformed",
        "final_metrics_json: 1 missing",
        "v1 -> v3",
    ]
    assert "filling columns and objectives 1/1" in upgraded.stderr
    assert run("upgrade", "--url", database.url).stdout == "the schema is v3\n"
    assert run("current", "--url", database.url).output == "v3\n"
    gone = run("downgrade", "base", "--url", database.url, "--no-backup").stdout.splitlines()
    assert gone == ["dropped 1 runs' numbers", "dropped 1 runs", "v3 -> no schema"]


def test_the_copy_that_was_taken_is_named(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "runs.db"
    run("upgrade", "v1", "--url", path)

    told = run("upgrade", "--url", path).stdout.splitlines()

    [copy] = tmp_path.glob("*.backup")
    assert told[0] == f"copied the file to {copy}"


def test_check_exits_1_until_nothing_is_to_be_mended(database: Database) -> None:
    found = run("check", "--url", database.url)
    assert found.exit_code == 1
    assert found.output == "there is no schema version; run: training-db upgrade\n"
    run("upgrade", "--url", database.url)
    database.run("ALTER TABLE training_runs ADD COLUMN remark TEXT")

    found = run("check", "--url", database.url)
    assert found.exit_code == 0
    assert found.output.splitlines() == [
        "note: training_runs has a column 'remark' that the schema does not",
        "the schema is v3 and as it should be",
    ]
    assert json.loads(run("check", "--url", database.url, "--json").output) == {
        "version": "v3",
        "sound": True,
        "faults": [],
        "notes": ["training_runs has a column 'remark' that the schema does not"],
    }


def test_adopt_tells_what_differs(database: Database) -> None:
    run("upgrade", "v1", "--url", database.url)
    database.run("DROP TABLE training_db_version")

    told = run("adopt", "--url", database.url, "--no-backup").stdout.splitlines()

    assert told == ["adopted as schema v1, made by hand: training_runs", "no schema -> v1"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_history_of_the_schema_names_each_version(form: str) -> None:
    output = run("history-of-schema", *(["--json"] if form == "json" else [])).output

    if form == "json":
        assert [entry["version"] for entry in json.loads(output)] == ["v1", "v2", "v2.1", "v3"]
    else:
        assert [line.split()[0] for line in output.splitlines()] == ["v1", "v2", "v2.1", "v3"]


def test_sql_prints_the_script_and_changes_nothing(database: Database) -> None:
    script = run("upgrade", "--sql", "--url", database.url).output

    assert script.startswith("BEGIN;")
    assert "CREATE TABLE training_runs" in script
    assert json.loads(run("current", "--json", "--url", database.url).output) == {
        "version": None,
        "needed": "v3",
    }
