"""What MLflow keeps of a run is here as it is there, whatever version wrote it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from tests.capture.mlflow_databases import NEW, OLD, START, MLflow, cells, noted, only
from training_db.capture import import_mlflow
from training_db.capture.mlflow.facts import value_of

if TYPE_CHECKING:
    from training_db import TrainingDB


def test_all_that_mlflow_keeps_of_a_run_is_kept(db: TrainingDB, place: str) -> None:
    mlflow = MLflow(place, NEW)
    mlflow.experiment(3, "molecules")
    parent = mlflow.run(experiment_id=3)
    run = mlflow.run(
        "a" * 32, {"lr": "1e-3", "layers": "6"},
        {"mlflow.note.content": "a **note**", "mlflow.runName": "brave-cat",
         "mlflow.parentRunId": parent, "mlflow.source.git.commit": "abc123",
         "mlflow.source.git.branch": "main", "mlflow.source.name": "https://ann:token@h/r#sub",
         "mlflow.source.git.repoURL": "https://ann:token@example.org/ann/repo.git",
         "paper": "figure 2", "word": "", "long": "x" * 2_000},
        experiment_id=3, name="brave-cat",
    )  # fmt: skip
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 1_500))
    outcome = next(one for one in import_mlflow(db, place) if one.run_id == run)
    assert (outcome.is_good, outcome.new_rows, outcome.name) == (True, 2, "brave-cat")
    stored = db.runs.get(run)
    assert {name: stored[name] for name in ("status", "notes", "parent_run_id", "run_name")} == {
        "status": "completed",
        "notes": "a **note**",
        "parent_run_id": parent,
        "run_name": "brave-cat",
    }
    assert (stored["git_commit"], stored["git_branch"]) == ("abc123", "main")
    assert (stored["started_at"], stored["ended_at"], stored["duration_seconds"]) == (
        "2023-11-14T22:13:20.000000Z",
        "2023-11-14T22:14:20.000000Z",
        60,
    )
    assert json.loads(stored["config_json"]) == {"lr": 0.001, "layers": 6}
    assert (stored["learning_rate"], stored["final_loss"]) == (0.001, 1.0)
    assert db.tags.of(run) == {
        "mlflow.experiment": "molecules",
        "mlflow.source.git.repoURL": "https://example.org/ann/repo.git",
        "paper": "figure 2",
        "word": None,
    }
    about = noted(db, run)
    assert about["tags"] == {"long": "x" * 2_000}
    assert (about["mlflow.source.name"], about["user"]) == ("https://h/r#sub", "ann")
    assert about["experiment"]["name"] == "molecules"
    assert cells(db, run) == {
        "_step": [(0, 0), (1, 1)],
        "_timestamp": [(0, START / 1000), (1, START / 1000 + 1.5)],
        "loss": [(0, 2.0), (1, 1.0)],
    }


def test_several_points_of_one_metric_and_step_are_all_kept(db: TrainingDB, place: str) -> None:
    mlflow = MLflow(place, NEW)
    run = mlflow.run()
    mlflow.metric(run, "loss", (3.0, 1, 0), (1.0, 1, 0), (2.0, 1, 0), (9.0, 1, 5))
    mlflow.metric(run, "lr", (0.1, 1, 0), (0.2, 2, 0))
    assert only(import_mlflow(db, place)).is_good
    assert cells(db, run) == {
        "_step": [(0, 1), (1, 1), (2, 1), (3, 2), (4, 1)],
        "_timestamp": [(row, START / 1000) for row in range(4)] + [(4, START / 1000 + 0.005)],
        "loss": [(0, 1.0), (1, 2.0), (2, 3.0), (4, 9.0)],
        "lr": [(0, 0.1), (3, 0.2)],
    }


def test_what_is_not_finite_is_again_what_was_logged(db: TrainingDB, place: str) -> None:
    mlflow = MLflow(place, NEW)
    run = mlflow.run()
    mlflow.metric(run, "loss", (0.0, 0, 0), is_nan=True)
    mlflow.metric(run, "up", (1.7976931348623157e308, 0, 0))
    mlflow.metric(run, "down", (-1.7976931348623157e308, 0, 0))
    assert only(import_mlflow(db, place)).is_good
    found = cells(db, run)
    assert math.isnan(found["loss"][0][1])
    assert (found["up"], found["down"]) == ([(0, math.inf)], [(0, -math.inf)])
    summary = json.loads(db.runs.get(run)["final_metrics_json"])
    assert summary["up"] == math.inf
    assert math.isnan(summary["loss"])
    assert noted(db, run)["infinities"] == 2


def test_a_database_of_the_first_versions_is_read_too(db: TrainingDB, place: str) -> None:
    mlflow = MLflow(place, OLD)
    run = mlflow.run(params={"lr": "0.1"}, name="first", status="SCHEDULED", end_time=None)
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 0, 10), (3.0, 0, 10))
    assert only(import_mlflow(db, place)).is_good
    stored = db.runs.get(run)
    assert (stored["status"], stored["run_name"]) == ("launched", "first")
    assert json.loads(stored["final_metrics_json"]) == {"loss": 3.0}
    found = cells(db, run)
    assert "_step" not in found
    assert found["loss"] == [(0, 2.0), (1, 1.0), (2, 3.0)]


def test_a_database_without_a_run_is_no_error(db: TrainingDB, place: str) -> None:
    MLflow(place, NEW)
    assert import_mlflow(db, place) == []


def test_models_and_datasets_are_kept_by_reference(db: TrainingDB, mlflow: MLflow) -> None:
    history = [{"run_id": "r", "artifact_path": "best", "flavors": {"sklearn": {}}}]
    run = mlflow.run(tags={"mlflow.log-model.history": json.dumps(history)})
    uri = f"/mlruns/0/{run}/artifacts"
    times = {"creation_timestamp_ms": START, "last_updated_timestamp_ms": START}
    model = {"model_id": "m-1", "experiment_id": 0}
    mlflow.insert(
        "logged_models",
        model | times | {"name": "net", "artifact_location": "s3://m-1", "status": 2}
        | {"source_run_id": run},
    )  # fmt: skip
    mlflow.insert("logged_model_params", model | {"param_key": "depth", "param_value": "3"})
    version = {"name": "registered", "version": 1}
    mlflow.insert("model_versions", version | {"source": "models:/m-1", "run_id": run})
    mlflow.insert("registered_model_aliases", version | {"alias": "champion"})
    dataset = {"dataset_uuid": "d-1", "experiment_id": 0, "name": "zinc", "digest": "77"}
    source = json.dumps({"tags": {"mlflow.user": "ann@example.org", "commit": "abc"}})
    mlflow.insert("datasets", dataset | {"dataset_source_type": "code", "dataset_source": source})
    link = {"input_uuid": "i-1", "source_type": "DATASET", "source_id": "d-1"}
    mlflow.insert("inputs", link | {"destination_type": "RUN", "destination_id": run})
    tag = {"input_uuid": "i-1", "name": "mlflow.data.context", "value": "train"}
    mlflow.insert("input_tags", tag)
    trace = {"key": "mlflow.sourceRun", "value": run, "request_id": "t-1"}
    mlflow.insert("trace_request_metadata", trace)
    outcome = only(import_mlflow(db, mlflow.url))
    assert outcome.left_out == {"traces": 1}
    found = db.artifacts.list(run)
    assert [(one["artifact_type"], one["filepath"]) for one in found] == [
        ("artifacts", uri),
        ("model", f"{uri}/best"),
        ("model", "s3://m-1"),
        ("model-version", "models:/m-1"),
    ]
    assert json.loads(found[1]["metadata_json"]) == history[0]
    assert json.loads(found[2]["metadata_json"])["params"] == {"depth": "3"}
    assert json.loads(found[3]["metadata_json"])["aliases"] == ["champion"]
    (about,) = noted(db, run)["datasets"]
    assert (about["name"], about["tags"]) == ("zinc", {"mlflow.data.context": "train"})
    assert "ann@example.org" not in json.dumps(noted(db, run))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1), ("1e-3", 0.001), ("1e-05", 1e-05), ("-3", -3), ("1.0", 1.0), ("0", 0),
        ("0.12147625918748516", 0.12147625918748516), ("True", True), ("False", False),
        ("007", "007"), ("+1", "+1"), (" 1", " 1"), ("1_000", "1_000"), ("nan", "nan"),
        ("inf", "inf"), ("1e400", "1e400"), ("0e91834", "0e91834"), ("true", "true"),
        ("None", "None"), ("", ""), (".5", ".5"), ("5.", "5."), ("٣", "٣"), ("1e-400", "1e-400"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("18446744073709551615", "18446744073709551615"), ("1e999999999", "1e999999999"),
        ("[1, 2]", "[1, 2]"),
    ],
)  # fmt: skip
def test_a_param_is_a_number_where_its_text_is_exactly_that(text: str, value: object) -> None:
    found = value_of(text)
    assert (found, type(found)) == (value, type(value))
