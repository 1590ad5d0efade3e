"""How the files beside this one were made, once, each by the code of its own time.

Never run again for a version that has been released: what counts is that the files are old. A new
version adds its own: `python -m tests.migrations.files.make v3 [postgresql://...]`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, text

from training_db.db.migrations import upgrade
from training_db.segment_blocks import pack
from training_db.segments import column, encode
from training_db.settings import resolve_url

HERE = Path(__file__).parent

HANDMADE = """
CREATE TABLE training_runs (
    run_id TEXT PRIMARY KEY, wandb_run_id TEXT UNIQUE, wandb_url TEXT, run_name TEXT,
    chain_of_custody_id TEXT, host TEXT, instance_id TEXT, created_at TIMESTAMP NOT NULL,
    started_at TIMESTAMP, ended_at TIMESTAMP, duration_seconds REAL,
    status TEXT DEFAULT 'launched', batch_size INTEGER, learning_rate REAL, beta REAL,
    gradient_method TEXT, num_gpus INTEGER, num_objectives INTEGER,
    config_json TEXT NOT NULL, final_metrics_json TEXT, reviewer TEXT)
"""
CONFIGS = {
    "plain": json.dumps({"lr": 1e-4, "max_steps": 100, "objectives": ["QED_maximize", "SA"]}),
    "nan": '{"lr": NaN, "batch_size": "auto"}',
    "broken": '{"lr": ',
    "list": "[1, 2]",
    "none": None,
}
SUMMARY = '{"loss": 0.5, "_step": 99, "objectives/QED_maximize/raw_mean": 0.7, "x": Infinity}'
TIMES = ["2024-05-06T07:08:09.123456+02:00", "2024-05-06 05:08:09.123456"]


def fill(engine: Engine, version: str) -> None:
    """Insert the same few runs at any version, as people of its time did."""
    with engine.begin() as connection:
        for index, (name, config) in enumerate(CONFIGS.items()):
            connection.execute(
                text(
                    "INSERT INTO training_runs (run_id, wandb_run_id, created_at, status, host, "
                    "config_json, final_metrics_json) "
                    "VALUES (:id, :wandb, :created, 'completed', 'node-1', :config, :summary)"
                ),
                {
                    "id": name,
                    "wandb": f"w{index}",
                    "created": TIMES[index % 2],
                    "config": config if config or version != "handmade" else "",
                    "summary": SUMMARY if index == 0 else None,
                },
            )
        if version in ("v2", "v2.1", "v3"):
            connection.execute(
                text(
                    "INSERT INTO run_objectives (run_id, objective_name, weight, raw_mean) "
                    "VALUES ('plain', 'QED', 2, 0.7)"
                )
            )
            connection.execute(
                text("UPDATE training_runs SET max_steps = 100 WHERE run_id = 'plain'")
            )
        if version == "v2.1":
            connection.execute(text("UPDATE training_runs SET history_json = '[{\"loss\": 1}]'"))
            connection.execute(
                text(
                    "INSERT INTO run_history_key_metrics (run_id, step, loss) "
                    "VALUES ('plain', 1, 2)"
                )
            )

        if version == "v3":
            fill_history(connection)


def fill_history(connection: Connection) -> None:
    """Log two rows of a run, the first as a segment and the second as a tail."""
    first, second = column([0.5]), column([0.25], 1)
    segment = encode(first)
    rows: dict[str, dict[str, Any]] = {
        "metric_names": {"id": 1, "name": "loss"},
        "run_history_segments": {"run_number": 1, "metric_id": 1, "writer": 0}
        | {name: getattr(segment, name) for name in segment.__slots__},
        "run_history_tails": {
            "run_number": 1, "writer": 0, "first_row": 1, "last_row": 1,
            "block": pack({1: second}, 1),
        },
        "run_metrics": {
            "run_number": 1, "metric_id": 1, "count": 2, "non_finite_count": 0, "other_count": 0,
            "first": 0.5, "first_step": 0, "last": 0.25, "last_step": 1, "min": 0.25,
            "min_step": 1, "max": 0.5, "max_step": 0, "mean": 0.375,
        },
        "run_tags": {"run_number": 1, "name": "good"},
        "run_events": {"run_number": 1, "kind": "note", "message": "began"},
        "run_artifacts": {"run_number": 1, "artifact_type": "plot", "filepath": "a.png"},
    }  # fmt: skip
    for table, values in rows.items():
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({marks})"), values)
    connection.execute(text("UPDATE training_runs SET history_layout = '={broken' "
                            "WHERE run_id = 'broken'"))  # fmt: skip


def make(version: str, url: str | None) -> None:
    """Make one file: SQLite's own, or a dump where a PostgreSQL URL is given."""
    target = HERE / f"{version}.{'sql' if url else 'db'}"
    target.unlink(missing_ok=True)
    place = url or str(target)
    engine = create_engine(resolve_url(place))
    if version == "handmade":
        with engine.begin() as connection:
            connection.execute(text(HANDMADE))
    else:
        upgrade(place, version)
    fill(engine, version)
    engine.dispose()
    if url:
        dump = ["pg_dump", "--inserts", "--no-owner", "--no-privileges", "--no-comments", url]
        target.write_text(subprocess.run(dump, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2] if sys.argv[2:] else None)
