"""Spools that trainings have left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.faults.points import row
from training_db import TrainingDB
from training_db.recording import status

if TYPE_CHECKING:
    from pathlib import Path


def left(folder: Path) -> list[Path]:
    """Return every file in a folder of spools."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def unsent(folder: Path) -> list[Path]:
    """Return the spools whose rows are not all in the database.

    Of a run that was killed just now an empty one is kept, which says later that it crashed.
    """
    kept = {one.file for one in status(folder) if one.state == "sent"}
    return [path for path in left(folder) if path not in kept]


def abandon(url: str, run_id: str, rows: int) -> None:
    """Log rows in a process that is gone before it has sent any of them."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            recorder = TrainingDB(url).recorder(run_id, flush_seconds=3600)
            for step in range(rows):
                recorder.log(row(step), step=step)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
