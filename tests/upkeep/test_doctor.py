"""The doctor: each kind of damage is found on a damaged database, and its command mends it."""

from __future__ import annotations

import json
import shlex
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from tests.contract.test_heartbeat import last_beat
from tests.torture import on_one_backend, some
from tests.upkeep.patients import care, execute, file_of, fill, only, run
from training_db import TrainingDB
from training_db.db.migrations import check, upgrade
from training_db.errors import UnknownName
from training_db.upkeep.checks import place, plans
from training_db.upkeep.doctor import examine
from training_db.upkeep.findings import Severity, place_for_commands
from training_db.upkeep.mending import mend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db.upkeep.findings import Finding

    Cli = Callable[..., Answer]


def test_a_sound_database_has_nothing_to_mend(db: TrainingDB, url: str) -> None:
    fill(db)
    assert care(url) == []
    assert care(url, is_thorough=True) == []


def test_looking_changes_no_byte(db: TrainingDB, url: str) -> None:
    if db.engine.name == "postgresql":
        pytest.skip("a server writes what it likes")
    fill(db, 2)
    db.close()
    path = file_of(url)
    before = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    path.chmod(0o400)
    examine(url, is_thorough=True)
    after = {one.name: one.read_bytes() for one in path.parent.iterdir() if one.is_file()}
    assert {name: after[name] for name in before} == before


# A database that is not there, or not ours.


def test_a_database_that_is_missing_is_made(tmp_path: Path) -> None:
    url = str(tmp_path / "runs.db")
    run(only(url).mend)
    assert care(url) == []


@on_one_backend
def test_an_older_schema_is_upgraded(database_url: str) -> None:
    upgrade(database_url, "v2")
    found = only(database_url)
    assert (found.check, "v2" in found.what) == ("schema", True)
    run(found.mend)
    assert care(database_url) == []


@on_one_backend
def test_a_newer_schema_takes_a_newer_library(db: TrainingDB, url: str) -> None:
    execute(db, "UPDATE training_db_version SET version_num = 'v99'")
    assert only(url).mend == "pip install --upgrade training-db"


@pytest.mark.parametrize("content", [b"no database at all\n" * 100, b"SQLite format 3\x00", b"x"])
def test_a_file_that_is_no_database_is_a_finding(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(content)
    assert care(str(path))[0].severity is Severity.FAULT


@on_one_backend
def test_tables_of_somebody_else_are_a_finding(database_url: str) -> None:
    with TrainingDB(database_url) as db:
        execute(db, "CREATE TABLE training_runs (id INTEGER PRIMARY KEY, who TEXT)")
    (found,) = [one for one in care(database_url) if one.check == "schema"]
    assert "not one of training-db" in found.what


def test_a_server_that_is_not_there_is_a_finding() -> None:
    found = only("postgresql://ann:secret@localhost:1/runs")
    assert (found.check, found.severity) == ("place", Severity.FAULT)
    assert "secret" not in repr(found)


def test_a_file_without_its_first_page_comes_back_from_its_backup(
    tmp_path: Path, migrated_file: Path
) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(path) as db:
        fill(db, 3)
    run(f"training-db backup --url {path}")
    with path.open("r+b") as file:
        file.write(b"\xff" * 4096)
    found = only(str(path))
    assert "first page" in found.what
    run(found.mend)
    with TrainingDB(path) as db:
        assert db.runs.count() == 3


# What belongs to the schema.


def test_indexes_that_are_missing_are_made(db: TrainingDB, url: str) -> None:
    fill(db, 2)
    execute(db, "DROP INDEX ix_training_runs_host", "DROP INDEX ix_run_tags_name")
    found = care(url)
    assert [one.check for one in found] == ["schema", "schema"]
    assert {found[0].mend, found[1].mend} == {
        f"training-db doctor --mend schema --url {shown(url)}"
    }
    run(found[0].mend)
    assert care(url) == []


def shown(url: str) -> str:
    return shlex.quote(place_for_commands(make_url(url)))


def test_runs_are_numbered_again(db: TrainingDB, url: str) -> None:
    execute(
        db,
        "DROP TRIGGER training_runs_number"
        if db.engine.name == "sqlite"
        else "ALTER TABLE training_runs ALTER COLUMN number DROP DEFAULT",
    )
    found = only(url)
    run(found.mend)
    assert care(url) == []
    db.runs.insert("r1")
    assert db.runs.number("r1") == 1


def test_an_index_that_was_left_half_made_is_made_anew(db: TrainingDB, url: str) -> None:
    if db.engine.name == "sqlite":
        pytest.skip("SQLite makes an index whole or not at all")
    fill(db, 2)
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("DROP INDEX ix_training_runs_host"))
        with pytest.raises(Exception, match="could not create unique index"):
            connection.execute(
                text(
                    "CREATE UNIQUE INDEX CONCURRENTLY ix_training_runs_host ON training_runs (host)"
                )
            )
    found = [one for one in care(url) if one.check == "indexes"]
    assert found[0].which == ("ix_training_runs_host",)
    run(found[0].mend)
    assert care(url) == []


# The file and its disk.


