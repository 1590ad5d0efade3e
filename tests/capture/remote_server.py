"""What the tests of the import from W&B's server share: the server, and runs for it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.graphql_server import API_KEY, WandBServer, serving
from tests.capture.stored_runs import StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METADATA = b"""{"host": "gpu-1", "email": "lovelace@example.org", "username": "lovelace",
"os": "Linux", "git": {"remote": "https://lovelace:pw@example.org/qed.git", "commit": "c0ffee"}}"""


def rows(count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return rows with steps, a number, an integer and a nested key."""
    return [
        {"_step": step, "_timestamp": 1.7e9 + step / 2, "loss": 1 / (step + 3), "n": {"d": step}}
        for step in range(first, first + count)
    ]


def whole_run(count: int = 2_500) -> StoredRun:
    """Return a run that has everything that a run can have."""
    return StoredRun(
        "whole",
        rows(count),
        config={"lr": 0.1, "optimizer": {"name": "adam"}, "_wandb": {"cli_version": "0.31.0"}},
        summary={"loss": 0.25, "_runtime": 3600.5, "_wandb": {"runtime": 3600}},
        name="eager-fox-1",
        tags=["a", "b"],
        group="sweep-7",
        job_type="train",
        sweep="s1",
        notes="the first",
        commit="c0ffee",
        files={"wandb-metadata.json": METADATA, "diff.patch": b"+", "media/a.png": b"png"},
        artifacts=[
            {"name": "model", "type": "model", "aliases": ["best"], "size": 7},
            {"name": "data", "type": "dataset", "role": "input", "version": 3},
        ],
    )


@pytest.fixture(scope="module")
def _served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandBServer]:
    import wandb

    folder: Path = tmp_path_factory.mktemp("wandb")
    wandb.teardown()  # what other tests set up in this process knows another server
    with pytest.MonkeyPatch.context() as patch, serving() as server:
        for name in list(os.environ):
            if name.startswith("WANDB_"):
                patch.delenv(name)
        patch.setenv("WANDB_BASE_URL", server.url)
        patch.setenv("WANDB_API_KEY", API_KEY)
        for kind in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR"):
            patch.setenv(f"WANDB_{kind}", str(folder))
        yield server
        wandb.teardown()


@pytest.fixture
def wandb_server(_served: WandBServer) -> WandBServer:
    """A W&B server without a project, which the environment names."""
    _served.forget()
    return _served
