"""Averaged curves with bands."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from training_db.analysis.comparison.bands import band
from training_db.errors import InvalidValue, MetricNotFound, UnknownName

if TYPE_CHECKING:
    from training_db import TrainingDB


@dataclass
class Curve:
    x: Any
    values: Any


def test_a_run_that_ended_is_no_longer_averaged_in() -> None:
    long = Curve(range(5), [4.0, 3.0, 2.0, 1.0, 0.0])
    short = Curve(range(3), [8.0, 7.0, 6.0])
    (one,) = band([("mgda", [long, short])], n=5)
    assert one.steps.tolist() == [0, 1, 2, 3, 4]
    assert one.runs.tolist() == [2, 2, 2, 1, 1]
    assert one.middle.tolist() == [6.0, 5.0, 4.0, 1.0, 0.0]
    assert np.isnan(one.low).tolist() == [False, False, False, True, True]
    assert one.total == 2


def test_a_run_that_began_late_counts_from_where_it_began() -> None:
    early, late = Curve([0, 4], [0.0, 4.0]), Curve([2, 4], [10.0, 10.0])
    (one,) = band([(None, [early, late])], n=5, statistic="median")
    assert one.runs.tolist() == [1, 1, 2, 2, 2]
    assert one.middle.tolist() == [0.0, 1.0, 6.0, 6.5, 7.0]


def test_the_band_of_a_mean_is_its_t_interval() -> None:
    rows = np.random.default_rng(2).normal(size=(7, 3))
    (one,) = band([("a", [Curve([0, 1, 2], row) for row in rows])], n=3, confidence=0.9)
    for place in range(3):
        column = rows[:, place]
        interval = stats.t.interval(0.9, 6, column.mean(), stats.sem(column))
        assert (one.low[place], one.high[place]) == pytest.approx(interval)
    assert "mean" in one.shows
    assert "0.9" in one.shows


def test_the_band_of_a_median_is_the_middle_half() -> None:
    (one,) = band([("a", [Curve([0], [float(value)]) for value in range(5)])], statistic="median")
    assert (one.low[0], one.middle[0], one.high[0]) == (1.0, 2.0, 3.0)
    assert one.runs.tolist() == [5]


def test_groups_share_a_grid_and_cover_their_own_part_of_it() -> None:
    first, second = band(
        [("late", [Curve([50, 100], [1.0, 1.0])]), ("early", [Curve([0, 50], [2.0, 2.0])] * 2)],
        n=11,
    )
    assert (first.group, second.group) == ("early", "late")  # the larger first
    assert first.steps.tolist() == [0, 10, 20, 30, 40, 50]
    assert second.steps.tolist() == [50, 60, 70, 80, 90, 100]


def test_a_gap_between_runs_is_a_gap_in_the_curve() -> None:
    (one,) = band([("a", [Curve([0, 1], [1.0, 1.0]), Curve([9, 10], [2.0, 2.0])])], n=11)
    assert one.runs.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert np.isnan(one.middle[5])


def test_values_that_are_not_finite_are_bridged_and_end_a_curve() -> None:
    broken = Curve(range(6), [0.0, math.nan, 2.0, 3.0, math.inf, math.nan])
    whole = Curve(range(6), [0.0] * 6)
    (one,) = band([("a", [broken, whole])], n=6)
    assert one.middle.tolist() == [0.0, 0.5, 1.0, 1.5, 0.0, 0.0]
    assert one.runs.tolist() == [2, 2, 2, 2, 1, 1]


def test_a_run_between_two_steps_of_the_grid_still_counts() -> None:
    long, dot = Curve([0, 100], [0.0, 0.0]), Curve([14], [4.0])
    (one,) = band([("a", [long, dot])], n=11, statistic="median")
    assert one.runs.tolist() == [1, 2, *[1] * 9]
    assert one.middle[1] == 2.0


def test_steps_in_any_order_and_values_of_any_kind_are_taken() -> None:
    odd = Curve([2, 0, 1], np.array([2, True, "x"], dtype=object))
    (one,) = band([("a", [odd])], n=3)
    assert one.middle.tolist() == [1.0, 1.5, 2.0]


def test_what_has_no_finite_value_has_no_band() -> None:
    nothing = [Curve([], []), Curve([1], [math.nan])]
    assert band([("a", nothing)]) == []
    assert band([]) == []
    (one,) = band([("a", nothing), ("b", [Curve([3], [1.0])])])
    assert (one.group, one.steps.tolist()) == ("b", [3.0])


def test_huge_values_overflow_nothing() -> None:
    values = [1.7e308, -1.7e308, 1.7e308]
    for statistic in ("mean", "median"):
        (one,) = band([("a", [Curve(range(3), values)] * 3)], n=5, statistic=statistic)
        assert one.middle[0] == pytest.approx(1.7e308)


@pytest.mark.parametrize("n", [1, 0, -3, 2.5, True, "9", 10**9])
def test_a_grid_has_a_sensible_number_of_steps(n: Any) -> None:
    with pytest.raises(InvalidValue, match="n is"):
        band([("a", [Curve([1], [1.0])])], n=n)


def test_odd_questions_are_errors_of_ours(db: TrainingDB) -> None:
    with pytest.raises(InvalidValue, match="shape"):
        band([("a", [Curve([1, 2], [1.0])])])
    with pytest.raises(UnknownName, match="median"):
        band([], statistic="mode")
    with pytest.raises(MetricNotFound):
        db.analysis.bands("loss")


def test_runs_are_averaged_by_any_attribute(db: TrainingDB) -> None:
    for number, (method, losses) in enumerate(
        [("mgda", [2.0, 1.0, 0.0]), ("mgda", [4.0, 3.0]), ("sum", [1.0, 1.0, 1.0]), (None, [5.0])]
    ):
        db.runs.insert(f"r{number}", gradient_method=method, status="completed")
        db.history.append(f"r{number}", {"loss": losses})
    db.runs.insert("without the metric", gradient_method="mgda")
    found = {one.group: one for one in db.analysis.bands("loss", n=3)}
    assert list(found) == ["mgda", "sum", None]
    assert found["mgda"].middle.tolist() == [3.0, 2.0, 0.0]
    assert found["mgda"].runs.tolist() == [2, 2, 1]
    assert found["mgda"].total == 2
    assert found[None].steps.tolist() == [0.0]
    only = db.analysis.bands(
        "loss", "gradient_method", "gradient_method = 'sum'", statistic="median"
    )
    assert [one.group for one in only] == ["sum"]
    plain = found["sum"].as_dict()
    assert json.loads(json.dumps(plain))["runs"] == [1, 1, 1]
