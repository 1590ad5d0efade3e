"""A dataset is whole, of one moment and under its name, or it is not there."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.torture import rounds
from tests.transfer.dataset_readers import DuckDB
from training_db import TrainingDB
from training_db.errors import Conflict, DatabaseError
from training_db.repository import stored_rows
from training_db.transfer.dataset import export, export_dataset, place

if TYPE_CHECKING:
    from pathlib import Path

RUNS = 6
KILLED = """
import os, signal, sys, threading
from training_db import TrainingDB
from training_db.repository import stored_rows
from training_db.transfer.dataset import export_dataset

stored_rows.CELLS_AT_ONCE = 50
calls = int(sys.argv[3])

def count(_frame, what, _argument):
    global calls
    if "training_db/transfer" in _frame.f_code.co_filename:
        calls -= 1
        if not calls:
            os.kill(os.getpid(), signal.SIGKILL)

with TrainingDB(sys.argv[1]) as db:
    sys.setprofile(count)
    export_dataset(db, sys.argv[2], force=True)
    sys.setprofile(None)
print(calls)
"""


@pytest.fixture
def db(migrated_file: Path, tmp_path: Path) -> TrainingDB:
    (tmp_path / "runs.db").write_bytes(migrated_file.read_bytes())
    database = TrainingDB(tmp_path / "runs.db")
    fill(database)
    return database


def fill(db: TrainingDB) -> None:
    with db.transaction():
        for number in range(RUNS):
            db.runs.insert(f"run-{number}", created_at=f"2026-0{number % 3 + 1}-01")
            db.history.append(f"run-{number}", {"loss": [2.0, 1.0], "note": ["a" * number, "b"]})


def what_is_there(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("runs.db"))


def counted(folder: Path) -> list[tuple[int, ...]]:
    ask = DuckDB(folder)
    return ask("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM history)")


def test_all_tables_are_of_one_moment(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (stored_rows, export):
        monkeypatch.setattr(module, "RUNS_AT_ONCE", 1)
    with TrainingDB(migrated_url) as db, TrainingDB(migrated_url) as other:
        fill(db)

        def write(_label: str, done: int, _total: int) -> None:
            with other.transaction():
                other.runs.insert(f"new-{done}", created_at="2026-03-01")
                other.history.append(f"run-{RUNS - 1}", {"loss": [0.5]})
                other.runs.update(f"run-{RUNS - 1}", host=f"gpu-{done}")

        folder = export_dataset(db, tmp_path / "dataset", progress=write).folder
        assert db.runs.count() == 2 * RUNS
    ask = DuckDB(folder)
    assert counted(folder) == [(RUNS, 4 * RUNS)]
    assert ask("SELECT DISTINCT host FROM runs") == [(None,)]
    assert ask("SELECT sum(count + other_count) FROM metrics") == [(4 * RUNS,)]


def test_what_is_there_is_replaced_only_when_told_to(db: TrainingDB, tmp_path: Path) -> None:
    first = export_dataset(db, tmp_path / "dataset", "run_id = 'run-1'").folder
    with pytest.raises(Conflict, match="replace it with --force"):
        export_dataset(db, tmp_path / "dataset")
    assert counted(first) == [(1, 4)]
    again = export_dataset(db, tmp_path / "dataset", force=True)
    assert counted(again.folder) == [(RUNS, 4 * RUNS)]
    assert what_is_there(tmp_path) == ["dataset"]


@pytest.mark.parametrize("left", ["dataset.partial", "dataset.replaced"])
def test_what_a_kill_left_half_deleted_is_cleared(
    db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    export_dataset(db, tmp_path / left)
    killed = OSError("killed")

    def stop(_place: object) -> None:
        raise killed

    with monkeypatch.context() as patch:
        patch.setattr(place.shutil, "rmtree", stop)
        with pytest.raises(OSError, match="killed"):
            place._clear(tmp_path / left)
    assert export_dataset(db, tmp_path / "dataset").runs == RUNS
    assert what_is_there(tmp_path) == ["dataset"]


def test_what_is_no_dataset_is_never_replaced(db: TrainingDB, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years")
    (tmp_path / "file").write_text("years")
    (tmp_path / "b.partial").mkdir()
    (tmp_path / "b.partial" / "manifest.json").write_text('{"format": "mine"}')
    for name in ("mine", "file", "b", "."):
        with pytest.raises(Conflict):
            export_dataset(db, tmp_path / name, force=True)
    assert (mine / "thesis.tex").read_text() == (tmp_path / "file").read_text() == "years"
    assert what_is_there(tmp_path) == ["b.partial", "file", "mine"]


def test_an_empty_folder_and_a_link_are_places(db: TrainingDB, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert counted(export_dataset(db, tmp_path / "empty").folder) == [(RUNS, 4 * RUNS)]
    (tmp_path / "link").symlink_to("deep/down")
    linked = export_dataset(db, tmp_path / "link").folder
    assert linked == tmp_path / "deep" / "down"
    assert (tmp_path / "link").is_symlink()


def test_an_error_in_the_middle_leaves_what_was_there(db: TrainingDB, tmp_path: Path) -> None:
    export_dataset(db, tmp_path / "dataset", "run_id = 'run-1'")

    def fail(_label: str, done: int, _total: int) -> None:
        if done > RUNS // 2:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        export_dataset(db, tmp_path / "dataset", force=True, progress=fail)
    assert counted(tmp_path / "dataset") == [(1, 4)]
    assert what_is_there(tmp_path) == ["dataset"]


def test_a_damaged_history_is_named_and_nothing_is_left(db: TrainingDB, tmp_path: Path) -> None:
    with db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE run_history_tails SET block = x'0102'")
        connection.exec_driver_sql("UPDATE run_history_segments SET cells = x'0102'")
    with pytest.raises(DatabaseError, match=r"run 'run-0' is damaged.*doctor --thorough"):
        export_dataset(db, tmp_path / "dataset")
    assert what_is_there(tmp_path) == []


def test_a_second_export_to_the_same_place_is_refused(db: TrainingDB, tmp_path: Path) -> None:
    (tmp_path / "dataset.partial").mkdir()
    handle = os.open(tmp_path / "dataset.partial", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another export"):
            export_dataset(db, tmp_path / "dataset")
    finally:
        os.close(handle)
    assert counted(export_dataset(db, tmp_path / "dataset").folder) == [(RUNS, 4 * RUNS)]
    assert what_is_there(tmp_path) == ["dataset"]


def test_a_full_disk_leaves_nothing_behind(db: TrainingDB, tmp_path: Path) -> None:
    db.history.append("run-5", {"noise": np.random.default_rng(0).random(10_000)})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in (100, 5_000, 20_000):  # bytes a file: the manifest fails, a table of rows, history
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        try:
            with pytest.raises(OSError, match="File too large"):
                export_dataset(db, tmp_path / "dataset")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert what_is_there(tmp_path) == []


@pytest.mark.faults
def test_a_killed_export_starts_over_and_clears_what_was_left(
    db: TrainingDB, tmp_path: Path
) -> None:
    export_dataset(db, tmp_path / "dataset")
    command = [sys.executable, "-c", KILLED, db.url.database, tmp_path / "dataset"]
    whole = subprocess.run([*command, "-1"], capture_output=True, text=True, check=True)
    calls = -int(whole.stdout)
    turns = rounds(usually=2, under_torture=30)
    for turn in range(turns):
        for number in range(RUNS):
            db.runs.update(f"run-{number}", host=f"gpu-{turn}")
        # Every second is killed at about the moment at which the new one takes the old one's name.
        at = calls * turn // turns + 200 if turn % 2 == 0 else calls - 60 + 2 * turn
        killed = subprocess.run([*command, str(at)], capture_output=True, check=False)
        assert killed.returncode == -signal.SIGKILL
        whole_ones = {"dataset", "dataset.replaced"} & {*what_is_there(tmp_path)}
        assert whole_ones
        for name in whole_ones:
            assert counted(tmp_path / name) == [(RUNS, 4 * RUNS)]
            assert len(DuckDB(tmp_path / name)("SELECT DISTINCT host FROM runs")) == 1
    export_dataset(db, tmp_path / "dataset", force=True)
    hosts = DuckDB(tmp_path / "dataset")("SELECT DISTINCT host FROM runs")
    assert hosts == [(f"gpu-{turns - 1}",)]
    assert what_is_there(tmp_path) == ["dataset"]
