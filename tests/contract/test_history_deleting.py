from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from training_db.errors import MetricNotFound
from training_db.segments import Column

if TYPE_CHECKING:
    from training_db import TrainingDB

TABLES = (
    "run_history_segments",
    "run_history_tails",
    "run_metrics",
    "run_history_key_metrics",
)


def count(db: TrainingDB, table: str) -> Any:
    with db.engine.connect() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar()


@pytest.fixture(autouse=True)
def two_runs(db: TrainingDB) -> None:
    for run in ("r1", "r2"):
        db.runs.insert(run)
        rows = np.arange(5000)
        db.history.append(run, {"loss": rows * 1.0, "acc": rows * 2, "note": ["x"] + [None] * 4999})
        db.history.append(run, {"loss": [5.0], "acc": [1.0], "tail": [1]})
        db.history.write(run, 11, {"loss": Column(np.array([0, 1]), np.array([1.0, 2.0]))}, (0, 2))


def left(db: TrainingDB, run: str = "r1") -> dict[str, int]:
    found = db.history.arrays(run, duplicates="all")[run]
    assert {one["metric"]: one["count"] for one in db.history.keys(run)} == {
        name: len(series) for name, series in found.items()
    }
    return {name: len(series) for name, series in sorted(found.items())}


ALL = {"acc": 5001, "loss": 5003, "note": 1, "tail": 1}


def test_a_whole_history_is_deleted_and_the_run_and_the_others_stay(db: TrainingDB) -> None:
    assert db.history.delete("r1") == sum(ALL.values())
    assert left(db) == {}
    assert db.metrics.of("r1") == []
    assert db.history.json("r1") is None
    assert db.runs.get("r1")["history_json"] is None
    assert left(db, "r2") == ALL
    assert db.history.delete("r1") == 0
    db.history.delete("r2")
    assert {table: count(db, table) for table in TABLES} == dict.fromkeys(TABLES, 0)


def test_one_metric_is_deleted_out_of_tails_and_segments(db: TrainingDB) -> None:
    assert db.history.delete("r1", "loss") == 5003
    assert left(db) == {name: cells for name, cells in ALL.items() if name != "loss"}
    assert left(db, "r2") == ALL
    assert [one["metric"] for one in db.metrics.of("r1")] == ["acc", "note", "tail"]
    assert "loss" not in json.loads(db.history.json("r1") or "")
    assert db.history.delete("r1", ("acc", "tail", "acc")) == 5002
    assert left(db) == {"note": 1}


def test_a_key_metric_that_is_deleted_is_no_key_metric_any_more(db: TrainingDB) -> None:
    db.runs.insert("r3")
    scores = {
        "objectives/QED_maximize/raw_mean": [0.5, None, None],
        "objectives/SA/raw_mean": [1, 2, None],
    }
    db.history.append("r3", {"loss": [2.0, 1.0, 0.5], "lr": [0.1, None, None]} | scores)
    query = (
        "SELECT loss, learning_rate, objective_scores_json FROM run_history_key_metrics "
        "WHERE run_id = 'r3' ORDER BY id"
    )

    def key_rows() -> list[tuple[Any, ...]]:
        with db.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    assert len(key_rows()) == 3
    db.history.delete("r3", "loss")
    assert key_rows() == [(None, 0.1, '{"QED":0.5,"SA":1.0}'), (None, None, '{"SA":2.0}')]
    db.history.delete("r3", list(scores))
    assert key_rows() == [(None, 0.1, None)]
    db.history.delete("r3", "lr")
    assert key_rows() == []


def test_a_metric_that_is_not_there_deletes_nothing(db: TrainingDB) -> None:
    for metrics in ("nothing", ["loss", "nothing"], ["a\x00b"]):
        with pytest.raises(MetricNotFound, match="loss"):
            db.history.delete("r1", metrics)
    db.history.delete("r1", "tail")
    with pytest.raises(MetricNotFound):
        db.history.delete("r1", "tail")
    assert left(db) == {name: cells for name, cells in ALL.items() if name != "tail"}
    assert db.history.delete("r1", []) == 0


def test_a_deleted_history_can_be_written_anew(db: TrainingDB) -> None:
    db.history.delete("r1")
    assert db.history.append("r1", {"loss": [1.0], "new": [2]}) == 2
    assert left(db) == {"loss": 1, "new": 1}
    assert db.history.arrays("r1")["r1"]["loss"].x.tolist() == [0]
    assert db.metrics.of("r1")[0]["count"] == 1


def test_a_writer_goes_on_after_its_history_was_deleted(db: TrainingDB) -> None:
    db.history.delete("r1")
    assert db.history.write("r1", 11, {"loss": Column(np.array([2]), np.array([3.0]))}, (2, 3)) == 3
    assert left(db) == {"loss": 1}


def test_rows_go_on_from_the_end_after_their_longest_metric_was_deleted(db: TrainingDB) -> None:
    db.runs.insert("r3")
    db.history.append("r3", {"long": [1.0, 2.0, 3.0], "loss": [1.0]})
    db.history.delete("r3", "long")
    db.history.append("r3", {"loss": [2.0]})
    assert db.history.arrays("r3")["r3"]["loss"].x.tolist() == [0, 3]


def test_a_run_that_is_deleted_by_sql_takes_its_history_along(db: TrainingDB) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs WHERE run_id = 'r1'"))
    assert left(db, "r2") == ALL
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs"))
    assert {table: count(db, table) for table in TABLES} == dict.fromkeys(TABLES, 0)
