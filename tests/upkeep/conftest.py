"""What the tests of upkeep share: the command line, a folder for spools, a database's URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import cli

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

__all__ = ["cli"]


@pytest.fixture(autouse=True)
def spools_apart(spool_dir: Path) -> None:
    """Each test has a folder for spools of its own."""


@pytest.fixture
def url(db: TrainingDB) -> str:
    """The database's URL as the command line takes it."""
    return db.url.render_as_string(hide_password=False)
