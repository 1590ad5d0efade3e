"""The best runs by a metric, and what the metrics of a run came to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.contract.conftest import empty
from tests.contract.oracle import statistics
from tests.unit.strategies import SLOW
from training_db.errors import InvalidInput, MetricNotFound, RunNotFound, UnknownName
from training_db.models import METRIC_STATISTICS

if TYPE_CHECKING:
    from training_db import TrainingDB


def log(db: TrainingDB, **histories: dict[str, list[Any]]) -> None:
    for run_id, history in histories.items():
        db.runs.insert(run_id, run_name=run_id.upper())
        db.history.append(run_id, history)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["run_id"] for row in rows]


def test_the_best_run_is_the_one_that_ever_had_the_least_or_the_most(db: TrainingDB) -> None:
    log(db, a={"loss": [3.0, 1.0, 2.0]}, b={"loss": [2.0, 1.5, 1.2]}, c={"acc": [0.5]})
    assert db.metrics.best("loss") == [
        {"run_id": "a", "run_name": "A", "number": 1, "metric": "loss", "value": 1.0, "step": 1}
    ]
    assert db.metrics.best("loss", "max")[0] | {"run_name": ""} == {
        "run_id": "a", "run_name": "", "number": 1, "metric": "loss", "value": 3.0, "step": 0,
    }  # fmt: skip
    assert ids(db.metrics.best("loss", limit=10)) == ["a", "b"]
    assert ids(db.metrics.best("acc", "max")) == ["c"]


def test_the_statistic_may_be_another_than_the_mode_says(db: TrainingDB) -> None:
    log(db, a={"loss": [3.0, 1.0, 2.0]}, b={"loss": [2.0, 1.5, 1.2]})
    best = {one: db.metrics.best("loss", "min", None, 1, one)[0] for one in METRIC_STATISTICS}
    found = {one: (row["run_id"], row["value"], row["step"]) for one, row in best.items()}
    assert found == {
        "last": ("b", 1.2, 2),
        "first": ("b", 2.0, 0),
        "min": ("a", 1.0, 1),
        "max": ("b", 2.0, 0),
        "mean": ("b", pytest.approx(4.7 / 3), None),
    }


def test_of_runs_that_did_equally_well_the_older_comes_first(db: TrainingDB) -> None:
    log(db, z={"acc": [0.5]}, y={"acc": [0.5, 0.1]}, x={"acc": [0.4, 0.5]}, w={"acc": [0.1]})
    for mode, runs in {"max": ["z", "y", "x", "w"], "min": ["y", "w", "x", "z"]}.items():
        assert ids(db.metrics.best("acc", mode, limit=4)) == runs
    assert ids(db.metrics.best("acc", "max", limit=2, statistic="first")) == ["z", "y"]


def test_what_is_not_finite_is_never_best(db: TrainingDB) -> None:
    nan, inf = math.nan, math.inf
    log(db, a={"loss": [nan, inf, -inf]}, b={"loss": [nan, 5.0, -inf]}, c={"loss": [7.0, inf]})
    for mode, runs in {"min": ["b", "c"], "max": ["c", "b"]}.items():
        assert ids(db.metrics.best("loss", mode, limit=10)) == runs
    assert db.metrics.best("loss", statistic="last", limit=10) == []
    assert ids(db.metrics.best("loss", statistic="first", limit=10)) == ["c"]
    assert ids(db.metrics.best("loss", "max", statistic="mean", limit=10)) == ["c", "b"]


def test_the_best_run_is_looked_for_among_those_that_match(db: TrainingDB) -> None:
    log(db, a={"loss": [1.0]}, b={"loss": [2.0]}, c={"loss": [3.0]})
    db.tags.add("c", "paper")
    assert ids(db.metrics.best("loss", filters="run_id != 'a'")) == ["b"]
    assert ids(db.metrics.best("loss", filters={"tag.paper": None}, mode="max")) == ["b"]
    assert ids(db.metrics.best("loss", filters="tag.paper is not missing")) == ["c"]
    assert db.metrics.best("loss", filters="host = 'nowhere'") == []
    db.runs.delete("a")
    assert ids(db.metrics.best("loss")) == ["b"]
    assert ids(db.metrics.best("loss", filters="deleted_at is not missing")) == ["a"]
    assert db.metrics.best("loss", limit=0) == []


def test_what_does_not_exist_is_an_error_that_names_what_does(db: TrainingDB) -> None:
    with pytest.raises(MetricNotFound, match="there are: none"):
        db.metrics.best("loss")
    log(db, a={"train/loss": [1.0]})
    with pytest.raises(MetricNotFound, match="did you mean 'train/loss'") as caught:
        db.metrics.best("train/los")
    assert isinstance(caught.value, KeyError)
    with pytest.raises(UnknownName, match="valid are: min, max") as unknown:
        db.metrics.best("train/loss", "least")
    assert isinstance(unknown.value, (KeyError, ValueError))
    with pytest.raises(UnknownName, match="valid are: last, first"):
        db.metrics.best("train/loss", statistic="median")
    for metric in (5, None, "a\x00"):
        with pytest.raises(InvalidInput):
            db.metrics.best(metric)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="limit"):
        db.metrics.best("train/loss", limit=-1)


def test_what_the_metrics_of_a_run_came_to_is_told_by_name(db: TrainingDB) -> None:
    log(db, a={"loss": [2.0, math.nan, 1.0], "acc": [0.5, None, True], "note": ["x", None, None]})
    rows = {row["metric"]: row for row in db.metrics.of("a")}
    assert list(rows) == ["acc", "loss", "note"]
    assert rows["loss"] == {
        "metric": "loss", "count": 3, "non_finite_count": 1, "other_count": 0, "first": 2.0,
        "first_step": 0, "last": 1.0, "last_step": 2, "min": 1.0, "min_step": 2, "max": 2.0,
        "max_step": 0, "mean": 1.5,
    }  # fmt: skip
    assert (rows["acc"]["count"], rows["acc"]["last"], rows["note"]["count"]) == (2, 1.0, 0)
    db.runs.insert("b")
    assert db.metrics.of("b") == []
    with pytest.raises(RunNotFound, match="nobody"):
        db.metrics.of("nobody")


def test_names_of_metrics_are_found_by_how_they_begin(db: TrainingDB) -> None:
    log(db, a={"val/loss": [1], "val/acc": [1], "Val": [1], "va%": [1], "ü/x": [1]}, b={"x": [1]})
    assert db.metrics.names() == ["Val", "va%", "val/acc", "val/loss", "x", "ü/x"]
    assert db.metrics.names("val") == db.metrics.names("val/") == ["val/acc", "val/loss"]
    assert db.metrics.names("va%") == ["va%"]
    assert db.metrics.names("ü") == ["ü/x"]
    assert db.metrics.names("z") == []
    db.history.delete("b", ["x"])
    assert "x" not in db.metrics.names()


values = st.sampled_from([0.0, 1.0, -1.0, 0.5, 0.1, 2.0, 1e300, math.nan, math.inf, -math.inf])


@settings(SLOW, max_examples=torture.rounds(8, 250))
@given(
    st.lists(st.lists(values, min_size=1, max_size=4), min_size=1, max_size=8),
    st.integers(1, 4),
)
def test_the_best_runs_are_the_first_of_all_in_order(
    both: tuple[TrainingDB, TrainingDB], histories: list[list[float]], limit: int
) -> None:
    for db in both:
        empty(db)
        log(db, **{f"r{n}": {"loss": logged} for n, logged in enumerate(histories)})
        for statistic in METRIC_STATISTICS:
            known = [(statistics(logged)[statistic], n) for n, logged in enumerate(histories)]
            finite = [(one, n) for one, n in known if one is not None and math.isfinite(one)]
            for mode, sign in (("min", 1), ("max", -1)):
                wanted = sorted(finite, key=lambda pair: (sign * pair[0], pair[1]))[:limit]
                found = db.metrics.best("loss", mode, None, limit, statistic)
                assert ids(found) == [f"r{n}" for _, n in wanted]
                assert [row["value"] for row in found] == [one for one, _ in wanted]
