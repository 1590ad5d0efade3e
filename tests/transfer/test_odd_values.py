"""What PostgreSQL cannot hold as it is arrives in a stated form, is named, and goes back whole."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text

from tests.migrations.test_old_files import FILES
from tests.torture import some
from tests.transfer.oddities import CHILDREN, FIRST, ODD, key_of, make_odd
from tests.transfer.originals import changed, kept
from tests.transfer.truth import contents, differences, rows
from training_db import TrainingDB
from training_db.db.migrations import check, upgrade
from training_db.errors import TrainingDBError
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transfer.conftest import Places
    from training_db.transfer.copying.copy_report import CopyReport

RUN_IDS = (
    "CAST(X'610062' AS TEXT)", "'a\\x00b'", "'a\\\\x00b'", "CAST(X'61FF62' AS TEXT)",
    "hex(zeroblob(2000))", "hex(zeroblob(2000)) || 'x'", "X'6162'", "'ab'", "''",
)  # fmt: skip


@pytest.fixture(scope="module")
def odd_file(tmp_path_factory: pytest.TempPathFactory, migrated_file: Any) -> str:
    """A file with every odd value there is, which the tests only read."""
    path = tmp_path_factory.mktemp("odd") / "odd.db"
    path.write_bytes(migrated_file.read_bytes())
    make_odd(f"sqlite:///{path}")
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def server_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database of a server."""
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture(scope="module")
def report(odd_file: str, server_url: str) -> CopyReport:
    """What the copy of the odd file to the server said."""
    return copy_database(odd_file, server_url)


@pytest.fixture
def server(report: CopyReport, server_url: str) -> str:
    """The database with the copy of the odd file."""
    assert report.ok
    return server_url


def of_runs(url: str, table: str) -> dict[Any, dict[str, Any]]:
    """Return the one row of each run in a table."""
    return {
        row[key_of(table)]: {name: value for name, value in row.items() if name != "id"}
        for row in rows(url, table)
        if row.get("kind") != "copy.original"
    }


def test_a_file_of_odd_values_is_copied_whole(report: CopyReport, server: str) -> None:
    assert report.ok
    assert report.orphans == []
    assert check(server).faults == []


def test_every_value_is_either_there_as_it_is_or_named_with_its_row(
    report: CopyReport, odd_file: str, server: str
) -> None:
    named = {(one.table, one.run_id, one.column) for one in report.carried}
    silent, needless = [], []
    for table in ("training_runs", *(child.name for child in CHILDREN)):
        before, after = of_runs(odd_file, table), of_runs(server, table)
        for number, run_id in enumerate(ODD, start=FIRST):
            key = run_id if key_of(table) == "run_id" else number
            there = after.get(key)
            for column, value in before[key].items():
                same = there is not None and there[column] == value
                told = bool({(table, run_id, column), (table, run_id, "*")} & named)
                if not same and not told:
                    silent.append((run_id, table, column, value, there and there[column]))
                if same and told and there is not None:
                    needless.append((run_id, table, column, value))
    assert silent == []
    assert needless == []


def test_each_report_of_a_value_says_why_and_what_stands_there(report: CopyReport) -> None:
    assert report.carried
    for one in report.carried:
        assert one.reason
        assert one.run_id in ODD
        assert "\x00" not in f"{one.reason}{one.stated}"


def test_what_the_server_cannot_hold_is_kept_in_events_byte_for_byte(
    odd_file: str, server: str
) -> None:
    before = changed(odd_file, server)
    assert before
    assert before - kept(server) == set()


def test_what_is_odd_comes_back_to_sqlite_byte_for_byte(
    odd_file: str, server: str, places: Places
) -> None:
    back = places.nothing("sqlite")

    assert copy_database(server, back).ok

    assert differences(contents(odd_file), contents(back)) == {}
    assert types_of(back) == types_of(odd_file)


def types_of(url: str) -> list[Any]:
    """Return of what type each value of a file is: a blob may look like a text."""
    found = []
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for table in ("training_runs", *(child.name for child in CHILDREN)):
            names = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            kinds = ", ".join(f"typeof({name})" for name in names if name != "id")
            found += connection.execute(f"SELECT {kinds} FROM {table} ORDER BY {key_of(table)}")
    return found


