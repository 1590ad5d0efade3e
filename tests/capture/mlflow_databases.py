"""Databases as MLflow makes them, in its newest schema and in its oldest, by raw SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from training_db import TrainingDB
    from training_db.capture.storing.outcome import ImportOutcome

START = 1_700_000_000_000
"""When runs start that say nothing else, in milliseconds."""

NEW = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);
CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32), creation_time BIGINT,
    last_update_time BIGINT, workspace VARCHAR(63) DEFAULT 'default' NOT NULL);
CREATE TABLE experiment_tags (key VARCHAR(250) NOT NULL, value VARCHAR(5000),
    experiment_id INTEGER NOT NULL, PRIMARY KEY (key, experiment_id));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250),
    source_type VARCHAR(20), source_name VARCHAR(500), entry_point_name VARCHAR(50),
    user_id VARCHAR(256), status VARCHAR(9), start_time BIGINT, end_time BIGINT,
    source_version VARCHAR(50), lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200),
    experiment_id INTEGER, deleted_time BIGINT);
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(8000) NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE tags (key VARCHAR(250) NOT NULL, value VARCHAR(8000),
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value DOUBLE PRECISION NOT NULL,
    timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL, step BIGINT DEFAULT 0 NOT NULL,
    is_nan BOOLEAN DEFAULT FALSE NOT NULL,
    PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE TABLE latest_metrics (key VARCHAR(250) NOT NULL, value DOUBLE PRECISION NOT NULL,
    timestamp BIGINT, step BIGINT NOT NULL, is_nan BOOLEAN NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE datasets (dataset_uuid VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL,
    name VARCHAR(500) NOT NULL, digest VARCHAR(36) NOT NULL,
    dataset_source_type VARCHAR(36) NOT NULL, dataset_source TEXT NOT NULL, dataset_schema TEXT,
    dataset_profile TEXT, PRIMARY KEY (experiment_id, name, digest));
CREATE TABLE inputs (input_uuid VARCHAR(36) NOT NULL, source_type VARCHAR(36) NOT NULL,
    source_id VARCHAR(36) NOT NULL, destination_type VARCHAR(36) NOT NULL,
    destination_id VARCHAR(36) NOT NULL, step BIGINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (source_type, source_id, destination_type, destination_id));
CREATE TABLE input_tags (input_uuid VARCHAR(36) NOT NULL, name VARCHAR(255) NOT NULL,
    value VARCHAR(500) NOT NULL, PRIMARY KEY (input_uuid, name));
CREATE TABLE logged_models (model_id VARCHAR(36) NOT NULL PRIMARY KEY,
    experiment_id INTEGER NOT NULL, name VARCHAR(500) NOT NULL,
    artifact_location VARCHAR(1000) NOT NULL, creation_timestamp_ms BIGINT NOT NULL,
    last_updated_timestamp_ms BIGINT NOT NULL, status INTEGER NOT NULL,
    lifecycle_stage VARCHAR(32), model_type VARCHAR(500), source_run_id VARCHAR(32),
    status_message VARCHAR(1000));
CREATE TABLE logged_model_params (model_id VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL,
    param_key VARCHAR(255) NOT NULL, param_value TEXT NOT NULL, PRIMARY KEY (model_id, param_key));
CREATE TABLE logged_model_tags (model_id VARCHAR(36) NOT NULL, experiment_id INTEGER NOT NULL,
    tag_key VARCHAR(255) NOT NULL, tag_value TEXT NOT NULL, PRIMARY KEY (model_id, tag_key));
CREATE TABLE logged_model_metrics (model_id VARCHAR(36) NOT NULL,
    metric_name VARCHAR(500) NOT NULL, metric_timestamp_ms BIGINT NOT NULL,
    metric_step BIGINT NOT NULL, metric_value DOUBLE PRECISION, experiment_id INTEGER NOT NULL,
    run_id VARCHAR(32) NOT NULL, PRIMARY KEY (model_id, metric_name, metric_timestamp_ms,
    metric_step, run_id));
CREATE TABLE model_versions (name VARCHAR(256) NOT NULL, version INTEGER NOT NULL,
    creation_time BIGINT, description VARCHAR(5000), user_id VARCHAR(256),
    current_stage VARCHAR(20), source VARCHAR(500), run_id VARCHAR(32), status VARCHAR(20),
    storage_location VARCHAR(500), PRIMARY KEY (name, version));
CREATE TABLE model_version_tags (key VARCHAR(250) NOT NULL, value TEXT,
    name VARCHAR(256) NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (key, name, version));
CREATE TABLE registered_model_aliases (alias VARCHAR(256) NOT NULL, version INTEGER NOT NULL,
    name VARCHAR(256) NOT NULL, PRIMARY KEY (name, alias));
CREATE TABLE trace_request_metadata (key VARCHAR(250) NOT NULL, value VARCHAR(8000),
    request_id VARCHAR(50) NOT NULL, PRIMARY KEY (key, request_id));
INSERT INTO alembic_version VALUES ('bda7b8c39065');
"""

