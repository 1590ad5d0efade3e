"""What happened in trainings, asked of a database on both backends."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_db.analysis.dynamics.findings import SEVERITIES
from training_db.analysis.dynamics.objective_series import objective_series
from training_db.errors import (
    FilterSyntaxError,
    InvalidValue,
    MetricNotFound,
    RunNotFound,
    UnknownName,
)

if TYPE_CHECKING:
    from training_db import TrainingDB

CHANCE = np.random.default_rng(0)
FALLS = (np.exp(-np.arange(200) / 20) + 0.01 * CHANCE.standard_normal(200)).tolist()
BREAKS = FALLS[:120] + [5.0] + FALLS[121:180] + [math.nan] * 3 + FALLS[183:]
NORMS = np.exp(0.1 * CHANCE.standard_normal(200))
NORMS[150] = 500.0
UP = np.linspace(0.2, 0.8, 200)


@pytest.fixture
def trained(db: TrainingDB) -> TrainingDB:
    """Four runs: one that is fine, one that breaks, one that has hardly begun, one without."""
    db.runs.insert("fine", gradient_method="mgda")
    db.history.append("fine", {"loss": FALLS})
    db.runs.insert("broken", gradient_method="pcgrad")
    db.history.append("broken", {"loss": BREAKS, "grad_norm": NORMS.tolist()})
    db.runs.insert("begun")
    db.history.append("begun", {"loss": [2.0, 1.0, math.nan]})
    db.runs.insert("empty")
    return db


def saved(db: TrainingDB, run_id: str) -> list[tuple[str, str]]:
    return [(event["kind"], event["message"]) for event in db.events.list(run_id)]


def test_plateaus_are_told_of_each_run_that_has_the_metric(trained: TrainingDB) -> None:
    fine, broken, begun = trained.analysis.plateaus("loss")
    assert (fine.run_id, fine.metric, fine.skipped) == ("fine", "loss", None)
    assert fine.found is not None
    assert 50 <= fine.found.step <= 110
    assert fine.found.level == pytest.approx(0.0, abs=0.02)
    assert broken.run_id == "broken"
    assert (begun.found, begun.skipped) == (None, "2 finite values, 8 are needed")
    assert trained.events.list("fine") == []


def test_a_run_without_any_is_told_apart_from_one_that_was_not_looked_at(db: TrainingDB) -> None:
    db.runs.insert("rising")
    db.history.append("rising", {"loss": np.linspace(1, 0, 100).tolist()})
    db.runs.insert("text")
    db.history.append("text", {"loss": ["much"] * 100})
    rising, text = db.analysis.plateaus("loss")
    assert (rising.found, rising.skipped) == (None, None)
    assert (text.found, text.skipped) == (None, "0 finite values, 8 are needed")
    assert [look.skipped for look in db.analysis.instabilities("loss")] == [
        None, "it holds no numbers",
    ]  # fmt: skip


def test_instabilities_and_explosions_are_told_with_their_steps(trained: TrainingDB) -> None:
    fine, broken, begun = trained.analysis.instabilities("loss", direction="min")
    assert (fine.found, fine.skipped) == (None, None)
    assert broken.found is not None
    assert [spike.step for spike in broken.found.spikes] == [120]
    assert broken.found.non_finite is not None
    assert (broken.found.non_finite.first, broken.found.non_finite.count) == (180, 3)
    assert begun.found is not None
    assert begun.found.non_finite is not None
    [look] = trained.analysis.explosions()
    assert look.run_id == "broken"
    assert look.found is not None
    assert [explosion.step for explosion in look.found] == [150]


def test_convergence_is_told_by_its_steps(trained: TrainingDB) -> None:
    fine, *_ = trained.analysis.convergence("loss", direction="minimize")
    assert fine.found is not None
    assert fine.found.step_50 == pytest.approx(20 * math.log(2), abs=3)
    assert [one.found for one in trained.analysis.convergence("loss", direction="max")] == [
        None
    ] * 3


def test_runs_are_chosen_by_filter_or_by_id(trained: TrainingDB) -> None:
    ask = trained.analysis
    assert [one.run_id for one in ask.plateaus("loss", "gradient_method = 'mgda'")] == ["fine"]
    assert [one.run_id for one in ask.plateaus("loss", {"gradient_method": "pcgrad"})] == ["broken"]
    assert [one.run_id for one in ask.convergence("loss", run_id="fine")] == ["fine"]
    assert ask.plateaus("loss", "gradient_method = 'none'") == []
    trained.runs.delete("fine")
    assert [one.run_id for one in ask.plateaus("loss")] == ["broken", "begun"]


def test_what_is_asked_in_vain_is_an_error(trained: TrainingDB) -> None:
    ask = trained.analysis
    with pytest.raises(MetricNotFound, match="did you mean 'loss'"):
        ask.plateaus("los")
    with pytest.raises(MetricNotFound):
        ask.explosions("grad_norm", run_id="fine")
    for question in (ask.plateaus, ask.instabilities, ask.explosions, ask.convergence):
        with pytest.raises(RunNotFound):
            question("loss", run_id="nobody")
    with pytest.raises(RunNotFound):
        ask.conflicts(run_id="nobody")
    with pytest.raises(RunNotFound):
        ask.findings("nobody")
    with pytest.raises(FilterSyntaxError):
        ask.plateaus("loss", "status =")
    with pytest.raises(UnknownName, match="direction 'up'"):
        ask.convergence("loss", direction="up")
    for both in (ask.plateaus, ask.conflicts):
        with pytest.raises(InvalidValue, match="one of them"):
            both(filters="host = 'a'", run_id="fine")


def test_answers_are_kept_as_events_once_each(trained: TrainingDB) -> None:
    for _ in range(2):
        trained.analysis.plateaus("loss", save=True)
        trained.analysis.instabilities("loss", save=True)
        trained.analysis.explosions("grad_norm", save=True)
        trained.analysis.convergence("loss", save=True)
    kinds = ["analysis.convergence", "analysis.instability", "analysis.plateau"]
    assert sorted(kind for kind, _ in saved(trained, "fine")) == kinds
    said = dict(saved(trained, "broken"))
    assert said["analysis.explosions"].startswith("grad_norm exploded once: at step 150, to 500")
    assert "NaN at 3 steps, first at step 180" in said["analysis.instability"]
    assert "leapt once, at step 120, to 5" in said["analysis.instability"]
    assert dict(saved(trained, "fine"))["analysis.instability"] == "loss: no instability"
    not_finite = "loss was NaN at 1 step, first at step 2, and to the end."
    assert saved(trained, "begun") == [("analysis.instability", not_finite)]
    [event] = trained.events.list("fine", kind="analysis.plateau")
    data = json.loads(event["data_json"])
    assert (data["run_id"], data["metric"], data["skipped"]) == ("fine", "loss", None)
    assert data["found"].keys() == {"step", "level", "confidence"}


def test_a_new_answer_takes_the_place_of_the_old_one(db: TrainingDB) -> None:
    db.runs.insert("r")
    db.history.append("r", {"loss": FALLS})
    db.analysis.plateaus("loss", save=True)
    [(_, before)] = saved(db, "r")
    db.history.append("r", {"loss": np.linspace(0, 9, 200).tolist()})
    db.analysis.plateaus("loss", save=True)
    [(_, after)] = saved(db, "r")
    assert "has stayed at" in before
    assert after == "loss: no plateau"


@pytest.fixture
def torn(db: TrainingDB) -> TrainingDB:
    """A run whose objectives part ways, one where they do not, and one that has but one."""
    db.runs.insert("torn")
    db.objectives.insert("torn", "SA", direction="minimize")
    db.history.append(
        "torn",
        {"objectives/QED_maximize/raw_mean": UP.tolist(), "SA": (2 * UP).tolist(), "loss": FALLS},
    )
    db.runs.insert("agreed")
    db.history.append("agreed", {"objective/QED": UP.tolist(), "objective/SA": UP.tolist()})
    db.runs.insert("single")
    db.history.append("single", {"objective/QED": UP.tolist()})
    db.runs.insert("short")
    db.history.append("short", {"objective/QED": [0.1, 0.2], "objective/SA": [0.1, 0.2]})
    return db


def test_conflicts_are_told_of_each_run(torn: TrainingDB) -> None:
    looks = {look.run_id: look for look in torn.analysis.conflicts()}
    assert list(looks) == ["torn", "agreed", "single", "short"]
    [conflict] = looks["torn"].conflicts
    assert (conflict.better, conflict.worse, conflict.since) == ("QED", "SA", 0)
    assert looks["torn"].matrix is not None
    assert looks["torn"].matrix.correlation[0, 1] == pytest.approx(-1)
    assert [one.metric for one in looks["torn"].objectives] == [
        "SA", "objectives/QED_maximize/raw_mean",
    ]  # fmt: skip
    assert (looks["agreed"].conflicts, looks["agreed"].skipped) == ((), None)
    assert looks["single"].skipped == "1 of its objectives has a curve, 2 are needed"
    assert looks["short"].skipped == "QED has 2, SA has 2 finite values, 18 are needed"
    assert looks["short"].as_dict()["matrix"] is None


def test_conflicts_of_chosen_objectives_only(torn: TrainingDB) -> None:
    ask = torn.analysis
    assert ask.conflicts("run_id = 'torn'", ["QED", "SA"])[0].conflicts
    assert ask.conflicts(run_id="torn", objectives="QED")[0].skipped is not None
    with pytest.raises(UnknownName, match=r"'TPSA'.*valid are: SA, QED"):
        ask.conflicts(objectives=["TPSA"])


def test_conflicts_are_kept_as_events(torn: TrainingDB) -> None:
    torn.analysis.conflicts(save=True)
    [(kind, message)] = saved(torn, "torn")
    assert kind == "analysis.conflicts"
    assert message.startswith("QED got better (by +0.5729) while SA got worse (by +1.146)")
    assert saved(torn, "agreed") == [("analysis.conflicts", "No two objectives part ways.")]
    assert saved(torn, "single") == []


def test_curves_of_different_steps_are_put_side_by_side(db: TrainingDB) -> None:
    db.runs.insert("r")
    rows: list[dict[str, Any]] = [{"objective/a": float(step)} for step in range(200)]
    for row in rows[::4]:
        row["objective/b"] = -row["objective/a"]
    db.history.append("r", rows)
    [look] = db.analysis.conflicts()
    assert [(one.better, one.worse) for one in look.conflicts] == [("a", "b")]


def test_the_curve_of_an_objective_is_found_by_its_name() -> None:
    rows = [
        {"objective_name": "QED", "direction": None},
        {"objective_name": "SA", "direction": "maximize"},
        {"objective_name": "COMT", "objective_alias": "comt activity", "direction": "maximize"},
        {"objective_name": "logP", "direction": "minimize"},
        {"objective_name": "TPSA", "direction": None},
    ]
    metrics = [
        "QED", "objectives/QED_minimize",
        "objectives/QED_maximize/normalized_mean", "objectives/QED_maximize/raw_mean",
        "objective/QED", "objectives/SA_minimize", "comt activity", "logP/raw_mean", "logP",
        "objectives/a/b", "objective/novelty", "objectives/", "loss",
    ]  # fmt: skip
    assert [(one.name, one.metric, one.direction) for one in objective_series(metrics, rows)] == [
        ("QED", "objectives/QED_maximize/raw_mean", "maximize"),
        ("SA", "objectives/SA_minimize", "maximize"),  # the row's word goes before the name's
        ("COMT", "comt activity", "maximize"),
        ("logP", "logP/raw_mean", "minimize"),
        ("novelty", "objective/novelty", None),
    ]
    assert objective_series(["QED", "loss"]) == []


def test_findings_tell_of_losses_gradients_and_objectives(torn: TrainingDB) -> None:
    torn.history.append("torn", {"val/loss": BREAKS, "train/grad_norm": NORMS.tolist()})
    torn.history.append("torn", {"accuracy": np.linspace(0.9, 0.1, 200).tolist()})
    found = torn.analysis.findings("torn")
    assert [SEVERITIES.index(one.severity) for one in found] == sorted(
        SEVERITIES.index(one.severity) for one in found
    )
    said = {(one.kind, one.about, one.severity) for one in found}
    assert said >= {
        ("instability", "val/loss", "error"),
        ("instability", "val/loss", "warning"),
        ("explosions", "train/grad_norm", "warning"),
        ("conflict", "QED, SA", "warning"),
        ("convergence", "SA", "warning"),
        ("convergence", "accuracy", "warning"),
        ("convergence", "QED", "info"),
        ("plateau", "loss", "info"),
        ("convergence", "loss", "info"),
    }
    sentences = [one.sentence for one in found]
    assert "SA got worse: it rose from 0.4 to 1.543." in sentences
    assert any(one.startswith("loss has stayed at about") for one in sentences)
    json.dumps([one.data for one in found])


def test_a_loss_that_diverges_is_an_error(db: TrainingDB) -> None:
    db.runs.insert("r")
    db.history.append("r", {"loss": FALLS[:120] + np.linspace(0.1, 30, 80).tolist()})
    finding = db.analysis.findings("r")[0]
    assert (finding.kind, finding.severity, finding.about) == ("instability", "error", "loss")
    assert finding.sentence.startswith("loss diverged from step 12")
    assert "and it ended at" in finding.sentence
    assert {one.kind for one in db.analysis.findings("r")} == {"instability"}


def test_of_a_curve_that_ends_in_nan_nothing_else_is_told(db: TrainingDB) -> None:
    flat = [math.exp(-step / 10) + 0.5 for step in range(100)] + [0.5] * 300
    for run_id, end in {"lost": [math.nan] * 600, "kept": [math.nan] * 600 + [0.5]}.items():
        db.runs.insert(run_id)
        db.history.append(run_id, {"loss": flat + end})
    assert [one.sentence for one in db.analysis.findings("lost")] == [
        "loss was NaN at 600 steps, first at step 400, and to the end."
    ]
    assert {one.kind for one in db.analysis.findings("kept")} > {"plateau"}


def test_the_share_of_a_plateau_is_of_all_steps_logged(db: TrainingDB) -> None:
    db.runs.insert("r")
    curve = [2.0, 1.5, 1.0, 0.5] + [0.1] * 96 + [math.nan] * 101
    db.history.append("r", {"loss": curve})
    db.analysis.plateaus("loss", save=True)
    (event,) = db.events.list("r")
    assert "loss stayed at about 0.1 from step 4 to step 99, for 48 % of" in event["message"]


@pytest.mark.parametrize("history", [{}, {"loss": ["text"] * 30}, {"loss": [None] * 30},
                                     {"image": [{"_type": "image"}] * 30}])  # fmt: skip
def test_there_are_no_findings_where_nothing_tells(db: TrainingDB, history: dict[str, Any]) -> None:
    db.runs.insert("r")
    if history:
        db.history.append("r", history)
    assert db.analysis.findings("r") == []


def test_odd_values_make_findings_without_a_warning(db: TrainingDB) -> None:
    odd = {
        "loss": [math.nan] * 40,
        "a/loss": [math.inf, -math.inf] * 20,
        "b/loss": [1e308, -1e308] * 20,
        "c/loss": [10**400, None, "x", True] * 10,
        "d/loss": [1.0] * 40,
        "grad_norm": [0.0] * 20 + [math.inf] * 20,
        "objective/a": [True, False] * 20,
        "objective/b": [None, 1e-310] * 20,
    }
    db.runs.insert("r")
    db.history.append("r", odd)
    sentences = [one.sentence for one in db.analysis.findings("r")]
    assert "loss was NaN at 40 steps, first at step 0, and to the end." in sentences
    assert any(one.startswith("a/loss was +Inf at 20 steps and -Inf at 20") for one in sentences)
    assert any(one.startswith("d/loss stayed at about 1 all along") for one in sentences)
    for metric in odd:
        for ask in (db.analysis.plateaus, db.analysis.instabilities, db.analysis.explosions,
                    db.analysis.convergence):  # fmt: skip
            [look] = ask(metric, save=True)
            assert look.as_dict()["metric"] == metric
