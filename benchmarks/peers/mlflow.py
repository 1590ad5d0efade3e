"""MLflow with its SQLite store, through its client and log_batch."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Metric

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 1_000  # the most that log_batch takes


class Store:
    """A tracking store in a SQLite file."""

    calls = 300
    steps = 1_000  # 10,000 would take it minutes
    whole_rows = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
        self._experiment = self._client.create_experiment("bench", artifact_location=str(folder))
        self._runs: dict[str, str] = {}
        self._current = ""

    def start(self, run: str) -> None:
        """Begin a run."""
        self._current = self._client.create_run(self._experiment, run_name=run).info.run_id
        self._runs[run] = self._current

    def log(self, step: int, row: dict[str, float]) -> None:
        """Log one step."""
        now = int(time.time() * 1e3)
        self._send([Metric(name, value, now, step) for name, value in row.items()])

    def finish(self) -> None:
        """End the run."""
        self._client.set_terminated(self._current)

    def append(self, run: str, logged: list[dict[str, float]]) -> None:
        """Log a whole run in the largest batches there are."""
        self.start(run)
        now = int(time.time() * 1e3)
        metrics = [
            Metric(name, value, now, step)
            for step, row in enumerate(logged)
            for name, value in row.items()
        ]
        for first in range(0, len(metrics), BATCH):
            self._send(metrics[first : first + BATCH])
        self.finish()

    def read(self, runs: list[str], metric: str) -> dict[str, tuple[Any, Any]]:
        """Read one metric of some runs, one after another: it has no other way."""
        series = {}
        for run in runs:
            found = self._client.get_metric_history(self._runs[run], metric)
            steps = np.array([each.step for each in found])
            series[run] = steps, np.array([each.value for each in found])
        return series

    def size(self) -> int:
        """Return the bytes of the database."""
        return sum(path.stat().st_size for path in self._folder.glob("mlflow.db*"))

    def _send(self, metrics: list[Metric]) -> None:
        self._client.log_batch(self._current, metrics=metrics, synchronous=True)
