"""The peers' figures, each taken in a process of its own, where their packages are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

PEERS = ("trackio", "wandb", "mlflow")
MISSING = "not installed"
SECONDS = 900

# All of them write into the folder they are given, and call no one.
OFFLINE = {
    "DO_NOT_TRACK": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TRACKIO_DISABLE_LOGS_CACHE": "1",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
}
FOLDERS = ("HOME", "TMPDIR", "TRACKIO_DIR", "WANDB_DIR", "WANDB_DATA_DIR", "XDG_CACHE_HOME")
KEPT = ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


def figures(task: str, key: str) -> dict[str, float | str]:
    """Return one figure of a task by peer, or why there is none.

    Args:
        task: What they do: ``log``, ``bulk`` or ``read``; see ``benchmarks/peers/__main__.py``.
        key: Which of its figures.
    """
    found: dict[str, float | str] = {}
    for peer in PEERS:
        taken = _measured(peer, task)
        found[peer] = taken if isinstance(taken, str) else taken.get(key, "")
    return found


@cache
def _measured(peer: str, task: str) -> dict[str, float] | str:
    if importlib.util.find_spec(peer) is None:
        return MISSING
    print(f"{peer}: {task} ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        result = Path(folder) / "result.json"
        environment = {name: os.environ[name] for name in KEPT if name in os.environ}
        environment |= OFFLINE | dict.fromkeys(FOLDERS, folder)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.peers", peer, task, str(result)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            print(done.stderr, file=sys.stderr, flush=True)
            return "failed"
        return json.loads(result.read_text())
