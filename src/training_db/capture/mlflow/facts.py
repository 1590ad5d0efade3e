"""What MLflow knows of a run besides its metrics, in the words of our schema."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import CapturedArtifact, CapturedRun
from training_db.capture.mlflow.models import artifacts_of, inputs_of
from training_db.capture.mlflow.points import integer, number
from training_db.capture.offline.machine import without_user
from training_db.documents import is_storable
from training_db.models import RunStatus
from training_db.models.types import LARGEST, LONGEST_INDEXED, SMALLEST
from training_db.repository.writers import known_writer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_db.capture.mlflow.points import Points
    from training_db.capture.mlflow.source import Snapshot

STATUSES = {
    "SCHEDULED": RunStatus.LAUNCHED,
    "RUNNING": RunStatus.RUNNING,
    "FINISHED": RunStatus.COMPLETED,
    "FAILED": RunStatus.FAILED,
    "KILLED": RunStatus.CRASHED,
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_BOOLS = {"True": True, "False": False}
_COMMIT = ("mlflow.source.git.commit", "mlflow.git.commit")
_BRANCH = ("mlflow.source.git.branch", "mlflow.git.branch", "mlflow.gitBranchName")
_DIRTY = ("mlflow.source.git.dirty", "mlflow.git.dirty")
_ADDRESSES = ("mlflow.source.git.repoURL", "mlflow.gitRepoURL", "mlflow.git.repo_url")
_LISTED = {"mlflow.log-model.history": "model", "mlflow.loggedArtifacts": "table"}
_OF_THE_RUN = ("source_type", "source_version", "entry_point_name", "artifact_uri")


def captured_run(
    snapshot: Snapshot, row: Mapping[str, Any], experiment: Mapping[str, Any], points: Points
) -> CapturedRun:
    """Gather what there is of a run.

    Args:
        snapshot: The database, as it was when the points were read.
        row: The run's row of ``runs``.
        experiment: What :func:`experiments_of` says of its experiment.
        points: Its metrics.
    """
    run_uuid = str(row["run_uuid"])
    started, ended = moment(row.get("start_time")), moment(row.get("end_time"))
    captured = CapturedRun(
        source="mlflow",
        source_id=run_uuid,
        writer=known_writer(integer(row.get("start_time")), f"mlflow:{run_uuid}"),
        project=experiment["name"],
        name=row.get("name"),
        started_at=started,
        ended_at=ended,
        status=STATUSES.get(str(row.get("status")), RunStatus.RUNNING),
        is_deleted=is_deleted(row, experiment),
    )
    if started and ended:
        captured.runtime_seconds = max(0.0, (ended - started).total_seconds())
    captured.details = {
        "mlflow.status": row.get("status"),
        "lifecycle_stage": row.get("lifecycle_stage"),
        "deleted_time": row.get("deleted_time"),
        "is_deleted": captured.is_deleted or None,
        "experiment": dict(experiment),
        **{name: row[name] for name in _OF_THE_RUN if row.get(name)},
        "source_name": _place_of_code(row.get("source_name")),
        "user": _without_address(row.get("user_id")),
    }
    artifact_uri = str(row.get("artifact_uri") or "")
    if artifact_uri:
        captured.artifacts.append(CapturedArtifact("artifacts", artifact_uri))
    captured.config, odd = config_of(_values(snapshot.rows("params", run_uuid=run_uuid)))
    captured.details["params"] = odd
    _add_tags(captured, _values(snapshot.rows("tags", run_uuid=run_uuid)), artifact_uri)
    if not captured.git_commit:
        captured.git_commit = row.get("source_version")
    captured.artifacts += artifacts_of(snapshot, run_uuid)
    captured.details |= inputs_of(snapshot, run_uuid)
    _add_metrics(captured, snapshot.rows("latest_metrics", run_uuid=run_uuid), points)
    captured.details = {
        key: value for key, value in captured.details.items() if value not in (None, "", {}, [])
    }
    return captured


def is_deleted(row: Mapping[str, Any], experiment: Mapping[str, Any]) -> bool:
    """Tell whether a run lies in MLflow's trash, by itself or with its experiment.

    Args:
        row: The run's row of ``runs``.
        experiment: What :func:`experiments_of` says of its experiment.
    """
    return "deleted" in (row.get("lifecycle_stage"), experiment.get("lifecycle_stage"))


def experiments_of(snapshot: Snapshot) -> dict[Any, dict[str, Any]]:
    """Return what is known of each experiment, by its id."""
    found: dict[Any, dict[str, Any]] = {}
    for row in snapshot.rows("experiments"):
        tags = _values(snapshot.rows("experiment_tags", experiment_id=row["experiment_id"]))
        about = row | ({"tags": tags} if tags else {})
        known = {key: one for key, one in about.items() if one is not None}
        found[row["experiment_id"]] = {"name": str(row["experiment_id"])} | known
    return found


def config_of(params: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return params as a config: MLflow keeps each as text, whatever it was.

    Args:
        params: Their texts.

    Returns:
        The config, in which texts that are the number or bool they say, digit by digit, are it;
        and the texts that would not be written the same again.

    Example:
        >>> config_of({"lr": "1e-3", "layers": "6", "seed": "007", "amp": "True"})
        ({'lr': 0.001, 'layers': 6, 'seed': '007', 'amp': True}, {'lr': '1e-3'})
    """
    config = {key: value_of(text) for key, text in params.items()}
    odd = {key: text for key, text in params.items() if str(config[key]) != text}
    return config, odd


