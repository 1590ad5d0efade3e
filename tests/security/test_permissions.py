"""What holds a database, or a part of one, is for the eyes of its owner, whatever the umask."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training_db import ExperimentDB, TrainingDB, init_db
from training_db.capture import create_wandb_context, save_wandb_context
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.terminal import Answer

OLD_FILE = Path(__file__).resolve().parents[1] / "migrations" / "files" / "v2.db"


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty folder that everybody may read, under one umask after the other."""
    before = os.umask(request.param)
    place = tmp_path / "open"
    place.mkdir(mode=0o755)
    yield place
    os.umask(before)


def wide(folder: Path) -> dict[str, str]:
    """Return the files below a folder that others than the owner may read or write."""
    found = {}
    for path in folder.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.is_file() and mode & 0o077:
            found[str(path.relative_to(folder))] = oct(mode)
    return found


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_a_database_and_what_sqlite_puts_beside_it_are_private(folder: Path) -> None:
    path = folder / "new" / "folder" / "runs.db"
    init_db(path)
    with TrainingDB(path) as db:
        db.runs.insert("r1")
        assert {"runs.db", "runs.db-wal", "runs.db-shm"} <= files(folder)
        assert wide(folder) == {}
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


def test_a_database_of_the_tracker_is_private(folder: Path) -> None:
    with ExperimentDB(folder / "experiments.db") as tracker:
        tracker.log_metric(tracker.log_run("a"), "loss", 0.5, step=1)
        assert wide(folder) == {}


def test_a_spool_and_its_folder_are_private(
    folder: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spools = folder / "state" / "spool"
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(spools))
    shutil.copy(migrated_file, folder.parent / "runs.db")
    with TrainingDB(folder.parent / "runs.db") as db, db.recorder("r1") as recorder:
        recorder.log({"loss": 0.5}, step=1)
        assert any(name.endswith(".spool") for name in files(folder))
        assert wide(folder) == {}
        assert stat.S_IMODE(spools.stat().st_mode) & 0o077 == 0


def test_the_copy_before_a_migration_is_private(folder: Path) -> None:
    path = folder / "old.db"
    shutil.copyfile(OLD_FILE, path)
    path.chmod(0o600)
    upgrade(path)
    assert any(name.endswith(".backup") for name in files(folder))
    assert wide(folder) == {}


def test_a_saved_context_is_private(folder: Path) -> None:
    context = create_wandb_context({}, run_id="p1", mode="disabled")
    save_wandb_context(context, folder / "context.json")
    assert files(folder) == {"context.json"}
    assert wide(folder) == {}


@pytest.fixture
def private_cli(
    cli: Callable[..., Answer], migrated_file: Path, folder: Path
) -> Callable[..., Answer]:
    """The command line, on a database with a run that stands elsewhere."""
    path = folder.parent / "runs.db"
    shutil.copy(migrated_file, path)
    with TrainingDB(path) as db:
        db.runs.insert("r1", config={"lr": 0.1})
    return lambda *words: cli(*(word.replace("RUNS", str(path)) for word in words))


@pytest.mark.parametrize(
    "commands",
    [
        [("upgrade", "--url", "FOLDER/new.db")],
        [("backup", "FOLDER/runs.backup", "--url", "RUNS")],
        [("backup", "FOLDER/a.backup", "--url", "RUNS"),
         ("restore", "FOLDER/a.backup", "--url", "FOLDER/restored.db")],
        [("copy", "RUNS", "FOLDER/copied.db")],
        [("doctor", "--rescue", "FOLDER/rescued.db", "--url", "RUNS")],
    ],
    ids=["upgrade", "backup", "restore", "copy", "doctor"],
)  # fmt: skip
def test_a_file_that_a_command_makes_is_private(
    private_cli: Callable[..., Answer], folder: Path, commands: list[tuple[str, ...]]
) -> None:
    for words in commands:
        answer = private_cli(*(word.replace("FOLDER", str(folder)) for word in words))
        assert answer.code == 0, answer.err
    assert files(folder)
    assert wide(folder) == {}


@contextmanager
def umask(mode: int) -> Iterator[None]:
    before = os.umask(mode)
    try:
        yield
    finally:
        os.umask(before)


def test_a_file_that_is_there_keeps_the_rights_that_somebody_gave_it(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    with umask(0o002):
        path.touch(0o660)
        init_db(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
