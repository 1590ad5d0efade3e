"""Backups brought back: into nothing, in the place of what is there, and from odd files."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.torture import rounds
from tests.upkeep.filled import contents, fill, put_programs_on_path
from training_db import TrainingDB
from training_db.db import dumps, migrations
from training_db.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    SchemaNewer,
    UnreadableSource,
)
from training_db.upkeep.backup import back_up
from training_db.upkeep.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from tests.postgres import Server

    Cli = Callable[..., Answer]


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs_on_path(monkeypatch)


@pytest.fixture
def empty(tmp_path: Path, migrated_file: Path) -> Path:
    """A SQLite database without runs."""
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    return path


@pytest.fixture
def backup(tmp_path: Path, migrated_file: Path) -> Path:
    """A backup of two runs."""
    path = tmp_path / "source.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(path) as db:
        fill(db, "r1", "r2")
    made = back_up(path, tmp_path / "monday.backup").path
    path.unlink()
    return made


def asides(path: Path) -> list[Path]:
    return sorted(path.parent.glob(f"{path.name}.replaced-*"))


def test_a_backup_fills_a_missing_an_empty_and_a_new_database(
    backup: Path, empty: Path, tmp_path: Path
) -> None:
    blank = tmp_path / "blank.db"
    blank.touch()
    for path in (tmp_path / "folder" / "new.db", blank, empty):
        done = restore(backup, path)
        assert (done.version, done.aside, done.notes) == ("v3", None, [])
        assert contents(path) == contents(backup)
        assert migrations.check(path).sound
    assert (tmp_path / "folder" / "new.db").stat().st_mode & 0o777 == 0o600


def test_a_database_with_runs_is_replaced_only_if_somebody_says_so(
    backup: Path, empty: Path
) -> None:
    with TrainingDB(empty) as db:
        fill(db, "mine")
    before = contents(empty)
    with pytest.raises(Conflict, match=r"holds 1 runs; .* --force"):
        restore(backup, empty)
    assert contents(empty) == before
    done = restore(backup, empty, force=True)
    assert done.aside is not None
    assert asides(empty) == [done.aside]
    assert done.aside.stat().st_mode & 0o777 == 0o600
    assert (contents(empty), contents(done.aside)) == (contents(backup), before)
    restore(done.aside, empty, force=True)
    assert contents(empty) == before


def test_whoever_has_the_file_open_sees_the_new_runs(backup: Path, empty: Path) -> None:
    with TrainingDB(empty) as db:
        db.runs.insert("mine")
        assert db.runs.count() == 1
        restore(backup, empty, force=True)
        assert sorted(db.runs.ids()) == ["r1", "r2"]
        db.runs.insert("r3")
    with TrainingDB(empty) as db:
        assert sorted(db.runs.ids()) == ["r1", "r2", "r3"]


def test_a_reader_in_the_middle_keeps_its_moment(backup: Path, empty: Path) -> None:
    with TrainingDB(empty) as db:
        db.runs.insert("mine")
        with closing(sqlite3.connect(empty, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            count = "SELECT count(*) FROM training_runs"
            assert reader.execute(count).fetchone() == (1,)
            restore(backup, empty, force=True)
            assert reader.execute(count).fetchone() == (1,)
            reader.execute("COMMIT")
            assert reader.execute(count).fetchone() == (2,)


def test_a_database_that_somebody_keeps_locked_stays_as_it_is(
    backup: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.db.backup.LOCK_SECONDS", 0.1)
    with TrainingDB(empty) as db:
        db.runs.insert("mine")
    with closing(sqlite3.connect(empty, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseUnavailable, match="locked by another program"):
            restore(backup, empty, force=True)
        writer.execute("ROLLBACK")
    assert asides(empty) == []
    with TrainingDB(empty) as db:
        assert db.runs.ids() == ["mine"]


def test_other_tables_are_as_much_worth_as_runs(backup: Path, empty: Path) -> None:
    with closing(sqlite3.connect(empty)) as connection:
        connection.execute("CREATE TABLE songs (name)")
    with pytest.raises(Conflict, match="other tables, such as 'songs'"):
        restore(backup, empty)


def test_a_file_of_another_page_size_is_replaced_too(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA page_size = 1024")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE training_runs (run_id)")
    restore(backup, path)
    assert contents(path) == contents(backup)
    assert migrations.check(path).sound


def test_a_damaged_database_is_kept_and_replaced(backup: Path, tmp_path: Path) -> None:
    path = tmp_path / "broken.db"
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)
    path.with_name("broken.db-wal").write_bytes(b"whatever")
    with pytest.raises(Conflict, match="cannot be read"):
        restore(backup, path)
    done = restore(backup, path, force=True)
    assert contents(path) == contents(backup)
    assert done.aside is not None
    assert done.aside.read_bytes()[16:] == b"\xff" * 8000
    assert done.aside.with_name(done.aside.name + "-wal").read_bytes() == b"whatever"


def test_the_log_of_a_file_that_is_gone_is_not_taken_for_a_part_of_the_new_one(
    backup: Path, empty: Path
) -> None:
    with TrainingDB(empty) as db:
        fill(db, "mine")
        log = empty.with_name("runs.db-wal").read_bytes()
    empty.unlink()
    empty.with_name("runs.db-wal").write_bytes(log)
    restore(backup, empty)
    assert contents(empty) == contents(backup)


@pytest.mark.parametrize("cut", [0, 10, 200, 5000, -4096])
def test_what_is_no_backup_of_ours_changes_nothing(backup: Path, tmp_path: Path, cut: int) -> None:
    backup.write_bytes(backup.read_bytes()[:cut])
    with pytest.raises(UnreadableSource, match="monday"):
        restore(backup, tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_a_database_of_somebody_else_is_none_of_ours(tmp_path: Path, empty: Path) -> None:
    other = tmp_path / "songs.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (name)")
    before = contents(empty)
    with pytest.raises(UnreadableSource, match="no tables of training-db"):
        restore(other, empty)
    with pytest.raises(UnreadableSource, match="the database itself"):
        restore(empty, empty)
    with pytest.raises(UnreadableSource, match="there is no file"):
        restore(tmp_path / "none", empty)
    assert contents(empty) == before


def test_a_newer_version_is_refused_and_an_older_one_told(
    backup: Path, tmp_path: Path, cli: Cli
) -> None:
    path = tmp_path / "old.db"
    restore(backup, path)
    migrations.downgrade(path, "v2", backup=False)
    old = back_up(path, tmp_path / "old.backup")
    assert old.version == "v2"
    answer = cli("restore", str(old.path), "--url", str(tmp_path / "again.db"))
    assert answer.code == 0
    assert "training-db upgrade" in answer.out
    assert migrations.current(tmp_path / "again.db") == "v2"
    with closing(sqlite3.connect(backup)) as connection, connection:
        connection.execute("UPDATE training_db_version SET version_num = 'v9'")
    with pytest.raises(SchemaNewer, match="v9"):
        restore(backup, tmp_path / "newer.db")
    assert not (tmp_path / "newer.db").exists()


def test_a_backup_of_the_other_backend_is_told_the_way(
    backup: Path, postgres: Server, tmp_path: Path
) -> None:
    with postgres.database() as url:
        with pytest.raises(UnreadableSource, match="training-db copy"):
            restore(backup, url)
        archive = tmp_path / "archive"
        archive.write_bytes(b"PGDMP" + b"\x01" * 100)
        with pytest.raises(UnreadableSource, match="training-db copy"):
            restore(archive, tmp_path / "new.db")
        with pytest.raises(UnreadableSource, match="archive"):
            restore(archive, url)


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_on_a_server_only_our_tables_are_replaced(db: TrainingDB, tmp_path: Path) -> None:
    fill(db, "r1")
    archive = back_up(db.url, tmp_path / "archive").path
    before = contents(db.url)
    cut = tmp_path / "cut"
    cut.write_bytes(archive.read_bytes()[:-2000])
    with pytest.raises(UnreadableSource, match="pg_restore"):
        restore(cut, db.url, force=True)
    plain = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (name text)")
        connection.execute("INSERT INTO theirs VALUES ('here')")
        connection.execute('CREATE ROLE "odd %% ""reader"')
        connection.execute('GRANT SELECT ON training_runs TO "odd %% ""reader"')
        fill(db, "r2")
        with pytest.raises(Conflict, match=r"holds 2 runs; .* --force"):
            restore(archive, db.url)
        assert restore(archive, db.url, force=True).version == "v3"
        assert contents(db.url) == before | {"theirs": ["('here',)"]}
        assert migrations.check(db.url).sound
        connection.execute('SET ROLE "odd %% ""reader"')
        assert connection.execute("SELECT count(*) FROM training_runs").fetchone() == (1,)
        connection.execute("RESET ROLE")
        # A view of theirs stands on a table of ours: nothing is dropped under it.
        connection.execute("CREATE VIEW seen AS SELECT run_id FROM training_runs")
        fill(db, "r3")
        now = contents(db.url)
        with pytest.raises(DatabaseError, match="seen"):
            restore(archive, db.url, force=True)
        assert contents(db.url) == now
        connection.execute("DROP VIEW seen")
        connection.execute('DROP OWNED BY "odd %% ""reader"')
        connection.execute('DROP ROLE "odd %% ""reader"')


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_an_archive_of_an_older_version_replaces_all_of_a_newer_one(
    db: TrainingDB, tmp_path: Path
) -> None:
    fill(db, "r1")
    now = contents(db.url)
    migrations.downgrade(db.url, "v2")
    archive, before = back_up(db.url, tmp_path / "old").path, contents(db.url)
    migrations.upgrade(db.url)
    with db.engine.begin() as connection:
        connection.exec_driver_sql("GRANT SELECT ON run_history_segments, run_tags TO PUBLIC")
    done = restore(archive, db.url, force=True)
    assert (done.version, done.is_outdated) == ("v2", True)
    assert contents(db.url) == before
    migrations.upgrade(db.url)
    assert migrations.check(db.url).sound
    assert contents(db.url).keys() == now.keys()


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_a_restore_whose_script_breaks_off_changes_nothing(
    db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, "r1")
    archive, before = back_up(db.url, tmp_path / "archive").path, contents(db.url)
    real, folder = dumps.find("pg_restore", 18), tmp_path / "bin"
    folder.mkdir()
    broken = folder / "pg_restore"
    # Lists as ever, and prints half of the script.
    broken.write_text(
        f'#!/bin/sh\ncase "$*" in *--use-list*) {real} "$@" | head -c 30000; exit 1;; esac\n'
        f'exec {real} "$@"\n'
    )
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(DatabaseError, match="pg_restore failed"):
        restore(archive, db.url, force=True)
    assert contents(db.url) == before


KILL = """
import os, signal, sys, threading
threading.Timer(float(sys.argv[3]), os.kill, [os.getpid(), signal.SIGKILL]).start()
from training_db.upkeep.restore import restore
restore(sys.argv[1], sys.argv[2], force=True)
os._exit(0)
"""


@pytest.mark.faults
def test_killed_at_any_moment_the_old_database_is_there_or_the_new(
    backup: Path, empty: Path
) -> None:
    with TrainingDB(empty) as db:
        fill(db, *(f"old{place}" for place in range(20)))
    before, after = contents(empty), contents(backup)
    seen = set()
    for _ in range(rounds(1, 30)):
        seconds = random.uniform(0.3, 1.2)  # noqa: S311 - of no matter who guesses it
        kill = [sys.executable, "-c", KILL, str(backup), str(empty), str(seconds)]
        seen.add(subprocess.run(kill, check=False).returncode)
        now = contents(empty)
        assert now in (before, after)
        assert restore(backup, empty, force=True).version == "v3"
        assert contents(empty) == after
        assert not list(empty.parent.glob(".training-db-*"))
        oldest, *rest = asides(empty)
        for aside in rest:
            assert contents(aside) in (before, after)
            aside.unlink()
        restore(oldest, empty, force=True)
    assert seen <= {0, -signal.SIGKILL}
