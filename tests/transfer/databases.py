"""Databases to copy: one with a value in every column of every table, and odd ones."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import insert, update

from tests.transfer.truth import GENERATED
from training_db import TrainingDB
from training_db.models import Base, training_runs
from training_db.segment_blocks import pack
from training_db.segments import column

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

LIVE = 2**40
"""A writer whose rows are still a tail."""
METRIC = 5
"""The id of the one metric that rows made by hand name."""
BY_HAND = ("run_artifacts", "run_events", "run_history_key_metrics", "run_objectives",
           "run_scaffolds", "run_tags")  # fmt: skip


def fill(url: str, *, runs: int = 3, prefix: str = "run") -> None:
    """Fill a migrated database: every table, every column, with gaps in all numbers.

    Besides, a run in the trash, one of which nothing is known, one that lives, and histories with
    values of every kind, as segments and as tails.
    """
    with TrainingDB(url) as db:
        for index in range(runs):
            run_id = f"{prefix}-{index}"
            db.runs.insert(f"{prefix}-gone-{index}")
            with db.engine.begin() as connection:
                connection.execute(insert(training_runs), _run(run_id, index))
                gone = training_runs.c.run_id == f"{prefix}-gone-{index}"
                connection.execute(training_runs.delete().where(gone))
            _log(db, run_id, index)
            with db.engine.begin() as connection:
                number = db.runs.number(run_id)
                for table in BY_HAND:
                    _fill_by_hand(connection, Base.metadata.tables[table], run_id, number, index)
        if runs > 1:
            db.runs.delete(f"{prefix}-1")
        db.runs.insert(f"{prefix}-live", status="running")
        db.runs.beat(f"{prefix}-live")
        db.history.append(f"{prefix}-live", [{"loss": 0.5, "_step": 3}])
        with db.engine.begin() as connection:
            connection.execute(insert(training_runs), {"run_id": f"{prefix}-bare"})
            connection.execute(
                update(training_runs)
                .where(training_runs.c.run_id == f"{prefix}-bare")
                .values({one.name: None for one in training_runs.c if _may_be_null(one)})
            )


def _may_be_null(one: Any) -> bool:
    return one.nullable and one.name != "number" and one.name not in GENERATED


def _run(run_id: str, index: int) -> dict[str, Any]:
    documents = ('{"lr": 1e-05, "a": [1, null]}', '{"lr": NaN', "[1, 2]")
    return a_row(training_runs, index) | {
        "run_id": run_id,
        "wandb_run_id": f"wandb {run_id}",
        "config_json": documents[index % 3],
        "final_metrics_json": f'{{"loss": {{"$float": "NaN"}}, "n": {2**70}}}',
        "history_layout": None if index else "=[1, 2]",
        "deleted_at": None,
    }


def _log(db: TrainingDB, run_id: str, index: int) -> None:
    steps = np.arange(40 if index else 5_000)  # a tail, or segments
    db.history.append(
        run_id,
        {
            "_step": steps,
            f"only of {index}": steps[::-1].copy(),
            "loss": np.where(steps % 97, 1 / (steps + 1.0), math.nan),
            "exact": [2**53 + 1, 0.5, 2**63 - 1, -(2**63), None],
            "flag": [True, False, None, True],
            "note": ["a", {"b": [1, None]}, 2**70, "ä\U0001f600", ""],
        },
    )
    cells = {"loss": column([3.5, math.inf], 0), f"late {index}": column([1, "two"], 0)}
    db.history.write(run_id, LIVE + index, cells, (0, 2))


def _fill_by_hand(
    connection: Connection, table: Table, run_id: str, number: int, index: int
) -> None:
    for turn in range(2):
        row = a_row(table, 2 * index + turn) | owner(table, run_id, number)
        connection.execute(insert(table), row)


def a_row(table: Table, index: int) -> dict[str, Any]:
    """Return a row with a value in every column, but for the number that it goes by."""
    return {
        one.name: _value(one, index)
        for one in table.columns
        if one.name not in (*GENERATED, "id", "number")
    }


def owner(table: Table, run_id: str, number: int) -> dict[str, Any]:
    """Return what says in a table which run a row belongs to."""
    return {"run_id": run_id} if "run_id" in table.c else {"run_number": number}


def _value(one: Any, index: int) -> Any:
    if one.name == "metric_id":
        return METRIC
    if one.name in ("status", "kind"):
        return {"status": "completed", "kind": "float"}[one.name]
    kind = one.type.python_type
    if kind is datetime:
        return datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC) + timedelta(days=index)
    return {
        bool: index % 2 == 0,
        int: 2**53 + 1 + index,
        float: (0.1, math.nan, -math.inf, 5e-324)[index % 4],
        bytes: pack({METRIC: column([0.5], 0)}, 0),
        str: f"{one.name} {index} 'ä\"\\\t%s\U0001f600",
    }[kind]
