"""The trash emptied: exactly what was shown goes, in batches, and its room is given back."""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.torture import on_one_backend, rounds
from tests.upkeep.filled import contents, fill
from training_db.errors import Conflict, InvalidValue
from training_db.repository import deletion
from training_db.upkeep.gc import collect, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

NOW = timedelta(0)


@pytest.fixture
def trash(db: TrainingDB) -> TrainingDB:
    """Four runs with something in every table, of which two are in the trash."""
    fill(db, "kept", "old", "brought back", "older")
    db.runs.delete("older", "old", "brought back")
    db.runs.restore("brought back")
    return db


def url_of(db: TrainingDB) -> str:
    return db.url.render_as_string(hide_password=False)


def test_what_was_shown_goes_and_nothing_else(trash: TrainingDB) -> None:
    before = contents(trash.url)
    planned = plan(trash, older_than=NOW)
    assert contents(trash.url) == before
    assert sorted(run.run_id for run in planned.runs) == ["old", "older"]
    shown = {share.table: share.rows for share in planned.shares}
    assert shown["training_runs"] == 2
    assert set(shown) == set(before) - {"metric_names", "training_db_version"}
    assert all(share.bytes > 0 for share in planned.shares)
    assert planned.unused_names == ["own/old", "own/older"]
    done = collect(trash, planned)
    assert (done.runs, done.rows, done.names, done.names_left) == (2, shown, 2, 0)
    after = contents(trash.url)
    assert {table: len(before[table]) - len(rows) for table, rows in after.items()} == {
        **dict.fromkeys(before, 0), **shown, "metric_names": 2,
    }  # fmt: skip
    assert all(set(rows) <= set(before[table]) for table, rows in after.items())
    assert collect(trash, plan(trash, older_than=NOW)).rows == {}
    assert contents(trash.url) == after


@on_one_backend
def test_only_what_is_in_the_trash_for_long_goes(trash: TrainingDB) -> None:
    before = contents(trash.url)
    assert plan(trash, older_than=timedelta(hours=1)).runs == []
    assert collect(trash, plan(trash, older_than=timedelta(days=30))).runs == 0
    assert contents(trash.url) == before
    with trash.engine.begin() as connection:
        moment = plan(trash, older_than=timedelta(days=31)).before
        connection.execute(
            text("UPDATE training_runs SET deleted_at = :moment WHERE run_id = 'old'"),
            {"moment": moment if connection.dialect.name != "sqlite" else moment.isoformat()},
        )
    planned = plan(trash, older_than=timedelta(days=30))
    assert [run.run_id for run in planned.runs] == ["old"]
    assert [run.run_id for run in plan(trash, before=planned.before).runs] == ["old"]
    assert collect(trash, planned).runs == 1
    assert trash.runs.find("older") is not None


@on_one_backend
def test_a_run_that_comes_back_after_the_plan_stays(trash: TrainingDB) -> None:
    planned = plan(trash, older_than=NOW)
    trash.runs.restore("old")
    done = collect(trash, planned)
    assert (done.run_ids, trash.runs.find("older")) == (["older"], None)
    assert trash.history.counts("old")["own/old"] == 2
    assert done.names == 1  # the name that it has again is no leftover


@on_one_backend
def test_another_set_than_was_shown_is_refused(trash: TrainingDB) -> None:
    planned = plan(trash, older_than=NOW)
    trash.runs.restore("old")
    before = contents(trash.url)
    with pytest.raises(Conflict, match=r"has changed.*--dry-run"):
        collect(trash, plan(trash, before=planned.before), expected=planned.digest)
    assert contents(trash.url) == before