def test_a_file_of_odd_values_is_the_same_in_another_file(odd_file: str, places: Places) -> None:
    target = places.nothing("sqlite")

    report = copy_database(odd_file, target)

    assert report.ok
    assert report.carried == []
    assert differences(contents(odd_file), contents(target)) == {}


def test_from_server_to_server_nothing_is_odd_any_more(server: str, places: Places) -> None:
    target = places.migrated("postgresql")

    again = copy_database(server, target)

    assert again.ok
    assert again.carried == []
    assert differences(contents(server), contents(target)) == {}


def test_ids_of_runs_that_look_alike_once_stated_stay_apart(places: Places) -> None:
    source, server, back = (places.migrated("sqlite"), places.migrated("postgresql"),
                            places.nothing("sqlite"))  # fmt: skip
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        for number, run_id in enumerate(RUN_IDS, start=1):
            connection.execute(
                f"INSERT INTO training_runs (run_id, number) VALUES ({run_id}, {number})"
            )
            for table in ("run_objectives", "run_scaffolds"):
                name = table.removeprefix("run_")[:-1] + ("_name" if "obj" in table else "_id")
                connection.execute(f"INSERT INTO {table} (run_id, {name}) VALUES ({run_id}, 'n')")
            for tag in ("CAST(X'610062' AS TEXT)", "'a\\x00b'"):
                connection.execute(f"INSERT INTO run_tags (run_number, name) VALUES (1, {tag})"
                                   if number == 1 else "SELECT 1")  # fmt: skip
        connection.commit()

    there = copy_database(source, server)
    assert copy_database(server, back).ok

    assert there.ok
    with psycopg.connect(server) as connection:
        for table, count in (("training_runs", 9), ("run_objectives", 9), ("run_tags", 2)):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (count,)
    assert differences(contents(source), contents(back)) == {}


def test_a_time_that_only_postgresql_knows_is_text_in_a_file_and_kept_on_the_way_back(
    places: Places,
) -> None:
    source, file, back = (places.migrated("postgresql"), places.nothing("sqlite"),
                          places.migrated("postgresql"))  # fmt: skip
    moments = ("infinity", "-infinity", "0044-03-15 12:00:00 BC", "12024-01-01 00:00:00Z")
    with psycopg.connect(source) as connection:
        for moment in moments:
            connection.execute("INSERT INTO training_runs (run_id, created_at) VALUES (%s, %s)",
                               [moment, moment])  # fmt: skip

    assert copy_database(source, file).ok
    report = copy_database(file, back)

    assert report.ok
    after = {row["run_id"]: row["created_at"] for row in rows(file, "training_runs")}
    told = {(one.run_id, one.column) for one in report.carried}
    for row in rows(source, "training_runs"):
        assert after[row["run_id"]] == row["created_at"]
    for row in rows(back, "training_runs"):
        kept = row["created_at"] == after[row["run_id"]]
        assert kept or (row["run_id"], "created_at") in told


