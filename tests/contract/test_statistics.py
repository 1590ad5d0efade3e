from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture
def filled(db: TrainingDB) -> TrainingDB:
    db.runs.insert_many([
        {"run_id": "a", "gradient_method": "mgda", "host": "h1", "status": "completed",
         "duration_seconds": 3600, "final_loss": 0.5, "created_at": "2024-01-01"},
        {"run_id": "b", "gradient_method": "mgda", "host": "h1", "status": "failed",
         "duration_seconds": 1800, "final_loss": math.nan, "created_at": "2024-01-03"},
        {"run_id": "c", "gradient_method": "mgda", "host": "h2", "status": "running",
         "final_loss": math.inf, "created_at": "2024-01-02"},
        {"run_id": "d", "created_at": "2024-01-02", "final_loss": -math.inf},
    ])  # fmt: skip
    for run_id, mean in (("a", 0.25), ("b", 0.75), ("c", math.nan), ("d", math.inf)):
        db.objectives.insert(run_id, "QED", raw_mean=mean)
    db.objectives.insert("a", "SA")
    db.scaffolds.insert("a", {"c1": {}, "c2": {}})
    return db


def test_an_overview_counts_what_there_is(filled: TrainingDB) -> None:
    figures = filled.statistics.overview()
    methods = figures.pop("methods")
    assert figures == {
        "total_runs": 4,
        "by_status": {"completed": 1, "failed": 1, "launched": 1, "running": 1},
        "by_gradient_method": {"mgda": 3, None: 1},
        "by_host": {"h1": 2, "h2": 1, None: 1},
        "total_hours": 1.5,
        "total_objectives": 5,
        "total_scaffolds": 2,
        "first_created_at": "2024-01-01T00:00:00.000000Z",
        "last_created_at": "2024-01-03T00:00:00.000000Z",
    }
    assert [method["gradient_method"] for method in methods] == ["mgda", None]
    json.dumps(figures)


def test_means_leave_out_what_is_missing_or_not_finite(filled: TrainingDB) -> None:
    mgda, none = filled.statistics.by_method()
    assert mgda == {
        "gradient_method": "mgda", "runs": 3, "completed": 1, "success_rate": 0.5,
        "mean_duration_seconds": 2700.0, "mean_final_loss": 0.5,
        "objectives": {"QED": 0.5, "SA": None},
    }  # fmt: skip
    assert none["success_rate"] is none["mean_final_loss"] is none["mean_duration_seconds"] is None
    assert none["objectives"] == {"QED": None}


def test_figures_are_of_the_runs_that_match(filled: TrainingDB) -> None:
    figures = filled.statistics.overview("host = 'h2' or status = 'failed'")
    assert figures["total_runs"] == 2
    assert figures["by_host"] == {"h1": 1, "h2": 1}
    assert (figures["total_objectives"], figures["total_scaffolds"]) == (2, 0)
    assert filled.statistics.overview({"objective.QED": 0.25})["total_runs"] == 1


def test_figures_of_nothing_are_nothing(db: TrainingDB) -> None:
    figures = db.statistics.overview()
    assert figures["total_runs"] == figures["total_hours"] == figures["total_scaffolds"] == 0
    assert figures["first_created_at"] is figures["last_created_at"] is None
    assert figures["methods"] == []
    assert figures["by_status"] == {}


def test_durations_may_add_up_to_more_than_an_integer_holds(db: TrainingDB) -> None:
    for run_id in ("r1", "r2", "r3"):
        db.runs.insert(run_id, duration_seconds=2**62)
    assert db.statistics.overview()["total_hours"] == pytest.approx(3 * 2**62 / 3600)


@pytest.mark.parametrize("largest", [1e200, 1.7e308])
def test_a_mean_of_huge_numbers_is_a_number_or_missing(db: TrainingDB, largest: float) -> None:
    for number in range(2):
        db.runs.insert(f"r{number}", gradient_method="mgda", final_loss=largest)

    (method,) = db.statistics.by_method()

    assert method["mean_final_loss"] is None or math.isclose(method["mean_final_loss"], largest)
