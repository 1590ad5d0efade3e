"""Processes that log by a WandBContext, and what W&B's own logs say of them.

``python -m tests.capture.pipelines ORDERS`` is such a process; its orders are JSON:
``calls``, each the name of a method and its arguments, and ``last``, such that come before its
end; ``forks``, those of a process that it forks;
``stage``, or for the parent ``create``, arguments of ``create_wandb_context``, and ``save``, the
file for its children; ``missing``, packages that it has not; ``waits``, whether it says that it is
ready and waits for a line; ``end``, how it ends.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.capture.frames import payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

DEADLINE = 60.0
LEAN = {"console": "off", "x_disable_stats": True, "x_disable_meta": True, "disable_git": True}


@dataclass
class Log:
    """What the log of one W&B run says."""

    run_id: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    axes: dict[str, str] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)

    def cells(self, key: str) -> list[tuple[Any, Any]]:
        """The values of a key, each with the step of its stage."""
        axis = f"{key.rpartition('/')[0]}/step"
        return [(row.get(axis), row[key]) for row in self.rows if key in row]


def logs_in(folder: Path, *, ended: bool = True) -> list[Log]:
    """Read the logs of W&B below a folder, in the order in which their runs began.

    W&B's own process writes them, and is not done when the client's ``finish()`` returns.

    Args:
        folder: The folder.
        ended: Whether to wait until each has an exit record.
    """
    paths = sorted(folder.rglob("run-*.wandb"), key=lambda path: path.parent.stat().st_ctime_ns)
    end = monotonic() + DEADLINE
    while ended and not all(read_log(path).exit_codes for path in paths):
        assert monotonic() < end, f"no exit record in one of {paths}"
        Event().wait(0.02)
    return [read_log(path) for path in paths]


def read_log(path: Path) -> Log:
    from wandb.proto.wandb_internal_pb2 import Record

    log = Log()
    for payload in payloads(path.read_bytes()):
        record = Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            log.run_id, log.group, log.job_type = run.run_id, run.run_group, run.job_type
            log.tags = list(run.tags)
            log.config |= _items(run.config.update)
        elif kind == "config":
            log.config |= _items(record.config.update)
        elif kind == "summary":
            log.summary |= _items(record.summary.update)
        elif kind == "history":
            log.rows.append(_items(record.history.item))
        elif kind == "files":
            log.files += [one.path for one in record.files.files]
        elif kind == "alert":
            log.alerts.append((record.alert.title, record.alert.text, record.alert.level))
        elif kind == "metric" and record.metric.glob_name:
            log.axes[record.metric.glob_name] = record.metric.step_metric
        elif kind == "exit":
            log.exit_codes.append(record.exit.exit_code)
    return log


def _items(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        path = list(item.nested_key) or [item.key]
        node = found
        for part in path[:-1]:
            node = node.setdefault(part, {})
        node[path[-1]] = json.loads(item.value_json)
    return found


def start(environment: Mapping[str, str], **orders: Any) -> subprocess.Popen[str]:
    """Start such a process."""
    return subprocess.Popen(
        [sys.executable, "-W", "default", "-m", "tests.capture.pipelines", json.dumps(orders)],
        env={**environment, "WANDB_SILENT": "true", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def run(environment: Mapping[str, str], **orders: Any) -> tuple[int, Any, str]:
    """Let such a process run; return its exit code, what it printed as JSON, and its stderr."""
    process = start(environment, **orders)
    out, errors = process.communicate(timeout=DEADLINE)
    lines = out.splitlines()
    return process.returncode, json.loads(lines[-1]) if lines else None, errors


def _calls(ctx: Any, calls: Iterable[Any]) -> None:
    for method, *arguments in calls:
        getattr(ctx, method)(*arguments)


def _main() -> None:
    orders = json.loads(sys.argv[1])
    for package in orders.get("missing", ()):
        sys.modules[package] = None  # type: ignore[assignment]
    from training_db.capture import (
        create_wandb_context,
        load_wandb_context_from_env,
        save_wandb_context,
    )

    inherited = os.environ.get("WANDB_SERVICE")
    if "create" in orders:
        ctx = create_wandb_context(**orders["create"])
    else:
        ctx = load_wandb_context_from_env(orders.get("stage"))
    if "save" in orders:
        save_wandb_context(ctx, orders["save"])
    _calls(ctx, orders.get("calls", ()))
    loaded = [name for name in ("wandb", "numpy") if sys.modules.get(name)]
    about = {
        "disabled": ctx.is_disabled,
        "inherited": inherited,
        "service": os.environ.get("WANDB_SERVICE"),
        "loaded": loaded,
    }
    print(json.dumps(about), flush=True)  # noqa: T201
    if orders.get("waits"):
        sys.stdin.readline()
    if "forks" in orders:
        forked = multiprocessing.get_context("fork").Process(
            target=_calls, args=(ctx, orders["forks"])
        )
        forked.start()
        forked.join(DEADLINE)
    _calls(ctx, orders.get("last", ()))
    end = orders.get("end")
    if end == "raise":
        with ctx:
            raise ValueError("as ordered")
    if isinstance(end, int):
        ctx.finish(end)


if __name__ == "__main__":
    _main()
