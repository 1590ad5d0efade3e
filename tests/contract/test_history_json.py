"""``history_json``: the whole history as one value, in through every door and out again."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.contract.conftest import empty
from tests.unit.strategies import SLOW, documents, keys, same
from training_db.errors import InvalidValue
from training_db.segments import Column

if TYPE_CHECKING:
    from training_db import TrainingDB


def by_insert(db: TrainingDB, history: Any, run_id: str = "r1") -> None:
    db.runs.insert(run_id, history_json=history)


def by_insert_many(db: TrainingDB, history: Any, run_id: str) -> None:
    db.runs.insert_many([{"run_id": run_id, "history_json": history}])


def by_update(db: TrainingDB, history: Any, run_id: str) -> None:
    db.runs.insert(run_id, history_json={"old": [1, 2, 3]})
    db.runs.update(run_id, history_json=history)


def by_update_status(db: TrainingDB, history: Any, run_id: str) -> None:
    db.runs.insert(run_id)
    db.runs.update_status(run_id, "running", history_json=history)


DOORS = (by_insert, by_insert_many, by_update, by_update_status)


def read(db: TrainingDB, run_id: str = "r1") -> Any:
    found = db.runs.get(run_id)["history_json"]
    assert found == db.history.json(run_id)
    return None if found is None else json.loads(found)


def layout(db: TrainingDB, value: str | None) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE training_runs SET history_layout = :value"), {"value": value}
        )


HISTORIES: list[tuple[str, Any, Any]] = [
    ("columns", {"loss": [2.0, 1.0], "n": [1, 2]}, {"loss": [2.0, 1.0], "n": [1, 2]}),
    ("unequal", {"a": [1, 2, 3], "b": [1], "c": []}, {"a": [1, 2, 3], "b": [1], "c": []}),
    ("nulls at the end", {"a": [1, None], "b": [None, None]}, {"a": [1, None], "b": [None, None]}),
    ("nulls alone", {"a": [None, None]}, {"a": [None, None]}),
    ("nulls and short", {"a": [None] * 3, "b": [1, None]}, {"a": [None] * 3, "b": [1, None]}),
    ("empty lists", {"a": [], "b": []}, {"a": [], "b": []}),
    ("nothing", {}, {}),
    ("no rows", [], {}),
    ("rows", [{"a": 1}, {"b": 2.5}, {"a": 3}], {"a": [1, None, 3], "b": [None, 2.5, None]}),
    ("empty rows", [{}, {"a": 1}, {}], {"a": [None, 1, None]}),
    ("frame", pd.DataFrame({"a": [0.5, math.nan], "w": ["x", "y"]}),
     {"a": [0.5, math.nan], "w": ["x", "y"]}),
    ("arrays", {"a": np.arange(3), "b": np.array([0.5], dtype=np.float32), "c": np.array(["x"])},
     {"a": [0, 1, 2], "b": [0.5], "c": ["x"]}),
    ("tuples", {"a": (1, 2), "b": range(2)}, {"a": [1, 2], "b": [0, 1]}),
    ("series", {"a": pd.Series([1.0, None, "x"], dtype=object, index=[7, 8, 9])},
     {"a": [1.0, None, "x"]}),
    ("text", '{"a": [1, NaN, null], "b": {"$float": "Infinity"}}',
     {"a": [1, math.nan, None], "b": math.inf}),
    ("no lists", {"a": [1], "b": 5, "c": "text", "d": None, "e": {"x": [1]}},
     {"a": [1], "b": 5, "c": "text", "d": None, "e": {"x": [1]}}),
    ("no list at all", {"b": 5}, {"b": 5}),
    ("odd keys", {"": [1], "k" * 1001: [2], "ü" * 501: [3], "$float": ["NaN"], "a b": [4]},
     {"": [1], "k" * 1001: [2], "ü" * 501: [3], "$float": ["NaN"], "a b": [4]}),
    ("keys that are no text", {2: [1], None: [2], True: [3]}, {"2": [1], "null": [2], "true": [3]}),
    ("tables", {"a": [[1, 2], [3, 4]], "b": [{"x": 1}, None], "c": np.eye(2)},
     {"a": [[1, 2], [3, 4]], "b": [{"x": 1}, None], "c": [[1.0, 0.0], [0.0, 1.0]]}),
    ("odd numbers", {"a": [math.nan, math.inf, -0.0], "b": [2**53 + 1, 2**64, -1]},
     {"a": [math.nan, math.inf, -0.0], "b": [2**53 + 1, 2**64, -1]}),
    ("odd texts", {"c": ["\ud800", "\x00", {"$text": "x"}]},
     {"c": ["\ud800", "\x00", {"$text": "x"}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("history", "expected"), [one[1:] for one in HISTORIES], ids=[one[0] for one in HISTORIES]
)
def test_a_history_comes_back_as_the_value_it_was_by_whatever_door(
    db: TrainingDB, history: Any, expected: Any
) -> None:
    for door in DOORS:
        door(db, history, door.__name__)
        assert same(read(db, door.__name__), expected), door


@SLOW
@given(st.dictionaries(keys, st.one_of(st.lists(documents, max_size=5), documents), max_size=5))
def test_any_mapping_comes_back_before_and_after_compaction(
    both: tuple[TrainingDB, TrainingDB], history: dict[str, Any]
) -> None:
    for db in both:
        empty(db)
        by_insert(db, history)
        found = read(db)
        assert found.keys() == history.keys()
        assert all(same(found[name], history[name]) for name in history)
        db.history.compact("r1")
        assert same(read(db), found)


def test_the_order_of_the_keys_is_kept_where_something_is_no_plain_list(db: TrainingDB) -> None:
    by_insert(db, {"z": [1], "b": "note", "a": [], "y": [2]})
    assert list(read(db)) == ["z", "b", "a", "y"]


def test_the_text_can_be_written_to_a_file(db: TrainingDB) -> None:
    by_insert(db, {"a": ["\ud800", "\x00", "🙂", math.nan], "é": [{"\\": '"'}], "n": ["\ud800"]})
    found = db.history.json("r1")
    assert found is not None
    assert json.loads(found.encode()) == json.loads(found)


def test_a_run_without_history_has_none(db: TrainingDB) -> None:
    db.runs.insert("r1")
    assert read(db) is None
    assert db.runs.get("r1").get("history_json") is None
    db.runs.update("r1", history_json=None)
    assert read(db) is None


def test_none_leaves_the_history_as_it_is(db: TrainingDB) -> None:
    by_insert(db, {"a": [1]})
    db.runs.update("r1", history_json=None, notes="x")
    db.runs.update_status("r1", "completed", history_json=None)
    db.runs.update("r1", host="h")
    assert read(db) == {"a": [1]}


def test_a_new_history_takes_the_place_of_all_there_was(db: TrainingDB) -> None:
    by_insert(db, {"a": [1, 2], "loss": [1.0, 2.0], "b": 5, "c": []})
    db.history.append("r1", {"a": [3]})
    db.history.write("r1", 11, {"live": Column(np.array([0]), np.array([1.0]))}, (0, 1))
    db.runs.update("r1", history_json={"acc": [0.5]})
    assert read(db) == {"acc": [0.5]}
    assert db.history.keys("r1") == [{"metric": "acc", "count": 1, "kind": "number"}]
    assert [one["metric"] for one in db.metrics.of("r1")] == ["acc"]
    with db.engine.connect() as connection:
        query = text("SELECT count(*) FROM run_history_key_metrics")
        assert connection.execute(query).scalar() == 0
    db.runs.update("r1", history_json={})
    assert read(db) == {}
    assert db.history.keys("r1") == []


def test_a_long_history_is_in_segments_and_comes_back(db: TrainingDB) -> None:
    history = {"_step": list(range(10_000)), "loss": [1 / (n + 1) for n in range(10_000)],
               "rare": [n if n % 1000 == 0 else None for n in range(10_000)]}  # fmt: skip
    by_insert(db, history)
    assert same(read(db), history)
    assert db.history.arrays("r1", "rare")["r1"]["rare"].x.tolist() == list(range(0, 10_000, 1000))
    with db.engine.connect() as connection:
        tails = connection.execute(text("SELECT count(*) FROM run_history_tails")).scalar()
    assert tails == 0


def test_lists_of_a_history_are_metrics_and_what_is_no_list_is_none(db: TrainingDB) -> None:
    by_insert(db, {"_step": range(10, 13), "loss": [3.0, 2.0, 1.0], "note": "x", "": [1]})
    assert [one["metric"] for one in db.history.keys("r1")] == ["_step", "loss"]
    found = db.history.arrays("r1")["r1"]
    assert found["loss"].x.tolist() == [10, 11, 12]


@pytest.mark.parametrize("layed_out", [False, True])
@pytest.mark.parametrize("compacted", [False, True])
def test_rows_appended_to_a_history_stand_below_it(
    db: TrainingDB, layed_out: bool, compacted: bool
) -> None:
    history: dict[str, Any] = {"a": [1, 2, 3], "b": [0.5, None, None]}
    by_insert(db, history | ({"c": [], "d": [7], "e": "x"} if layed_out else {}))
    if compacted:
        db.history.compact("r1")
    db.history.append("r1", {"b": [9.0], "d": [8]})
    found = read(db)
    assert found["a"] == [1, 2, 3, None]
    assert found["b"] == [0.5, None, None, 9.0]
    assert found["d"] == [7 if layed_out else None, None, None, 8]
    if layed_out:
        assert found["e"] == "x"


def test_rows_without_a_value_at_the_end_stay_rows_when_more_is_appended(db: TrainingDB) -> None:
    by_insert(db, {"a": [1, None, None]})
    db.history.compact("r1")
    db.history.append("r1", {"a": [2]})
    assert read(db) == {"a": [1, None, None, 2]}


def test_a_history_of_several_writers_is_one_below_the_other(db: TrainingDB) -> None:
    by_insert(db, {"a": [1, 2]})
    for writer in (13, 11):
        cells = {
            "a": Column(np.array([1]), np.array([writer])),
            "w": Column(np.array([0]), np.array([0])),
        }
        db.history.write("r1", writer, cells, (0, 2))
    assert read(db) == {"a": [1, 2, None, 11, None, 13], "w": [None, None, 0, None, 0, None]}


@pytest.mark.parametrize(
    "history",
    [5, [5], "{broken", "5", {"a": [object()]}, {"a": object()}, {"a": [10**4250]},
     {"a\x00": [1]}, {"\ud800": [1]}, {1: [1], "1": [2]}, {"a": (n for n in (1, 2))}],
    ids=["number", "list", "text", "json", "object", "member", "long", "nul", "surrogate", "twice",
         "generator"],
)  # fmt: skip
def test_what_is_no_history_is_refused_and_the_old_one_stays(db: TrainingDB, history: Any) -> None:
    by_insert(db, {"a": [1]})
    with pytest.raises(InvalidValue):
        db.runs.update("r1", history_json=history, host="new")
    with pytest.raises(InvalidValue):
        db.runs.update_status("r1", "failed", history_json=history)
    with pytest.raises(InvalidValue):
        db.runs.insert("r2", history_json=history)
    with pytest.raises(InvalidValue):
        db.runs.insert_many([{"run_id": "r2"}, {"run_id": "r3", "history_json": history}])
    assert read(db) == {"a": [1]}
    run = db.runs.get("r1")
    assert (run["host"], run["status"]) == (None, "launched")
    assert db.runs.count() == 1
    assert db.metrics.of("r1")[0]["count"] == 1


def test_an_update_that_fails_inside_a_transaction_leaves_the_old_history(db: TrainingDB) -> None:
    by_insert(db, {"a": [1], "b": "x"})
    with db.transaction():
        with pytest.raises(InvalidValue):
            db.runs.update("r1", history_json={"a": [2, object()]})
        db.history.append("r1", {"a": [3]})
    assert read(db) == {"a": [1, 3], "b": "x"}


def test_a_replaced_history_that_is_rolled_back_is_the_old_one_with_its_metrics(
    db: TrainingDB,
) -> None:
    by_insert(db, {"loss": [2.0], "b": "x"})
    before = db.metrics.of("r1")
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.runs.update("r1", history_json={"acc": [1.0]})
        assert read(db) == {"acc": [1.0]}
        raise ZeroDivisionError
    assert read(db) == {"loss": [2.0], "b": "x"}
    assert db.metrics.of("r1") == before


def test_listings_do_not_carry_histories_and_fetch_one_when_asked(db: TrainingDB) -> None:
    by_insert(db, {"a": [1]})
    (run,) = db.runs.query()
    assert "history_json" not in run
    assert "history_layout" not in run
    assert json.loads(run["history_json"]) == {"a": [1]}


def cells(*values: Any) -> Column:
    """Make cells of rows 0, 1, 2 ...; a ``None`` among them is a null that was logged."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return Column(np.arange(len(values)), array)