def test_files_that_others_may_read_are_closed_to_them(
    tmp_path: Path, migrated_file: Path, spool_dir: Path
) -> None:
    path = tmp_path / "the runs.db"
    path.write_bytes(migrated_file.read_bytes())
    path.chmod(0o644)
    spool_dir.mkdir(mode=0o755)
    spool_dir.chmod(0o755)
    found = care(str(path))
    assert {one.check for one in found} == {"permissions"}
    for one in found:
        run(one.mend)
    assert care(str(path)) == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert spool_dir.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_is_nearly_full_is_told_of(
    tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    path.chmod(0o600)
    monkeypatch.setattr(place, "LEAST_FREE", 2**62)
    found = only(str(path))
    assert found.check == "disk"
    run(f"{found.mend} --yes")


# Plans.


def test_a_plan_that_reads_whole_tables_is_told_of(
    db: TrainingDB, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "LEAST_RUNS", 1_000)
    if db.engine.name == "postgresql":  # else it may have looked at the table by itself
        execute(db, "ALTER TABLE training_runs SET (autovacuum_enabled = false)")
    db.runs.insert_many(
        {"run_id": f"r{n:05}", "created_at": 1_700_000_000 + n, "status": "completed",
         "summary": {"objectives/QED/raw_mean": n / 2000}}
        for n in range(2_000)
    )  # fmt: skip
    if db.engine.name == "sqlite":
        assert plan_findings(url) == []
        execute(db, "DROP INDEX ix_training_runs_created_at")
    (found,) = plan_findings(url)
    assert found.what == "the list of the newest runs reads all of training_runs each time"
    run(found.mend)
    assert plan_findings(url) == []


def plan_findings(url: str) -> list[Finding]:
    return [one for one in care(url) if one.check == "plans"]


# The command.


@on_one_backend
def test_the_command_says_it_in_lines_and_in_json(db: TrainingDB, url: str, cli: Cli) -> None:
    assert cli("doctor", "--url", url).code == 0
    db.runs.insert("odd\x1b[31m\nname", status="running")
    last_beat(db, "odd\x1b[31m\nname", seconds_ago=3600)
    answer = cli("doctor", "--url", url)
    assert (answer.code, answer.err) == (1, "")
    assert "\x1b" not in answer.out
    assert f"        $ training-db runs reap --url {shown(url)}" in answer.out.splitlines()
    told = json.loads(cli("doctor", "--url", url, "--json").out)
    assert [one["check"] for one in told if one["severity"] == "warning"] == ["runs"]
    assert set(told[0]) == {"check", "severity", "what", "which", "mend"}


def test_no_command_shows_a_password(db: TrainingDB, url: str, cli: Cli) -> None:
    if db.engine.name == "sqlite":
        pytest.skip("a file has none")
    db.runs.insert("r1", status="running")
    last_beat(db, "r1", seconds_ago=3600)
    secret = make_url(url).set(password="s3cret/&")  # noqa: S106 - the socket asks for none
    shown = cli("doctor", "--url", secret.render_as_string(hide_password=False)).out
    assert "training-db runs reap --url" in shown
    assert "s3cret" not in shown


DAMAGES = (
    "UPDATE run_metrics SET count = 'x', metric_id = metric_id || 'y'",
    "UPDATE training_runs SET status = X'00FF', heartbeat_at = 3, run_id = CAST(X'FF' AS TEXT)",
    "UPDATE run_history_segments SET cells = 7, kind = 'x'",
    "DROP TABLE training_runs",
    "CREATE TABLE training_db_copy (a)",
    "UPDATE run_history_segments SET count = 'many'",
    "UPDATE training_runs SET number = 'one' WHERE run_id = 'r00'",
    "DROP TABLE run_metrics",
    "ALTER TABLE run_tags RENAME COLUMN value TO worth",
    "DELETE FROM training_db_version",
    "INSERT INTO training_db_version VALUES ('v2')",
)


@pytest.mark.parametrize("damage", some(DAMAGES, 3))
def test_whatever_stands_in_a_file_is_a_finding(
    tmp_path: Path, migrated_file: Path, cli: Cli, damage: str
) -> None:
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(path) as db:
        fill(db, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.executescript(damage)
    path.chmod(0o600)
    assert care(str(path), is_thorough=True)
    for arguments in (["--thorough"], ["--mend", "history"], ["--mend", "orphans"]):
        answer = cli("doctor", "--url", str(path), *arguments)
        assert answer.code in (0, 1)
        assert "Traceback" not in answer.err


@on_one_backend
def test_what_cannot_be_mended_is_bad_usage(url: str, cli: Cli) -> None:
    with pytest.raises(UnknownName, match="orphans"):
        mend(url, "everything")
    assert cli("doctor", "--url", url, "--mend", "everything").code == 2
    assert cli("doctor", "--url", url, "--mend", "orphans", "--rescue", "x.db").code == 2


@on_one_backend
def test_nothing_is_mended_that_is_sound(db: TrainingDB, url: str, cli: Cli) -> None:
    fill(db, 2)
    for what in ("schema", "orphans", "history", "clocks"):
        answer = cli("doctor", "--url", url, "--mend", what, "--no-backup")
        assert (answer.code, answer.out) == (0, "there is nothing to mend\n")
    for what in ("indexes", "statistics"):
        assert json.loads(cli("doctor", "--url", url, "--mend", what, "--json").out)["done"]
    assert care(url, is_thorough=True) == []


def test_a_copy_that_was_stopped_goes_on(tmp_path: Path, migrated_file: Path) -> None:
    from training_db.transfer.copying import copy_database

    source, target = tmp_path / "source.db", tmp_path / "target.db"
    source.write_bytes(migrated_file.read_bytes())
    with TrainingDB(source) as db:
        fill(db, 3)

    def interrupt(label: str, done: int, total: int) -> None:
        del label, total
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_database(str(source), str(target), progress=interrupt)
    (found,) = [one for one in care(str(target)) if one.check == "copy"]
    assert str(source) in found.what
    (fault,) = check(str(target)).faults
    assert f"run: training-db copy {source} DST" in fault
    run(found.mend)
    assert care(str(target)) == []
    with TrainingDB(target) as db:
        assert db.runs.count() == 3
