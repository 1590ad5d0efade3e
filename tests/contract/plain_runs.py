"""What a database of runs is, written a second time as a plain dict."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from tests.contract.oracle import found_by, statistics
from training_db.errors import MetricNotFound, ObjectiveNotFound, RunExists, RunNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training_db import TrainingDB
    from training_db.repository.filters import Filter

    Fields = dict[str, Any]

SHOWN = ("host", "batch_size", "learning_rate")
ENDED = ("completed", "failed", "crashed")
NOW, LONG_AGO = "now", "2024-01-01T00:00:00.000000Z"  # of heartbeats and ends


class PlainRuns:
    """Runs by id, in the order in which they were inserted.

    A run is what :func:`tests.contract.oracle.found_by` reads: its columns by name, and
    ``objectives``, ``metrics`` and ``tags``; ``cells`` has the row beside each value of a metric.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Fields] = {}

    def of(self, run_id: str) -> Fields:
        if run_id not in self.runs:
            raise RunNotFound(run_id)
        return self.runs[run_id]

    def insert(self, run_id: str, fields: Fields) -> str:
        if run_id in self.runs:
            raise RunExists(run_id)
        empty: Fields = {"objectives": {}, "tags": {}, "scaffolds": {}, "cells": {}, "rows": 0}
        self.runs[run_id] = {"run_id": run_id, "status": "launched", "metrics": {}} | empty | fields
        return run_id

    def insert_many(self, new: list[tuple[str, Fields]]) -> int:
        before = deepcopy(self.runs)
        try:
            for run_id, fields in new:
                self.insert(run_id, fields)
        except RunExists:
            self.runs = before
            raise
        return len(new)

    def ensure(self, run_id: str) -> bool:
        if run_id in self.runs:
            return False
        self.insert(run_id, {})
        return True

    def update(self, run_id: str, fields: Fields) -> None:
        run = self.of(run_id)
        status = fields.get("status")
        if status in ENDED:
            run["ended"] = (None if _is_presumed(run) else run.get("ended")) or NOW
        elif status == "running":
            run["ended"] = None
        run.update(fields)

    def beat(self, run_id: str) -> None:
        run = self.of(run_id)
        if _is_presumed(run):
            run |= {"status": "running", "ended": None}
        run["heard"] = NOW

    def fall_silent(self, run_id: str) -> None:
        """Nothing was heard for long of a run that has beaten."""
        run = self.runs.get(run_id, {})
        if run.get("heard"):
            run["heard"] = LONG_AGO

    def reap(self) -> list[str]:
        silent = [
            run
            for run in self.runs.values()
            if run["status"] not in ENDED and run.get("heard") == LONG_AGO
            and run.get("deleted_at") is None
        ]  # fmt: skip
        for run in silent:
            run |= {"status": "crashed", "ended": LONG_AGO}
        return sorted(run["run_id"] for run in silent)

    def move(self, run_ids: Iterable[str], deleted_at: str | None) -> int:
        """Move runs into the trash, or out of it."""
        meant = [self.of(run_id) for run_id in dict.fromkeys(run_ids)]
        moved = [run for run in meant if run.get("deleted_at") != deleted_at]
        for run in moved:
            run["deleted_at"] = deleted_at
        return len(moved)

    def untag(self, run_id: str, name: str) -> bool:
        there = name in self.of(run_id)["tags"]
        self.runs[run_id]["tags"].pop(name, None)
        return there

    def objective(self, run_id: str, name: str, fields: Fields) -> None:
        self.of(run_id)["objectives"].setdefault(name, {}).update(fields)

    def update_objective(self, run_id: str, name: str, statistic: str, value: float) -> None:
        if name not in self.of(run_id)["objectives"]:
            raise ObjectiveNotFound(run_id, name, ())
        self.runs[run_id]["objectives"][name][statistic] = value

    def scaffolds(self, run_id: str, scores: dict[str, dict[str, float]]) -> int:
        self.of(run_id)["scaffolds"].update(scores)
        return len(scores)

    def append(self, run_id: str, history: dict[str, list[float | None]]) -> int:
        run = self.of(run_id)
        given = [
            (name, run["rows"] + at, value)
            for name, values in history.items()
            for at, value in enumerate(values)
            if value is not None
        ]
        for name, row, value in given:
            run["cells"].setdefault(name, []).append((row, value))
            run["metrics"].setdefault(name, []).append(value)
        run["rows"] += max(map(len, history.values()), default=0)
        return len(given)

    def replace(self, run_id: str, history: dict[str, list[float | None]]) -> None:
        self.forget(run_id, None)
        self.append(run_id, history)

    def forget(self, run_id: str, names: list[str] | None) -> int:
        """Delete metrics of a run, or its whole history, which then begins anew."""
        run = self.of(run_id)
        for name in names or ():
            if name not in run["metrics"]:
                raise MetricNotFound(name, ())
        gone = [run["cells"].pop(name) for name in [*(run["cells"] if names is None else names)]]
        run["metrics"] = {name: run["metrics"][name] for name in run["cells"]}
        if names is None:
            run["rows"] = 0
        return sum(map(len, gone))

    def empty_the_trash(self) -> list[str]:
        """Delete what is in the trash for good, but for runs that are being logged to."""
        gone = [
            run_id
            for run_id, run in self.runs.items()
            if run.get("deleted_at") is not None
            and (run["status"] in ENDED or run.get("heard") != NOW)
        ]
        for run_id in gone:
            del self.runs[run_id]
        return sorted(gone)

    def found(self, tree: Filter) -> list[str]:
        return sorted(run_id for run_id, run in self.runs.items() if found_by(tree, run))

    def best(self, metric: str, mode: str) -> list[Any]:
        """Return the value of the run that did best by a metric, if one has a finite one."""
        shown = [run for run in self.runs.values() if run.get("deleted_at") is None]
        values = [statistics(run["metrics"][metric])[mode] for run in shown
                  if metric in run["metrics"]]  # fmt: skip
        finite = [value for value in values if value is not None]
        return [min(finite) if mode == "min" else max(finite)] if finite else []

    def everything(self) -> list[Fields]:
        """Return all there is to know, as :func:`everything_in` finds it in a database."""
        return [
            {
                "run_id": run_id,
                "status": run["status"],
                "deleted": run.get("deleted_at") is not None,
                **{name: run.get(name) for name in SHOWN},
                "objectives": {name: run["objectives"][name] for name in sorted(run["objectives"])},
                "tags": {name: run["tags"][name] for name in sorted(run["tags"])},
                "scaffolds": {name: run["scaffolds"][name] for name in sorted(run["scaffolds"])},
                "cells": {
                    name: [list(cell) for cell in run["cells"][name]]
                    for name in sorted(run["cells"])
                },
                "counts": {name: len(run["cells"][name]) for name in sorted(run["cells"])},
            }
            for run_id, run in self.runs.items()
        ]


