"""A history while it grows, thinned out for a plot, and searched."""

from __future__ import annotations

import math
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_db.errors import InvalidInput, InvalidValue, MetricNotFound, UnknownName
from training_db.segments import Column, column

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture(autouse=True)
def r1(db: TrainingDB) -> None:
    db.runs.insert("r1")


def seen(tail: Any, name: str = "loss") -> list[Any]:
    return tail.series[name].values.tolist() if name in tail.series else []


def test_a_tail_is_what_came_since_the_cursor(db: TrainingDB) -> None:
    first = db.history.tail("r1")
    assert first.series == {}
    db.history.append("r1", {"_step": [10, 20], "loss": [2.0, None], "acc": [None, 0.5]})
    second = db.history.tail("r1", first.cursor)
    assert {name: one.x.tolist() for name, one in second.series.items()} == {
        "_step": [10, 20], "loss": [10], "acc": [20]
    }  # fmt: skip
    assert db.history.tail("r1", second.cursor).series == {}
    db.history.append("r1", {"_step": [15], "loss": [math.nan]})
    third = db.history.tail("r1", second.cursor)
    assert third.series["loss"].x.tolist() == [15]
    assert math.isnan(seen(third)[0])
    assert (
        seen(db.history.tail("r1")) == [2.0, *seen(third)] or len(seen(db.history.tail("r1"))) == 2
    )


def test_a_tail_sees_nothing_twice_when_rows_become_segments(db: TrainingDB) -> None:
    cursor, found = None, []
    for start in range(0, 300, 10):
        cells = {"loss": Column(np.arange(start, start + 10), np.arange(start, start + 10) * 1.0)}
        db.history.write("r1", 11, cells, (start, start + 10))
        if start % 30 == 0:
            tail = db.history.tail("r1", cursor)
            cursor = tail.cursor
            found += seen(tail)
        if start % 20 == 0:
            db.history.compact("r1")
    assert found + seen(db.history.tail("r1", cursor)) == list(range(300))


def test_a_tail_may_be_of_some_metrics_or_one(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [1.0], "acc": [0.5]})
    assert list(db.history.tail("r1", metrics=["loss"]).series) == ["loss"]
    assert list(db.history.tail("r1", metrics="loss").series) == ["loss"]
    assert db.history.tail("r1", metrics=["nothing"]).series == {}


def test_polling_one_metric_misses_none_of_it(db: TrainingDB) -> None:
    cursor, found = None, []
    for number in range(12):
        history = {"loss": [number]} if number % 3 == 0 else {"acc": [number], "_step": [number]}
        db.history.append("r1", history)
        tail = db.history.tail("r1", cursor, ["loss"])
        cursor = tail.cursor
        found += seen(tail)
    assert found == [0, 3, 6, 9]


@pytest.mark.parametrize("cursor", ["", "x", "5", "[1]", '{"a": 1}', '{"1": "x"}', '{"1": null}', 5,
                                    '{"1": Infinity}', '{"99999999999999999999": 1}'])  # fmt: skip
def test_a_cursor_that_is_none_is_an_error(db: TrainingDB, cursor: Any) -> None:
    with pytest.raises(InvalidValue):
        db.history.tail("r1", cursor)


def test_a_poll_while_two_writers_write_sees_each_value_once(db: TrainingDB) -> None:
    done = threading.Event()
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for start in range(0, 120, 3):
                values = writer * 1000 + np.arange(start, start + 3)
                cells = {"loss": Column(np.arange(start, start + 3), values)}
                db.history.write("r1", writer, cells, (start, start + 3))
                if start % 30 == 0:
                    db.history.compact("r1", writer)
        except BaseException as error:  # noqa: BLE001 - raised again by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=write, args=[writer]) for writer in (11, 13)]
    for thread in threads:
        thread.start()
    found: Counter[int] = Counter()
    cursor, polls = None, 0
    while not done.is_set():
        if not any(thread.is_alive() for thread in threads):
            done.set()  # and once more, for what came last
        tail = db.history.tail("r1", cursor)
        cursor, polls = tail.cursor, polls + 1
        found.update(seen(tail))
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert polls > 1
    assert found == Counter(writer * 1000 + row for writer in (11, 13) for row in range(120))


