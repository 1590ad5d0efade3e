"""However a training ends: its points are there, and its status says how it ended."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults import endings
from tests.faults.heartbeats import make_old
from tests.faults.points import check
from tests.faults.processes import Process, until
from tests.faults.spools import left, unsent
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend

BOUND = 20.0  # seconds that the end of a training may take


def start(db: TrainingDB, folder: Path, ending: object, run_id: str = "run") -> Process:
    """Start a training, and wait until it has logged its rows."""
    url = db.url.render_as_string(hide_password=False)
    name = getattr(ending, "__name__", "")
    process = Process(folder, "endings", {"url": url, "ending": name, "run_id": run_id})
    assert process.line() == json.dumps({"rows": endings.ROWS}), process.errors
    return process


def ended(db: TrainingDB, process: Process, run_id: str = "run") -> tuple[str, list[str]]:
    """Return the status of the run and the messages of its events, once its points are checked."""
    assert check(db, run_id, {0: process.acknowledged}) >= endings.ROWS
    run = db.runs.get(run_id)
    assert run["status"] == "running" or run["ended_at"] is not None
    return run["status"], [event["message"] for event in db.events.list(run_id)]


def test_a_terminated_training_dies_by_the_signal_and_is_crashed(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    process = start(db, tmp_path, endings.waits)
    process.signal(signal.SIGTERM)
    assert process.wait(BOUND) == -signal.SIGTERM
    status, messages = ended(db, process)
    assert status == "crashed"
    assert any("SIGTERM" in message for message in messages)
    assert left(spool_dir) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_training_that_a_signal_ends_inside_its_block_is_crashed(
    db: TrainingDB, tmp_path: Path, number: signal.Signals
) -> None:
    process = start(db, tmp_path, endings.waits_in_a_block)
    process.signal(number)
    assert process.wait(BOUND) == -number
    status, messages = ended(db, process)
    assert status == "crashed"
    assert any(number.name in message for message in messages)


@pytest.mark.parametrize("ending", [endings.has_a_handler, endings.sets_a_handler_later])
def test_a_training_whose_own_handler_returns_goes_on_and_is_completed(
    db: TrainingDB, tmp_path: Path, ending: object
) -> None:
    process = start(db, tmp_path, ending)
    process.signal(signal.SIGTERM)
    assert json.loads(process.line()) == {"handler": "ran"}
    before = process.acknowledged
    until(lambda: process.acknowledged > before + 10, "the training has gone on")
    process.tell("end")
    assert process.wait(BOUND) == 0
    assert ended(db, process)[0] == "completed"


def test_a_training_whose_own_handler_exits_ends_with_its_code(
    db: TrainingDB, tmp_path: Path
) -> None:
    process = start(db, tmp_path, endings.has_a_handler_that_exits)
    process.signal(signal.SIGTERM)
    assert process.wait(BOUND) == 5
    assert ended(db, process)[0] in ("crashed", "failed")


def test_a_signal_inside_log_never_hangs(db: TrainingDB, tmp_path: Path) -> None:
    for run_id in ("a", "b", "c", "d"):
        process = start(db, tmp_path, endings.logs_without_a_pause, run_id)
        process.signal(signal.SIGTERM)
        assert process.wait(BOUND) == -signal.SIGTERM
        assert ended(db, process, run_id)[0] == "crashed"


@pytest.mark.parametrize("ending", [endings.raises, endings.raises_in_a_block])
def test_a_training_that_raises_is_failed_and_the_error_is_an_event(
    db: TrainingDB, tmp_path: Path, ending: object
) -> None:
    process = start(db, tmp_path, ending)
    assert process.wait(BOUND) == 1
    assert process.errors.count(f"ValueError: {endings.ERROR}") == 1  # Python tells it as ever
    status, messages = ended(db, process)
    assert status == "failed"
    assert sum(f"ValueError: {endings.ERROR}" in message for message in messages) == 1


@pytest.mark.parametrize(
    ("ending", "code", "status"),
    [
        (endings.exits_with_three_in_a_block, 3, "failed"),
        (endings.exits_with_zero_in_a_block, 0, "completed"),
        (endings.forgets_to_close, 0, "completed"),
    ],
)
def test_a_training_that_exits_says_by_its_code_how_it_went(
    db: TrainingDB, tmp_path: Path, ending: object, code: int, status: str
) -> None:
    process = start(db, tmp_path, ending)
    assert process.wait(BOUND) == code
    assert process.errors == ""
    assert ended(db, process)[0] == status


def test_a_training_that_is_gone_at_once_loses_nothing_and_is_shown_as_stale(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    process = start(db, tmp_path, endings.is_gone_at_once)
    assert process.wait(BOUND) == 0
    sync(db)
    assert ended(db, process)[0] == "running"
    assert unsent(spool_dir) == []
    make_old(db, "run")
    assert db.runs.get("run")["stale"]


def test_a_training_that_was_killed_is_crashed_by_the_sync_that_finds_it_stale(
    db: TrainingDB, tmp_path: Path
) -> None:
    process = start(db, tmp_path, endings.waits)
    until(lambda: db.runs.find("run"), "the run is known")
    process.kill()
    make_old(db, "run")
    sync(db)
    assert ended(db, process)[0] == "crashed"
