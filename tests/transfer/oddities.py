"""A SQLite file with every kind of value that PostgreSQL cannot hold as it is, one kind a run."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from sqlalchemy import insert

from tests.transfer.databases import METRIC, a_row, owner
from training_db import TrainingDB
from training_db.models import Base, metric_names, training_runs

FIRST = 3
CHILDREN = [one for one in Base.metadata.sorted_tables if len(one.foreign_keys)]

TEXTS = {
    "a NUL": "CAST(X'610062' AS TEXT)",
    "no UTF-8": "CAST(X'61FF62' AS TEXT)",
    "half a pair": "CAST(X'61EDA08062' AS TEXT)",
    "a cut character": "CAST(X'61C3' AS TEXT)",
    "beyond Unicode": "CAST(X'F4908080' AS TEXT)",
    "a blob": "X'6100FF'",
    "a blob that could be text": "X'6162'",
}
TEXT_COLUMNS = (
    "training_runs.run_name", "training_runs.config_json", "training_runs.final_metrics_json",
    "training_runs.notes", "training_runs.wandb_run_id", "training_runs.status",
    "training_runs.history_layout", "training_runs.parent_run_id", "run_tags.name",
    "run_tags.value", "run_events.message", "run_events.kind", "run_events.data_json",
    "run_events.event_key", "run_objectives.objective_name", "run_objectives.uniprot",
    "run_scaffolds.scaffold_id", "run_scaffolds.scores_json", "run_artifacts.filepath",
    "run_history_key_metrics.objective_scores_json", "run_history_segments.kind",
)  # fmt: skip
TIMES = {
    "no time": "'yesterday'",
    "no day": "'2024-02-30T00:00:00.000000Z'",
    "an empty time": "''",
    "a time of another form": "'2024-05-06 07:08:09+02:00'",
    "a time of nine digits": "'2024-05-06T07:08:09.123456789Z'",
    "a day": "'2024-05-06'",
    "a late time": "'99999-01-01T00:00:00Z'",
    "a number for a time": "1714979289",
    "a blob for a time": "X'00'",
    "a NUL in a time": "CAST(X'323032340000' AS TEXT)",
}
TIME_COLUMNS = (
    "training_runs.created_at", "training_runs.heartbeat_at", "training_runs.deleted_at",
    "run_events.happened_at", "run_artifacts.created_at", "run_history_key_metrics.timestamp",
)  # fmt: skip
INTEGERS = {
    "text for a number": "'auto'",
    "a fraction": "2.5",
    "a large float": "1e300",
    "just too large": "9223372036854775808",
    "an endless number": "9e999",
    "a blob for a number": "X'0001'",
    "NaN for a number": "'NaN'",
}
INTEGER_COLUMNS = (
    "training_runs.batch_size", "training_runs.duration_seconds", "run_scaffolds.pareto_rank",
    "run_artifacts.size_bytes", "run_history_key_metrics.step", "run_metrics.count",
    "run_metrics.min_step", "run_history_segments.last_row",
)  # fmt: skip
FLOATS = {
    "text for a float": "'abc'",
    "a word for a float": "'Infinity'",
    "an endless float": "-9e999",
    "a blob for a float": "X'00'",
    "a NUL in a float": "CAST(X'310032' AS TEXT)",
    "a tiny float": "4.9406564584124654e-324",
}
FLOAT_COLUMNS = (
    "training_runs.final_loss", "run_objectives.raw_mean", "run_history_key_metrics.loss",
    "run_metrics.min", "run_metrics.mean", "run_history_segments.max",
)  # fmt: skip
FLAGS = {
    "seven for a flag": "7",
    "minus one for a flag": "-1",
    "text for a flag": "'yes'",
    "half a flag": "0.5",
    "a blob for a flag": "X'01'",
}
FLAG_COLUMNS = ("training_runs.git_dirty", "training_runs.mixed_precision")
LONG = {"a long text": "hex(randomblob(3000))", "a longer text": "hex(randomblob(300000))"}
LONG_COLUMNS = (
    "training_runs.status", "training_runs.host", "training_runs.gradient_method",
    "training_runs.group_name", "training_runs.parent_run_id", "training_runs.wandb_run_id",
    "training_runs.notes", "training_runs.config_json", "run_tags.name", "run_tags.value",
    "run_objectives.objective_name", "run_scaffolds.scaffold_id", "run_events.event_key",
    "run_events.message", "run_artifacts.artifact_type",
)  # fmt: skip
BYTES = {"text for bytes": "'text'", "text with a NUL for bytes": "CAST(X'610062' AS TEXT)",
         "a number for bytes": "7"}  # fmt: skip
BYTES_COLUMNS = ("run_history_segments.cells", "run_history_segments.row_numbers",
                 "run_history_tails.block")  # fmt: skip
DOCUMENTS = {
    "malformed JSON": "'{\"a\": '",
    "bare NaN": "'{\"a\": NaN}'",
    "a number beyond numeric": "'[1e400000]'",
    "an escaped NUL": '\'{"a": "\\u0000"}\'',
    "an escaped half of a pair": "'[\"\\ud800\"]'",
    "a key twice": '\'{"a": 1, "a": 2}\'',
    "deep JSON": "replace(hex(zeroblob(10000)), '0', '[')",
    "an empty text": "''",
}
DOCUMENT_COLUMNS = ("training_runs.config_json", "training_runs.final_metrics_json")
KINDS = (
    (TEXTS, TEXT_COLUMNS), (TIMES, TIME_COLUMNS), (INTEGERS, INTEGER_COLUMNS),
    (FLOATS, FLOAT_COLUMNS), (FLAGS, FLAG_COLUMNS), (LONG, LONG_COLUMNS), (BYTES, BYTES_COLUMNS),
    (DOCUMENTS, DOCUMENT_COLUMNS),
)  # fmt: skip
ODD = {
    f"{value} in {place}": (*place.split("."), expression)
    for values, places in KINDS
    for value, expression in values.items()
    for place in places
}
"""For each run of the file the table, the column and what stands there, as SQL."""


def make_odd(url: str) -> None:
    """Fill a migrated SQLite file: a run for each odd value, with a row in each table."""
    with TrainingDB(url) as db, db.engine.begin() as connection:
        connection.execute(insert(metric_names), {"id": METRIC, "name": "loss"})
        for number, run_id in enumerate(ODD, start=FIRST):
            run = a_row(training_runs, number) | {"run_id": run_id, "number": number}
            connection.execute(insert(training_runs), run)
            for table in CHILDREN:
                connection.execute(
                    insert(table), a_row(table, number) | owner(table, run_id, number)
                )
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        for number, (run_id, (table, column, odd)) in enumerate(ODD.items(), start=FIRST):
            key = key_of(table)
            connection.execute(
                f"UPDATE {table} SET {column} = {odd} WHERE {key} = ?",
                [run_id if key == "run_id" else number],
            )
        connection.commit()


def key_of(table: str) -> str:
    """Return the column by which a table knows the run."""
    if table == "training_runs":
        return "number"
    return "run_id" if "run_id" in Base.metadata.tables[table].c else "run_number"