def _is_presumed(run: Fields) -> bool:
    """Tell whether a run was taken for crashed."""
    return run["status"] == "crashed" and run.get("ended") == run.get("heard") == LONG_AGO


def everything_in(db: TrainingDB) -> list[Fields]:
    """Return what a database holds, run by run in the order of their numbers."""
    either = "deleted_at is missing or deleted_at is not missing"
    return [_run_in(db, run) for run in db.runs.query(either, "number", None)]


def _run_in(db: TrainingDB, run: Fields) -> Fields:
    run_id = run["run_id"]
    objectives = {
        one["objective_name"]: {
            name: one[name] for name in ("raw_mean", "raw_std") if one[name] is not None
        }
        for one in db.objectives.of_run(run_id)
    }
    history = db.history.arrays(run_id)[run_id]
    cells = {
        name: [list(pair) for pair in zip(one.x.tolist(), one.values.tolist(), strict=True)]
        for name, one in sorted(history.items())
    }
    return {
        "run_id": run_id,
        "status": run["status"],
        "deleted": run["deleted_at"] is not None,
        **{name: run[name] for name in SHOWN},
        "objectives": objectives,
        "tags": db.tags.of(run_id),
        "scaffolds": {
            one["scaffold_id"]: json.loads(one["scores_json"]) for one in db.scaffolds.query(run_id)
        },
        "cells": cells,
        "counts": {one["metric"]: one["count"] for one in db.metrics.of(run_id)},
    }