def test_a_history_that_was_moved_as_rows_comes_back_as_rows(db: TrainingDB) -> None:
    db.runs.insert("r1")
    sparse = Column(np.array([1]), np.array([0.5]))
    db.history.write("r1", 0, {"a": cells(1, None, "x"), "b": sparse}, (0, 3))
    layout(db, json.dumps({"form": "rows", "length": 5}))
    expected: list[dict[str, Any]] = [{"a": 1}, {"a": None, "b": 0.5}, {"a": "x"}, {}, {}]
    assert read(db) == expected
    db.history.append("r1", {"b": [9.0]})
    assert read(db)[:3] == expected[:3]
    assert read(db)[-1] == {"b": 9.0}


@pytest.mark.parametrize("theirs", ["{broken", "5", '{"a": 1, "a": 2}', "[1, 2]", "null", ""])
def test_a_history_that_is_no_table_comes_back_word_for_word(db: TrainingDB, theirs: str) -> None:
    db.runs.insert("r1")
    layout(db, "=" + theirs)
    assert db.runs.get("r1")["history_json"] == theirs
    assert db.history.arrays("r1") == {"r1": {}}
    assert db.history.keys("r1") == []
    db.history.append("r1", {"a": [1]})
    assert json.loads(db.history.json("r1") or "") == {"a": [1], "history_json": theirs}
    db.runs.update("r1", history_json={"b": [2]})
    assert read(db) == {"b": [2]}


@pytest.mark.parametrize("before", [None, '={"a": 1, "a": 2}'])
def test_a_history_that_was_deleted_is_none(db: TrainingDB, before: str | None) -> None:
    db.runs.insert("r1", history_json={"loss": [1.0], "note": "x", "e": []})
    if before is not None:
        db.history.delete("r1")
        layout(db, before)
    db.history.delete("r1")
    assert read(db) is None


def test_a_metric_that_was_deleted_is_no_key_of_the_history(db: TrainingDB) -> None:
    by_insert(db, {"loss": [1.0, 2.0], "acc": [0.5], "e": [], "note": "x"})
    db.history.delete("r1", "acc")
    assert read(db) == {"loss": [1.0, 2.0], "e": [], "note": "x"}