OLD = """
CREATE TABLE experiments (experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32));
CREATE TABLE runs (run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250),
    source_type VARCHAR(20), source_name VARCHAR(500), entry_point_name VARCHAR(50),
    user_id VARCHAR(256), status VARCHAR(20), start_time BIGINT, end_time BIGINT,
    source_version VARCHAR(50), lifecycle_stage VARCHAR(20), artifact_uri VARCHAR(200),
    experiment_id INTEGER);
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(250) NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value DOUBLE PRECISION NOT NULL,
    timestamp BIGINT NOT NULL, run_uuid VARCHAR(32) NOT NULL,
    PRIMARY KEY (key, timestamp, run_uuid, value));
"""


class MLflow:
    """A database of MLflow that a test fills, as MLflow would.

    Args:
        url: An empty database.
        schema: :data:`NEW` or :data:`OLD`.
    """

    def __init__(self, url: str, schema: str = NEW) -> None:
        self.url = url
        driver = url.replace("postgresql://", "postgresql+psycopg://")
        self._engine = create_engine(driver, poolclass=NullPool)
        for statement in filter(str.strip, schema.split(";")):
            self.execute(statement)
        self._is_new = schema is NEW
        self.experiment(0, "Default")

    def execute(self, statement: str, *rows: dict[str, Any]) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement), list(rows) or None)

    def insert(self, table: str, *rows: dict[str, Any]) -> None:
        if rows:
            names = ", ".join(rows[0])
            values = ", ".join(f":{name}" for name in rows[0])
            self.execute(f"INSERT INTO {table} ({names}) VALUES ({values})", *rows)

    def experiment(self, number: int, name: str, lifecycle_stage: str = "active") -> None:
        location = f"/mlruns/{number}"
        self.insert(
            "experiments",
            {"experiment_id": number, "name": name, "artifact_location": location}
            | {"lifecycle_stage": lifecycle_stage},
        )

    def run(
        self,
        run_uuid: str | None = None,
        params: dict[str, str] | None = None,
        tags: dict[str, str | None] | None = None,
        **columns: Any,
    ) -> str:
        run_uuid = run_uuid or uuid4().hex
        row = {"run_uuid": run_uuid, "name": "", "status": "FINISHED", "start_time": START}
        row |= {"end_time": START + 60_000, "lifecycle_stage": "active", "experiment_id": 0}
        row |= {"artifact_uri": f"/mlruns/0/{run_uuid}/artifacts", "user_id": "ann"}
        self.insert("runs", row | columns)
        for table, values in (("params", params), ("tags", tags)):
            of_run = (
                {"key": k, "value": v, "run_uuid": run_uuid} for k, v in (values or {}).items()
            )
            self.insert(table, *of_run)
        return run_uuid

    def metric(
        self, run_uuid: str, key: str, *points: tuple[float, int, int], is_nan: bool = False
    ) -> None:
        """Log points: value, step, milliseconds after the start of most runs."""
        rows = [
            {"key": key, "value": value, "timestamp": START + after, "run_uuid": run_uuid}
            | ({"step": step, "is_nan": is_nan} if self._is_new else {})
            for value, step, after in points
        ]
        self.insert("metrics", *rows)
        if self._is_new:
            last = max(rows, key=lambda row: (row["step"], row["timestamp"], row["value"]))
            self.execute(
                f"DELETE FROM latest_metrics WHERE key = '{key}' AND run_uuid = '{run_uuid}'"
            )
            self.insert("latest_metrics", last)


@pytest.fixture
def place(migrated_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database of MLflow is to be: on the backend that is not that of ``db``."""
    if migrated_url.startswith("postgresql"):
        yield f"sqlite:///{tmp_path / 'mlflow.db'}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture
def mlflow(tmp_path: Path) -> MLflow:
    """A new, empty database of MLflow in a file."""
    return MLflow(f"sqlite:///{tmp_path / 'mlflow.db'}")


def cells(db: TrainingDB, run_id: str) -> dict[str, list[tuple[int, Any]]]:
    """Return all that is stored of a history: for each metric its rows and values."""
    return {
        name: list(zip(column.rows.tolist(), column.values.tolist(), strict=True))
        for columns in db.history.columns_of(run_id, db.history.writers(run_id)).values()
        for name, column in columns.items()
    }


def only(outcomes: list[ImportOutcome]) -> ImportOutcome:
    (outcome,) = outcomes
    assert outcome.error is None
    return outcome


def noted(db: TrainingDB, run_id: str) -> dict[str, Any]:
    """Return what the timeline says of the import of a run."""
    (event,) = db.events.list(run_id, kind="import")
    found = json.loads(event["data_json"])
    assert isinstance(found, dict)
    return found