@on_one_backend
def test_a_run_that_is_being_logged_to_stays(trash: TrainingDB, spool_dir: Path) -> None:
    del spool_dir
    with trash.recorder("old") as recorder:
        recorder.log({"loss": 0.5})
        recorder.flush()
        planned = plan(trash, older_than=NOW)
        assert [run.run_id for run in planned.runs] == ["older"]
        assert [run.run_id for run in planned.alive] == ["old"]
        collect(trash, planned)
        recorder.log({"loss": 0.25})
    assert trash.history.counts("old")["loss"] == 704 + 2
    assert collect(trash, plan(trash, older_than=NOW)).runs == 1


@on_one_backend
def test_a_recorder_goes_on_though_its_run_is_deleted(
    trash: TrainingDB, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del spool_dir
    monkeypatch.setattr(deletion, "STALE_SECONDS", -60)  # as after a long pause of the machine
    with trash.recorder("old", sets_status=False) as recorder:
        recorder.log({"loss": 0.5})
        recorder.flush()
        assert collect(trash, plan(trash, older_than=NOW)).runs == 2
        recorder.log({"loss": 0.25})
        with pytest.warns(UserWarning, match="tried again|reaches the database again"):
            recorder.flush()
    assert trash.history.counts("old") == {"_step": 1, "_timestamp": 1, "loss": 1}


@on_one_backend
def test_runs_go_in_batches(trash: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion, "BATCH_SEGMENTS", 3)
    fill(trash, *(f"more{place}" for place in range(4)))
    trash.runs.delete(*(f"more{place}" for place in range(4)))
    batches = []
    real = deletion.TrashRepository.delete

    def seen(self: deletion.TrashRepository, batch: list[deletion.TrashedRun], before: object):  # type: ignore[no-untyped-def]
        batches.append(len(batch))
        return real(self, batch, before)  # type: ignore[arg-type]

    monkeypatch.setattr(deletion.TrashRepository, "delete", seen)
    assert collect(trash, plan(trash, older_than=NOW)).runs == 6
    assert batches == [1] * 6


def test_a_run_of_thousands_of_segments_takes_little_memory(db: TrainingDB) -> None:
    segments = rounds(300, 4_000)
    db.runs.insert("long")
    db.history.append("long", {"loss": [1.0]})
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO run_history_segments VALUES (1, (SELECT min(id) FROM metric_names), "
                "3, :first, :first, 1, 0, 0, 0, 'float', NULL, :cells)"
            ),
            [{"first": place, "cells": bytes(20_000)} for place in range(segments)],
        )
    db.runs.delete("long")
    planned = plan(db, older_than=NOW)
    tracemalloc.start()
    done = collect(db, planned)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.rows["run_history_segments"] == segments
    assert peak < 2_000_000
    if db.engine.dialect.name == "sqlite":
        assert done.bytes_before - done.bytes_after > 18_000 * segments
        assert Path(str(db.url.database)).stat().st_size < 1_000_000


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_run_without_a_number_goes_like_the_others(trash: TrainingDB) -> None:
    trash.runs.insert("bare")
    with trash.engine.begin() as connection:
        connection.execute(text("UPDATE training_runs SET number = NULL WHERE run_id = 'bare'"))
    trash.runs.delete("bare")
    planned = plan(trash, older_than=NOW)
    assert planned.unused_names == ["own/old", "own/older"]
    assert sorted(collect(trash, planned, expected=planned.digest).run_ids) == [
        "bare", "old", "older",
    ]  # fmt: skip


@on_one_backend
def test_a_row_of_somebody_else_holds_a_run(trash: TrainingDB) -> None:
    with trash.engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE theirs (run_id TEXT REFERENCES training_runs (run_id))")
        )
        connection.execute(text("INSERT INTO theirs VALUES ('old')"))
    before = contents(trash.url)
    with pytest.raises(Conflict):
        collect(trash, plan(trash, older_than=NOW))
    assert contents(trash.url) == before


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_file_of_before_says_how_it_becomes_smaller(trash: TrainingDB, cli: Cli) -> None:
    path = str(trash.url.database)
    trash.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = NONE")
        connection.execute("VACUUM")
    answer = cli("gc", "--older-than", "0s", "--yes", "--url", path)
    assert answer.code == 0
    assert "--vacuum gives them back" in answer.out
    again = cli("gc", "--older-than", "0s", "--yes", "--vacuum", "--json", "--url", path)
    facts = json.loads(again.out)
    assert facts["bytes_after"] < facts["bytes_before"]
    assert facts["bytes_kept"] == 0
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


