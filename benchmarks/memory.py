"""The most memory that a process ever holds over a run of 149 metrics x 100,000 points."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.comparison import Comparison
from benchmarks.databases import fresh

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 500.0  # megabytes
SECONDS = 1800
TASKS = {
    "append": "append of a dict of arrays (119 MB of them)",
    "read": "read metric by metric",
    "migrate": "migration from v2.1 (a JSON of 284 MB)",
}


def peak_memory(backend: str, server_url: str) -> Iterator[Comparison]:
    """Weigh each task in a process of its own."""
    with fresh(backend, server_url, "memory") as url:
        resident("prepare", url)
        for task in ("append", "read"):
            yield _compared(task, backend, resident(task, url))
    with fresh(backend, server_url, "memory_old") as url:
        resident("fill", url)
        yield _compared("migrate", backend, resident("migrate", url))


def resident(task: str, url: str) -> float:
    """Run a task of ``benchmarks/resident.py``, and return the most megabytes it held."""
    command = (sys.executable, "-m", "benchmarks.resident", task, url)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=SECONDS)
    if done.returncode:
        print(done.stderr, file=sys.stderr, flush=True)
        raise SystemExit(f"benchmarks.resident {task} failed")
    return float(done.stdout)


def _compared(task: str, backend: str, megabytes: float) -> Comparison:
    return Comparison(f"{TASKS[task]}, {backend}", "MB", megabytes, at_most=LIMIT)