def value_of(text: str) -> Any:
    """Return the number or bool that a text stands for, or the text where it is more than that.

    Example:
        >>> [value_of(text) for text in ("0.1", "-3", "1e400", "0.10000000000000000001", "nan")]
        [0.1, -3, '1e400', '0.10000000000000000001', 'nan']
    """
    if text in _BOOLS:
        return _BOOLS[text]
    if len(text) > 40 or not _FLOAT.fullmatch(text):
        return text
    if _INTEGER.fullmatch(text) and text != "-0":
        number = int(text)
        return number if SMALLEST <= number <= LARGEST else text
    found = float(text)
    if found == 0 and "e" in text.lower():
        return text  # such as 0e91834, which is no number but the beginning of a digest
    try:
        return found if Decimal(repr(found)) == Decimal(text) else text
    except ArithmeticError:  # an exponent that no number has
        return text


def moment(milliseconds: object) -> datetime | None:
    """Return a time that is given in Unix milliseconds; ``None`` where there is none.

    Example:
        >>> moment(1_700_000_000_123).isoformat()
        '2023-11-14T22:13:20.123000+00:00'
    """
    try:
        found = integer(milliseconds)
        return _EPOCH + timedelta(milliseconds=found) if found > 0 else None
    except OverflowError:
        return None


def _add_tags(captured: CapturedRun, tags: dict[str, str], artifact_uri: str) -> None:
    captured.notes = tags.pop("mlflow.note.content", None)
    captured.parent = tags.pop("mlflow.parentRunId", None)
    run_name = tags.pop("mlflow.runName", None)
    if not captured.name:
        captured.name = run_name
    elif run_name and run_name != captured.name:
        captured.details["mlflow.runName"] = run_name
    captured.git_commit = _first(tags, _COMMIT)
    captured.git_branch = _first(tags, _BRANCH)
    captured.git_dirty = {"true": True, "false": False}.get((_first(tags, _DIRTY) or "").lower())
    for key in _ADDRESSES:
        if key in tags:
            tags[key] = without_user(tags[key])
    captured.details["mlflow.source.name"] = _place_of_code(tags.pop("mlflow.source.name", None))
    captured.details["mlflow.source.type"] = tags.pop("mlflow.source.type", None)
    user = _without_address(tags.pop("mlflow.user", None))
    captured.details["user"] = captured.details["user"] or user
    for key, kind in _LISTED.items():
        listed = _artifacts(tags.get(key), kind, artifact_uri)
        if listed:
            captured.artifacts += listed
            del tags[key]
    long = {}
    for key, text in tags.items():
        if not text:
            captured.tags.append(key)
        elif _can_be_pinned(key) and _can_be_pinned(text):
            captured.tag_values[key] = text
        else:
            long[key] = text
    captured.details["tags"] = long


def _add_metrics(captured: CapturedRun, latest: list[dict[str, Any]], points: Points) -> None:
    captured.summary = dict(points.latest)
    for row in latest:
        captured.summary[str(row["key"])] = number(row.get("value"), row.get("is_nan"))
    captured.details["infinities"] = points.infinities or None
    captured.metric_paths = {
        name: [key] for name, key in zip(points.names, points.keys, strict=True) if name != key
    }


def _artifacts(text: str | None, kind: str, artifact_uri: str) -> list[CapturedArtifact]:
    """Read a tag that lists artifacts; none where it cannot be read."""
    with suppress(ValueError, TypeError, KeyError, AttributeError):
        found = []
        for one in json.loads(text or ""):
            path = one.get("artifact_path") or one["path"]
            place = f"{artifact_uri.rstrip('/')}/{path}" if artifact_uri else str(path)
            found.append(CapturedArtifact(str(one.get("type") or kind), place, one))
        return found
    return []


def _values(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {
        str(row["key"]): "" if row["value"] is None else str(row["value"])
        for row in sorted(rows, key=lambda row: str(row["key"]))
    }


def _first(tags: dict[str, str], keys: tuple[str, ...]) -> str | None:
    """Take out what stands under the first of some keys; the others stay what they are."""
    for key in keys:
        if tags.get(key):
            return tags.pop(key)
    return None


def _can_be_pinned(text: str) -> bool:
    return bool(text) and is_storable(text) and len(text.encode()) <= LONGEST_INDEXED


def _place_of_code(name: object) -> str:
    """Return the file that ran, or the address of its repository without a user or token."""
    text = str(name or "")
    return without_user(text) if "://" in text else text


def _without_address(user: object) -> str | None:
    """Return who ran it, unless that is an e-mail address: nobody agreed to have it kept here."""
    return str(user) if user and "@" not in str(user) else None
