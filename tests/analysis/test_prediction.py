"""What is expected of a run that is no worse, and how much worse is let pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from training_db.analysis.regression.outliers import far_off
from training_db.analysis.regression.prediction import expected, mean_of
from training_db.analysis.regression.tolerance import as_tolerance
from training_db.errors import InvalidValue


def test_the_limit_is_passed_as_seldom_as_it_says() -> None:
    random = np.random.default_rng(0)
    passed = 0
    for _ in range(3_000):
        values = random.normal(size=9)
        limit = expected(values[:5].tolist(), values[:8].tolist(), 0.9)
        alone = expected(values[:8].tolist(), values[:8].tolist(), 0.9)
        passed += bool(values[8] > alone.centre + alone.margin)
        assert limit.margin > alone.margin  # the fewer the baseline is, the less it is known
    assert passed / 3_000 == pytest.approx(0.1, abs=0.02)


def test_values_beyond_what_can_be_squared_are_expected_too() -> None:
    found = expected([1e308, 1.1e308], [1e308, 1.1e308, 0.9e308])
    assert found.centre == pytest.approx(1.05e308)
    assert 0 < found.spread < math.inf
    assert mean_of([0.0, -0.0]) == 0
    with pytest.raises(InvalidValue, match="0 runs to compare with and 2"):
        expected([], [1.0, 2.0])
    with pytest.raises(InvalidValue, match="1 runs to compare with and 1"):
        expected([1.0], [1.0])


def test_values_far_off_are_found_on_either_side_and_enough_are_left() -> None:
    assert far_off([0.3, 0.31, -9.0, 0.29, 300.0, 0.3], 3) == [2, 4]
    assert far_off([0.3, 0.31, -9.0, 0.29, 300.0, 0.3], 5) == [4]
    assert far_off([0.3, 0.31, 300.0], 2) == []
    assert far_off([], 3) == []
    assert far_off([0.3, 0.31, 0.29, 0.3, 1e308, -1e308], 3) == [4, 5]
    assert far_off([5e-324, 1e-323, 0.0, 5e-324, 1.0], 3) == []


def test_values_of_which_most_are_equal_are_far_off_by_a_share_of_them() -> None:
    assert far_off([0.3, 300.0, 0.3, 0.3], 3) == [1]
    assert far_off([0.3, 300.0] + [0.3] * 5 + [300.0, -300.0], 3) == [1, 7, 8]
    assert far_off([0.90, 0.90, 0.91, 0.90, 0.89], 3) == []
    assert far_off([0.0, 0.0, 0.0, 0.0, 1.0], 3) == []


@pytest.mark.parametrize(("runs", "passed"), [(5, 0.022), (10, 0.0112)])
def test_leaving_values_out_seldom_calls_a_good_run_worse(runs: int, passed: float) -> None:
    random = np.random.default_rng(0)
    beyond = 0
    for values in random.normal(size=(5_000, runs + 1)):
        off = far_off(values[1:].tolist(), 3)
        left = np.delete(values[1:], off).tolist()
        limit = expected(left, left)
        beyond += bool(values[0] > limit.centre + limit.margin)
    assert beyond / 5_000 == pytest.approx(passed, abs=0.006)


@pytest.mark.parametrize(
    ("given", "text", "of_minus_20"),
    [
        ("5%", "5%", 1.0), (" 2.5 % ", "2.5%", 0.5), ("0.25", "0.25", 0.25), (3, "3", 3.0),
        (0, "0", 0.0),
    ],
)  # fmt: skip
def test_a_tolerance_is_a_number_or_a_share(given: Any, text: str, of_minus_20: float) -> None:
    tolerance = as_tolerance(given)
    assert (str(tolerance), tolerance.of(-20.0)) == (text, pytest.approx(of_minus_20))


@pytest.mark.parametrize(
    "given",
    ["", "%", "1e999", "5 5%", "--1", "-5%", -1, float("nan"), float("inf"), True, [], 10**400],
)  # fmt: skip
def test_what_is_no_tolerance_is_refused(given: Any) -> None:
    with pytest.raises(InvalidValue, match="no number of 0 or more"):
        as_tolerance(given)
