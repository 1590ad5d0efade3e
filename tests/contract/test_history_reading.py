"""Rows out as arrays: over each axis, in a range of steps, with and without what was repeated."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.contract.conftest import empty
from tests.unit.strategies import SLOW, same
from training_db.errors import InvalidValue, MetricNotFound, UnknownName
from training_db.history_rules import AXES

if TYPE_CHECKING:
    from training_db import TrainingDB
    from training_db.repository.history_series import Series


def pairs(series: Series) -> list[tuple[Any, Any]]:
    return list(zip(series.x.tolist(), series.values.tolist(), strict=True))


def read(db: TrainingDB, name: str = "loss", **how: Any) -> list[tuple[Any, Any]]:
    return pairs(db.history.arrays("r1", name, **how)["r1"][name])


@pytest.mark.parametrize("axis", ["step", "epoch", "timestamp"])
def test_any_of_the_names_of_an_axis_is_that_axis(db: TrainingDB, axis: Any) -> None:
    for number, name in enumerate(AXES[axis]):
        db.runs.insert(f"r{number}")
        db.history.append(f"r{number}", {name: [7, 8, None], "loss": [2.0, 1.0, 0.5]})
        found = pairs(db.history.arrays(f"r{number}", "loss", x=axis)[f"r{number}"]["loss"])
        expected = [(7, 2.0), (8, 1.0)]
        assert found == (sorted([*expected, (2, 0.5)]) if axis == "step" else expected), name


@pytest.mark.parametrize("axis", ["step", "epoch", "timestamp"])
def test_the_best_name_of_an_axis_wins(db: TrainingDB, axis: Any) -> None:
    db.runs.insert("r1")
    names = reversed(AXES[axis])
    db.history.append("r1", {name: [number] for number, name in enumerate(names)} | {"loss": [1.0]})
    assert read(db, x=axis) == [(len(AXES[axis]) - 1, 1.0)]


def test_the_types_of_the_axes_are_integers_for_steps_and_else_floats(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append(
        "r1", {"_step": [2.9, 5], "_epoch": [0, 1], "_timestamp": [1.5, 2], "loss": [1.0, 2.0]}
    )
    found = {x: db.history.arrays("r1", "loss", x=x)["r1"]["loss"].x for x in AXES}
    assert (found["step"].dtype, found["step"].tolist()) == (np.int64, [2, 5])
    assert (found["epoch"].dtype, found["epoch"].tolist()) == (np.float64, [0.0, 1.0])
    assert (found["timestamp"].dtype, found["timestamp"].tolist()) == (np.float64, [1.5, 2.0])


def test_rows_are_their_own_steps_where_nothing_says_it(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [1.0, None, 0.5]})
    assert read(db) == [(0, 1.0), (2, 0.5)]
    assert read(db, x="epoch") == []
    assert read(db, x="timestamp") == []


@pytest.mark.parametrize("odd", [math.nan, math.inf, "five", 1e300, {"a": 1}], ids=str)
def test_a_step_that_is_no_step_leaves_the_row_its_number(db: TrainingDB, odd: object) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": [10, odd, 30], "loss": [1.0, 2.0, 3.0]})
    assert read(db) == [(1, 2.0), (10, 1.0), (30, 3.0)]
    assert read(db, steps=(1, 1)) == [(1, 2.0)]
    assert read(db, duplicates="all") == [(10, 1.0), (1, 2.0), (30, 3.0)]


def test_all_metrics_of_a_row_stand_at_the_same_step(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append(
        "r1", {"_step": [10, 11], "global_step": [5, 6, 7], "a": [1.0, 2.0, 3.0], "b": [1.0, 2.0]}
    )
    found = db.history.arrays("r1", ["a", "b"], duplicates="all")["r1"]
    assert found["a"].x[:2].tolist() == found["b"].x.tolist()


def test_a_restart_that_repeats_steps_shows_its_own_values_or_both(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": [0, 1, 2, 3], "loss": [4.0, 3.0, 2.0, 1.0]})
    db.history.append("r1", {"_step": [2, 3, 4], "loss": [2.5, 1.5, 0.5]})
    assert read(db) == [(0, 4.0), (1, 3.0), (2, 2.5), (3, 1.5), (4, 0.5)]
    assert read(db, duplicates="all") == [
        (0, 4.0), (1, 3.0), (2, 2.0), (3, 1.0), (2, 2.5), (3, 1.5), (4, 0.5)
    ]  # fmt: skip
    assert read(db, steps=(3, 9)) == [(3, 1.5), (4, 0.5)]


def test_the_writer_who_began_last_wins_a_step_whoever_wrote_last(db: TrainingDB) -> None:
    from training_db.segments import column

    db.runs.insert("r1")
    rows = {"_step": column([5, 6]), "loss": column([2.0, 2.5])}
    db.history.write("r1", 13, rows, (0, 2))
    db.history.write("r1", 11, rows | {"loss": column([1.0, 1.5])}, (0, 2))
    assert read(db) == [(5, 2.0), (6, 2.5)]
    assert read(db, duplicates="all") == [(5, 1.0), (6, 1.5), (5, 2.0), (6, 2.5)]


def test_many_runs_are_read_by_one_statement(db: TrainingDB, recorded: Any) -> None:
    runs = [f"r{number}" for number in range(60)]
    db.runs.insert_many({"run_id": run, "history_json": {"loss": [1.0, 2.0]}} for run in runs)
    with recorded(db) as statements:
        live = db.history.arrays(runs, "loss")
    assert len(statements) <= 2
    for run in runs:
        db.history.compact(run)
    with recorded(db) as statements:
        found = db.history.arrays(runs, "loss", steps=(0, 10))
    assert len(statements) == 1
    assert list(found) == list(live) == runs
    assert all(pairs(found[run]["loss"]) == [(0, 1.0), (1, 2.0)] for run in runs)


def test_two_thousand_runs_are_read_at_once(db: TrainingDB) -> None:
    runs = [f"r{number}" for number in range(2000)]
    db.runs.insert_many({"run_id": run} for run in runs)
    db.history.append("r1999", {"loss": [1.0]})
    found = db.history.arrays(runs)
    assert list(found) == runs
    assert [run for run, history in found.items() if history] == ["r1999"]


def test_a_run_named_twice_is_read_once_and_none_at_all_is_nothing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [1.0]})
    found = db.history.arrays(("r1", "r1"), ("loss", "loss"))
    assert pairs(found["r1"]["loss"]) == [(0, 1.0)]
    assert db.history.arrays([]) == {}
    assert db.history.arrays("r1", []) == {"r1": {}}
    assert len(db.history.frame([])) == 0


def test_a_run_that_lacks_a_metric_has_no_series_of_it(db: TrainingDB) -> None:
    for run in ("r1", "r2", "r3"):
        db.runs.insert(run)
    db.history.append("r1", {"loss": [1.0], "acc": [0.5]})
    db.history.append("r2", {"loss": [2.0]})
    found = db.history.arrays(["r1", "r2", "r3"], ["loss", "acc"])
    assert {run: list(history) for run, history in found.items()} == {
        "r1": ["loss", "acc"], "r2": ["loss"], "r3": []
    }  # fmt: skip


def test_a_metric_that_none_of_the_runs_has_is_an_error_with_those_there_are(
    db: TrainingDB,
) -> None:
    db.runs.insert("r1")
    db.runs.insert("r2")
    db.history.append("r1", {"loss": [1.0]})
    db.history.append("r2", {"acc": [1.0]})
    for asked in ("acc", "nothing", "a\x00b", "", "\ud800"):
        with pytest.raises(MetricNotFound, match="loss") as caught:
            db.history.arrays("r1", ["loss", asked])
        assert isinstance(caught.value, KeyError)
    assert list(db.history.arrays(["r1", "r2"], "acc")["r2"]) == ["acc"]


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"x": "wall_time"}, UnknownName),
        ({"duplicates": "first"}, UnknownName),
        ({"steps": 5}, InvalidValue),
        ({"steps": (1, 2, 3)}, InvalidValue),
        ({"steps": ("a", "b")}, InvalidValue),
        ({"steps": (5, 4)}, InvalidValue),
        ({"steps": (math.nan, 4)}, InvalidValue),
    ],
    ids=str,
)
def test_an_axis_or_range_that_is_none_is_an_error(
    db: TrainingDB, how: dict[str, Any], error: type[Exception]
) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [1.0]})
    for call in (db.history.arrays, db.history.frame):
        with pytest.raises(error) as caught:
            call("r1", "loss", **how)
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("length", [3, 6000])
def test_a_range_without_a_point_leaves_an_empty_series(db: TrainingDB, length: int) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": np.zeros(length), "late": [None] * (length - 1) + [1.0]})
    found = db.history.arrays("r1", ["loss", "late"], steps=(10**6, 10**7))["r1"]
    assert {name: len(one) for name, one in found.items()} == {"loss": 0, "late": 0}


def test_a_range_is_inclusive_at_both_ends_and_may_be_infinite(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": np.arange(0, 100_000, 10), "loss": np.arange(10_000)})
    assert read(db, steps=(40_950, 40_970)) == [(40_950, 4095), (40_960, 4096), (40_970, 4097)]
    assert read(db, steps=(40_951, 40_969)) == [(40_960, 4096)]
    assert len(read(db, steps=(-math.inf, math.inf))) == 10_000
    assert len(read(db, steps=(99_000, math.inf))) == 100


def test_a_range_reads_only_the_segments_that_may_hold_it(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": np.arange(40_000) + 10**6, "loss": np.zeros(40_000)})
    db.runs.insert("r2")
    whole = db.history.arrays("r1", "loss")["r1"]["loss"]
    part = db.history.arrays("r1", "loss", steps=(10**6 + 20_000, 10**6 + 20_010))["r1"]["loss"]
    assert len(whole) == 40_000
    assert part.x.tolist() == list(range(10**6 + 20_000, 10**6 + 20_011))


def test_a_fractional_step_lies_in_the_range_of_its_whole(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": np.arange(5000) + 100_000.5, "loss": np.arange(5000)})
    db.history.compact("r1")
    assert read(db, steps=(100_000, 100_000)) == [(100_000, 0)]
    assert read(db, steps=(104_999, 104_999)) == [(104_999, 4999)]


def test_a_range_by_one_of_two_step_columns_loses_nothing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    even = np.arange(16_384) % 2 == 0
    history = {
        "_step": np.arange(16_384),
        "train/global_step": [row * 100 if even[row] else None for row in range(16_384)],
        "loss": [float(row) if even[row] else None for row in range(16_384)],
    }
    db.history.append("r1", history)
    whole = read(db)
    for span in ((9000, 9500), (0, 10), (4000, 4200), (16_000, 10**9)):
        assert read(db, steps=span) == [one for one in whole if span[0] <= one[0] <= span[1]]


step_columns = st.sampled_from(
    ["none", "rows", "tens", "slow", "back", "fraction", "holes", "negative", "text"]
)


def steps_like(kind: str, length: int) -> list[Any]:
    rows = range(length)
    made: dict[str, list[Any]] = {
        "none": [None] * length,
        "rows": list(rows),
        "tens": [row * 10 + 5 for row in rows],
        "slow": [row // 7 for row in rows],
        "back": [row % 1500 for row in rows],
        "fraction": [row * 0.3 + 1000 for row in rows],
        "holes": [row * 3 if row % 4 else None for row in rows],
        "negative": [row * 2 - length for row in rows],
        "text": ["x" if row % 3 else row * 2 for row in rows],
    }
    return made[kind]


@settings(SLOW, max_examples=torture.rounds(8, 200))
@given(
    st.lists(st.tuples(st.integers(1, 3000), step_columns, step_columns), min_size=1, max_size=3),
    st.sampled_from([1, 2, 5, 97]),
    st.lists(st.tuples(st.integers(-3000, 9000), st.integers(0, 2000)), min_size=3, max_size=6),
    st.booleans(),
)
def test_no_range_ever_loses_a_point(
    db: TrainingDB,
    batches: list[tuple[int, str, str]],
    every: int,
    spans: list[tuple[int, int]],
    compacted: bool,
) -> None:
    empty(db)
    db.runs.insert("r1")
    for length, kind, other in batches:
        loss = [float(row) if row % every == 0 else None for row in range(length)]
        sparse = [
            value if row % every == 0 else None
            for row, value in enumerate(steps_like(other, length))
        ]
        columns = {"_step": steps_like(kind, length), "global_step": sparse, "loss": loss}
        db.history.append("r1", columns)
    if compacted:
        db.history.compact("r1")
    for duplicates in ("all", "last"):
        whole = read(db, duplicates=duplicates)
        for low, width in spans:
            found = db.history.arrays("r1", steps=(low, low + width), duplicates=duplicates)["r1"]
            expected = [one for one in whole if low <= one[0] <= low + width]
            assert (pairs(found["loss"]) if "loss" in found else []) == expected


def test_each_value_keeps_its_type_in_arrays(db: TrainingDB) -> None:
    db.runs.insert("r1")
    columns: dict[str, list[Any]] = {
        "float": [math.nan, math.inf, -math.inf, -0.0],
        "int": [2**53 + 1, -(2**63), 2**63 - 1, 0],
        "long": [2**63, 10**30, 0, -1],
        "bool": [True, False, True, True],
        "text": ["a", "", "\x00", "🙂"],
        "any": [{"a": [None]}, [1, 2], [3, 4], 0.5],
    }
    db.history.append("r1", columns)
    for _ in range(2):
        found = db.history.arrays("r1")["r1"]
        for name, values in columns.items():
            assert same(found[name].values.tolist(), values)
        kinds = [found[name].values.dtype for name in ("float", "int", "bool", "text", "long")]
        assert kinds == [np.float64, np.int64, np.bool_, object, object]
        db.history.compact("r1")


def test_arrays_that_were_read_can_be_written_to(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [1.0, 2.0], "n": [1, 2]})
    for one in db.history.arrays("r1")["r1"].values():
        one.values[0] = 0
    assert read(db) == [(0, 1.0), (1, 2.0)]


def test_a_run_in_the_trash_can_still_be_read(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [1.0]})
    db.runs.delete("r1")
    assert read(db) == [(0, 1.0)]


def test_keys_are_the_metrics_with_what_they_hold(db: TrainingDB) -> None:
    db.runs.insert("r1")
    assert db.history.keys("r1") == []
    history = {"loss": [1.0, math.nan, None], "note": ["a", "b"], "any": [1, "x", True]}
    db.history.append("r1", history)
    expected = [
        {"metric": "loss", "count": 2, "kind": "number"},
        {"metric": "note", "count": 2, "kind": "other"},
        {"metric": "any", "count": 3, "kind": "mixed"},
    ]
    assert db.history.keys("r1") == expected
    db.history.compact("r1")
    assert db.history.keys("r1") == expected