def test_a_table_can_be_written_anew_on_both(trash: TrainingDB) -> None:
    before = contents(trash.url)
    collect(trash, plan(trash, older_than=timedelta(days=1)), whole=True)
    assert contents(trash.url) == before


@on_one_backend
def test_the_printed_command_does_exactly_that(trash: TrainingDB, cli: Cli) -> None:
    url = url_of(trash)
    answer = cli("gc", "--older-than", "0s", "--dry-run", "--url", url)
    assert answer.code == 0
    assert "training_runs" in answer.out
    command = answer.out.splitlines()[-1].partition("to delete exactly these: ")[2]
    fill(trash, "thrown away later")
    trash.runs.delete("thrown away later")
    program, *words = shlex.split(command)
    assert program == "training-db"
    done = cli(*words)
    assert done.code == 0
    assert done.out.startswith("deleted 2 runs for good\n")
    assert "given back" in done.out
    assert trash.runs.find("thrown away later") is not None
    again = cli(*words)
    assert (again.code, again.out) == (1, "")
    assert "--dry-run" in again.err


@on_one_backend
def test_without_a_terminal_it_takes_yes(trash: TrainingDB, cli: Cli) -> None:
    before = contents(trash.url)
    answer = cli("gc", "--older-than", "0s", "--url", url_of(trash))
    assert (answer.code, answer.out) == (2, "")
    assert "--yes" in answer.err
    for odd in ([], ["--older-than", "1x"], ["--older-than", "1d", "--before", "2024-01-01"]):
        assert cli("gc", *odd, "--yes", "--url", url_of(trash)).code == 2
    assert cli("gc", "--before", "soon", "--yes", "--url", url_of(trash)).code == 2
    with pytest.raises(InvalidValue):
        plan(trash)
    assert contents(trash.url) == before


KILL = """
import os, signal, sys, threading
from datetime import timedelta
from training_db.repository import deletion
from training_db.upkeep.gc import collect, plan
deletion.BATCH_RUNS = 2
threading.Timer(float(sys.argv[2]), os.kill, [os.getpid(), signal.SIGKILL]).start()
collect(sys.argv[1], plan(sys.argv[1], older_than=timedelta(0)))
os._exit(0)
"""


@pytest.mark.faults
@on_one_backend
def test_killed_at_any_moment_each_run_is_there_whole_or_not_at_all(trash: TrainingDB) -> None:
    names = [f"run{place}" for place in range(rounds(8, 30))]
    fill(trash, *names)
    kept = {name: trash.history.counts(name) for name in ("kept", "brought back")}
    whole = trash.history.counts("run0") | {"own/run0": 0}
    trash.runs.delete(*names)
    for place in range(rounds(1, 30)):
        kill = [sys.executable, "-c", KILL, url_of(trash), str(0.03 + 0.05 * (place % 15))]
        assert subprocess.run(kill, check=False).returncode in (0, -signal.SIGKILL)
        for name in names:
            if trash.runs.find(name) is not None:
                assert trash.history.counts(name)["loss"] == whole["loss"]
                assert trash.tags.of(name) == {"keep": "yes"}
    collect(trash, plan(trash, older_than=NOW))
    assert {name: trash.history.counts(name) for name in kept} == kept
    assert sorted(trash.runs.ids()) == ["brought back", "kept"]
    left = contents(trash.url)
    assert [len(left[table]) for table in ("training_runs", "run_tags", "run_events")] == [2] * 3
