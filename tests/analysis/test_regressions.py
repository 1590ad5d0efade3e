"""Whether a run is worse than a baseline."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from training_db.errors import (
    InvalidValue,
    NotFound,
    RunNotFound,
    UnknownName,
)

if TYPE_CHECKING:
    from training_db import TrainingDB

on_sqlite = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""For what does not hang on how numbers are read."""
GOOD = (0.50, 0.51, 0.49, 0.50, 0.52, 0.48)


def add(db: TrainingDB, run_id: str, loss: Any, day: int, **fields: Any) -> None:
    """Add a run whose loss ends at a value."""
    given = {"status": "completed", "created_at": f"2026-01-{day:02}"} | fields
    db.runs.insert(run_id, **given)
    if loss is not None:
        db.history.append(run_id, {"loss": [2.0, loss]})


@pytest.fixture
def tracked(db: TrainingDB) -> TrainingDB:
    """Six good runs, and others that are no good runs."""
    with db.transaction():
        for day, loss in enumerate(GOOD, 1):
            add(db, f"good{day}", loss, day, gradient_method="mgda")
        add(db, "broken", float("nan"), 7, gradient_method="mgda")
        add(db, "crashed", 9.0, 8, gradient_method="mgda", status="crashed")
        add(db, "other", 5.0, 9, gradient_method="pcgrad", group_name="wide")
        add(db, "later", 7.0, 30, gradient_method="mgda")
    return db


def test_a_run_within_the_noise_is_not_worse_and_one_beyond_it_is(tracked: TrainingDB) -> None:
    add(tracked, "fine", 0.53, 10)
    add(tracked, "bad", 0.60, 11)
    fine = tracked.analysis.regression("loss", "fine")
    bad = tracked.analysis.regression("loss", "bad", last=6)
    assert (fine.is_worse, fine.value, fine.direction) == (False, 0.53, "minimize")
    assert fine.target == "loss"
    assert fine.baseline_runs == ("good6", "good5", "good4", "good3", "good2", "good1")
    assert fine.baseline_value == pytest.approx(0.5)
    assert fine.difference == pytest.approx(0.03)
    # t(0.99; 5) = 3.365 by the tables
    spread = float(np.std(GOOD, ddof=1))
    assert fine.spread == pytest.approx(spread)
    assert fine.threshold == pytest.approx(0.5 + 3.365 * spread * math.sqrt(7 / 6), rel=1e-3)
    assert bad.is_worse
    assert bad.baseline_runs == ("fine", "good6", "good5", "good4", "good3", "good2")
    assert bad.sentence.startswith("loss of bad is worse: 0.6 against 0.505, the ")
    assert "mean of the last 6 completed runs without group_name" in bad.sentence
    assert "worse is above 0.5" in bad.sentence
    assert "by the noise between 6 runs at 0.99" in bad.sentence


def test_more_is_better_where_the_objective_says_so(db: TrainingDB) -> None:
    for number, score in enumerate([0.7, 0.71, 0.69, 0.4, 0.9]):
        add(db, f"r{number}", None, number + 1)
        db.objectives.insert(f"r{number}", "QED", raw_mean=score, direction="maximize")
    low = db.analysis.regression("QED", "r3")
    assert (low.is_worse, low.direction, low.target) == (True, "maximize", "QED")
    assert "worse is below" in low.sentence
    high = db.analysis.regression("QED", "r4", last=4)
    assert not high.is_worse
    assert db.analysis.regression("QED", "r4", direction="min", tolerance=0.1).is_worse


def test_the_newest_run_that_matches_is_meant_where_none_is_named(tracked: TrainingDB) -> None:
    assert tracked.analysis.regression("loss").run_id == "later"
    of_method = tracked.analysis.regression("loss", filters="created_at < '2026-01-07'")
    assert of_method.run_id == "good6"
    assert len(of_method.baseline_runs) == 5
    with pytest.raises(InvalidValue, match="no run matches"):
        tracked.analysis.regression("loss", filters="host = 'nowhere'")


