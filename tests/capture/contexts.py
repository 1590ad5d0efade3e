"""Contexts that log offline, in the process of a test, and what becomes of what they log."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.pipelines import LEAN, Log, logs_in
from training_db.capture import create_wandb_context

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB
    from training_db.capture import WandBContext

Begin = Callable[..., "WandBContext"]


@pytest.fixture
def quiet_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that meets no user's settings and says nothing."""
    for name in list(os.environ):
        if name.startswith("WANDB_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def begin(db: TrainingDB, tmp_path: Path) -> Iterator[Begin]:
    """Begin a pipeline, offline; what a test leaves open is finished after it."""
    begun: list[WandBContext] = []

    def create(cfg: Any = None, **options: Any) -> WandBContext:
        # W&B reads its environment once a process, so the folder is named each time.
        given = {"run_id": "p1", "mode": "offline", "db": db, "dir": tmp_path, "settings": LEAN}
        begun.append(create_wandb_context(cfg, **(given | options)))
        return begun[-1]

    yield create
    for one in begun:
        one.finish()


def the_log(folder: Path) -> Log:
    (log,) = logs_in(folder)
    return log


def series(db: TrainingDB, metric: str, run_id: str = "p1") -> tuple[list[Any], list[Any]]:
    """The steps and values of a metric."""
    found = db.history.arrays(run_id, metric)[run_id][metric]
    return found.x.tolist(), found.values.tolist()


def document(db: TrainingDB, column: str, run_id: str = "p1") -> Any:
    return json.loads(db.runs.get(run_id)[column])
