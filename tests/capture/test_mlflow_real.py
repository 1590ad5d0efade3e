"""Databases of MLflow that other people filled; they are no part of this repository."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.mlflow_databases import cells
from training_db.capture import import_mlflow

if TYPE_CHECKING:
    from training_db import TrainingDB


REAL = Path(__file__).parents[3] / "shared" / "data" / "mlflow"
DATABASES = {
    "1997mahadi__mlops-zoomcamp.db": {"completed": 51, "failed": 4, "running": 7},
    "Optimistix__MLOPs_Pima_Indian_Diabetes_Analysis.db": {"completed": 4, "failed": 1},
}


def real(name: str) -> Path:
    if not (REAL / name).exists():
        pytest.skip(f"the real MLflow databases are not at {REAL}")
    return REAL / name


@torture.on_one_backend
@pytest.mark.parametrize("name", DATABASES)
def test_a_real_database_is_here_point_for_point_and_once(db: TrainingDB, name: str) -> None:
    path = real(name)
    files = as_they_stand(path)
    outcomes = import_mlflow(db, path)
    assert all(one.is_good and one.counts for one in outcomes)
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as source:
        runs = source.execute("SELECT run_uuid, lifecycle_stage FROM runs").fetchall()
        assert sorted(one.run_id or "" for one in outcomes) == sorted(run for run, _ in runs)
        for run_uuid, lifecycle_stage in runs:
            told = "SELECT key, step, timestamp, value FROM metrics WHERE run_uuid = ?"
            expected = Counter(source.execute(told, [run_uuid]).fetchall())
            assert points_of(db, run_uuid) == expected
            (params,) = source.execute(
                "SELECT count(*) FROM params WHERE run_uuid = ?", [run_uuid]
            ).fetchone()
            run = db.runs.get(run_uuid)
            assert len(json.loads(run["config_json"] or "{}")) == params
            assert (run["deleted_at"] is not None) == (lifecycle_stage == "deleted")
            latest = "SELECT key, value FROM latest_metrics WHERE run_uuid = ?"
            summary = dict(source.execute(latest, [run_uuid]).fetchall())
            assert json.loads(run["final_metrics_json"] or "{}") == summary
    source.close()
    statuses = Counter(db.runs.get(run)["status"] for run, _ in runs)
    assert statuses == DATABASES[name]
    before = everything(db)
    again = import_mlflow(db, path)
    assert all(one.is_good and not one.new_rows for one in again)
    assert everything(db) == before
    assert as_they_stand(path) == files


def points_of(db: TrainingDB, run_id: str) -> Counter[tuple[str, int, int, float]]:
    found = cells(db, run_id)
    steps, times = dict(found.pop("_step", [])), dict(found.pop("_timestamp", []))
    return Counter(
        (name, steps[row], round(times[row] * 1000), value)
        for name, column in found.items()
        for row, value in column
    )


def as_they_stand(path: Path) -> tuple[list[Path], bytes, int]:
    """Return the files beside a database, its digest and when it changed."""
    digest = hashlib.sha256(path.read_bytes()).digest()
    return sorted(path.parent.iterdir()), digest, path.stat().st_mtime_ns


def everything(db: TrainingDB) -> dict[str, Any]:
    found = {}
    for run in db.runs.query("deleted_at is missing or deleted_at is not missing", limit=None):
        run_id = run["run_id"]
        events = [
            (event["event_key"], event["data_json"]) for event in db.events.list(run_id, limit=None)
        ]
        kept = {name: value for name, value in run.items() if name != "updated_at_db"}
        found[run_id] = (
            kept, db.tags.of(run_id), db.artifacts.list(run_id), events, cells(db, run_id)
        )  # fmt: skip
    return found


def test_the_models_that_a_real_run_logged_are_its_artifacts(db: TrainingDB) -> None:
    import_mlflow(db, real("Optimistix__MLOPs_Pima_Indian_Diabetes_Analysis.db"))
    runs = db.runs.query({}, limit=None)
    found = [one for run in runs for one in db.artifacts.list(run["run_id"])]
    assert Counter(one["artifact_type"] for one in found) == {
        "artifacts": 5,
        "model": 24,
        "model-version": 1,
    }