def test_good_runs_are_like_the_run_by_what_is_asked_for(db: TrainingDB) -> None:
    for day, (kind, loss) in enumerate([("a", 1.0), ("b", 5.0), ("a", 1.1), ("b", 5.1)], 1):
        add(db, f"r{day}", loss, day, group_name=kind, config={"data": {"kind": kind, "n": 3}})
        db.tags.add(f"r{day}", "kind", kind)
        db.tags.add(f"r{day}", "kept")
    add(db, "run", 1.2, 9, group_name="a", config={"data": {"kind": "a", "n": 3}})
    db.tags.add_many("run", {"kind": "a", "kept": None})

    def compared(same: Any) -> tuple[str, ...]:
        return db.analysis.regression("loss", "run", same=same).baseline_runs

    for same in ("group_name", "config.data.kind", "tag.kind", ["tag.kept", "tag.kind"]):
        assert compared(same) == ("r3", "r1")
    for same in ([], "config.data.n", "tag.kept", "host", "config.nothing", "tag.nothing"):
        assert compared(same) == ("r4", "r3", "r2", "r1")
    wording = db.analysis.regression("loss", "run", same=["tag.kept", "host"]).sentence
    assert "4 completed runs with the same tag.kept and without host" in wording
    with pytest.raises(InvalidValue, match=r"config\.data of run 'run' is no single value"):
        compared("config.data")
    with pytest.raises(InvalidValue, match=r"alike by metric\.loss"):
        compared("metric.loss")
    with pytest.raises(InvalidValue, match="alike by config_json"):
        compared("config_json")
    with pytest.raises(UnknownName, match="kind"):
        compared("kind")


def test_a_config_of_somebody_else_that_is_no_json_has_no_value(db: TrainingDB) -> None:
    add(db, "r1", 1.0, 1)
    add(db, "run", 1.0, 2, config={"lr": 0.1})
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE training_runs SET config_json = '{broken'"))
    assert db.analysis.regression("loss", "run", same="config.lr").baseline_runs == ("r1",)


def test_only_runs_before_it_count_and_of_one_moment_those_with_a_lower_number(
    db: TrainingDB,
) -> None:
    for number in range(5):
        add(db, f"r{number}", 1.0, 1)
    assert db.analysis.regression("loss", "r2").baseline_runs == ("r1", "r0")


