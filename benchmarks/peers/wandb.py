"""W&B offline: records in a file of its own, written by a service process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import wandb

if TYPE_CHECKING:
    from pathlib import Path


class Store:
    """Offline runs in a folder of their own; there is no way to read them back."""

    calls = 5_000
    steps = 10_000

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run = None

    def start(self, run: str) -> None:
        """Begin a run."""
        settings = wandb.Settings(
            mode="offline", console="off", x_disable_stats=True, x_disable_meta=True
        )
        self._run = wandb.init(project="bench", name=run, dir=self._folder, settings=settings)

    def log(self, step: int, row: dict[str, float]) -> None:
        """Log one step."""
        self._run.log(row, step=step)

    def finish(self) -> None:
        """End the run."""
        self._run.finish()

    def append(self, run: str, logged: list[dict[str, float]]) -> None:
        """Log a whole run step by step: there is no other way in."""
        self.start(run)
        for step, row in enumerate(logged):
            self.log(step, row)
        self.finish()

    def size(self) -> int:
        """Return the bytes of the runs' records, without logs and settings."""
        return sum(path.stat().st_size for path in self._folder.rglob("*.wandb"))
