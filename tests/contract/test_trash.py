"""The trash: runs that are out of sight, and come back whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from training_db.errors import InvalidValue, RunNotFound
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from tests.contract.conftest import Recorder
    from training_db import TrainingDB


@pytest.fixture
def filled(db: TrainingDB) -> TrainingDB:
    for name in "abc":
        db.runs.insert(name, gradient_method="mgda", host=f"gpu-{name}", status="completed",
                       duration_seconds=3600, config={"objectives": ["QED"]})  # fmt: skip
        db.objectives.update_metric(name, "QED", "raw_mean", 0.5)
        db.scaffolds.insert(name, {"c1ccccc1": {"QED": 0.5}})
        db.tags.add(name, "keep")
    return db


def ids(runs: Any) -> list[str]:
    return sorted(run["run_id"] for run in runs)


def test_a_deleted_run_is_left_out_of_listings_counts_and_statistics(filled: TrainingDB) -> None:
    assert filled.runs.delete("b") == 1
    assert ids(filled.runs.query()) == ids(filled.runs.page().items) == ["a", "c"]
    assert ids(filled.runs.iterate(page_size=1)) == ["a", "c"]
    assert ids(filled.runs.query("objective.QED >= 0.5")) == ["a", "c"]
    assert ids(filled.runs.query("tag.keep is not missing", "host")) == ["a", "c"]
    assert ids(filled.runs.query({"host": "gpu-b"})) == []
    assert ids(filled.runs.query("not host = 'gpu-a'")) == ["c"]
    assert ids(filled.runs.query("host = 'gpu-b' or host = 'gpu-c'")) == ["c"]
    assert filled.runs.count() == 2
    overview = filled.statistics.overview()
    assert (overview["total_runs"], overview["total_hours"]) == (2, 2.0)
    assert (overview["total_objectives"], overview["total_scaffolds"]) == (2, 2)
    assert overview["by_status"] == {"completed": 2}
    assert overview["by_host"] == {"gpu-a": 1, "gpu-c": 1}
    assert filled.statistics.by_method()[0]["runs"] == 2
    assert ids(filled.objectives.query()) == ["a", "c"]
    assert ids(filled.scaffolds.query()) == ["a", "c"]
    assert ids(filled.scaffolds.query(scaffold_id="c1ccccc1")) == ["a", "c"]


def test_what_names_a_deleted_run_still_shows_it(filled: TrainingDB) -> None:
    filled.runs.delete("b")
    assert filled.runs.get("b")["deleted_at"] is not None
    assert filled.runs.by_number(2)["run_id"] == filled.runs.resolve("2") == "b"
    assert ids(filled.objectives.of_run("b")) == ids(filled.scaffolds.query("b")) == ["b"]
    assert filled.tags.of("b") == {"keep": None}


def test_a_filter_that_names_deleted_at_sees_the_trash(filled: TrainingDB) -> None:
    filled.runs.delete("b")
    assert ids(filled.runs.query("deleted_at is not missing")) == ["b"]
    assert ids(filled.runs.query("deleted_at > '2000-01-01' and objective.QED > 0.4")) == ["b"]
    assert ids(filled.runs.query("deleted_at is missing or deleted_at is not missing")) == [
        "a", "b", "c",
    ]  # fmt: skip
    assert ids(filled.runs.query({"deleted_at": None})) == ["a", "c"]
    assert ids(filled.objectives.query("deleted_at is not missing")) == ["b"]
    assert filled.statistics.overview("deleted_at is not missing")["by_host"] == {"gpu-b": 1}


def test_a_restored_run_is_as_it_was(filled: TrainingDB) -> None:
    before = filled.runs.get("b")
    filled.runs.delete("b")
    assert filled.runs.restore("b") == 1
    after = filled.runs.get("b")
    assert after | {"updated_at_db": 0} == before | {"updated_at_db": 0}
    assert filled.runs.count() == 3


def test_several_runs_are_deleted_together_or_not_at_all(filled: TrainingDB) -> None:
    for move in (filled.runs.delete, filled.runs.restore):
        with pytest.raises(RunNotFound, match="nobody"):
            move("a", "nobody", "b")
        with pytest.raises(InvalidValue, match="no text"):
            move("a", ["b"])  # type: ignore[arg-type]
    assert filled.runs.count() == 3
    assert filled.runs.delete("a", "b", "a") == 2
    assert filled.runs.delete("b", "c") == 1
    assert filled.runs.delete() == 0
    assert filled.runs.count() == 0
    assert filled.runs.restore("a", "c") == 2
    assert filled.runs.restore("a") == 0
    assert filled.runs.count() == 2


def test_a_run_deleted_twice_keeps_the_time_of_the_first(filled: TrainingDB) -> None:
    filled.runs.delete("a")
    first = filled.runs.get("a")["deleted_at"]
    assert parse_timestamp(first).tzinfo is not None
    filled.runs.delete("a")
    assert filled.runs.get("a")["deleted_at"] == first


def test_a_run_in_the_trash_keeps_its_id(filled: TrainingDB) -> None:
    filled.runs.delete("a")
    assert not filled.runs.ensure("a")
    filled.runs.update("a", notes="late word")
    assert filled.runs.get("a")["notes"] == "late word"
    assert filled.runs.count() == 2


def test_leaving_the_trash_out_takes_no_further_statement(
    filled: TrainingDB, recorded: Recorder
) -> None:
    filled.runs.delete("b")
    with recorded(filled) as statements:
        filled.runs.query(limit=2)
        filled.runs.count()
    assert len(statements) == 2
