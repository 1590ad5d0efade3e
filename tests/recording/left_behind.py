"""Spools as they are left by processes that are gone, made without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.recording.place import place_of, ready_folder, spool_name
from training_db.recording.spool import Spool
from training_db.repository.writers import new_writer

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

STARTED = "2026-01-02T03:04:05.000000Z"


def spool(db: TrainingDB, folder: Path, run_id: str, **meta: str) -> Spool:
    """Make the spool of a recorder, which the caller closes or fills."""
    writer = new_writer(live=True)
    told = {
        "writer": str(writer),
        "run_id": run_id,
        "place": place_of(db.url),
        "pid": "4711",
        "host": "gpu-7",
        "started_at": STARTED,
        "sets_status": "yes",
    }
    path = ready_folder(folder) / spool_name(run_id, writer)
    return Spool.create(path, told | meta)


def left(db: TrainingDB, folder: Path, run_id: str = "run", rows: int = 3, **meta: str) -> Path:
    """Leave the spool of a recorder that was killed after some rows; return its file."""
    made = spool(db, folder, run_id, **meta)
    layout = made.layout("qdd", ("_step", "_timestamp", "loss"))
    assert layout is not None
    for step in range(rows):
        made.add(layout.number, layout.pack(step, 1.0, step / 2), 3)
    made.close()
    assert made.path is not None
    return made.path
