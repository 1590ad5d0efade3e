"""Groups of runs side by side, on both backends."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, select

from training_db.errors import FilterSyntaxError, InvalidValue, MetricNotFound, UnknownName
from training_db.repository.filters import as_filter
from training_db.repository.grouping import Attribute

if TYPE_CHECKING:
    from training_db import TrainingDB
    from training_db.analysis.comparison.groups import Groups

SQLITE = create_engine("sqlite://")


def found(groups: Groups) -> dict[Any, int]:
    return {one.value: one.runs for one in groups.groups}


@pytest.fixture
def methods(db: TrainingDB) -> TrainingDB:
    """Three methods: one better by far, two alike; and a run that has none."""
    scores = {"mgda": 0.8, "sum": 0.4, "pcgrad": 0.41}
    for method, score in scores.items():
        db.runs.insert_many(
            {
                "run_id": f"{method}-{number}", "gradient_method": method,
                "host": f"gpu-{number % 2}", "status": "completed" if number else "failed",
                "duration_seconds": 100 * (number + 1),
                "summary": {"objectives/QED_maximize/raw_mean": score + 0.02 * (number * 7 % 6)},
            }
            for number in range(6)
        )  # fmt: skip
    db.runs.insert("none", status="running")
    return db


def test_a_group_counts_its_runs_and_how_they_ended(methods: TrainingDB) -> None:
    groups = methods.analysis.groups("gradient_method", "QED").groups
    assert [one.value for one in groups] == ["mgda", "pcgrad", "sum", None]
    mgda, *_, none = groups
    assert (mgda.runs, mgda.ended, mgda.completed) == (6, 6, 5)
    assert mgda.success_rate == pytest.approx(5 / 6)
    assert mgda.success_low == pytest.approx(0.4365, abs=1e-4)  # Wilson, by hand
    assert mgda.success_high == pytest.approx(0.9699, abs=1e-4)
    assert mgda.mean_duration_seconds == 350.0
    assert (none.runs, none.ended, none.success_rate, none.success_low) == (1, 0, None, None)
    assert none.mean_duration_seconds is None
    assert none.measures["QED"].count == 0


def test_the_mean_of_an_objective_lies_in_its_interval(methods: TrainingDB) -> None:
    measured = methods.analysis.groups("gradient_method", "QED").groups[0].measures["QED"]
    assert (measured.count, measured.interval) == (6, "bootstrap")
    assert measured.mean == pytest.approx(0.85)
    assert measured.median == pytest.approx(0.85)
    assert measured.low is not None
    assert measured.high is not None
    assert 0.8 < measured.low < 0.83
    assert 0.87 < measured.high < 0.9


def test_a_difference_beyond_noise_is_told_from_one_within(methods: TrainingDB) -> None:
    test = methods.analysis.groups("gradient_method", "QED").tests["QED"]
    assert test.verdict == "more than noise"
    assert "differ by more than noise" in test.sentence
    assert "18 values" in test.sentence
    verdicts = {frozenset((pair.one, pair.other)): pair.verdict for pair in test.pairs}
    assert verdicts == {
        frozenset(("mgda", "sum")): "more than noise",
        frozenset(("mgda", "pcgrad")): "more than noise",
        frozenset(("pcgrad", "sum")): "no more than noise",
    }
    above = {(pair.one, pair.other): pair.superiority for pair in test.pairs}
    assert above["mgda", "sum"] == 1.0


def test_equal_seeds_give_equal_answers(methods: TrainingDB) -> None:
    once, again, other = (
        methods.analysis.groups("host", "QED", seed=seed).as_dict() for seed in (3, 3, 4)
    )
    assert once == again
    assert once != other


@pytest.mark.parametrize(
    "asked",
    [{"seed": -1}, {"seed": 0.5}, {"seed": True}, {"resamples": 0}, {"resamples": 10**9}]
    + [{"objectives": 5}, {"metric": 5}],
)
def test_what_cannot_be_asked_is_said(methods: TrainingDB, asked: dict[str, Any]) -> None:
    (value,) = asked.values()
    with pytest.raises(InvalidValue, match=repr(value)):
        methods.analysis.groups(**asked)


def test_settings_are_told_apart_by_every_digit(db: TrainingDB) -> None:
    values = [0.3, 0.1 + 0.2, 1, 1.0, True, "1", "null", None, [1, "]"], 1e300, 2**64 - 1]
    for number, value in enumerate(values):
        db.runs.insert(f"r{number}", config={"a": {"b": value}})
    db.runs.insert("none")
    groups = db.analysis.groups("config.a.b")
    assert [one.value for one in groups.groups if one.runs == 2] == [1, None]
    expected = {0.3, 0.1 + 0.2, "1", "null", '[1, "]"]', 10**300, 2**64 - 1}
    single = [one.value for one in groups.groups if one.runs == 1]
    assert expected == {value for value in single if value is not True}
    assert True in single


def test_an_older_sqlite_can_group_too() -> None:
    statement = str(select(Attribute("config.a.b").of_runs(as_filter(None))).compile(SQLITE))
    assert "->" not in statement  # 3.38
    assert "MATERIALIZED" not in statement  # 3.35
    assert "FLOOR" not in statement.upper()


def test_without_names_all_objectives_are_compared(methods: TrainingDB) -> None:
    methods.objectives.insert("none", "SA", raw_mean=3.0)
    assert set(methods.analysis.groups().tests) == {"QED", "SA"}
    assert methods.analysis.groups(objectives=[]).tests == {}
    assert set(methods.analysis.groups(objectives=["SA"]).tests) == {"SA"}


def test_with_a_metric_and_no_objectives_only_the_metric_is_compared(db: TrainingDB) -> None:
    db.runs.insert("a", host="x")
    db.objectives.insert("a", "QED", raw_mean=0.5)
    db.history.append("a", {"loss": [1.0]})
    assert set(db.analysis.groups("host", metric="loss").tests) == {"loss"}
    assert set(db.analysis.groups("host", "QED", metric="loss").tests) == {"QED", "loss"}


def test_only_runs_that_match_are_grouped(methods: TrainingDB) -> None:
    groups = methods.analysis.groups("gradient_method", "QED", "host = 'gpu-1'")
    assert found(groups) == {"mgda": 3, "pcgrad": 3, "sum": 3}
    assert groups.groups[0].measures["QED"].count == 3
    methods.runs.delete("mgda-1")
    groups = methods.analysis.groups("gradient_method", "QED", {"host": "gpu-1"})
    assert groups.groups[-1].measures["QED"].count == 2
    assert found(methods.analysis.groups("host", "QED", "host = 'nowhere'")) == {}


def test_values_that_are_not_finite_are_left_out_and_missed_in_the_count(db: TrainingDB) -> None:
    for run_id, value in {
        "a": 0.5,
        "b": math.nan,
        "c": math.inf,
        "d": None,
        "e": -math.inf,
    }.items():
        db.runs.insert(run_id, host="gpu-1")
        db.objectives.insert(run_id, "QED", raw_mean=value)
    (group,) = db.analysis.groups("host", "QED").groups
    assert group.runs == 5
    measured = group.measures["QED"]
    assert (measured.count, measured.mean, measured.median) == (1, 0.5, 0.5)
    assert (measured.low, measured.high, measured.interval) == (None, None, None)


def test_huge_values_overflow_nothing(db: TrainingDB) -> None:
    for run_id, value in {"a": 1.7e308, "b": 1.5e308, "c": 1.6e308}.items():
        db.runs.insert(run_id, host="gpu-1", duration_seconds=2**62)
        db.objectives.insert(run_id, "QED", raw_mean=value)
    (group,) = db.analysis.groups("host").groups
    measured = group.measures["QED"]
    assert measured.mean == pytest.approx(1.6e308)
    assert measured.median == 1.6e308
    assert group.mean_duration_seconds == pytest.approx(2.0**62)


def test_another_number_of_an_objective_can_count(db: TrainingDB) -> None:
    db.runs.insert("a", host="gpu-1")
    db.objectives.insert("a", "QED", raw_mean=0.5, normalized_std=0.25)
    groups = db.analysis.groups("host", "QED", statistic="normalized_std")
    assert groups.groups[0].measures["QED"].mean == 0.25
    with pytest.raises(UnknownName, match="raw_mean"):
        db.analysis.groups("host", "QED", statistic="mode")
    with pytest.raises(UnknownName, match="last"):
        db.statistics.metric_values("host", "loss", "mode")


def test_metrics_are_compared_by_what_they_came_to(db: TrainingDB) -> None:
    for run_id, losses in {"a": [3.0, 1.0, 2.0], "b": [5.0, 4.0, math.nan]}.items():
        db.runs.insert(run_id, host="gpu-1")
        db.history.append(run_id, {"train.loss": losses, "x.min": losses[:1]})
    groups = db.analysis.groups("host", metric=["train.loss", "train.loss.min", "x.min"])
    # Both statistics of one metric stand beside each other.
    assert set(groups.groups[0].measures) == {"train.loss", "train.loss.min", "x.min"}
    measures = groups.groups[0].measures
    assert (measures["train.loss"].count, measures["train.loss"].mean) == (1, 2.0)
    assert measures["train.loss.min"].mean == 2.5
    assert measures["x.min"].mean == 4.0
    with pytest.raises(MetricNotFound, match=r"train\.loss"):
        db.analysis.groups("host", metric="train.lss")


CONFIGS: dict[str, Any] = {
    "one": 1, "one as float": 1.0, "true": True, "text": "1", "nan": math.nan, "nothing": None,
    "list": [0.9, {"b": 1, "a": 2}], "same list": [0.9, {"a": 2, "b": 1}], "null text": "null",
    "tiny": 1e-7, "huge": 2**60 + 1, "other huge": 2**60, "accent": "é\n\"'",
}  # fmt: skip


def test_places_of_the_config_are_grouped_by_what_they_mean(db: TrainingDB) -> None:
    for run_id, value in CONFIGS.items():
        db.runs.insert(run_id, config={"a": {"b": value}})
    db.runs.insert("no such key", config={"a": 3})
    db.runs.insert("no config")
    counts = db.statistics.counts("config.a.b")
    shown = {(type(one.value).__name__, str(one.value)): one.runs for one in counts}
    assert shown == {
        ("int", "1"): 2, ("bool", "True"): 1, ("str", "1"): 1, ("float", "nan"): 1,
        ("NoneType", "None"): 3, ("str", '[0.9, {"a": 2, "b": 1}]'): 2, ("str", "null"): 1,
        ("float", "1e-07"): 1, ("int", str(2**60 + 1)): 1, ("int", str(2**60)): 1,
        ("str", "é\n\"'"): 1,
    }  # fmt: skip
    assert [one.runs for one in counts[:3]] == [3, 2, 2]


def test_keys_that_are_written_with_dots_or_signs_are_found(db: TrainingDB) -> None:
    db.runs.insert("nested", config={"optimizer": {"name": "adam"}})
    db.runs.insert("flat", config={"optimizer.name": "adam"})
    db.runs.insert("odd", config={'é "quoted"': "x"}, summary={"loss/val": 2})
    assert found(db.analysis.groups("config.optimizer.name")) == {"adam": 2, None: 1}
    assert found(db.analysis.groups('config."é \\"quoted\\""')) == {"x": 1, None: 2}
    assert found(db.analysis.groups("summary.loss/val")) == {2: 1, None: 2}


def test_objectives_follow_their_runs_whatever_they_are_grouped_by(db: TrainingDB) -> None:
    for number, kind in enumerate([True, 1, "1", True, 1.0]):
        db.runs.insert(f"r{number}", config={"kind": kind})
        db.objectives.insert(f"r{number}", "QED", raw_mean=float(number))
    groups = db.analysis.groups("config.kind", "QED").groups
    means = {(type(one.value).__name__): one.measures["QED"].mean for one in groups}
    assert means == {"bool": 1.5, "int": 2.5, "str": 2.0}


def test_a_tag_without_a_value_is_not_the_same_as_no_tag(db: TrainingDB) -> None:
    for run_id, tags in {
        "a": {"keep": None}, "b": {"keep": "there"}, "c": {"other": "yes"},
    }.items():  # fmt: skip
        db.runs.insert(run_id)
        db.tags.add_many(run_id, tags)
    members = db.statistics.members("tag.keep")
    assert members == {"a": True, "b": "there", "c": None}
    assert found(db.analysis.groups("tag.keep")) == {True: 1, "there": 1, None: 1}


def test_of_several_fields_the_first_that_a_run_has_counts(db: TrainingDB) -> None:
    db.runs.insert("a", config={"machine": "m1"}, host="gpu-1")
    db.runs.insert("b", host="gpu-1")
    db.runs.insert("c")
    by = ["config.machine", "host"]
    assert db.statistics.members(by) == {"a": "m1", "b": "gpu-1", "c": None}
    assert {one.value: one.runs for one in db.statistics.counts(by)} == {
        "m1": 1, "gpu-1": 1, None: 1,
    }  # fmt: skip


def test_columns_of_every_type_can_be_grouped_by(db: TrainingDB) -> None:
    same: dict[str, Any] = {
        "created_at": "2024-01-02", "learning_rate": math.nan, "git_dirty": True, "batch_size": 8,
    }  # fmt: skip
    for run_id in ("a", "b"):
        db.runs.insert(run_id, **same)
    created, rate, dirty, size = (db.statistics.counts(name) for name in same)
    assert [(one.value, one.runs) for one in created] == [("2024-01-02T00:00:00.000000Z", 2)]
    assert [(str(one.value), one.runs) for one in rate] == [("nan", 2)]
    assert dirty[0].value is True
    assert size[0].value == 8


def test_what_runs_cannot_be_grouped_by_is_refused(methods: TrainingDB) -> None:
    with pytest.raises(UnknownName):
        methods.analysis.groups("nothing")
    odd: list[Any] = [
        "config_json", "history_json", "metric.loss", "objective.QED", [], 3, ["host", 3], None,
    ]  # fmt: skip
    for by in odd:
        with pytest.raises(InvalidValue, match="group"):
            methods.analysis.groups(by)


def test_odd_questions_are_errors_of_ours(methods: TrainingDB) -> None:
    with pytest.raises(UnknownName, match=r"unknown objective 'QUED'.*did you mean 'QED'"):
        methods.analysis.groups("host", "QUED")
    with pytest.raises(InvalidValue, match="no text"):
        methods.analysis.groups("host", [3])  # type: ignore[list-item]
    with pytest.raises(FilterSyntaxError):
        methods.analysis.groups("host", "QED", "host =")
    for confidence in (0, 1, 95, math.nan, True, "0.95"):
        with pytest.raises(InvalidValue, match="confidence"):
            methods.analysis.groups("host", confidence=confidence)  # type: ignore[arg-type]


def test_an_objective_that_no_matching_run_has_is_no_error(methods: TrainingDB) -> None:
    groups = methods.analysis.groups("gradient_method", "QED", "gradient_method is missing")
    assert [one.value for one in groups.groups] == [None]
    assert groups.tests == {}


def test_every_digit_of_a_value_counts(db: TrainingDB) -> None:
    for run_id, value in {"a": 0.1 + 0.2, "b": 5e-324, "c": -3.0}.items():
        db.runs.insert(run_id)
        db.objectives.insert(run_id, "QED", raw_mean=value)
    means = {one.value: one.measures["QED"].mean for one in db.analysis.groups("run_id").groups}
    assert means == {"a": 0.1 + 0.2, "b": 5e-324, "c": -3.0}


def test_a_metric_that_is_called_like_an_objective_stands_beside_it(db: TrainingDB) -> None:
    db.runs.insert("a", host="gpu-1")
    db.objectives.insert("a", "QED", raw_mean=0.5)
    db.history.append("a", {"QED": [0.25]})
    measures = db.analysis.groups("host", "QED", metric="QED").groups[0].measures
    assert {name: one.mean for name, one in measures.items()} == {"QED": 0.5, "metric.QED": 0.25}


def test_an_empty_database_has_no_groups(db: TrainingDB) -> None:
    assert db.analysis.groups().groups == ()


def test_groups_are_plain_values_for_json(methods: TrainingDB) -> None:
    plain = methods.analysis.groups("gradient_method", "QED").as_dict()
    assert json.loads(json.dumps(plain))["groups"][0]["measures"]["QED"]["count"] == 6


def test_more_runs_than_are_looked_up_one_by_one_come_to_the_same(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        db.runs.insert(f"r{number}", host=f"gpu-{number % 2}")
        db.objectives.insert(f"r{number}", "QED", raw_mean=float(number))
        db.objectives.insert(f"r{number}", "SA", raw_mean=1.0)
    asked = ("host", None, "run_id != 'r0'")
    few = db.analysis.groups(*asked)
    monkeypatch.setattr("training_db.repository.gathering.FEW", 2)
    many = db.analysis.groups(*asked)
    assert few == many
    assert [one.measures["QED"].mean for one in many.groups] == [3.0, 3.0]
