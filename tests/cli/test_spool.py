"""What killed recorders left on the disk: listed, sent and dropped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests import torture
from tests.cli.terminal import answered, on_terminal, piped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

pytestmark = torture.on_one_backend

LOGGING = """
import os, signal, sys
from training_db import TrainingDB
db = TrainingDB()
recorders = [db.recorder(run_id, flush_seconds=3600) for run_id in sys.argv[2:]]
for step in range(int(sys.argv[1])):
    for recorder in recorders:
        recorder.log({"loss": 1 / (step + 1)}, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def folder(spool_dir: Path, db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of spools of this user, whose database the environment names."""
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return spool_dir


@pytest.fixture
def folder_alone(
    spool_dir: Path, tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The same for what only the files of spools have to do with, whatever the database is."""
    copy = tmp_path / "training.db"
    copy.write_bytes(migrated_file.read_bytes())
    monkeypatch.setenv("TRAINING_DB_PATH", str(copy))
    return spool_dir


def leave(rows: int, *run_ids: str) -> None:
    """Log rows to runs in a process that is killed before it sends them."""
    done = subprocess.run(
        [sys.executable, "-c", LOGGING, str(rows), *run_ids], env=os.environ, check=False
    )
    assert done.returncode == -signal.SIGKILL


@pytest.mark.usefixtures("folder")
def test_without_spools_there_is_nothing_to_do(cli: Cli) -> None:
    for command in (["status"], ["sync"], ["drop", "--all", "--yes"]):
        answer = cli("spool", *command)
        assert (answer.code, answer.out) == (0, "")
        assert answer.err in (
            "there are no spools\n",
            "there is nothing to send to this database\n",
        )
    assert answered(cli("spool", "status", "--json")) == []


def test_what_was_left_is_listed_and_sent(cli: Cli, db: TrainingDB, folder: Path) -> None:
    leave(20, "killed")
    (found,) = answered(cli("spool", "status", "--json"))
    assert (found["run_id"], found["state"], found["rows"]) == ("killed", "waiting", 20)
    assert found["file"] == str(next(folder.glob("*.spool")))
    listed = cli("spool", "status").out
    assert "killed" in listed
    assert "reason" not in listed
    sent = cli("spool", "sync")
    assert (sent.code, sent.err) == (0, "")
    assert "sent" in sent.out
    assert db.history.arrays("killed", "loss")["killed"]["loss"].values.tolist() == [
        1 / (step + 1) for step in range(20)
    ]
    # It stays, empty, until the run is stale: only then nobody else goes on with it for sure.
    (kept,) = answered(cli("spool", "status", "--json"))
    assert (kept["state"], kept["rows"]) == ("sent", 0)


def test_what_another_database_should_have_stays(
    cli: Cli, folder: Path, tmp_path: Path, migrated_file: Path
) -> None:
    leave(5, "killed")
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.write_bytes(migrated_file.read_bytes())
    answer = cli("spool", "sync", "--url", str(elsewhere))
    assert (answer.code, answer.err) == (0, "there is nothing to send to this database\n")
    assert len(list(folder.glob("*.spool"))) == 1


def test_a_damaged_spool_is_named_and_the_others_are_sent(
    cli: Cli, db: TrainingDB, folder: Path
) -> None:
    leave(5, "killed")
    (folder / "damaged-1.spool").write_bytes(b"no database at all" * 100)
    answer = cli("spool", "sync")
    assert answer.code == 1
    assert "corrupt" in answer.out
    assert "damaged-1.spool.corrupt" in answer.out
    assert len(db.history.arrays("killed", "loss")["killed"]["loss"]) == 5
    left = {one["state"]: one["file"] for one in answered(cli("spool", "status", "--json"))}
    assert set(left) == {"corrupt", "sent"}
    for file in left.values():
        (dropped,) = answered(cli("spool", "drop", file, "--yes", "--json"))
        assert dropped["state"] == "dropped"
    assert list(folder.iterdir()) == []


def test_spools_are_dropped_by_name_or_all(cli: Cli, folder_alone: Path) -> None:
    leave(3, "a", "b", "c")
    first = next(folder_alone.glob("a-*.spool"))
    assert "dropped" in cli("spool", "drop", str(first), "--yes").out
    left = {one["run_id"] for one in answered(cli("spool", "status", "--json"))}
    assert left == {"b", "c"}
    assert len(answered(cli("spool", "drop", "--all", "--yes", "--json"))) == 2
    assert not list(folder_alone.glob("*.spool"))


def test_a_spool_in_use_stays(db: TrainingDB, folder: Path) -> None:
    with db.recorder("alive", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})
        listed = piped("spool", "status").out
        assert "in use" in listed
        kept = piped("spool", "drop", "--all", "--yes")
        assert (kept.code, "in use" in kept.out) == (0, True)
        assert list(folder.glob("*.spool"))
    assert len(db.history.arrays("alive", "loss")["alive"]["loss"]) == 1


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["drop"], "--all"),
        (["drop", "x.spool", "--all"], "--all"),
        (["drop", "--all"], "--yes"),
        (["drop", "x.spool", "--yes"], "no spool in"),
        (["sync", "--url", "mysql://db/runs"], "mysql"),
    ],
)
def test_bad_usage_is_said(cli: Cli, arguments: list[str], named: str) -> None:
    answer = cli("spool", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert named in answer.err


@pytest.mark.usefixtures("folder")
def test_a_database_that_cannot_take_it_ends_a_sync_and_nothing_is_lost(
    cli: Cli, db: TrainingDB
) -> None:
    leave(5, "killed")
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_db_version"))
    answer = cli("spool", "sync")
    assert (answer.code, answer.out) == (1, "")
    assert "training-db upgrade" in answer.err
    (left,) = answered(cli("spool", "status", "--json"))
    assert (left["state"], left["rows"]) == ("waiting", 5)


@pytest.mark.parametrize(("typed", "is_left"), [("n\n", True), ("y\n", False)], ids=["no", "yes"])
def test_on_a_terminal_dropping_asks_first(folder_alone: Path, typed: str, is_left: bool) -> None:
    leave(5, "killed")
    answer = on_terminal("spool", "drop", "--all", typed=typed)
    assert "Delete all spools" in answer.err
    assert answer.code == int(is_left)
    assert bool(list(folder_alone.glob("*.spool"))) == is_left
