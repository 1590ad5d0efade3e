"""What the tests of faults share: databases that can be taken away."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.conftest import BACKENDS
from tests.faults.outages import LockedFile, StoppedServer
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.faults.outages import Outage


@pytest.fixture(autouse=True)
def spools_apart(spool_dir: Path) -> None:
    """Each test has a folder for spools of its own."""


@pytest.fixture(scope="session")
def stopped_server() -> Iterator[StoppedServer]:
    """A PostgreSQL server that only the tests of this package use."""
    server = StoppedServer()
    yield server
    server.remove()


@pytest.fixture(params=BACKENDS)
def outage(request: pytest.FixtureRequest, tmp_path: Path) -> Outage:
    """A migrated database that can be taken away, on one backend after the other."""
    if request.param == "sqlite":
        path = tmp_path / "training.db"
        shutil.copy(request.getfixturevalue("migrated_file"), path)
        return LockedFile(path)
    server: StoppedServer = request.getfixturevalue("stopped_server")
    upgrade(server.new_database())
    return server
