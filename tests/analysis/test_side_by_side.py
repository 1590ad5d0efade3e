"""Runs side by side, on both backends."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from training_db.analysis.comparison.side_by_side import leaves, side_by_side
from training_db.documents import encode
from training_db.errors import RunNotFound

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture
def pair(db: TrainingDB) -> TrainingDB:
    db.runs.insert(
        "a", config={"optimizer": {"lr": 0.1, "name": "adam"}, "seed": 1}, status="completed",
        host="gpu-1", summary={"loss": 0.5},
    )  # fmt: skip
    db.runs.insert(
        "b", config={"optimizer": {"lr": 0.2, "name": "adam"}, "extra": None}, status="completed",
        host="gpu-1", summary={"loss": math.nan},
    )  # fmt: skip
    db.objectives.insert("a", "QED", raw_mean=0.6)
    db.history.append("a", {"loss": [1.0, 0.5]})
    db.history.append("b", {"loss": [1.0, 0.5]})
    return db


def test_only_what_differs_is_shown(pair: TrainingDB) -> None:
    found = pair.analysis.side_by_side(["a", "b"])
    assert found.run_ids == ("a", "b")
    rows = {(row.section, row.name): row.values for row in found.rows}
    assert rows.pop(("summary", "loss"))[0] == 0.5
    assert rows == {
        ("config", "optimizer.lr"): (0.1, 0.2), ("config", "seed"): (1, None),
        ("objective", "QED.raw_mean"): (0.6, None),
    }  # fmt: skip
    assert [row.section for row in found.rows] == ["config", "config", "summary", "objective"]


def test_everything_is_shown_when_asked(pair: TrainingDB) -> None:
    found = pair.analysis.side_by_side(["b", "a"], everything=True)
    rows = {(row.section, row.name): row for row in found.rows}
    assert rows["config", "optimizer.name"].values == ("adam", "adam")
    assert not rows["config", "optimizer.name"].differs
    assert rows["metric", "loss"].values == (0.5, 0.5)
    assert rows["run", "host"].values == ("gpu-1", "gpu-1")
    assert rows["config", "optimizer.lr"].differs
    json.dumps(found.as_dict())


def test_one_run_differs_from_itself_in_nothing(pair: TrainingDB) -> None:
    assert pair.analysis.side_by_side(["a", "a"]).rows == ()
    alone = pair.analysis.side_by_side("a", everything=True)
    assert alone.run_ids == ("a",)
    assert ("config", "seed") in {(row.section, row.name) for row in alone.rows}


def test_a_run_that_does_not_exist_is_named(pair: TrainingDB) -> None:
    with pytest.raises(RunNotFound, match="'c'"):
        pair.analysis.side_by_side(["a", "c"])


def test_the_axes_of_wandb_are_left_out_unless_everything_is_asked_for() -> None:
    axes = ("_step", "_runtime", "_timestamp")
    sides = {
        run_id: {(section, name): value for section in ("config", "summary", "metric")
                 for name in (*axes, "loss")}
        for run_id, value in {"a": 1, "b": 2}.items()
    }  # fmt: skip
    found = [(row.section, row.name) for row in side_by_side(sides).rows]
    config = [("config", name) for name in (*axes, "loss")]
    assert found == [*config, ("summary", "loss"), ("metric", "loss")]
    assert len(side_by_side(sides, everything=True).rows) == 12


def test_equal_is_what_means_the_same() -> None:
    def rows(one: object, other: object) -> int:
        return len(side_by_side({"a": {("config", "x"): one}, "b": {("config", "x"): other}}).rows)

    assert rows(1, 1.0) == rows(math.nan, math.nan) == rows("x", "x") == 0
    assert rows(1, True) == rows(math.nan, 1.0) == rows("1", 1) == rows(1.0, math.nan) == 1
    assert side_by_side({}).rows == ()


def test_documents_become_dotted_names() -> None:
    assert leaves('{"a": {"b": {}, "c": [1]}, "d": null}') == {"a.b": "{}", "a.c": "[1]", "d": None}
    assert leaves(None) == leaves("{}") == {}
    assert leaves("[1]") == {"(no object)": "[1]"}
    assert leaves("{broken") == {"(no JSON)": "{broken"}
    assert leaves("[" * 10**5) == {"(no JSON)": "[" * 10**5}
    stored = encode({"lr": {"max": math.inf}, "name": "a\0b"})
    assert leaves(stored) == {"lr.max": math.inf, "name": "a\0b"}
