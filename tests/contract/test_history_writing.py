"""Rows in: each once, in tails while they are few and in segments when they are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import text

from tests.unit.strategies import same
from training_db.errors import InvalidValue, RunNotFound
from training_db.repository.writers import new_writer
from training_db.segments import Column, column

if TYPE_CHECKING:
    from training_db import TrainingDB

WRITER = 11


@pytest.fixture(autouse=True)
def r1(db: TrainingDB) -> None:
    db.runs.insert("r1")


def stored(db: TrainingDB, sql: str) -> list[tuple[Any, ...]]:
    with db.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def segments(db: TrainingDB, name: str = "loss") -> list[tuple[Any, ...]]:
    """Return first row, last row and count of the segments of a metric, in order."""
    return stored(
        db,
        "SELECT first_row, last_row, count FROM run_history_segments s "
        f"JOIN metric_names n ON n.id = s.metric_id WHERE n.name = '{name}' ORDER BY first_row",
    )


def tails(db: TrainingDB) -> list[tuple[Any, ...]]:
    return stored(db, "SELECT first_row, last_row FROM run_history_tails ORDER BY first_row")


def write(db: TrainingDB, first: int, stop: int, writer: int = WRITER) -> int:
    """Write rows whose loss is their number."""
    cells = {"loss": Column(np.arange(first, stop), np.arange(first, stop) * 1.0)}
    return db.history.write("r1", writer, cells, (first, stop))


def values(db: TrainingDB, name: str = "loss") -> list[Any]:
    return db.history.arrays("r1", name, duplicates="all")["r1"][name].values.tolist()


@pytest.mark.parametrize(
    "history",
    [
        {"loss": [2.0, 1.0], "lr": [0.1, None], "n": [1, 2]},
        [{"loss": 2.0, "lr": 0.1, "n": 1}, {"loss": 1.0, "n": 2}],
        {"loss": np.array([2.0, 1.0]), "lr": (0.1,), "n": np.array([1, 2], dtype=np.uint8)},
        {"loss": pd.Series([2.0, 1.0]), "lr": [np.float64(0.1)], "n": range(1, 3)},
        '{"loss": [2.0, 1.0], "lr": [0.1], "n": [1, 2]}',
    ],
    ids=["columns", "rows", "arrays", "series", "text"],
)
def test_append_takes_columns_rows_and_arrays(db: TrainingDB, history: Any) -> None:
    assert db.history.append("r1", history) == 5
    assert same(values(db), [2.0, 1.0])
    assert same(values(db, "lr"), [0.1])
    assert same(values(db, "n"), [1, 2])


def test_append_takes_a_dataframe_and_its_missing_integers(db: TrainingDB) -> None:
    frame = pd.DataFrame({"loss": [2.0, 1.0], "n": pd.array([1, None], dtype="Int64")})
    assert db.history.append("r1", frame) == 3
    assert same(values(db, "n"), [1])


def test_a_series_with_an_index_of_its_own_is_taken_by_position(db: TrainingDB) -> None:
    cut = pd.Series([9, 1.0, None, "x"], dtype=object)[1:]
    db.history.append("r1", {"any": cut})
    assert same(values(db, "any"), [1.0, "x"])


def test_append_goes_on_from_the_end(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [1.0, 2.0]})
    db.history.append("r1", {"loss": [3.0], "acc": [0.5]})
    found = db.history.arrays("r1")["r1"]
    assert found["loss"].x.tolist() == [0, 1, 2]
    assert found["acc"].x.tolist() == [2]


@pytest.mark.parametrize("compacted", [False, True])
def test_rows_without_a_cell_at_the_end_are_rows_before_and_after_compaction(
    db: TrainingDB, compacted: bool
) -> None:
    db.history.append("r1", {"loss": [1.0, None, None]})
    if compacted:
        db.history.compact("r1")
    db.history.append("r1", {"loss": [2.0]})
    assert db.history.arrays("r1")["r1"]["loss"].x.tolist() == [0, 3]


@pytest.mark.parametrize("length", [10, 3000])
def test_progress_counts_rows_without_a_cell(db: TrainingDB, length: int) -> None:
    cells = {"loss": column([1.0])}
    assert db.history.write("r1", WRITER, cells, (0, length)) == length
    assert db.history.progress("r1", WRITER) == length
    db.history.compact("r1")
    assert db.history.progress("r1", WRITER) == length


@pytest.mark.parametrize("lengths", [(2, 512, 256), (2, 3000, 5), (1, 5000, 5000), (3, 10, 4096)])
def test_a_batch_behind_rows_without_a_cell_is_written_once(
    db: TrainingDB, lengths: tuple[int, ...]
) -> None:
    stop = 0
    for length in lengths:
        cells = {"loss": Column(np.arange(stop, stop + length - 1), np.ones(length - 1))}
        stop += length
        assert db.history.write("r1", WRITER, cells, (stop - length, stop)) == stop
        assert db.history.progress("r1", WRITER) == stop
        db.history.append("r1", {"other": [1.0] * (length - 1) + [None]})
    found = db.history.arrays("r1", duplicates="all")["r1"]
    assert len(found["loss"]) == len(found["other"]) == stop - len(lengths)
    assert found["other"].x.tolist() == found["loss"].x.tolist()


def test_append_after_a_recorder_leaves_its_rows_to_it(db: TrainingDB) -> None:
    live = new_writer(live=True)
    write(db, 0, 3, live)
    db.history.append("r1", {"loss": [9.0]})
    write(db, 3, 5, live)
    assert db.history.progress("r1", live) == 5
    assert values(db) == [0.0, 1.0, 2.0, 3.0, 4.0, 9.0]


def test_append_of_nothing_is_nothing(db: TrainingDB) -> None:
    for nothing in ({}, [], {"loss": []}, {"loss": np.empty(0)}):
        assert db.history.append("r1", nothing) == 0
    assert db.history.arrays("r1") == {"r1": {}}
    assert db.history.append("r1", {"loss": [None, None]}) == 0
    assert db.history.keys("r1") == []


@pytest.mark.parametrize(
    "history",
    [
        5, [5], {"loss": 0.5}, {"loss": "abc"}, {"loss": b"abc"}, {"": [1.0]}, {5: [1.0]},
        {"a\x00b": [1.0]}, {"\ud800": [1.0]}, {"x" * 1001: [1.0]}, {"ü" * 501: [1.0]},
        {"loss": [object()]}, {"loss": [1.0, 10**4250]}, "{broken", {"loss": np.array(1.0)},
        {"loss": {"x": 1.0}},
    ],
    ids=lambda one: repr(one)[:20],
)  # fmt: skip
def test_append_refuses_what_is_no_history_and_leaves_what_was_there(
    db: TrainingDB, history: Any
) -> None:
    db.history.append("r1", {"loss": [1.0]})
    with pytest.raises(InvalidValue):
        db.history.append("r1", history)
    assert values(db) == [1.0]
    assert db.history.keys("r1") == [{"metric": "loss", "count": 1, "kind": "number"}]


def test_a_run_that_does_not_exist_is_said_so(db: TrainingDB) -> None:
    calls = [
        lambda: db.history.append("no", {"loss": [1.0]}),
        lambda: db.history.append("no", {}),
        lambda: db.history.write("no", WRITER, {}, (0, 1)),
        lambda: db.history.progress("no", WRITER),
        lambda: db.history.compact("no"),
        lambda: db.history.delete("no"),
        lambda: db.history.arrays("no"),
        lambda: db.history.arrays(["r1", "no"], "loss"),
        lambda: db.history.frame("no"),
        lambda: db.history.keys("no"),
        lambda: db.history.tail("no"),
        lambda: db.history.downsample("no"),
        lambda: db.history.json("no"),
    ]
    for call in calls:
        with pytest.raises(RunNotFound, match="no"):
            call()


def test_the_same_rows_again_are_there_once(db: TrainingDB) -> None:
    for _ in range(3):
        assert write(db, 0, 10) == 10
    assert values(db) == list(range(10))
    assert db.metrics.of("r1")[0]["count"] == 10


def test_batches_that_overlap_with_other_borders_are_there_once(db: TrainingDB) -> None:
    borders = [(0, 7), (3, 12), (0, 5), (11, 13), (2, 13), (5, 20), (0, 20)]
    assert [write(db, *border) for border in borders] == [7, 12, 12, 13, 13, 20, 20]
    assert values(db) == list(range(20))
    assert db.metrics.of("r1")[0]["count"] == 20
    assert stored(db, "SELECT count(*) FROM run_history_key_metrics") == [(20,)]


def test_a_replay_after_compaction_is_there_once(db: TrainingDB) -> None:
    write(db, 0, 10)
    db.history.compact("r1")
    assert write(db, 0, 10) == 10
    assert write(db, 5, 15) == 15
    db.history.compact("r1", WRITER)
    assert write(db, 0, 15) == 15
    assert values(db) == list(range(15))


def test_each_writer_has_rows_of_its_own(db: TrainingDB) -> None:
    assert write(db, 0, 4, 11) == 4
    assert write(db, 0, 2, 13) == 2
    assert (db.history.progress("r1", 11), db.history.progress("r1", 13)) == (4, 2)
    assert db.history.progress("r1", 15) == 0
    assert values(db) == [0.0, 1.0, 2.0, 3.0, 0.0, 1.0]
    assert db.history.arrays("r1", "loss")["r1"]["loss"].x.tolist() == [0, 1, 2, 3]


def test_rows_without_any_cell_are_counted(db: TrainingDB) -> None:
    assert db.history.write("r1", WRITER, {}, (0, 5)) == 5
    assert write(db, 5, 6) == 6
    assert db.history.arrays("r1")["r1"]["loss"].x.tolist() == [5]
    db.history.compact("r1")
    assert db.history.arrays("r1")["r1"]["loss"].x.tolist() == [5]


def test_a_tail_becomes_segments_at_4096_rows(db: TrainingDB) -> None:
    for start in range(0, 4000, 1000):
        write(db, start, start + 1000)
    assert tails(db) == [(start, start + 999) for start in range(0, 4000, 1000)]
    assert segments(db) == []
    write(db, 4000, 4095)
    assert segments(db) == []
    write(db, 4095, 4096)
    assert tails(db) == []
    assert segments(db) == [(0, 4095, 4096)]
    write(db, 4096, 5000)
    db.history.compact("r1")
    assert segments(db) == [(0, 4095, 4096), (4096, 4999, 904)]
    assert values(db) == list(range(5000))


def test_a_long_batch_goes_straight_to_segments_behind_its_tail(db: TrainingDB) -> None:
    write(db, 0, 10)
    write(db, 10, 10_010)
    assert tails(db) == []
    counts = [count for _, _, count in segments(db)]
    assert sum(counts) == 10_010
    assert max(counts) == 4096
    assert sorted(counts)[1] > 512
    assert values(db) == list(range(10_010))
    assert db.history.progress("r1", WRITER) == 10_010


def test_a_column_that_is_seldom_logged_gets_no_tiny_segments(db: TrainingDB) -> None:
    for start in range(0, 40_000, 2000):
        rare = Column(np.arange(start, start + 2000, 100), np.full(20, 0.5))
        often = Column(np.arange(start, start + 2000), np.full(2000, 0.25))
        db.history.write("r1", WRITER, {"rare": rare, "loss": often}, (start, start + 2000))
    db.history.compact("r1")
    counts = [count for _, _, count in segments(db, "rare")]
    assert sum(counts) == 400
    assert len(counts) == 1
    assert len(segments(db)) <= 14
    assert db.history.arrays("r1", "rare")["r1"]["rare"].x.tolist() == list(range(0, 40_000, 100))


def test_many_compactions_by_hand_leave_no_tiny_segments(db: TrainingDB) -> None:
    for start in range(0, 3000, 30):
        write(db, start, start + 30)
        db.history.compact("r1", WRITER)
    counts = [count for _, _, count in segments(db)]
    assert sum(counts) == 3000
    assert min(counts[:-1]) >= 512
    assert values(db) == list(range(3000))


def test_segments_say_what_is_in_them(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [1.0, float("nan"), -5.0, float("inf"), None], "w": ["a"] * 5})
    db.history.compact("r1")
    query = "SELECT min, max, non_finite_count, kind FROM run_history_segments ORDER BY kind"
    assert stored(db, query) == [(-5.0, 1.0, 2, "float"), (None, None, 0, "json")]


def test_a_metric_that_changes_its_kind_keeps_each_value(db: TrainingDB) -> None:
    batches: list[list[Any]] = [[1, 2], [0.5], ["text", True], [2**70], [None, {"a": 1}], [3]]
    expected = [value for batch in batches for value in batch if value is not None]
    for batch in batches:
        db.history.append("r1", {"any": batch})
    assert same(values(db, "any"), expected)
    for batch in batches:
        db.history.append("r1", {"any": batch})
        db.history.compact("r1")
    assert same(values(db, "any"), expected * 2)


@pytest.mark.parametrize("fresh", [False, True])
def test_new_and_known_names_of_any_writing_are_metrics(db: TrainingDB, fresh: bool) -> None:
    names = [
        "a b",
        "%s",
        "x" * 1000,
        "ü" * 500,
        "🙂",
        "'; DROP TABLE metric_names; --",
        ":p",
        "$float",
    ]
    if not fresh:
        db.history.append("r1", {name: [0.0] for name in names})
        db.history.delete("r1")
    db.history.append("r1", {name: [1.0] for name in reversed(names)})
    found = db.history.arrays("r1", names)["r1"]
    assert {name: one.values.tolist() for name, one in found.items()} == {n: [1.0] for n in names}


def test_a_thousand_metrics_are_written_and_read_at_once(db: TrainingDB) -> None:
    names = [f"m{number}" for number in range(1200)]
    db.history.append("r1", {name: [0.5, 0.25] for name in names})
    db.history.append("r1", {name: [0.125] for name in names})
    assert len(db.history.keys("r1")) == 1200
    found = db.history.arrays("r1")["r1"]
    assert all(found[name].values.tolist() == [0.5, 0.25, 0.125] for name in names)


def test_a_batch_takes_few_statements_however_many_metrics_it_has(
    db: TrainingDB, recorded: Any
) -> None:
    history = {f"m{number}": [0.5] * 100 for number in range(100)}
    db.history.append("r1", history)
    with recorded(db) as statements:
        db.history.append("r1", history)
    assert len(statements) <= 12


def test_a_transaction_that_raises_takes_the_rows_back(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [1.0]})
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.history.append("r1", {"loss": [2.0], "new": [1.0]})
        write(db, 0, 5000)
        assert db.history.progress("r1", WRITER) == 5000
        raise ZeroDivisionError
    assert values(db) == [1.0]
    assert db.history.progress("r1", WRITER) == 0
    assert [one["metric"] for one in db.metrics.of("r1")] == ["loss"]
    assert stored(db, "SELECT loss FROM run_history_key_metrics") == [(1.0,)]
    assert write(db, 0, 3) == 3
