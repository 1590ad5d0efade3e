"""What is known of a run as a whole, gathered for W&B."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import RUNTIME
from training_db.capture.export.items import json_text
from training_db.capture.export.names import Labels, labels, tag_of, wandb_id
from training_db.capture.key_names import MEDIA_TYPE, nested
from training_db.models.run import RunStatus
from training_db.recording.rows import STEP, TIMESTAMP
from training_db.segments import numbers
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from training_db.capture.key_names import Path
    from training_db.database import TrainingDB

_OF_CAPTURES = ("import:", "mirror:")
_WANDB = "_wandb"
_ADDED = {STEP, TIMESTAMP, RUNTIME, _WANDB}


@dataclass
class RunFacts:
    """What is said about a run as a whole.

    Attributes:
        id: Its id at W&B.
        writer: Who writes its rows: the same each time that it is exported.
        labels: Where it belongs, and its tags.
        started_at: When it began.
        ended_at: When it ended.
        name: What people call it.
        notes: What they wrote about it.
        group: The group it belongs to.
        host: The machine it ran on.
        git: The ``commit`` and the ``branch`` of its code, and whether it was ``dirty``.
        config: Its settings.
        summary: Its final metrics.
        paths: For each metric that stands for a nested key the parts of that key.
        exit_code: How its process ended; ``None`` where it did not, or crashed.
        runtime: How long it ran, in seconds.
        is_from_wandb: Whether its summary is W&B's own.
        faults: What could not be kept as it is, in words.
    """

    id: str
    writer: str
    labels: Labels
    started_at: datetime
    ended_at: datetime | None = None
    name: str = ""
    notes: str = ""
    group: str = ""
    host: str = ""
    git: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, list[str]] = field(default_factory=dict)
    exit_code: int | None = None
    runtime: float | None = None
    is_from_wandb: bool = False
    faults: list[str] = field(default_factory=list)


def start_of(db: TrainingDB, run_id: str) -> datetime:
    """Return when a run began, as far as anything says it."""
    run = db.runs.get(run_id)
    if run["started_at"] is not None:
        return parse_timestamp(run["started_at"])
    if any(one["metric"] == TIMESTAMP for one in db.history.keys(run_id)):
        moments = numbers(db.history.points(run_id, TIMESTAMP)[run_id][TIMESTAMP].values)
        if len(moments) and 0 < moments[0] < 2**33:
            return parse_timestamp(float(moments[0]))
    return parse_timestamp(run["created_at"] or run["created_at_db"])


def facts_of(db: TrainingDB, run_id: str, name: str) -> RunFacts:
    """Gather what is known of a run.

    Args:
        db: The database.
        run_id: The run.
        name: Its id at W&B.
    """
    run = db.runs.get(run_id)
    writer = blake2b(f"{run_id} {run['created_at_db']}".encode(), digest_size=16).hexdigest()
    facts = RunFacts(name, writer, labels(db.tags.of(run_id)), start_of(db, run_id))
    facts.name = run["run_name"] or ""
    facts.notes, facts.group = run["notes"] or "", run["group_name"] or ""
    facts.host = run["host"] or ""
    parent = run["parent_run_id"] and db.runs.find(run["parent_run_id"])
    if parent:
        tag = tag_of(f"parent:{wandb_id(parent['wandb_run_id'] or parent['run_id'])}")
        facts.labels.tags += [] if tag in facts.labels.tags else [tag]
    git = {name: run[f"git_{name}"] for name in ("commit", "branch", "dirty")}
    facts.git = {name: value for name, value in git.items() if value is not None}
    facts.config = without_nan(json.loads(run["config_json"] or "{}"), facts.faults)
    facts.summary = json.loads(run["final_metrics_json"] or "{}")
    if run["ended_at"] is not None:
        facts.ended_at = parse_timestamp(run["ended_at"])
        facts.runtime = (facts.ended_at - facts.started_at).total_seconds()
    facts.runtime = facts.runtime if run["duration_seconds"] is None else run["duration_seconds"]
    code = _read_events(db, run_id, facts)
    if not (facts.name or facts.is_from_wandb):
        facts.name = run_id  # W&B would make one up
    if run["status"] == RunStatus.COMPLETED:
        facts.exit_code = 0
    elif run["status"] == RunStatus.FAILED:
        # Windows knows greater ones than W&B's log has room for.
        facts.exit_code = code if code and -(2**31) <= code < 2**31 else 1
    return facts


def without_nan(config: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    """Return a config with null for NaN, as the client writes it.

    Args:
        config: The config.
        faults: Where it is said of which keys that happened.

    Example:
        >>> said = []
        >>> without_nan({"lr": [float("nan"), float("inf")]}, said), len(said)
        ({'lr': [None, inf]}, 1)
    """
    found = {key: _without_nan(value) for key, value in config.items()}
    changed = [key for key in found if json_text(found[key]) != json_text(config[key])]
    if changed:
        faults.append(f"NaN became null in the config, as W&B does it, at: {', '.join(changed)}")
    return found


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def _read_events(db: TrainingDB, run_id: str, facts: RunFacts) -> int | None:
    """Take from the timeline what captures noted there; return the last exit code."""
    code = None
    for event in db.events.list(run_id, limit=None):
        if not (event["event_key"] or "").startswith(_OF_CAPTURES):
            continue  # somebody's own, in which the same words may mean anything
        data = json.loads(event["data_json"] or "{}")
        facts.paths |= data.get("metric_paths") or {}
        if data.get("exit_code") is not None:
            code = data["exit_code"]
        if event["kind"] == "import" and str(data.get("source")).startswith("wandb"):
            facts.is_from_wandb = True
            facts.runtime = data.get("runtime") or facts.runtime
    return code


def summary_of(facts: RunFacts, last: Mapping[Path, Any]) -> tuple[dict[str, Any], list[str]]:
    """Say what the summary of a run is at W&B, where each metric's last value is part of it.

    Args:
        facts: The run.
        last: The last value of each key of its history.

    Returns:
        The summary, and the keys of the history that do not belong to it, since W&B's own summary
        has them not.
    """
    logged = nested(last.items())
    if facts.is_from_wandb and facts.summary:
        return facts.summary, [key for key in logged if key not in {*facts.summary, *_ADDED}]
    if facts.runtime is not None:
        logged[_WANDB] = {"runtime": int(facts.runtime)}
    return _merged(logged, facts.summary), []


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        other = found.get(key)
        goes_on = isinstance(value, dict) and MEDIA_TYPE not in value
        found[key] = _merged(other, value) if goes_on and isinstance(other, dict) else value
    return found
