"""What the tests of the command line share."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db import TrainingDB


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Answer]:
    """Run a command in this process, through the same door as a shell does."""
    from training_db.cli import main

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["training-db", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return run


@pytest.fixture
def filled(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """A database with three runs, which the environment names."""
    db.runs.insert(
        "r1", "w1", {"optimizer": {"lr": 0.1}, "objectives": ["QED_maximize"]}, host="gpu-1",
        gradient_method="mgda", status="completed", created_at="2024-01-01 07:08:09",
        duration_seconds=3600, summary={"loss": 0.25, "objectives/QED_maximize/raw_mean": 0.7},
        history_json={"loss": [2.0, 0.25]},
    )  # fmt: skip
    db.runs.insert("r2", created_at="2024-01-02", status="failed", final_loss=float("nan"))
    db.runs.insert("r3", created_at="2024-01-03", gradient_method="pcgrad", config={"x": None})
    db.scaffolds.insert(
        "r1", [{"scaffold_id": "c1ccccc1", "scores": {"QED": 0.44}, "pareto_rank": 1}]
    )
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db
