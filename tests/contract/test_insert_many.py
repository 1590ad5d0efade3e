from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from training_db.errors import InvalidInput, RunExists

if TYPE_CHECKING:
    from training_db import TrainingDB

RUNS: list[dict[str, Any]] = [
    {"run_id": "r1", "config": {"lr": 0.1, "objectives": {"QED_maximize": 2, "SA_minimize": None}}},
    {"run_id": "r2", "wandb_run_id": "w2", "host": "gpu-1", "status": "running",
     "created_at": "2024-05-06 07:08:09+02:00"},
    {"run_id": "r3", "summary": {"loss": math.nan, "objectives/QED_maximize/raw_mean": math.inf},
     "config": {"text": "a\x00b \ud800 ü \\N \t\n", "huge": 2**70}, "mixed_precision": True},
]  # fmt: skip


def comparable(run: dict[str, Any]) -> dict[str, Any]:
    of_the_moment = {"created_at", "created_at_db", "updated_at_db", "number"}
    return {name: repr(value) for name, value in run.items() if name not in of_the_moment}


def test_many_runs_are_inserted_as_each_would_be_alone(db: TrainingDB) -> None:
    assert db.runs.insert_many(RUNS) == 3
    together = [comparable(db.runs.get(run["run_id"])) for run in RUNS]
    objectives = db.objectives.query()
    assert db.runs.get("r2")["created_at"] == "2024-05-06T05:08:09.000000Z"
    from tests.contract.conftest import empty

    empty(db)
    for run in RUNS:
        db.runs.insert(**run)
    assert [comparable(db.runs.get(run["run_id"])) for run in RUNS] == together
    key = lambda row: (row["run_id"], row["objective_name"])  # noqa: E731 - of this line only
    assert repr(sorted(db.objectives.query(), key=key)) == repr(sorted(objectives, key=key))


def test_more_runs_than_a_batch_holds_are_inserted_from_a_generator(db: TrainingDB) -> None:
    runs = ({"run_id": f"r{n}", "config": {"objectives": ["QED"]}} for n in range(2_500))
    assert db.runs.insert_many(runs) == 2_500
    assert db.runs.count() == 2_500
    assert len(db.objectives.query(limit=None)) == 2_500


def test_no_runs_are_none(db: TrainingDB) -> None:
    assert db.runs.insert_many([]) == 0


@pytest.mark.parametrize("last", [{"run_id": "r7"}, {"run_id": "x", "wandb_run_id": "w"}])
def test_a_run_that_comes_twice_lets_none_in(db: TrainingDB, last: dict[str, str]) -> None:
    first = {"run_id": "old", "wandb_run_id": "w"}
    runs = [first, *({"run_id": f"r{n}"} for n in range(1_500)), last]
    with pytest.raises(RunExists):
        db.runs.insert_many(runs)
    assert db.runs.count() == 0
    assert db.runs.insert_many(runs[:-1]) == 1_501


@pytest.mark.parametrize(
    "bad",
    [{}, {"run_id": None}, {"run_id": "x", "host": 5}, {"run_id": "x", "colour": "red"},
     {"run_id": "x", "config": max}, {"run_id": "x", "config": {"act": max}}, "r1", 5, None],
    ids=["nothing", "none", "host", "column", "config", "in the config", "text", "number", "null"],
)  # fmt: skip
def test_a_run_that_cannot_be_stored_is_named_by_its_number_and_lets_none_in(
    db: TrainingDB, bad: Any
) -> None:
    with pytest.raises(InvalidInput, match="run number 2"):
        db.runs.insert_many([{"run_id": "r0"}, {"run_id": "r1"}, bad])
    assert db.runs.count() == 0


def test_an_error_of_the_callers_own_generator_lets_none_in(db: TrainingDB) -> None:
    def failing() -> Any:
        yield {"run_id": "r1"}
        raise LookupError("the caller's own")

    with pytest.raises(LookupError, match="the caller's own"):
        db.runs.insert_many(failing())
    assert db.runs.count() == 0