def test_odd_ids_of_wandb_are_known_again_by_a_merge(places: Places) -> None:
    file, server = places.migrated("sqlite"), places.migrated("postgresql")
    back = places.migrated("sqlite")
    with closing(sqlite3.connect(file.removeprefix("sqlite:///"))) as connection:
        for run_id, odd in (("r1", "'w' || char(0)"), ("None", "X'6162'"), ("r3", "'plain'")):
            connection.execute(
                f"INSERT INTO training_runs (run_id, wandb_run_id) VALUES ('{run_id}', {odd})"
            )
        connection.commit()
    for url, own in ((server, "of the server"), (back, "of the file")):
        with TrainingDB(url) as db:
            db.runs.insert(own)

    assert copy_database(file, server, merge="fail").ok
    assert copy_database(server, back, merge="fail").ok

    assert (
        contents(file, by_name=True)["training_runs"]
        <= (contents(back, by_name=True)["training_runs"])
    )
    for source, target in ((file, server), (server, back)):
        assert copy_database(source, target, merge="fail").same_runs >= 3
    with closing(sqlite3.connect(file.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE training_runs SET run_id = 'other ' || run_id")
        connection.commit()
    for target in (server, back):
        report = copy_database(file, target, merge="skip")
        assert ["W&B id" in one.reason for one in report.conflicts] == [True] * 3


def test_columns_that_somebody_added_come_along_or_are_named(places: Places) -> None:
    source = places.filled("sqlite", runs=1)
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute('ALTER TABLE training_runs ADD COLUMN "My: Note ""x""" TEXT')
        connection.execute("ALTER TABLE training_runs ADD COLUMN reviewer")
        connection.execute('ALTER TABLE training_runs ADD COLUMN "%s of 100%%" INTEGER')
        connection.execute("ALTER TABLE run_objectives ADD COLUMN grade REAL")
        connection.execute('UPDATE training_runs SET "My: Note ""x""" = ?, reviewer = 7, '
                           '"%s of 100%%" = 9', ["ä"])  # fmt: skip
        connection.execute("UPDATE run_objectives SET grade = 1.5")
        connection.commit()

    for backend in ("sqlite", "postgresql"):
        target = places.migrated(backend)
        report = copy_database(source, target)
        assert report.ok
        with TrainingDB(target) as db, db.engine.connect() as connection:
            named = repr(report.notes)
            for table, column, value in (("training_runs", 'My: Note "x"', "ä"),
                                         ("training_runs", "reviewer", 7),
                                         ("training_runs", "%s of 100%%", 9),
                                         ("run_objectives", "grade", 1.5)):  # fmt: skip
                quoted = column.replace('"', '""')
                found = connection.scalar(
                    text(f'SELECT "{quoted}" FROM {table}'.replace(":", "\\:"))
                )
                assert found in (value, str(value))
                assert column in named or found == value


def test_rows_of_no_run_are_listed_with_what_to_do(places: Places, target: str) -> None:
    source = places.filled("sqlite", runs=1)
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute("INSERT INTO run_tags (run_number, name) VALUES (99, 'lost')")
        connection.execute("INSERT INTO run_objectives (run_id, objective_name) VALUES ('?', 'Q')")
        connection.execute("INSERT INTO run_metrics (run_number, metric_id, count, "
                           "non_finite_count, other_count) VALUES (2, 999, 0, 0, 0)")  # fmt: skip
        connection.commit()

    report = copy_database(source, target)

    assert sorted(one.table for one in report.orphans) == [
        "run_metrics", "run_objectives", "run_tags"
    ]  # fmt: skip
    assert not report.ok
    tables = differences(contents(source), contents(target))
    assert {table: list(map(len, only)) for table, only in tables.items()} == {
        "run_metrics": [1, 0], "run_objectives": [1, 0], "run_tags": [1, 0]
    }  # fmt: skip


@pytest.mark.parametrize("number", ["NULL", "'x'", "2.5", "X'01'"])
def test_a_run_without_a_number_is_named_with_what_mends_it(places: Places, number: str) -> None:
    source, target = places.filled("sqlite", runs=1), places.migrated("postgresql")
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as connection:
        connection.execute(f"UPDATE training_runs SET number = {number} WHERE run_id = 'run-bare'")
        connection.commit()

    with pytest.raises(TrainingDBError, match=r"run-bare.*UPDATE training_runs"):
        copy_database(source, target)


@pytest.mark.parametrize("name", some(["v2.1", "handmade", "v1", "v2", "v3"], usually=2))
def test_an_old_or_handmade_file_is_copied_once_it_is_upgraded(places: Places, name: str) -> None:
    source, target, back = (places.nothing("sqlite"), places.migrated("postgresql"),
                            places.nothing("sqlite"))  # fmt: skip
    shutil.copy(FILES / f"{name}.db", source.removeprefix("sqlite:///"))
    upgrade(source, backup=False)

    assert copy_database(source, target).ok
    assert copy_database(target, back).ok

    assert differences(contents(source), contents(target)) == {}
    assert differences(contents(source), contents(back)) == {}
