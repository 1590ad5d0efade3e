"""Runs as a W&B server has them, as plain data, and what it answers about them."""

from __future__ import annotations

import io
import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class StoredRun:
    """A run as the server has it; ``rows`` is its whole history.

    ``exported`` rows from the start stand in a Parquet file, and those from ``live_from`` on are
    live, so that the two can overlap; ``None``: there is no file, and pages are asked for.
    """

    id: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    name: str | None = None
    tags: list[str] = field(default_factory=list)
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    notes: str | None = None
    commit: str | None = None
    state: str = "finished"
    created_at: str | None = "2026-05-06T07:08:09Z"
    heartbeat_at: str | None = "2026-05-06T08:08:09Z"
    files: dict[str, bytes] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    exported: int | None = None
    live_from: int | None = None
    has_keys: bool = True
    line_count: int | None = None
    has_user: bool = True

    @property
    def last_step(self) -> int:
        """The highest step, as ``historyKeys`` has it."""
        return max((row["_step"] for row in self.rows if "_step" in row), default=-1)


def strict(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as W&B's server has it: what JSON cannot write became text."""
    odd = {math.nan: "NaN", math.inf: "Infinity", -math.inf: "-Infinity"}
    return {
        key: next((text for number, text in odd.items() if repr(number) == repr(value)), value)
        for key, value in row.items()
    }


def history_keys(run: StoredRun) -> Any:
    if not run.has_keys:
        return None
    keys = Counter(key for row in run.rows for key in row)
    return {
        "keys": {key: {"typeCounts": [{"type": "number", "count": n}]} for key, n in keys.items()},
        "lastStep": run.last_step,
        "sets": [],
    }


def node(run: StoredRun) -> dict[str, Any]:
    wrapped = {key: {"desc": None, "value": value} for key, value in run.config.items()}
    return {
        "id": f"UnVu{run.id}",
        "projectId": "1",
        "tags": run.tags,
        "name": run.id,
        "displayName": run.name or run.id,
        "sweepName": run.sweep,
        "state": run.state,
        "config": json.dumps(wrapped) if wrapped else None,
        "group": run.group,
        "jobType": run.job_type,
        "commit": run.commit,
        "readOnly": True,
        "createdAt": run.created_at,
        "heartbeatAt": run.heartbeat_at,
        "description": None,
        "notes": run.notes,
        "systemMetrics": "{}",
        "summaryMetrics": json.dumps(strict(run.summary)) if run.summary else None,
        "historyLineCount": len(run.rows) if run.line_count is None else run.line_count,
        "user": {"name": "Ada", "username": "ada"} if run.has_user else None,
        "historyKeys": history_keys(run),
    }


def file(url: str, run: StoredRun, name: str) -> dict[str, Any]:
    place = f"{url}/files/{run.id}/{name}"
    return {
        "id": name,
        "name": name,
        "url": f"{place}?signature=secret",
        "directUrl": f"{place}?signature=secret",
        "sizeBytes": len(run.files[name]),
        "mimetype": "application/octet-stream",
        "updatedAt": run.created_at,
        "md5": "d41d8cd98f00b204e9800998ecf8427e",
    }


def artifact(one: dict[str, Any]) -> dict[str, Any]:
    project = {
        "__typename": "Project",
        "id": "UHJv",
        "internalId": "1",
        "name": "project",
        "entity": {"__typename": "Team", "name": "team"},
    }
    kind = {"__typename": "ArtifactType", "name": one["type"]}
    collection = {
        "__typename": "ArtifactSequence",
        "id": "QXJ0",
        "name": one["name"],
        "project": project,
        "type": kind,
    }
    return {
        "__typename": "Artifact",
        "id": f"QXJ0{one['name']}",
        "artifactSequence": collection,
        "versionIndex": one.get("version", 0),
        "artifactType": kind,
        "description": one.get("description"),
        "metadata": json.dumps(one.get("metadata", {})),
        "ttlDurationSeconds": -1,
        "ttlIsInherited": False,
        "tags": [],
        "historyStep": one.get("step"),
        "state": "COMMITTED",
        "size": one.get("size", 0),
        "digest": one.get("digest", "abc"),
        "digestAlgorithm": "MANIFEST_MD5",
        "commitHash": None,
        "fileCount": 1,
        "createdAt": "2026-05-06T07:08:09Z",
        "updatedAt": None,
        "aliases": [
            {
                "__typename": "ArtifactAlias",
                "id": "QQ==",
                "alias": alias,
                "artifactCollection": collection,
            }
            for alias in one.get("aliases", ())
        ],
    }


def parquet(run: StoredRun) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = run.rows[: run.exported]
    names = dict.fromkeys(key for row in rows for key in row)
    sink = io.BytesIO()
    pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), sink)
    return sink.getvalue()


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
    "$gt": lambda a, b: a is not None and a > b,
    "$gte": lambda a, b: a is not None and a >= b,
    "$lt": lambda a, b: a is not None and a < b,
    "$in": lambda a, b: a in b,
}


def matches(run: StoredRun, filters: dict[str, Any]) -> bool:
    """Tell whether a run passes a filter, as far as the tests' filters go."""
    for key, wanted in filters.items():
        if key == "$and":
            if not all(matches(run, one) for one in wanted):
                return False
            continue
        value = _value(run, key)
        tests = wanted if isinstance(wanted, dict) else {"$eq": wanted}
        if not all(_COMPARISONS[name](value, bound) for name, bound in tests.items()):
            return False
    return True


def _value(run: StoredRun, key: str) -> Any:
    kind, _, rest = key.partition(".")
    if kind == "config":
        return run.config.get(rest.removesuffix(".value"))
    if kind == "summary_metrics":
        return run.summary.get(rest)
    if kind == "tags":
        return run.tags
    names = {"createdAt": "created_at", "displayName": "name", "name": "id", "jobType": "job_type"}
    return getattr(run, names.get(key, key))
