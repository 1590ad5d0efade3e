"""What runs are judged by: one number of each, and which way it is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from training_db.analysis.targets import Target, better_direction, numbers_of, target_of
from training_db.errors import InvalidValue, MetricNotFound, UnknownName
from training_db.repository.filters import MetricField, ObjectiveField

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture
def scored(db: TrainingDB) -> TrainingDB:
    """One run with numbers of each kind, and one without any."""
    db.runs.insert("r1", summary={"eval": {"score": 3.0}}, config={"lr": 0.1}, final_loss=4.0)
    db.runs.insert("r2")
    db.objectives.insert("r1", "QED", raw_mean=1.0, normalized_mean=2.0, direction="maximize")
    db.history.append("r1", {"loss": [9.0, 5.0, 6.0], "a.min": [7.0, 8.0]})
    return db


def test_any_number_of_a_run_may_be_named(scored: TrainingDB) -> None:
    for (text, statistic), value in {
        ("QED", None): 1.0,
        ("QED", "normalized_mean"): 2.0,
        ("objective.QED.normalized_mean", None): 2.0,
        ("objective.QED.normalized_mean", "raw_mean"): 2.0,  # what the name says counts
        ("loss", None): 6.0,
        ("loss", "min"): 5.0,
        ("metric.loss", "first"): 9.0,
        ("metric.loss.min", None): 5.0,
        ("a.min", None): 8.0,
        ("a.min", "first"): 7.0,
        ("summary.eval.score", None): 3.0,
        ("config.lr", None): 0.1,
        ("final_loss", None): 4.0,
    }.items():
        target = target_of(scored, text, statistic)
        assert target.name == (text if statistic is None else f"{text} ({statistic})")
        assert numbers_of(scored, target, "run_id = 'r1'") == {"r1": value}
        assert str(numbers_of(scored, target)["r2"]) == "nan"


def test_an_objective_is_meant_before_a_column_and_a_column_before_a_metric(
    scored: TrainingDB,
) -> None:
    scored.history.append("r2", {"final_loss": [8.0]})
    assert numbers_of(scored, target_of(scored, "final_loss"))["r1"] == 4.0
    scored.objectives.insert("r1", "final_loss", raw_mean=5.0)
    assert target_of(scored, "final_loss").field == ObjectiveField("final_loss")


def test_what_no_run_has_is_an_error_that_names_what_there_is(scored: TrainingDB) -> None:
    with pytest.raises(UnknownName, match=r"unknown objective or metric 'qed'.*QED.*loss"):
        target_of(scored, "qed")
    with pytest.raises(UnknownName, match="unknown objective 'qed'"):
        target_of(scored, "objective.qed")
    with pytest.raises(MetricNotFound):
        target_of(scored, "metric.entropy")
    for name in ("QED", "loss"):
        with pytest.raises(UnknownName, match="unknown statistic 'median'"):
            target_of(scored, name, "median")
    with pytest.raises(InvalidValue, match="final_loss has no statistic 'min'"):
        target_of(scored, "final_loss", "min")
    for text in ("host", "tag.kind"):
        with pytest.raises(InvalidValue, match="name an objective, a metric or a column"):
            target_of(scored, text)
    for nothing in ("", None):
        with pytest.raises(InvalidValue, match="name an objective or a metric"):
            target_of(scored, nothing)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "direction"),
    [
        ("val/loss", "minimize"), ("train_loss", "minimize"), ("evalPerplexity", "minimize"),
        ("grad_norm", "minimize"), ("eval/accuracy", "maximize"), ("mean_reward", "maximize"),
        ("reward_loss", "minimize"), ("top1_acc", "maximize"),
        ("objectives/SA_minimize/raw_mean", "minimize"), ("objective/SA_maximize", "maximize"),
    ],
)  # fmt: skip
def test_the_name_of_a_metric_tells_which_way_it_is_better(name: str, direction: str) -> None:
    nobody: Any = None  # the name alone is asked
    assert better_direction(nobody, Target(name, MetricField(name))) == direction


def test_a_direction_that_nothing_tells_is_asked_for(scored: TrainingDB) -> None:
    scored.history.append("r2", {"entropy": [0.5], "reward_std": [0.5]})
    scored.history.append("r1", {"objectives/X_maximize/raw_std": [0.5]})
    scored.objectives.insert("r1", "logP", raw_mean=1.0)
    for unclear in ("entropy", "config.lr", "logP", "reward_std", "objectives/X_maximize/raw_std"):
        target = target_of(scored, unclear)
        with pytest.raises(InvalidValue, match=f"which way .?{unclear}.* say "):
            better_direction(scored, target)
        assert better_direction(scored, target, "max") == "maximize"
        with pytest.raises(UnknownName, match="direction"):
            better_direction(scored, target, "up")
    scored.runs.insert("r3", summary={"objectives/SA_minimize/raw_mean": 3.0})
    for text, direction in {
        "summary.eval.score": "maximize",
        "summary.objectives/SA_minimize/raw_mean": "minimize",
    }.items():
        assert better_direction(scored, target_of(scored, text)) == direction


def test_the_stored_direction_of_an_objective_is_that_of_its_raw_mean(scored: TrainingDB) -> None:
    assert better_direction(scored, target_of(scored, "QED")) == "maximize"
    for statistic in ("normalized_mean", "raw_std"):
        with pytest.raises(InvalidValue, match=f"its {statistic} is asked for"):
            better_direction(scored, target_of(scored, "QED", statistic))


def test_what_the_run_itself_says_of_an_objective_counts_before_what_others_say(
    scored: TrainingDB,
) -> None:
    scored.objectives.insert("r2", "QED", direction="minimize")
    target = target_of(scored, "QED")
    assert better_direction(scored, target, run_id="r2") == "minimize"
    assert better_direction(scored, target, run_id="r1") == "maximize"
    with pytest.raises(InvalidValue, match="do not agree which way 'QED' is better"):
        better_direction(scored, target)
