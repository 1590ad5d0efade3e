"""Runs of the real W&B client, offline, in a process of their own.

``python -m tests.capture.client FOLDER`` makes several and prints for each its name and its log, as
JSON; ``python -m tests.capture.client FOLDER live`` is a training that logs when it is told to.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

EMAIL, USER, SECRET = "person@example.org", "personname", "tokenuser:s3cr3ttoken"
CONFIG = {
    "optimizer": {"lr": 1e-08, "betas": [0.9, 0.999]},
    "a.b": 1,
    "empty": {},
    "nan": math.nan,
    "none": None,
    "text": "héllo",
}
ROWS = 5
SHOWN_SUMMARY = "wandb/whole-summary.json"
"""Where stands what the client itself showed as the summary of the whole run."""


def row(number: int) -> dict[str, Any]:
    """What the whole run logs as its row of this number."""
    return {
        "loss": 1 / (number + 1),
        "n": {"d": number, "e": {"f": f"x{number}"}},
        "n.d": 100 + number,
        "a/b": 1.0 * number,
        "Epoch ": number,
        "low": abs(number - 2),
        "high": abs(number - 2),
        "nan": math.nan,
        "inf": math.inf,
        "minus": -math.inf,
        "none": None,
        "flag": number % 2 == 0,
        "text": f"héllo {number}",
        "list": [1, 2.5, "x", [number]],
        "mixed": 1.0 if number % 2 else 0.5,
        "count": number,
        "average": number,
        "silent": number,
        "hidden": number,
        "custom": number,
        "globbed/x": -number,
        "globbed/y": 2 * number,
    }


def environment(home: Path) -> dict[str, str]:
    """The environment of a client that meets no user's settings, and whose user has a name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    return kept | {
        "HOME": str(home),
        "WANDB_MODE": "offline",
        "WANDB_USER_EMAIL": EMAIL,
        "WANDB_EMAIL": EMAIL,
        "WANDB_USERNAME": USER,
        "WANDB_SILENT": "true",
    }


def make(folder: Path) -> dict[str, Path]:
    """Let the real client make its runs below a folder.

    Returns:
        For each its name and its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    git = ["git", "-c", "user.email=a@b.c", "-c", "user.name=n", "-C", str(folder)]
    for order in (
        ["init", "-q", "-b", "trunk"],
        ["remote", "add", "origin", f"https://{SECRET}@github.com/owner/repository.git"],
        ["commit", "-q", "--allow-empty", "-m", "first"],
    ):
        subprocess.run([*git, *order], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.capture.client", str(folder)],
        env=environment(folder), stdout=subprocess.PIPE, check=True, timeout=120,
    )  # fmt: skip
    return {name: Path(path) for name, path in json.loads(done.stdout.splitlines()[-1]).items()}


def _started(folder: Path, run_id: str, **options: Any) -> Any:
    import wandb

    settings = wandb.Settings(
        console="off",
        x_disable_stats=True,
        **options.pop("settings", {}),
    )
    options = {"project": "project", "reinit": "create_new"} | options
    return wandb.init(dir=str(folder), id=run_id, settings=settings, **options)


def _whole(folder: Path) -> str:
    import wandb

    run = _started(
        folder, "whole", config=CONFIG, name="a name", notes="some notes", group="group",
        job_type="train", tags=["first", "second"],
    )  # fmt: skip
    run.define_metric("low", summary="min")
    run.define_metric("high", summary="max,min,last")
    run.define_metric("average", summary="mean")
    run.define_metric("silent", summary="none")
    run.define_metric("hidden", hidden=True)
    run.define_metric("custom", step_metric="count")
    run.define_metric("globbed/*", step_metric="count", summary="min")
    run.define_metric("n.d", summary="max")
    for number in range(ROWS):
        run.log(row(number))
    run.log({"table": wandb.Table(columns=["a"], data=[[1], [2]]), "h": wandb.Histogram([1, 2])})
    run.summary["best"] = 0.25
    run.summary["gone"] = 1
    run.summary["deep"] = {"kept": 1, "gone": 2}
    del run.summary["gone"]
    del run.summary["count"]
    run.config.update({"later": 1})
    run.alert("careful", "it diverges")
    shown = _plain(run.summary)
    run.finish()
    (folder / SHOWN_SUMMARY).write_text(json.dumps(shown))
    return str(run.settings.sync_file)


def _plain(value: Any) -> Any:
    if hasattr(value, "keys"):
        return {key: _plain(value[key]) for key in value.keys()}  # noqa: SIM118 - W&B's is no dict
    return value


def _failed(folder: Path) -> str:
    run = _started(folder, "failed")
    run.log({"loss": 1.0}, step=10_240)
    run.log({"loss": 0.5}, step=20_480)
    run.finish(exit_code=3)
    return str(run.settings.sync_file)


def _typed(folder: Path) -> str:
    run = _started(folder, "typed", settings={"x_history_value_encoding": "json,typed"})
    for number in range(ROWS):
        run.log(row(number))
    run.finish()
    return str(run.settings.sync_file)


def _resumed(folder: Path, first: int) -> str:
    run = _started(folder, "resumed", resume="allow", config={"lr": 0.5})
    for number in range(3):
        run.log({"loss": first + number})
    run.finish()
    return str(run.settings.sync_file)


def _live(folder: Path) -> None:
    run = _started(folder, "live", settings={"x_transaction_log_flush_interval": 1})
    print(run.settings.sync_file, flush=True)  # noqa: T201
    number = 0
    for order in sys.stdin:
        for _ in range(int(order)):
            run.log({"loss": 1 / (number + 1), "number": number})
            number += 1
    run.finish()


def _main() -> None:
    folder = Path(sys.argv[1])
    os.chdir(folder)
    if sys.argv[2:] == ["live"]:
        _live(folder)
        return
    logs = {
        "whole": _whole(folder),
        "failed": _failed(folder),
        "typed": _typed(folder),
        "first": _resumed(folder, 0),
        "second": _resumed(folder, 10),
    }
    print(json.dumps(logs))  # noqa: T201


if __name__ == "__main__":
    _main()