def test_a_page_of_runs_without_a_value_is_passed_over(
    tracked: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.analysis.regression.baseline._AT_ONCE", 1)
    assert len(tracked.analysis.regression("loss", "later", last=2**70).baseline_runs) == 6
    found = tracked.analysis.regression("loss", "later", last=2, same="gradient_method")
    assert found.baseline_runs == ("good6", "good5")


def test_a_run_or_a_name_is_the_baseline(tracked: TrainingDB) -> None:
    add(tracked, "run", 0.56, 10)
    named = tracked.analysis.regression("loss", "run", baseline="good1")
    assert (named.baseline_value, named.baseline_runs) == (0.5, ("good1",))
    # One run does not tell the noise: the good ones do.
    spread = float(np.std(GOOD, ddof=1))
    assert named.spread == pytest.approx(spread)
    assert named.threshold == pytest.approx(0.5 + 3.365 * spread * math.sqrt(2), rel=1e-3)
    assert "against 0.5, that of good1; " in named.sentence
    number = str(tracked.runs.number("good1"))
    assert tracked.analysis.regression("loss", "run", baseline=number).baseline_value == 0.5
    for run_id in ("good1", "good2", "other", "run"):
        tracked.tags.add(run_id, "baseline", "release")
    release = tracked.analysis.regression("loss", "run", baseline="release")
    assert release.baseline_runs == ("other", "good2", "good1")
    assert release.spread == pytest.approx(np.std([5.0, 0.51, 0.50], ddof=1))
    assert "the mean of the baseline release" in release.sentence


@on_sqlite
def test_a_baseline_that_is_not_there_is_an_error(tracked: TrainingDB) -> None:
    with pytest.raises(NotFound, match="training-db runs tag RUN baseline=release"):
        tracked.analysis.regression("loss", "good6", baseline="release")
    with pytest.raises(InvalidValue, match="compared with itself"):
        tracked.analysis.regression("loss", "good6", baseline="good6")
    with pytest.raises(InvalidValue, match="the baseline is 5"):
        tracked.analysis.regression("loss", "good6", baseline=5)  # type: ignore[arg-type]


def test_a_run_without_a_finite_value_is_worse(tracked: TrainingDB) -> None:
    for day, value in enumerate((float("nan"), float("inf"), float("-inf"), None), 10):
        add(tracked, f"run{day}", value, day)
        found = tracked.analysis.regression("loss", f"run{day}")
        assert found.is_worse
        assert "is worse: it " in found.sentence
        assert "0.5, the mean of" in found.sentence
        assert (found.value is None) == (value is None or math.isnan(value))
        assert tracked.analysis.regression("loss", f"run{day}", tolerance="50%").is_worse
        json.dumps(found.as_dict())


def test_a_metric_that_ends_in_nan_is_worse_whatever_its_least_is(tracked: TrainingDB) -> None:
    tracked.runs.insert("run", status="completed", created_at="2026-01-10")
    tracked.history.append("run", {"loss": [2.0, 0.1, float("nan")]})
    found = tracked.analysis.regression("metric.loss.min", "run")
    assert (found.is_worse, found.value) == (True, 0.1)
    assert "it is 0.1, but ends in NaN or infinity" in found.sentence


@on_sqlite
def test_good_runs_that_diverged_neither_move_nor_widen_what_is_expected(db: TrainingDB) -> None:
    for day, loss in enumerate([0.30, 0.31, 0.29, 300.0, 0.30, 0.30, 0.31, 0.29], 1):
        add(db, f"r{day}", loss, day)
    for number in range(4):
        add(db, f"wild{number}", -1e3 - number, 9)
    add(db, "run", 30.0, 20)
    add(db, "fine", 0.305, 20)
    found = db.analysis.regression("loss", "run", last=8)
    assert found.is_worse is False  # four of eight are no few that are off
    some = {"run_id": ["wild3", *(f"r{day}" for day in range(1, 9))]}
    found = db.analysis.regression("loss", "run", some)
    assert found.is_worse
    assert found.baseline_runs == ("r8", "r7", "r6", "r5", "r3", "r2", "r1")
    assert found.left_out == ("wild3", "r4")
    assert found.baseline_value == pytest.approx(0.3)
    assert found.spread == pytest.approx(np.std([0.30, 0.31, 0.29] * 2 + [0.30], ddof=1))
    assert "against 0.3, the mean of 7 of the last 9 completed runs without group" in found.sentence
    assert found.sentence.endswith(" Left out, far off the others: wild3 (-1003), r4 (300).")
    assert "by the noise between 7 runs" in found.sentence
    json.dumps(found.as_dict())
    every = db.analysis.regression("loss", "fine", "run_id != 'run'", last=20)
    assert every.is_worse is False
    assert every.sentence.endswith("wild3 (-1003), wild2 (-1002), wild1 (-1001) and 2 more.")
    some = {"run_id": ["r1", "r2", "r3", "r4"]}
    loose = db.analysis.regression("loss", "run", some, tolerance=1)
    assert (loose.is_worse, loose.left_out) == (True, ("r4",))
    few = db.analysis.regression("loss", "run", {"run_id": ["r1", "r2", "r4"]}, min_runs=2)
    assert (few.is_worse, few.left_out) == (False, ())


@on_sqlite
def test_a_named_run_is_judged_by_the_noise_of_good_runs_that_did_not_diverge(
    db: TrainingDB,
) -> None:
    for day, loss in enumerate([0.30, 0.31, 0.29, 300.0, 0.30], 1):
        add(db, f"r{day}", loss, day)
    add(db, "run", 30.0, 20)
    found = db.analysis.regression("loss", "run", baseline="r1")
    assert (found.is_worse, found.baseline_runs, found.left_out) == (True, ("r1",), ("r4",))
    assert "by the noise between 4 runs at 0.99. Left out, far off the" in found.sentence
    by_tolerance = db.analysis.regression("loss", "run", baseline="r1", tolerance=1)
    assert by_tolerance.left_out == ()
    # Who names a run as a baseline means it.
    for run_id in ("r1", "r2", "r3", "r4"):
        db.tags.add(run_id, "baseline", "release")
    named = db.analysis.regression("loss", "run", baseline="release")
    assert (named.baseline_runs, named.left_out) == (("r4", "r3", "r2", "r1"), ())


@on_sqlite
@pytest.mark.parametrize("status", ["failed", "crashed"])
def test_a_run_that_did_not_complete_is_worse_whatever_its_value_is(
    tracked: TrainingDB, status: str
) -> None:
    add(tracked, "run", 0.1, 10, status=status)
    found = tracked.analysis.regression("loss", "run")
    assert (found.is_worse, found.value) == (True, 0.1)
    assert f"loss of run is worse: it {status}, and is 0.1, against 0.5, the" in found.sentence
    add(tracked, "empty", None, 11, status=status)
    empty = tracked.analysis.regression("loss", "empty", tolerance=1)
    assert empty.is_worse
    assert f"it {status}, and has no value, or NaN, against 0.5" in empty.sentence
    assert tracked.analysis.regression("loss", "run", filters="host = 'nowhere'").is_worse


@on_sqlite
@pytest.mark.parametrize("status", ["launched", "running"])
def test_of_a_run_that_has_not_ended_it_cannot_be_told_yet(
    tracked: TrainingDB, status: str
) -> None:
    for run_id, value, day in (("run", 9.0, 10), ("nan", float("nan"), 11), ("empty", None, 12)):
        add(tracked, run_id, value, day, status=status)
        found = tracked.analysis.regression("loss", run_id)
        assert (found.is_worse, found.baseline_value) == (None, 0.5)
        assert (
            f"loss of {run_id} is worse cannot be told yet: it is {status}, and" in found.sentence
        )
        assert tracked.analysis.regression("loss", run_id, tolerance=1).is_worse is None
    assert "and is 9, against 0.5, the" in tracked.analysis.regression("loss", "run").sentence


@on_sqlite
def test_too_few_good_runs_cannot_tell_without_a_tolerance(db: TrainingDB) -> None:
    add(db, "r1", 0.5, 1)
    add(db, "run", 0.6, 2)
    found = db.analysis.regression("loss", "run")
    assert (found.is_worse, found.threshold, found.spread) == (None, None, None)
    assert found.baseline_value == 0.5
    assert found.difference == pytest.approx(0.1)
    assert (
        "cannot be told: noise is told by 3 runs at least, and 1 are known (one completed run"
        in found.sentence
    )
    assert db.analysis.regression("loss", "run", tolerance=0.05).is_worse
    loose = db.analysis.regression("loss", "run", tolerance="30%")
    assert (loose.is_worse, loose.spread) == (False, None)
    assert "worse is above 0.65 with a tolerance of 30%" in loose.sentence
    alone = db.analysis.regression("loss", "r1")
    assert (alone.is_worse, alone.baseline_value) == (None, None)
    assert "nothing to compare with, no finite value of completed runs bef" in alone.sentence
    assert db.analysis.regression("loss", "r1", tolerance=1).is_worse is None


@on_sqlite
def test_runs_that_repeat_each_other_let_pass_what_rounding_does(db: TrainingDB) -> None:
    for day in range(1, 5):
        add(db, f"r{day}", 0.1 + 0.2, day)
    add(db, "same", 0.3, 8)
    add(db, "worse", 0.301, 9)
    assert not db.analysis.regression("loss", "same").is_worse
    assert db.analysis.regression("loss", "worse", last=4).is_worse


def test_the_direction_that_the_run_has_stored_counts(db: TrainingDB) -> None:
    for run_id, score, direction in (("r1", 0.5, "minimize"), ("r2", 0.9, "maximize")):
        add(db, run_id, None, int(run_id[1]))
        db.objectives.insert(run_id, "QED", raw_mean=score, direction=direction)
    found = db.analysis.regression("QED", "r2", tolerance=0)
    assert (found.is_worse, found.direction) == (False, "maximize")


@on_sqlite
def test_what_cannot_be_used_is_said(tracked: TrainingDB) -> None:
    regression = tracked.analysis.regression
    for options, message in (
        ({"last": 0}, "last is 0; pass a whole number, 1 or more"),
        ({"min_runs": 1}, "min_runs is 1"),
        ({"confidence": 1}, "confidence is 1"),
        ({"same": 5}, "same is 5; pass a field"),
        ({"same": ["host", 5]}, "pass a field"),
        ({"tolerance": "wide"}, "tolerance 'wide'"),
    ):
        with pytest.raises(InvalidValue, match=message):
            regression("loss", "good6", **options)  # type: ignore[arg-type]
    with pytest.raises(RunNotFound):
        regression("loss", "nobody")


def test_a_run_in_the_trash_is_compared_and_is_no_baseline(tracked: TrainingDB) -> None:
    for run_id in ("good5", "good6"):
        tracked.runs.delete(run_id)
    found = tracked.analysis.regression("loss", "good6", last=3)
    assert (found.value, found.baseline_runs) == (GOOD[5], ("good4", "good3", "good2"))
    with pytest.raises(InvalidValue, match="'good5' is in the trash"):
        tracked.analysis.regression("loss", "good6", baseline="good5")


def test_an_answer_is_kept_as_an_event_once(tracked: TrainingDB) -> None:
    found = tracked.analysis.regression("loss", "good6", save=True)
    tracked.analysis.regression("loss", "good6", save=True)
    (event,) = [one for one in tracked.events.list("good6") if one["kind"] == "analysis.regression"]
    assert event["message"] == found.sentence
    assert json.loads(event["data_json"])["threshold"] == found.threshold
