"""What is kept beside a history: ``run_metrics`` and ``run_history_key_metrics``."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import select

from tests.contract.history_oracle import expected_totals, same_totals
from tests.unit.strategies import same
from training_db.history_rules import KEY_METRICS, key_stride
from training_db.models import run_history_key_metrics
from training_db.repository.writers import new_writer
from training_db.segments import Column, column

if TYPE_CHECKING:
    from training_db import TrainingDB

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def r1(db: TrainingDB) -> None:
    db.runs.insert("r1")


def totals(db: TrainingDB) -> dict[str, dict[str, Any]]:
    return {one["metric"]: one for one in db.metrics.of("r1")}


def key_rows(db: TrainingDB, *names: str) -> list[tuple[Any, ...]]:
    wanted = [run_history_key_metrics.c[name] for name in names]
    with db.engine.connect() as connection:
        rows = connection.execute(select(*wanted).order_by(run_history_key_metrics.c.id))
        return [tuple(row) for row in rows]


def test_run_metrics_say_what_each_metric_came_to(db: TrainingDB) -> None:
    loss = [3.0, math.nan, 1.0, None, math.inf, 1.0, "lost"]
    db.history.append("r1", {"_step": [0, 10, 20, 30, 40, 50, 60], "loss": loss})
    expected = {
        "metric": "loss", "count": 5, "non_finite_count": 2, "other_count": 1,
        "first": 3.0, "first_step": 0, "last": 1.0, "last_step": 50, "min": 1.0, "min_step": 20,
        "max": 3.0, "max_step": 0, "mean": pytest.approx(5 / 3),
    }  # fmt: skip
    found = totals(db)["loss"]
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_ends_that_are_not_finite_are_kept_as_they_are(db: TrainingDB, number: float) -> None:
    db.history.append("r1", {"loss": [number]})
    found = totals(db)["loss"]
    assert same([found["first"], found["last"]], [number, number])
    assert (found["min"], found["max"], found["mean"]) == (None, None, None)
    assert (found["count"], found["non_finite_count"]) == (1, 1)


def test_bools_count_as_numbers_and_long_integers_are_near_enough(db: TrainingDB) -> None:
    db.history.append("r1", {"ok": [True, False, True], "n": [2**63 - 1, 1, 10**30]})
    found = totals(db)
    assert (found["ok"]["count"], found["ok"]["mean"]) == (3, pytest.approx(2 / 3))
    assert (found["n"]["max"], found["n"]["min"]) == (1e30, 1.0)


@pytest.mark.parametrize("batch", [1, 7, 100, 5000])
def test_totals_do_not_depend_on_how_the_rows_came_in(db: TrainingDB, batch: int) -> None:
    length = 60 if batch == 1 else 700 if batch < 5000 else 6000
    rng = np.random.default_rng(3)
    steps = (np.arange(length) % (length // 2)).tolist()
    loss = np.where(rng.random(length) < 0.1, np.nan, rng.integers(-5, 5, length) / 4).tolist()
    for start in range(0, length, batch):
        some = slice(start, start + batch)
        db.history.append("r1", {"_step": steps[some], "loss": loss[some]})
    assert same_totals(totals(db)["loss"], expected_totals(list(zip(steps, loss, strict=True))))
    assert totals(db)["_step"]["count"] == length


def test_of_equal_values_the_lowest_step_counts_also_in_one_batch(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [10, 3], "loss": [1.0, 1.0]})
    found = totals(db)["loss"]
    assert (found["min_step"], found["max_step"]) == (3, 3)


def test_a_value_that_was_logged_again_is_the_last_one(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [0, 1], "loss": [3.0, 2.0]})
    db.history.append("r1", {"_step": [0, 1], "loss": [5.0, 4.0]})
    found = totals(db)["loss"]
    assert (found["first"], found["last"], found["count"]) == (5.0, 4.0, 4)


def test_an_earlier_step_that_comes_late_is_the_first_and_not_the_last(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [10, 11], "loss": [3.0, 2.0]})
    db.history.append("r1", {"_step": [5], "loss": [9.0]})
    found = totals(db)["loss"]
    assert (found["first"], found["first_step"], found["last"], found["last_step"]) == (
        9.0,
        5,
        2.0,
        11,
    )


@pytest.mark.parametrize("key", list(KEY_METRICS))
def test_key_metrics_are_found_by_the_rules_in_their_order(db: TrainingDB, key: str) -> None:
    names = KEY_METRICS[key]
    for number, name in enumerate(names):
        db.history.append("r1", {other: [at] for at, other in enumerate(names[number:], number)})
        assert key_rows(db, key)[-1] == (float(number),), name


def test_key_metrics_have_steps_times_and_scores(db: TrainingDB) -> None:
    db.history.append(
        "r1",
        {
            "_step": [0, 10, 20, 30],
            "_timestamp": [START.timestamp(), START.timestamp() + 1.5, None, math.nan],
            "loss": [2.0, 1.0, math.nan, "x"],
            "grad_norm": [None, 0.5, math.inf, None],
            "lr": [0.1, 0.1, 0.1, None],
            "objectives/COMT_activity_maximize/raw_mean": [0.25, None, math.nan, None],
            "objectives/SA_minimize/raw_mean": [3.0, 2.5, None, None],
            "objectives/SA_minimize/raw_std": [1.0, 1.0, 1.0, 1.0],
        },
    )
    found = key_rows(db, "step", "timestamp", "loss", "grad_norm", "learning_rate")
    assert same(
        [list(row[:1] + row[2:]) for row in found],
        [[0, 2.0, None, 0.1], [10, 1.0, 0.5, 0.1], [20, math.nan, math.inf, 0.1]],
    )
    assert [row[1] for row in found] == [START, START + timedelta(seconds=1.5), None]
    scores = [row[0] for row in key_rows(db, "objective_scores_json")]
    assert [json.loads(score) for score in scores] == [
        {"COMT_activity": 0.25, "SA": 3.0}, {"SA": 2.5}, {"COMT_activity": {"$float": "NaN"}}
    ]  # fmt: skip


def test_a_history_without_key_metrics_has_no_key_rows(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [1], "acc": [0.5], "_timestamp": [1.0]})
    assert key_rows(db, "step") == []


@pytest.mark.parametrize("odd", [1e300, -1e300, math.inf, "noon"], ids=str)
def test_a_time_that_is_none_leaves_the_key_row_without_one(db: TrainingDB, odd: Any) -> None:
    db.history.append("r1", {"_timestamp": [odd], "loss": [1.0]})
    assert key_rows(db, "step", "timestamp", "loss") == [(0, None, 1.0)]


@pytest.mark.parametrize("batch", [33, 1000, 12_000])
def test_key_rows_get_rarer_the_longer_a_run_is(db: TrainingDB, batch: int) -> None:
    length = 1500 if batch == 33 else 12_000
    for start in range(0, length, batch):
        rows = np.arange(start, min(start + batch, length))
        db.history.write("r1", 11, {"loss": Column(rows, rows * 1.0)}, (start, int(rows[-1]) + 1))
    expected = [row for row in range(length) if row % key_stride(row) == 0]
    assert key_rows(db, "step", "loss") == [(row, float(row)) for row in expected]
    assert len(expected) < 2500


def test_each_writer_has_key_rows_of_its_own(db: TrainingDB) -> None:
    for writer in (11, 13):
        cells = {"_step": column([5, 6]), "loss": column([float(writer), 0.0])}
        db.history.write("r1", writer, cells, (0, 2))
    assert key_rows(db, "step", "loss") == [(5, 11.0), (6, 0.0), (5, 13.0), (6, 0.0)]


def test_rows_that_are_replayed_are_counted_once(db: TrainingDB) -> None:
    for _ in range(3):
        db.history.write("r1", 11, {"loss": column([2.0, 1.0])}, (0, 2))
    assert totals(db)["loss"]["count"] == 2
    assert key_rows(db, "loss") == [(2.0,), (1.0,)]


def test_compaction_changes_nothing_that_is_kept(db: TrainingDB) -> None:
    db.history.append("r1", {"_step": [0, 1], "loss": [2.0, 1.0], "note": ["a", None]})
    before = db.metrics.of("r1"), key_rows(db, "step", "loss")
    db.history.compact("r1")
    assert (db.metrics.of("r1"), key_rows(db, "step", "loss")) == before


def test_a_rollback_takes_back_what_is_kept_with_the_rows(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [2.0]})
    before = db.metrics.of("r1"), key_rows(db, "step", "loss")
    for change in (
        lambda: db.history.append("r1", {"loss": [1.0], "lr": [0.1]}),
        lambda: db.history.delete("r1"),
        lambda: db.history.delete("r1", "loss"),
        lambda: db.runs.update("r1", history_json={"acc": [1.0]}),
    ):
        with pytest.raises(ZeroDivisionError), db.transaction():
            change()
            raise ZeroDivisionError
        assert (db.metrics.of("r1"), key_rows(db, "step", "loss")) == before
        assert db.history.json("r1") == '{"loss":[2.0]}'


def test_a_best_value_is_found_as_soon_as_it_is_written(db: TrainingDB) -> None:
    db.history.append("r1", {"loss": [2.0, 0.25, math.nan]})
    (best,) = db.metrics.best("loss")
    assert (best["run_id"], best["value"], best["step"]) == ("r1", 0.25, 1)
    assert db.runs.count("metric.loss.min < 0.3") == 1
    db.history.delete("r1", "loss")
    assert db.runs.count("metric.loss.min < 0.3") == 0


def test_the_last_writer_counts_at_a_shared_step_whoever_arrives_last(db: TrainingDB) -> None:
    older, newer = sorted(new_writer(live=True) for _ in range(2))
    for writer, loss in ((newer, 0.9), (older, 9.0)):
        columns = {"_step": column([5]), "loss": column([loss])}
        db.history.write("r1", writer, columns, (0, 1))
    assert db.history.arrays("r1", "loss")["r1"]["loss"].values.tolist() == [0.9]
    assert db.runs.count("metric.loss.last = 0.9 and metric.loss.first = 0.9") == 1
