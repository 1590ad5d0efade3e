"""trackio: one JSON row a step in a SQLite file, written by a thread."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import trackio
from trackio.sqlite_storage import SQLiteStorage

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = "bench"
MOST_ROWS = 1_000_000


class Store:
    """A project in a folder of its own."""

    calls = 5_000
    steps = 10_000
    whole_rows = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, run: str) -> None:
        """Begin a run."""
        trackio.init(PROJECT, name=run, embed=False, auto_log_gpu=False, auto_log_cpu=False)

    def log(self, step: int, row: dict[str, float]) -> None:
        """Log one step."""
        trackio.log(row, step=step)

    def finish(self) -> None:
        """End the run."""
        trackio.finish()

    def append(self, run: str, logged: list[dict[str, float]]) -> None:
        """Log a whole run, by the way its own importers take."""
        SQLiteStorage.bulk_log(PROJECT, run, logged)

    def read(self, runs: list[str], metric: str) -> dict[str, tuple[Any, Any]]:
        """Read one metric of some runs by SQL, which is faster than its reader of whole rows."""
        names = ", ".join(f"'{run}'" for run in runs)
        found = SQLiteStorage.query_project(
            PROJECT,
            f"SELECT run_name, step, json_extract(metrics, '$.\"{metric}\"') AS value "
            f"FROM metrics WHERE run_name IN ({names}) ORDER BY run_name, step",
            max_rows=MOST_ROWS,
        )["rows"]
        return {
            run: (np.array([row["step"] for row in some]), np.array([row["value"] for row in some]))
            for run, group in groupby(found, key=itemgetter("run_name"))
            for some in (list(group),)
        }

    def size(self) -> int:
        """Return the bytes of its folder, once its database has put its log away."""
        for path in self._folder.rglob("*.db"):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
