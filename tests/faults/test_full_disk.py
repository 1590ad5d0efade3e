"""The disk of the spool is full: the training goes on, and says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.full_disk import ROWS
from tests.faults.points import check, recorded
from tests.faults.processes import Process, until
from tests.faults.spools import unsent
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend


def start(db: TrainingDB, folder: Path, flush_seconds: float) -> Process:
    url = db.url.render_as_string(hide_password=False)
    process = Process(folder, "full_disk", {"url": url, "flush_seconds": flush_seconds})
    assert json.loads(process.line()) == {"rows": ROWS}, process.errors
    return process


@pytest.mark.parametrize("flush_seconds", [0.05, 3600], ids=["flushing", "never flushing"])
def test_a_training_goes_on_while_the_disk_is_full_and_all_its_points_arrive(
    db: TrainingDB, tmp_path: Path, spool_dir: Path, flush_seconds: float
) -> None:
    process = start(db, tmp_path, flush_seconds)
    process.tell("fill")
    assert json.loads(process.line()) == {"rows": 5 * ROWS}, process.errors
    until(lambda: "spool" in process.errors, "a warning that names the spool")
    process.tell("free")
    assert process.wait() == 0
    assert "Traceback" not in process.errors
    assert check(db, "run", {0: process.acknowledged}) == 6 * ROWS
    assert db.runs.get("run")["status"] == "completed"
    assert unsent(spool_dir) == []


def test_what_was_acknowledged_before_the_disk_was_full_outlives_a_kill(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    process = start(db, tmp_path, 3600)
    process.tell("fill")
    assert json.loads(process.line()) == {"rows": 5 * ROWS}, process.errors
    process.kill()

    sync(db)

    found = [step for step, _ in recorded(db, "run")["loss"]]
    assert found == list(range(len(found)))
    assert ROWS <= len(found) <= 5 * ROWS
    assert unsent(spool_dir) == []
