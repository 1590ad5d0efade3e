"""A copy has every row of every table, and the source is as it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from sqlalchemy import text

from tests.transfer.conftest import WAYS
from tests.transfer.databases import fill
from tests.transfer.truth import TABLES, contents, differences, is_sqlite, numbering, rows
from training_db import TrainingDB
from training_db.db.migrations import check, upgrade
from training_db.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidInput,
    SchemaError,
    TrainingDBError,
)
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from tests.transfer.conftest import Places, Way
    from training_db.transfer.copying.copy_report import CopyReport


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def fingerprint(url: str) -> object:
    """Return what changes when anything is written to a database."""
    if not is_sqlite(url):
        return contents(url)
    path = file_of(url)
    log = path.with_name(path.name + "-wal")
    logged = log.read_bytes() if log.exists() else b""
    return hashlib.sha256(path.read_bytes()).hexdigest(), logged


class Copied(NamedTuple):
    """A copy that was made, which the tests only read."""

    source: str
    target: str
    report: CopyReport
    before: object


@pytest.fixture(scope="module", params=WAYS, ids=" to ".join)
def copied(request: pytest.FixtureRequest, kept_places: Places) -> Copied:
    """A database with a value in every column of every table, and its copy where nothing was."""
    source = kept_places.filled(request.param[0])
    target = kept_places.nothing(request.param[1])
    before = fingerprint(source)
    return Copied(source, target, copy_database(source, target), before)


def test_a_copy_has_every_value_of_every_table_and_all_numbers_as_they_are(copied: Copied) -> None:
    assert differences(contents(copied.source), contents(copied.target)) == {}
    assert copied.report.ok
    assert (check(copied.target).faults, check(copied.target).notes) == ([], [])
    assert copied.report.copied_runs == len(numbering(copied.source))
    for told in (copied.report.carried, copied.report.conflicts, copied.report.orphans):
        assert told == []


def test_a_history_reads_the_same_after_a_copy(copied: Copied) -> None:
    with TrainingDB(copied.source) as source, TrainingDB(copied.target) as target:
        runs = source.runs.ids()
        assert target.runs.ids() == runs
        for run_id in runs:
            assert repr(target.runs.history_json(run_id)) == repr(source.runs.history_json(run_id))
            assert repr(target.metrics.of(run_id)) == repr(source.metrics.of(run_id))


def test_the_source_is_not_changed(copied: Copied) -> None:
    assert fingerprint(copied.source) == copied.before


def test_what_is_written_after_a_copy_gets_numbers_of_its_own_and_runs_go_on(way: Way) -> None:
    copy_database(way.source, way.target)
    taken = numbering(way.target).values()

    for url in way:
        with TrainingDB(url) as db, db.transaction():
            db.history.append("run-live", [{"loss": 0.25, "_step": 4}])
            db.history.compact("run-live")
            db.runs.insert("next")
            db.objectives.insert("next", "QED")
            db.scaffolds.insert("next", [{"scaffold_id": "s"}])
            db.events.add("next", "note", "it began")
            db.artifacts.add("next", "plot", "loss.png")
            db.history.append("next", {"a metric of its own": [1.0], "loss": [2.0]})

    assert numbering(way.target)["next"] == max(taken) + 1
    for table in TABLES:
        ids = [row["id"] for row in rows(way.target, table) if "id" in row]
        assert len(ids) == len(set(ids))
    with TrainingDB(way.source) as source, TrainingDB(way.target) as target:
        assert target.runs.history_json("run-live") == source.runs.history_json("run-live")


def test_an_empty_database_has_a_copy_too(places: Places) -> None:
    for source, target in (("sqlite", "postgresql"), ("postgresql", "sqlite")):
        way = places.migrated(source), places.nothing(target)

        assert copy_database(*way).ok

        assert check(way[1]).faults == []
        with TrainingDB(way[1]) as db:
            db.runs.insert("first")
            assert db.runs.number("first") == 1


def test_the_file_and_its_folder_are_made_for_their_owner_only(
    places: Places, tmp_path: Path
) -> None:
    path = tmp_path / "new" / "folder" / "runs.db"

    copy_database(places.filled("sqlite", runs=1), path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [other.name for other in path.parent.iterdir() if "partial" in other.name] == []


def test_a_target_with_runs_is_left_alone_and_the_way_out_is_named(
    places: Places, target: str
) -> None:
    source = places.filled("sqlite", runs=1)
    copy_database(source, target)
    before = fingerprint(target)

    with pytest.raises(Conflict, match="--merge"):
        copy_database(places.filled("sqlite", runs=1, prefix="other"), target)

    assert fingerprint(target) == before


def test_a_copy_that_is_there_whole_is_found_to_be_there(places: Places, target: str) -> None:
    source = places.filled("sqlite", runs=2)
    runs = copy_database(source, target).copied_runs
    before = fingerprint(target)

    for dry_run in (True, False):
        report = copy_database(source, target, dry_run=dry_run)
        assert (report.copied_runs, report.same_runs, report.conflicts) == (0, runs, [])
        assert report.ok
    assert fingerprint(target) == before

    with TrainingDB(source) as db:
        db.runs.update(db.runs.ids()[0], notes="changed")
    with pytest.raises(Conflict, match="--merge"):
        copy_database(source, target)


def test_a_database_is_not_copied_into_itself(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = places.filled("sqlite", runs=1)
    path = file_of(url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link.db").symlink_to(path)
    os.link(path, tmp_path / "hard.db")
    before = contents(url)
    for other in (url, path, path.name, tmp_path / "link.db", tmp_path / "hard.db"):
        for merge in (None, "replace"):
            with pytest.raises(TrainingDBError, match=r"same|itself"):
                copy_database(url, other, merge=merge)
    assert contents(url) == before


def test_a_database_of_a_server_is_not_copied_into_itself(places: Places) -> None:
    url = places.filled("postgresql", runs=1)
    other = url.replace("postgresql://", "postgresql+psycopg://") + "&application_name=other"
    before = contents(url)
    for merge in (None, "replace"):
        with pytest.raises(TrainingDBError, match=r"same|itself"):
            copy_database(url, other, merge=merge)
    assert contents(url) == before


def test_a_source_of_an_older_version_is_either_copied_or_refused_with_the_command(
    places: Places,
) -> None:
    source, target = places.nothing("sqlite"), places.nothing("sqlite")
    upgrade(source, "v2", backup=False)

    with pytest.raises(SchemaError, match="training-db upgrade"):
        copy_database(source, target)

    assert not file_of(target).exists()


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_target_of_an_older_version_is_left_as_it_is(places: Places, backend: str) -> None:
    source, target = places.filled("sqlite", runs=1), places.nothing(backend)
    upgrade(target, "v2", backup=False)
    with TrainingDB(target) as db, db.engine.begin() as connection:
        connection.execute(text("INSERT INTO training_runs (run_id) VALUES ('old')"))

    with pytest.raises(SchemaError, match="training-db upgrade"):
        copy_database(source, target)

    with TrainingDB(target) as db, db.engine.connect() as connection:
        assert connection.scalar(text("SELECT version_num FROM training_db_version")) == "v2"
        assert connection.scalar(text("SELECT run_id FROM training_runs")) == "old"


def test_a_source_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TrainingDBError, match=r"nothing\.db"):
        copy_database(tmp_path / "nothing.db", tmp_path / "target.db")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    other, noise = tmp_path / "other.db", tmp_path / "noise.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE training_runs (run_id TEXT)")
    noise.write_bytes(os.urandom(8192))
    for source in (other, noise):
        with pytest.raises(TrainingDBError):
            copy_database(source, tmp_path / "target.db")
    assert not (tmp_path / "target.db").exists()


def test_a_target_that_holds_other_peoples_tables_keeps_them(places: Places, target: str) -> None:
    with TrainingDB(target) as db, db.engine.begin() as connection:
        connection.execute(text("CREATE TABLE remarks (remark TEXT)"))
        connection.execute(text("INSERT INTO remarks VALUES ('mine')"))

    copy_database(places.filled("sqlite", runs=1), target)

    with TrainingDB(target) as db, db.engine.connect() as connection:
        assert connection.scalar(text("SELECT remark FROM remarks")) == "mine"


def test_a_target_that_cannot_be_written_is_said(places: Places, tmp_path: Path) -> None:
    source = places.filled("sqlite", runs=1)
    (tmp_path / "file").touch()
    server = places.migrated("postgresql")
    with psycopg.connect(server, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')

    for target in (tmp_path / "file" / "runs.db", server):
        with pytest.raises(TrainingDBError):
            copy_database(source, target)


def test_what_is_no_kind_of_merge_is_named(places: Places) -> None:
    with pytest.raises(InvalidInput, match=r"skip.*replace.*fail"):
        copy_database(places.migrated("sqlite"), places.migrated("sqlite"), merge="both")


class TestDryRun:
    def test_it_makes_no_target(self, places: Places) -> None:
        source = places.filled("sqlite")
        file, server = places.nothing("sqlite"), places.nothing("postgresql")

        for target in (file, server):
            report = copy_database(source, target, dry_run=True)
            counted = {one.name: one.source_rows for one in report.tables}
            expected = {table: found.total() for table, found in contents(source).items()}
            assert counted == expected

        assert not file_of(file).exists()
        with psycopg.connect(server) as connection:
            query = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            assert connection.execute(query).fetchone() == (0,)

    def test_it_changes_no_target(self, places: Places, target: str) -> None:
        fill(target, runs=1)
        source = places.filled("sqlite")
        before = fingerprint(source), fingerprint(target)

        for merge in ("skip", "replace", "fail"):
            report = copy_database(source, target, merge=merge, dry_run=True)
            names = sorted(one.run_id for one in report.conflicts)
            assert names == ["run-0", "run-bare", "run-live"]

        assert (fingerprint(source), fingerprint(target)) == before


def test_a_server_that_is_not_there_is_said_without_its_password(places: Places) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        copy_database(places.migrated("sqlite"), "postgresql://ann:s3cret@127.0.0.1:1/runs")
    assert "s3cret" not in str(caught.value)
