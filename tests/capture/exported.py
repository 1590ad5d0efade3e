"""A run that is exported for W&B, and what stands in its folder then."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.capture.oracle import read
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.oracle import Cells
    from training_db import TrainingDB
    from training_db.capture.captured import CapturedRun

STARTED = "2026-01-02T03:04:05.123456Z"
SECONDS = 1767323045.123456
CONFIG = {
    "optimizer": {"lr": 1e-08, "betas": [0.9, 0.999]},
    "a.b": 1,
    "text": "héllo",
    "big": 2**70,
}
HISTORY: dict[str, list[Any]] = {
    "_step": [0, 5, 10],
    "_timestamp": [SECONDS + 1.25, SECONDS + 2.5, SECONDS + 3.75],
    "_runtime": [1.25, 2.5, 3.75],
    "loss": [0.1, math.nan, 5e-324],
    "inf": [math.inf, -math.inf, -0.0],
    "count": [1, -(2**63), 2**63 - 1],
    "big": [1, 2.5, 2**70],
    "flag": [True, False, None],
    "text": ["héllo", None, "\N{BLACK HEART SUIT} \x00 \u2028"],
    "list": [[1, [2.5, None]], [], None],
    "a/b": [1.0, 2.0, 1e300],
    "Epoch ": [None, 7, None],
}


def log_in(folder: Path) -> Path:
    (path,) = folder.glob("run-*.wandb")
    return path


def read_back(folder: Path) -> tuple[Cells, CapturedRun]:
    log = WandbLog(log_in(folder))
    cells = read(log)
    assert log.damage == []
    return cells, log.run


def cells_of(history: dict[str, list[Any]]) -> Cells:
    """The cells of a history by metric and row, without those that are missing."""
    return {
        name: {row: value for row, value in enumerate(values) if value is not None}
        for name, values in history.items()
    }


def a_run(db: TrainingDB, run_id: str = "r1", **fields: Any) -> str:
    db.runs.insert(run_id, config=CONFIG, started_at=STARTED, **fields)
    db.history.append(run_id, HISTORY)
    return run_id
