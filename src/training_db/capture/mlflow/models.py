"""The models and datasets of MLflow that belong to a run: by reference, as all files are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import CapturedArtifact
from training_db.capture.mlflow.points import number

if TYPE_CHECKING:
    from training_db.capture.mlflow.source import Snapshot


def artifacts_of(snapshot: Snapshot, run_uuid: str) -> list[CapturedArtifact]:
    """Return the models that a run logged, and the versions of registered models made of them.

    Args:
        snapshot: The database.
        run_uuid: The run.
    """
    return [*_logged_models(snapshot, run_uuid), *_model_versions(snapshot, run_uuid)]


def inputs_of(snapshot: Snapshot, run_uuid: str) -> dict[str, Any]:
    """Return the datasets and models that a run read, and the models it wrote.

    Args:
        snapshot: The database.
        run_uuid: The run.

    Returns:
        ``datasets`` and ``links``, as lists; the number of ``traces`` besides, which are no part
        of a run.
    """
    datasets, links = [], []
    for row in snapshot.rows("inputs", destination_id=run_uuid):
        if row.get("source_type") != "DATASET":
            links.append(_known(row))
            continue
        tags = snapshot.rows("input_tags", input_uuid=row["input_uuid"])
        about: dict[str, Any] = {"dataset_uuid": row["source_id"]}
        for found in snapshot.rows("datasets", dataset_uuid=row["source_id"]):
            about = _known(found)
            about["dataset_source"] = _without_author(str(about.get("dataset_source", "")))
        datasets.append(about | {"tags": {one["name"]: one["value"] for one in tags}})
    links += [_known(row) for row in snapshot.rows("inputs", source_id=run_uuid)]
    of_run = {"key": "mlflow.sourceRun", "value": run_uuid}
    traces = sum(snapshot.counts("trace_request_metadata", "key", **of_run).values())
    return {"datasets": datasets, "links": links, "traces": traces or None}


def _logged_models(snapshot: Snapshot, run_uuid: str) -> list[CapturedArtifact]:
    found = []
    for row in snapshot.rows("logged_models", source_run_id=run_uuid):
        model = {"model_id": row["model_id"]}
        about = _known(row)
        for kind, rows in (
            ("params", snapshot.rows("logged_model_params", **model)),
            ("tags", snapshot.rows("logged_model_tags", **model)),
        ):
            part = kind[:-1]
            about[kind] = {one[f"{part}_key"]: one[f"{part}_value"] for one in rows}
        # Its points are among those of the run; what stands here is the last of each.
        metrics = snapshot.rows("logged_model_metrics", **model)
        metrics.sort(key=lambda one: (one["metric_step"], one["metric_timestamp_ms"]))
        about["metrics"] = {one["metric_name"]: number(one["metric_value"]) for one in metrics}
        about["tags"].pop("mlflow.user", None)
        place = str(about.pop("artifact_location", "") or f"models:/{row['model_id']}")
        found.append(CapturedArtifact("model", place, about))
    return sorted(found, key=lambda one: (str(one.metadata.get("creation_timestamp_ms")), one.path))


def _model_versions(snapshot: Snapshot, run_uuid: str) -> list[CapturedArtifact]:
    found = []
    for row in snapshot.rows("model_versions", run_id=run_uuid):
        version = {"name": row["name"], "version": row["version"]}
        about = _known(row)
        about.pop("user_id", None)
        tags = snapshot.rows("model_version_tags", **version)
        aliases = snapshot.rows("registered_model_aliases", **version)
        about["tags"] = {one["key"]: one["value"] for one in tags}
        about["aliases"] = sorted(str(one["alias"]) for one in aliases)
        place = row.get("storage_location") or row.get("source")
        place = place or f"models:/{row['name']}/{row['version']}"
        found.append(CapturedArtifact("model-version", str(place), about))
    return sorted(found, key=lambda one: (one.metadata["name"], one.metadata["version"]))


def _without_author(source: str) -> str:
    """Return where a dataset came from without who ran that code: it may be an e-mail address."""
    try:
        about = json.loads(source)
        about["tags"].pop("mlflow.user")
    except (ValueError, TypeError, KeyError, AttributeError):
        return source
    return json.dumps(about)


def _known(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value not in (None, "")}
