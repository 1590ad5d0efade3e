"""What the tests of reports share, with each other and with those of the command line."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import cli
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["cli"]


@pytest.fixture
def lite(migrated_file: Path, tmp_path: Path) -> Iterator[TrainingDB]:
    """A database on SQLite alone: what is made of the answers is the same on both backends."""
    place = tmp_path / "lite"
    place.mkdir()
    with TrainingDB(shutil.copy(migrated_file, place / "training.db")) as db:
        yield db


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without the 5 MB of plotly.js, for tests that read them."""
    monkeypatch.setattr("training_db.report.html._plotly", lambda: "/* plotly.js */")