def test_a_thinned_series_keeps_its_peaks_and_says_how(db: TrainingDB) -> None:
    values = np.sin(np.arange(20_000) / 300)
    values[[777, 15_000]] = 50.0, -50.0
    values[9_999] = np.nan
    db.history.append("r1", {"_step": np.arange(20_000) * 2, "loss": values})
    db.runs.insert("r2")
    found = db.history.downsample(["r1", "r2"], "loss", n=100)
    assert "min" in found.method
    assert "max" in found.method
    assert found.series["r2"] == {}
    one = found.series["r1"]["loss"]
    shown = dict(zip(one.x.tolist(), one.values.tolist(), strict=True))
    assert len(one) <= 102
    assert (shown[2 * 777], shown[30_000]) == (50.0, -50.0)
    assert math.isnan(shown[2 * 9_999])
    assert one.x.tolist() == sorted(one.x.tolist())
    assert all(same_number(values[at // 2], value) for at, value in shown.items())


def same_number(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def test_a_series_can_be_thinned_over_epochs_and_text_too(db: TrainingDB) -> None:
    rows = np.arange(1000)
    db.history.append("r1", {"epoch": rows / 100, "loss": rows * 1.0, "word": ["x"] * 1000})
    found = db.history.downsample("r1", n=10, x="epoch").series["r1"]
    assert found["loss"].x.max() == 9.99
    assert 1 <= len(found["word"]) <= 10
    with pytest.raises(MetricNotFound):
        db.history.downsample("r1", "nothing")
    with pytest.raises(UnknownName):
        db.history.downsample("r1", x="day")  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 0, -5, 2.5, "10", True, None])
def test_a_number_of_points_that_is_none_is_an_error(db: TrainingDB, n: Any) -> None:
    with pytest.raises(InvalidValue, match="n is"):
        db.history.downsample("r1", n=n)


@pytest.fixture
def searched(db: TrainingDB) -> TrainingDB:
    histories: dict[str, list[Any]] = {
        "calm": [1.0, 2.0, 3.0],
        "peak": [1.0, 5000.0, 2000.0],
        "nan": [1.0, math.nan, math.nan],
        "inf": [-math.inf, 1.0, math.inf],
        "low": [-7.0, True, "text"],
        "text": ["nan", "1e9"],
        "trash": [1e9, math.nan],
    }
    for run, values in histories.items():
        db.runs.insert(run, host="a" if run in ("peak", "calm") else "b")
        steps = list(range(0, 10 * len(values), 10))
        db.history.append(run, {"_step": steps, "grad": values})
    db.runs.delete("trash")
    return db


def runs(found: list[dict[str, Any]]) -> list[str]:
    return [one["run_id"] for one in found]


def test_a_search_finds_the_runs_that_ever_passed_a_bound(searched: TrainingDB) -> None:
    search = searched.history.search
    assert search("grad", above=1000) == [
        {"run_id": "peak", "count": 2, "step": 10, "value": 5000.0}
    ]
    assert runs(search("grad", below=0)) == ["low"]
    assert runs(search("grad", above=2, below=0.0)) == ["calm", "peak", "low"]
    assert search("grad", above=5000) == search("grad", below=-7.0) == []
    counts = [one["count"] for one in search("grad", above=2000)]
    counts += [one["count"] for one in search("grad", below=1.0)]
    assert counts == [1, 1]
    assert runs(search("grad", above=4999.5)) == ["peak"]


def test_a_search_finds_nan_and_infinities_only_when_asked_for(searched: TrainingDB) -> None:
    found = searched.history.search("grad", non_finite=True)
    assert [(one["run_id"], one["count"], one["step"]) for one in found] == [
        ("nan", 2, 10), ("inf", 2, 0)
    ]  # fmt: skip
    assert math.isnan(found[0]["value"])
    assert found[1]["value"] == -math.inf
    assert runs(searched.history.search("grad", above=1000, non_finite=True)) == [
        "peak",
        "nan",
        "inf",
    ]
    assert runs(searched.history.search("grad", above=-1e308)) == [
        "calm",
        "peak",
        "nan",
        "inf",
        "low",
    ]


def test_a_search_leaves_out_other_runs_and_those_in_the_trash(searched: TrainingDB) -> None:
    search = searched.history.search
    assert runs(search("grad", above=0, filters={"host": "a"})) == ["calm", "peak"]
    assert runs(search("grad", above=0, filters="host = 'a' and run_id != 'calm'")) == ["peak"]
    assert runs(search("grad", above=1e8)) == []
    assert runs(search("grad", above=1e8, filters="deleted_at is not missing")) == ["trash"]


def test_a_search_stops_at_its_limit(searched: TrainingDB) -> None:
    search = searched.history.search
    assert runs(search("grad", above=0, limit=2)) == ["calm", "peak"]
    assert runs(search("grad", above=0, limit=0)) == []
    assert len(search("grad", above=0, limit=None)) == 5
    for limit in (-1, "5", 2.5, True):
        with pytest.raises(InvalidInput, match="limit"):
            search("grad", above=0, limit=limit)


def test_a_search_for_nothing_or_by_no_number_is_an_error(searched: TrainingDB) -> None:
    search = searched.history.search
    with pytest.raises(MetricNotFound, match="grad") as caught:
        search("gard", above=1)
    assert isinstance(caught.value, KeyError)
    for how in ({}, {"above": math.nan}, {"below": "5"}, {"above": True}, {"above": [1]}):
        with pytest.raises(InvalidValue):
            search("grad", **how)
    with pytest.raises(InvalidInput):
        search("grad", above=1, filters="nothing = 5")


def test_the_step_of_a_find_is_the_lowest_though_it_came_later(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [10, 5, 5], "loss": [9.0, 8.0, 7.0]})
    (found,) = db.history.search("loss", above=1)
    assert (found["step"], found["count"]) == (5, 3)


def test_a_search_goes_through_many_runs(db: TrainingDB, recorded: Any) -> None:
    db.runs.insert_many(
        {"run_id": f"m{n}", "history_json": {"loss": [float(n)]}} for n in range(130)
    )
    with recorded(db) as statements:
        found = db.history.search("loss", above=9.5, limit=None)
    assert runs(found) == [f"m{n}" for n in range(10, 130)]
    assert len(statements) <= 12


def test_what_a_writer_logs_beside_text_is_found(db: TrainingDB) -> None:
    db.history.write("r1", 11, {"loss": column(["a", 5, 2**70, None, 0.5])}, (0, 5))
    (found,) = db.history.search("loss", above=4)
    assert (found["count"], found["step"], found["value"]) == (2, 1, 5.0)
