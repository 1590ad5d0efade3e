from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from training_db.errors import InvalidValue, ObjectiveNotFound, UnknownName
from training_db.repository.filters import Not
from training_db.repository.thresholds import from_thresholds

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture
def run(db: TrainingDB) -> TrainingDB:
    db.runs.insert("r1")
    return db


def one(db: TrainingDB, name: str = "QED") -> dict[str, Any]:
    (row,) = (row for row in db.objectives.of_run("r1") if row["objective_name"] == name)
    return row


def test_an_objective_is_inserted_once_and_changed_after(run: TrainingDB) -> None:
    run.objectives.insert("r1", "QED", weight=2, direction="maximize", raw_mean=0.5)
    run.objectives.insert("r1", "QED", raw_mean=0.7, uniprot="P1")
    run.objectives.insert("r1", "QED")
    assert one(run) == {
        "run_id": "r1", "objective_name": "QED", "objective_alias": None, "uniprot": "P1",
        "weight": 2.0, "direction": "maximize", "raw_mean": 0.7, "normalized_mean": None,
        "raw_std": None, "normalized_std": None,
    }  # fmt: skip
    run.objectives.insert("r1", "QED", raw_mean=None)
    assert one(run)["raw_mean"] is None


def test_one_statistic_is_set(run: TrainingDB) -> None:
    run.objectives.insert("r1", "QED", raw_mean=0.5)
    for metric in ("raw_mean", "normalized_mean", "raw_std", "normalized_std"):
        run.objectives.update_metric("r1", "QED", metric, 0.25)
        assert one(run)[metric] == 0.25
        run.objectives.update_metric("r1", "QED", metric, None)
        assert one(run)[metric] is None


def test_a_statistic_or_objective_that_does_not_exist_is_refused(run: TrainingDB) -> None:
    run.objectives.insert("r1", "SA")
    with pytest.raises(UnknownName, match="normalized_std"):
        run.objectives.update_metric("r1", "SA", "median", 1.0)
    with pytest.raises(UnknownName):
        run.objectives.update_metric("r1", "SA", "weight", 1.0)
    with pytest.raises(ObjectiveNotFound, match="SA") as caught:
        run.objectives.update_metric("r1", "QED", "raw_mean", 1.0)
    assert isinstance(caught.value, KeyError)
    with pytest.raises(InvalidValue):
        run.objectives.update_metric("r1", "SA", "raw_mean", "high")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{"direction": "up"}, {"mean": 1}, {"run_id": "r2"}, {"id": 1}], ids=str
)
def test_an_unknown_field_of_an_objective_is_refused(
    run: TrainingDB, fields: dict[str, Any]
) -> None:
    with pytest.raises((UnknownName, TypeError)):
        run.objectives.insert("r1", "QED", **fields)
    assert run.objectives.of_run("r1") == []


@pytest.mark.parametrize(
    "summary",
    [
        {"objectives/QED_maximize/raw_mean": 0.7, "objectives/SA_minimize/raw_std": math.nan},
        {"objectives": {"QED_maximize": {"raw_mean": 0.7}, "SA_minimize": {"raw_std": math.nan}}},
        '{"objectives/QED_maximize/raw_mean": 0.7, "objectives/SA_minimize/raw_std": NaN}',
    ],
)
def test_all_objectives_are_set_from_a_summary(run: TrainingDB, summary: Any) -> None:
    run.objectives.insert("r1", "QED", weight=2, raw_mean=0.1)
    assert run.objectives.update_from_summary("r1", summary) == 2
    assert (one(run)["raw_mean"], one(run)["weight"], one(run)["direction"]) == (0.7, 2, "maximize")
    assert math.isnan(one(run, "SA")["raw_std"])
    assert run.objectives.update_from_summary("r1", {"loss": 1}) == 0


def test_objectives_are_listed_newest_run_first(db: TrainingDB) -> None:
    for number, day in enumerate(("2024-01-01", "2024-01-02")):
        db.runs.insert(f"r{number}", created_at=day, host=f"h{number}")
        for name in ("SA", "QED"):
            db.objectives.insert(f"r{number}", name, raw_mean=number)
    listed = [(row["run_id"], row["objective_name"]) for row in db.objectives.query()]
    assert listed == [("r1", "QED"), ("r1", "SA"), ("r0", "QED"), ("r0", "SA")]
    assert len(db.objectives.query(limit=3)) == 3
    assert [row["run_id"] for row in db.objectives.query("host = 'h0'", "SA")] == ["r0"]


