"""Backups: a database as it is at one moment, in one checked file, there whole or not at all."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest

from tests.torture import on_one_backend
from tests.upkeep.filled import contents, fill, put_programs_on_path
from training_db import TrainingDB, init_db
from training_db.db import backup, dumps
from training_db.errors import (
    ConfigurationError,
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    SchemaMissing,
)
from training_db.upkeep.backup import back_up
from training_db.upkeep.restore import restore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from tests.postgres import Server

    Cli = Callable[..., Answer]


SECRET = f"{uuid4().hex} @:/'%"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    put_programs_on_path(monkeypatch)


@pytest.fixture
def runs_db(tmp_path: Path, migrated_file: Path) -> Path:
    path = tmp_path / "runs.db"
    path.write_bytes(migrated_file.read_bytes())
    with TrainingDB(path) as db:
        fill(db, "r1", "r2")
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_backup_holds_all_that_the_database_held(db: TrainingDB, tmp_path: Path) -> None:
    fill(db, "r1", "r2")
    db.runs.delete("r2")
    before = contents(db.url)
    made = back_up(db.url, tmp_path / "monday")
    assert (made.version, made.notes) == ("v3", [])
    assert made.bytes == made.path.stat().st_size
    assert made.path.stat().st_mode & 0o777 == 0o600
    db.runs.update("r1", host="other")
    fill(db, "r3")
    assert restore(made.path, db.url, force=True).version == "v3"
    assert contents(db.url) == before
    fill(db, "r4")  # sequences and triggers go on where they were
    assert db.runs.number("r4") == 3


def test_a_backup_is_one_moment_of_a_database_that_others_write(
    runs_db: Path, tmp_path: Path
) -> None:
    ended = threading.Event()

    def write() -> None:
        with TrainingDB(runs_db) as db:
            place = 0
            while not ended.is_set():
                with db.transaction():  # both, or none of both
                    db.runs.insert(f"a{place}")
                    db.runs.insert(f"b{place}")
                place += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        counts = []
        for place in range(5):
            made = back_up(runs_db, tmp_path / f"{place}.backup")
            with closing(sqlite3.connect(made.path)) as connection:
                names = {name for (name,) in connection.execute("SELECT run_id FROM training_runs")}
            assert {name[1:] for name in names if name[0] == "a"} == {
                name[1:] for name in names if name[0] == "b"
            }
            counts.append(len(names))
    finally:
        ended.set()
        writer.join()
    assert counts == sorted(counts)


def test_a_backup_ends_though_others_write_all_the_time(
    runs_db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 5)
    before, steps = contents(runs_db), []
    with TrainingDB(runs_db) as db:

        def write(label: str, done: int, total: int) -> None:
            steps.append(label)
            assert len(steps) < 200, f"{done} of {total}"
            db.runs.insert(f"meanwhile-{len(steps)}")

        made = back_up(runs_db, tmp_path / "moment", progress=write)
    assert len(steps) > 10
    assert contents(made.path) == before


def test_a_backup_is_a_single_file(runs_db: Path, tmp_path: Path) -> None:
    with TrainingDB(runs_db) as db:
        db.runs.count()
        back_up(runs_db, tmp_path / "one.backup")
        with closing(sqlite3.connect(tmp_path / "one.backup")) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [name for name in files(tmp_path) if "one" in name] == ["one.backup"]


def test_a_backup_without_a_name_stands_beside_the_database(runs_db: Path, tmp_path: Path) -> None:
    first, second = back_up(runs_db).path, back_up(runs_db, tmp_path).path
    assert first.parent == second.parent == tmp_path
    assert first != second
    assert first.name.startswith("runs.db.2")
    assert contents(first) == contents(runs_db)


def test_a_file_is_replaced_only_if_somebody_says_so(runs_db: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(Conflict, match="--force"):
        back_up(runs_db, there)
    assert there.read_text() == "mine"
    back_up(runs_db, there, force=True)
    assert contents(there) == contents(runs_db)
    with pytest.raises(Conflict, match="the database itself"):
        back_up(runs_db, runs_db, force=True)
    link = tmp_path / "link"
    link.symlink_to(runs_db)
    with pytest.raises(Conflict, match="the database itself"):
        back_up(runs_db, link, force=True)


def test_a_backup_that_is_open_as_a_database_is_left_alone(runs_db: Path, tmp_path: Path) -> None:
    """Its log would be taken for a part of the new file."""
    older = back_up(runs_db, tmp_path / "older").path
    with TrainingDB(older) as db:
        db.runs.insert("r3")
        with pytest.raises(Conflict, match="older-wal is beside it"):
            back_up(runs_db, older, force=True)
        assert db.runs.count() == 3
    assert back_up(runs_db, older, force=True).path == older
    assert contents(older) == contents(runs_db)


def test_what_is_no_database_of_ours_is_not_backed_up(tmp_path: Path, postgres: Server) -> None:
    with pytest.raises(SchemaMissing, match="no file"):
        back_up(tmp_path / "none.db", tmp_path / "backup")
    with pytest.raises(SchemaMissing, match="memory"):
        back_up(":memory:", tmp_path / "backup")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE songs (name)")
    before = other.read_bytes()
    with pytest.raises(SchemaMissing, match="no tables of training-db"):
        back_up(other, tmp_path / "backup")
    with postgres.database() as url, pytest.raises(SchemaMissing, match="no tables"):
        back_up(url, tmp_path / "backup")
    assert (files(tmp_path), other.read_bytes()) == (["other.db"], before)


def test_a_damaged_database_makes_no_backup(runs_db: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(runs_db)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'ix_training_runs_host'"
        ).fetchone()
    pages = bytearray(runs_db.read_bytes())
    pages[(page - 1) * 4096 + 100 : page * 4096] = b"\xff" * 3996
    runs_db.write_bytes(pages)
    with pytest.raises(DatabaseError, match="damaged"):
        back_up(runs_db, tmp_path / "backup")
    assert files(tmp_path) == ["runs.db"]


def test_rows_without_their_run_are_told_and_come_along(runs_db: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(runs_db)) as connection, connection:
        connection.execute("INSERT INTO run_tags VALUES (999, 'lost', NULL)")
    made = back_up(runs_db, tmp_path / "backup")
    assert made.notes == [
        "1 rows of run_tags belong to no row of training_runs; they are copied as they are"
    ]
    assert contents(made.path) == contents(runs_db)


def test_a_full_disk_leaves_nothing_behind(runs_db: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(DatabaseError):
            back_up(runs_db, folder / "backup")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert files(folder) == []


def test_a_folder_that_is_missing_is_said(runs_db: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="could not be written"):
        back_up(runs_db, tmp_path / "no" / "backup")


KILLED = """
import os, signal, sys
from training_db.db import backup
from training_db.upkeep.backup import back_up
backup.check_file = lambda path: os.kill(os.getpid(), signal.SIGKILL)
import training_db.upkeep.backup as upkeep
upkeep.check_file = backup.check_file
back_up(sys.argv[1], sys.argv[2])
"""


def test_what_a_killed_backup_left_goes_with_the_next(runs_db: Path, tmp_path: Path) -> None:
    killed = [sys.executable, "-c", KILLED, str(runs_db), str(tmp_path / "backup")]
    assert subprocess.run(killed, check=False).returncode == -signal.SIGKILL
    assert any(name.endswith(".partial") for name in files(tmp_path))
    assert "backup" not in files(tmp_path)
    back_up(runs_db, tmp_path / "backup")
    assert files(tmp_path) == ["backup", "runs.db"]


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_a_dump_has_our_tables_and_nobody_elses(db: TrainingDB, tmp_path: Path) -> None:
    fill(db, "r1")
    with psycopg.connect(plain(db)) as connection:
        connection.execute('CREATE TABLE "odd ""name%%" (secret text)')
        connection.execute("CREATE SCHEMA theirs")
        connection.execute("CREATE TABLE theirs.training_runs (secret text)")
        connection.execute("CREATE SEQUENCE counting")
        connection.execute("CREATE VIEW seen AS SELECT run_id FROM training_runs")
    listed = dumps._run(["pg_restore", "--list", str(back_up(db.url, tmp_path / "d").path)])
    for name in ("odd", "theirs", "counting", "seen"):
        assert name not in listed
    for name in ("training_db_document", "training_db_version", "training_runs_number_seq"):
        assert name in listed


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_pg_restore_alone_brings_a_dump_back(
    db: TrainingDB, postgres: Server, tmp_path: Path
) -> None:
    fill(db, "r1")
    made = back_up(db.url, tmp_path / "dump")
    with postgres.database() as url:
        dumps._run(["pg_restore", "--no-owner", f"--dbname={url}", str(made.path)])
        assert contents(url) == contents(db.url)


def plain(db: TrainingDB) -> str:
    return db.url.set(drivername="postgresql").render_as_string(hide_password=False)


def program(folder: Path, name: str, version: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}.1'\n")
    (folder / name).chmod(0o755)


def test_the_oldest_program_that_is_new_enough_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "_FOLDERS", ())
    for version in (13, 99, 17):
        program(tmp_path / str(version), "pg_dump", version)
    folders = [str(tmp_path / one) for one in ("13", "99", "17")]
    monkeypatch.setenv("PATH", os.pathsep.join(folders))
    assert dumps.find("pg_dump", 15) == str(tmp_path / "17" / "pg_dump")
    assert dumps.find("pg_dump", 13) == str(tmp_path / "13" / "pg_dump")
    assert dumps.find("pg_dump", 0) == str(tmp_path / "99" / "pg_dump")


def test_a_program_that_is_missing_or_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dumps, "_FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no pg_dump here.*client-18.*training-db copy"):
        dumps.find("pg_dump", 18)
    (tmp_path / "pg_dump").write_text("#!/bin/sh\necho 'install a version first' >&2; exit 1\n")
    (tmp_path / "pg_dump").chmod(0o755)  # as Debian's where there is no version
    with pytest.raises(ConfigurationError, match="no pg_dump here"):
        dumps.find("pg_dump", 18)
    program(tmp_path, "pg_dump", 15)
    with pytest.raises(ConfigurationError, match=r"PostgreSQL 18, and the newest .* is of 15"):
        dumps.find("pg_dump", 18)


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_the_password_goes_by_the_environment_alone(
    db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Any] = []
    real = dumps._run

    def seen(command: Any, environment: Any = None) -> str:
        commands.append((command, environment))
        return real(command, environment)

    monkeypatch.setattr(dumps, "_run", seen)
    back_up(db.url.set(password=SECRET), tmp_path / "dump")
    (environment,) = [env for command, env in commands if env]
    assert environment["PGPASSWORD"] == SECRET
    assert not any(SECRET in word for command, _ in commands for word in command)


@on_one_backend
def test_the_command_says_what_it_wrote(db: TrainingDB, tmp_path: Path, cli: Cli) -> None:
    url = db.url.render_as_string(hide_password=False)
    answer = cli("backup", str(tmp_path / "b1"), "--url", url)
    assert answer.code == 0
    assert f"{tmp_path / 'b1'}: " in answer.out
    assert "schema v3" in answer.out
    again = cli("backup", str(tmp_path / "b1"), "--url", url)
    assert (again.code, again.out) == (1, "")
    assert "--force" in again.err
    listed = cli("backup", str(tmp_path / "b1"), "--force", "--json", "--url", url)
    assert listed.code == 0
    assert f'"path":"{tmp_path / "b1"}"' in listed.out


def test_a_new_file_can_give_room_back(tmp_path: Path) -> None:
    init_db(tmp_path / "new.db")
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
