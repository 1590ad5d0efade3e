"""The history of a run as its dict gives it: the forms it takes, and how it is reached."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.strategies import same
from training_db.errors import InvalidValue

if TYPE_CHECKING:
    from training_db import TrainingDB


class FrameLike:
    """Has what this library uses of a pandas DataFrame."""

    def to_dict(self, orient: str) -> dict[str, list[Any]]:
        assert orient == "list"
        return {"loss": [2.0, 1.0], "lr": [None, 0.1]}


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [2.0, 1.0], "lr": [None, 0.1]},
        [{"loss": 2.0}, {"loss": 1.0, "lr": 0.1}],
        FrameLike(),
        '{"loss": [2.0, 1.0], "lr": [null, 0.1]}',
        '[{"loss": 2.0}, {"loss": 1.0, "lr": 0.1}]',
    ],
    ids=["columns", "rows", "frame", "text", "text of rows"],
)
def test_a_history_may_have_any_form_that_people_have(db: TrainingDB, history: object) -> None:
    db.runs.insert("r1")
    db.runs.update_status("r1", "running", history_json=history)
    text = db.runs.get("r1")["history_json"]
    assert json.loads(text) == {"loss": [2.0, 1.0], "lr": [None, 0.1]}
    assert db.runs.history_json("r1") == text


def test_a_history_keeps_what_is_not_finite(db: TrainingDB) -> None:
    history = {"loss": [1.0, math.nan, math.inf, "NaN", None]}
    db.runs.insert("r1", history_json=history)
    assert same(json.loads(db.runs.get("r1")["history_json"]), history)


@pytest.mark.parametrize("history", [5, "text", [1, 2], object()])
def test_a_history_of_another_kind_is_refused(db: TrainingDB, history: object) -> None:
    with pytest.raises(InvalidValue, match="history"):
        db.runs.insert("r1", history_json=history)


def test_history_is_reached_by_key_and_by_get_and_no_other_key_is(db: TrainingDB) -> None:
    db.runs.insert("r1", history_json={"a": [1]})
    assert db.runs.get("r1").get("history_json") == '{"a":[1]}'
    run = db.runs.get("r1")
    with pytest.raises(KeyError, match="histroy_json"):
        run["histroy_json"]
    assert run.get("nothing", 5) == 5
    db.runs.insert("r2")
    assert db.runs.get("r2")["history_json"] is None
