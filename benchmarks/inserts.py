"""Runs inserted one by one and in bulk, by the library and by the driver alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks.databases import bare
from benchmarks.runs import OBJECTIVES, STATISTICS, make_runs
from benchmarks.timing import Line, timed_pair
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

SINGLE_LIMIT = 3.0
BULK_LIMIT = 1.5
SINGLES = 100
RUN_COLUMNS = (
    "run_id", "wandb_run_id", "host", "created_at", "status", "batch_size", "learning_rate",
    "gradient_method", "num_objectives", "config_json", "final_metrics_json", "created_at_db",
    "updated_at_db", "max_steps", "max_grad_norm", "mixed_precision", "final_loss",
    "final_grad_norm", "total_training_steps",
)  # fmt: skip
OBJECTIVE_COLUMNS = ("run_id", "objective_name", "weight", "direction", *STATISTICS)
BULK = 10_000


def time_inserts(url: str, backend: str) -> Iterator[Line]:
    """Time single and bulk inserts into one growing database."""
    upgrade(url)
    numbers = count()
    with TrainingDB(url) as db:
        driver = Driver(db)
        ours, theirs = timed_pair(
            lambda run: db.runs.insert(**run[0]),
            driver.insert,
            inner=SINGLES,
            given=lambda: list(make_runs(1, next(numbers))),
        )
        yield Line(f"insert_run, {backend}", ours, theirs, SINGLE_LIMIT)
        batches = count(1)
        ours, theirs = timed_pair(
            db.runs.insert_many,
            driver.insert,
            given=lambda: list(make_runs(BULK, next(batches) * 10 * BULK)),
        )
        yield Line(f"insert_many of {BULK:,} runs, {backend}", ours, theirs, BULK_LIMIT)
        driver.close()


class Driver:
    """The same runs by the driver alone, the fastest way it has: executemany, or COPY.

    As a person writes it who knows this project's runs: every key where it is.
    """

    def __init__(self, db: TrainingDB) -> None:
        self._connection = bare(db.url)
        self._is_sqlite = db.engine.dialect.name == "sqlite"

    def insert(self, runs: list[dict[str, Any]]) -> None:
        """Insert runs with their objectives and commit."""
        now = datetime.now(UTC)
        cursor = self._connection.cursor()
        if self._is_sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        self._write(cursor, "training_runs", RUN_COLUMNS, [self._run(run, now) for run in runs])
        objectives = [row for run in runs for row in self._objectives(run)]
        self._write(cursor, "run_objectives", OBJECTIVE_COLUMNS, objectives)
        self._connection.commit()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _write(self, cursor: Any, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
        names = ", ".join(columns)
        if self._is_sqlite or len(rows) <= len(OBJECTIVES):
            marks = ", ".join(["?" if self._is_sqlite else "%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
            return
        with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)

    def _run(self, run: dict[str, Any], now: datetime) -> tuple[Any, ...]:
        config, summary = run["config"], run["summary"]
        training = config["training"]
        return (
            run["run_id"], run["wandb_run_id"], run["host"], self._time(run["created_at"]),
            run["status"], training["batch_size"], training["learning_rate"],
            config["gradient_method"], len(config["objectives"]), json.dumps(config),
            json.dumps(summary), self._time(now), self._time(now), training["max_steps"],
            training["max_grad_norm"], training["mixed_precision"], summary["loss"],
            summary["grad_norm"], int(summary["_step"]),
        )  # fmt: skip

    def _objectives(self, run: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        for objective in run["config"]["objectives"]:
            name = objective["name"]
            prefix = f"objectives/{name}_{objective['direction']}/"
            scores = (run["summary"][prefix + statistic] for statistic in STATISTICS)
            yield run["run_id"], name, objective["weight"], objective["direction"], *scores

    def _time(self, moment: datetime) -> Any:
        if not self._is_sqlite:
            return moment
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
