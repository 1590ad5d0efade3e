"""What the tests of captured runs share: logs of the real W&B client, made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.capture.client import make
from tests.capture.mlflow_databases import mlflow, place
from tests.cli.conftest import cli

__all__ = ["cli", "mlflow", "place"]

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db import TrainingDB

REAL_LOGS = Path(__file__).parents[3] / "shared" / "data" / "wandb"


@pytest.fixture(scope="session")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Path]]:
    folder = tmp_path_factory.mktemp("client")
    return folder, make(folder)


@pytest.fixture
def client_logs(client_folder: tuple[Path, dict[str, Path]], tmp_path: Path) -> dict[str, Path]:
    """For each run of the real client its log, in copies of its own for each test.

    They are ``whole``, ``failed``, ``typed``, and ``first`` and ``second``, which are one run.
    """
    folder, logs = client_folder
    copy = tmp_path / "client"
    shutil.copytree(folder / "wandb", copy / "wandb", symlinks=True)
    return {name: copy / path.relative_to(folder) for name, path in logs.items()}


@pytest.fixture(scope="session")
def real_logs() -> Iterator[Path]:
    """The folder with logs of strangers' trainings, which is not part of this repository."""
    if not REAL_LOGS.is_dir():
        pytest.skip(f"the real logs are not there: {REAL_LOGS} is no folder")
    return REAL_LOGS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a log of a run ``r1`` is to be, in a tree as W&B makes them."""
    return tmp_path / "wandb" / "run-20231114_221320-r1" / "run-r1.wandb"


@pytest.fixture
def named(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """An empty database, which the environment names."""
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db
