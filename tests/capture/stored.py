"""Import logs, and read by SQL what stands in the tables then."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from training_db.capture import import_wandb_logs
from training_db.segment_blocks import unpack
from training_db.segments import decode

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.oracle import Cells
    from training_db import TrainingDB
    from training_db.capture.storing.outcome import ImportOutcome
    from training_db.segments import Column

TABLES = (
    "training_runs", "run_history_segments", "run_history_tails", "run_metrics", "run_events",
    "run_artifacts", "run_tags", "run_objectives", "run_history_key_metrics", "metric_names",
)  # fmt: skip
_CHANGING = {"updated_at_db", "heartbeat_at"}


def imported(db: TrainingDB, *paths: Path) -> list[ImportOutcome]:
    """Import logs, all of which are good."""
    outcomes = import_wandb_logs(db, *paths)
    assert [(one.error, one.counts and one.counts.differences) for one in outcomes] == [
        (None, [])
    ] * len(outcomes)
    return outcomes


def everything(db: TrainingDB) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, but for when they were last touched."""
    found = {}
    with db.engine.connect() as connection:
        for table in TABLES:
            rows = connection.execute(text(f"SELECT * FROM {table}")).mappings()
            plain = [
                {name: _plain(value) for name, value in row.items() if name not in _CHANGING}
                for row in rows
            ]
            found[table] = sorted(plain, key=repr)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, memoryview):
        return bytes(value)
    return repr(value) if isinstance(value, float) else value  # NaN is not NaN


def cells_by_writer(db: TrainingDB, run_id: str) -> dict[int, Cells]:
    """Return the cells of a run as they are stored, by writer, metric and row."""
    found: dict[int, Cells] = {}
    of_run = "run_number = (SELECT number FROM training_runs WHERE run_id = :run_id)"
    with db.engine.connect() as connection:
        rows = connection.execute(text("SELECT id, name FROM metric_names"))
        names = {row.id: row.name for row in rows}
        segments = connection.execute(
            text(
                "SELECT metric_id, writer, kind, cells, first_row, count, row_numbers "
                f"FROM run_history_segments WHERE {of_run}"
            ),
            {"run_id": run_id},
        )
        for metric, writer, kind, cells, first_row, count, row_numbers in segments:
            numbers = None if row_numbers is None else bytes(row_numbers)
            column = decode(kind, bytes(cells), first_row, count, numbers)
            _add(found, writer, names[metric], column)
        tails = connection.execute(
            text(f"SELECT writer, first_row, block FROM run_history_tails WHERE {of_run}"),
            {"run_id": run_id},
        )
        for writer, first_row, block in tails:
            for metric, column in unpack(bytes(block), first_row).items():
                _add(found, writer, names[metric], column)
    return found


def cells_of_one_writer(db: TrainingDB, run_id: str) -> Cells:
    """Return the cells of a run that one writer wrote."""
    (cells,) = cells_by_writer(db, run_id).values()
    return cells


def _add(found: dict[int, Cells], writer: int, name: str, column: Column) -> None:
    there = found.setdefault(writer, {}).setdefault(name, {})
    for row, value in zip(column.rows.tolist(), column.values.tolist(), strict=True):
        assert row not in there, f"{name} has row {row} twice"
        there[row] = value


def the_run(db: TrainingDB) -> dict[str, Any]:
    """Return the only run there is."""
    runs = db.runs.query()
    assert len(runs) == 1, [run["run_id"] for run in runs]
    return dict(runs[0])


def document(run: dict[str, Any], name: str) -> Any:
    """Return a JSON column of a run as a value."""
    return json.loads(run[name]) if run[name] else {}