def test_thresholds_of_many_objectives_have_to_be_passed_all(db: TrainingDB) -> None:
    names = [f"o{number}" for number in range(12)]
    for run_id, mean in (("low", 0.2), ("high", 0.8), ("nan", math.nan), ("inf", math.inf)):
        db.runs.insert(run_id, config={"objectives": names})
        for name in names:
            db.objectives.insert(run_id, name, raw_mean=mean, raw_std=0.1)
    db.runs.insert("none")

    def passing(thresholds: dict[str, Any]) -> list[str]:
        return sorted(run["run_id"] for run in db.runs.query(from_thresholds(thresholds)))

    assert passing(dict.fromkeys(names, 0.5)) == ["high"]
    assert passing(dict.fromkeys(names, -1)) == ["high", "low"]
    assert passing(dict.fromkeys(names, ("<", 0.5))) == ["low"]
    assert passing({"o0": {"max": 0.2}, "o1": {"min": 0.2}}) == ["low"]
    assert passing({"o0": {"max_raw_std": 0.1}, "o1": 0.8}) == ["high"]
    assert passing({"o0": 0.5, "unknown": 0}) == []
    assert passing({}) == ["high", "inf", "low", "nan", "none"]


def test_scaffolds_are_inserted_once_and_changed_after(run: TrainingDB) -> None:
    scaffolds = [
        {"scaffold_id": "c1", "scores": {"QED": 0.5, "SA": math.nan}, "pareto_rank": 1},
        {"scaffold_id": "c2", "cluster_id": 3},
    ]
    assert run.scaffolds.insert("r1", scaffolds) == 2
    assert run.scaffolds.insert("r1", [{"scaffold_id": "c1", "cluster_id": 7}]) == 1
    first, second = run.scaffolds.query("r1")
    assert (first["scaffold_id"], first["pareto_rank"], first["cluster_id"]) == ("c1", 1, 7)
    assert math.isnan(json.loads(first["scores_json"])["SA"])
    assert (second["scores_json"], second["pareto_rank"], second["cluster_id"]) == (None, None, 3)
    assert "id" not in first


def test_scaffolds_are_a_list_a_generator_or_a_mapping_of_scores(run: TrainingDB) -> None:
    assert run.scaffolds.insert("r1", {"c1": {"QED": 1}, "c2": {}}) == 2
    assert run.scaffolds.insert("r1", ({"scaffold_id": f"g{n}"} for n in range(3))) == 3
    assert run.scaffolds.insert("r1", []) == 0
    assert len(run.scaffolds.query("r1")) == 5


def test_a_scaffold_that_comes_twice_ends_as_the_last_one(run: TrainingDB) -> None:
    run.scaffolds.insert(
        "r1", [{"scaffold_id": "c1", "cluster_id": 1}, {"scaffold_id": "c1", "cluster_id": 2}]
    )
    (scaffold,) = run.scaffolds.query("r1")
    assert scaffold["cluster_id"] == 2


@pytest.mark.parametrize(
    "scaffolds",
    [[{"scores": {}}], [{"scaffold_id": None}], [{"scaffold_id": ""}], [{"scaffold_id": 5}],
     ["c1"], "c1", [{"scaffold_id": "c1", "pareto_rank": "first"}],
     [{"scaffold_id": "c1", "colour": 1}], [{"scaffold_id": "c1", "scores": max}], 5, None],
    ids=range(11),
)  # fmt: skip
def test_a_scaffold_that_cannot_be_stored_lets_none_in(run: TrainingDB, scaffolds: Any) -> None:
    from training_db.errors import InvalidInput

    good = {"scaffold_id": "good"}
    both = [good, *scaffolds] if isinstance(scaffolds, list) else scaffolds
    with pytest.raises(InvalidInput):
        run.scaffolds.insert("r1", both)
    assert run.scaffolds.query("r1") == []


def test_scaffolds_are_found_by_what_they_have(db: TrainingDB) -> None:
    for run_id in ("r1", "r2"):
        db.runs.insert(run_id)
        db.scaffolds.insert(
            run_id,
            [{"scaffold_id": f"c{n}", "pareto_rank": n, "cluster_id": n % 2} for n in (1, 2, 3)],
        )
    query = db.scaffolds.query
    assert [row["scaffold_id"] for row in query("r1")] == ["c1", "c2", "c3"]
    assert [row["run_id"] for row in query(scaffold_id="c2")] == ["r1", "r2"]
    assert len(query(max_pareto_rank=2)) == 4
    assert len(query("r1", cluster_id=1, max_pareto_rank=1)) == 1
    assert len(query(limit=5)) == 5
    assert len(query(limit=None)) == 6
    db.runs.insert("r3")
    assert query("r3") == []


@pytest.mark.parametrize("count", [8, 9, 100])
def test_any_number_of_thresholds_can_be_asked_for_at_once(db: TrainingDB, count: int) -> None:
    for run_id, worst in (("all", 0.5), ("all-but-one", 0.4), ("none", 0.1)):
        db.runs.insert(run_id)
        for number in range(count):
            score = worst if number == count - 1 or run_id == "none" else 0.9
            db.objectives.insert(run_id, f"o{number}", raw_mean=score)
    thresholds = from_thresholds({f"o{number}": 0.5 for number in range(count)})

    assert [run["run_id"] for run in db.runs.query(thresholds)] == ["all"]
    assert db.runs.count(Not(thresholds)) == 2
