"""Runs as pages name them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from training_db.report.document import Status
from training_db.report.labels import shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


_LONGEST = 60


def labels(runs: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return for each run what it is called: its name, else its id.

    Args:
        runs: As ``db.runs.query`` returns them. Where some share a name, their numbers follow it.
            A long name loses its middle, for names of sweeps differ at their ends.

    Example:
        >>> runs = [{"run_id": one, "run_name": "a", "number": n} for n, one in enumerate("xy", 1)]
        >>> labels(runs), labels(runs[:1])
        ({'x': 'a (1)', 'y': 'a (2)'}, {'x': 'a'})
    """
    names = [_without_middle((run["run_name"] or "").strip() or run["run_id"]) for run in runs]
    shared = {name for name, count in Counter(names).items() if count > 1}
    return {
        run["run_id"]: f"{name} ({run['number']})" if name in shared else name
        for run, name in zip(runs, names, strict=True)
    }


def marked(labels: Mapping[str, str], marks: Mapping[str, str]) -> dict[str, str]:
    """Return what runs are called, and behind it what is wrong with some of them.

    Example:
        >>> marked({"x": "a", "y": "b"}, {"y": "failed"})
        {'x': 'a', 'y': 'b (failed)'}
    """
    return {
        run_id: f"{label} ({marks[run_id]})" if run_id in marks else label
        for run_id, label in labels.items()
    }


def _without_middle(name: str) -> str:
    return shortened([name], _LONGEST)[0]


def status(run: Mapping[str, Any]) -> Status:
    """Return a run's status, and whether nothing was heard of it for a while.

    Example:
        >>> status({"status": "running", "stale": True}).text
        'running (stale)'
    """
    return Status(f"{run['status']} (stale)" if run["stale"] else run["status"])
