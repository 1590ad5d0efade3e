"""Plateaus of curves: where they begin, how sure they are, and what has none."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from training_db.analysis.curves.block_trends import block_means, leaps_between
from training_db.analysis.curves.curve import as_curve
from training_db.analysis.curves.noise import (
    median,
    point_noise,
    rolling_median,
    spread,
    without_spikes,
)
from training_db.analysis.curves.plateau import Plateau, detect_plateau
from training_db.documents import encode
from training_db.errors import InvalidValue

NAN, INF = math.nan, math.inf
X = np.arange(1_000)


def noise(sigma: float, count: int = 1_000, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, sigma, count)


def found(values: Any, steps: Any = None) -> Plateau:
    plateau = detect_plateau(values, steps)
    assert plateau is not None
    return plateau


DECAY = np.exp(-X / 80)


@pytest.mark.parametrize("scale", [1.0, -1.0, 1e-6, 3e12])
@pytest.mark.parametrize("sigma", [0.0, 0.01, 0.05])
def test_a_decay_is_flat_from_where_little_is_left(scale: float, sigma: float) -> None:
    plateau = found(scale * (2 + DECAY + noise(sigma)))
    assert 150 <= plateau.step <= 400
    assert plateau.level == pytest.approx(scale * 2, abs=abs(scale) * max(0.005, sigma / 5))
    assert plateau.confidence > 0.95


def test_a_plateau_is_told_in_steps_in_any_order() -> None:
    steps = 5_000 + 20 * X
    order = np.random.default_rng(1).permutation(1_000)
    values = np.where(X < 400, 1.0, 0.0) + noise(0.02)
    plateau = found(values[order], steps[order])
    assert plateau == found(values, steps)
    assert plateau.step == pytest.approx(5_000 + 20 * 400, abs=20 * 8)
    assert type(plateau.step) is int
    assert type(found(values, steps / 7).step) is float


def test_a_drop_is_found_to_the_point_in_a_short_curve() -> None:
    assert found([3.0] * 10 + [1.0] * 20) == Plateau(10, 1.0, 1.0)
    assert found([5, 4, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1]).step == 4


def test_five_of_the_same_value_are_enough() -> None:
    assert found([5, 4, 3, 2, 1, 1, 1, 1, 1]) == Plateau(4, 1.0, 1.0)
    assert detect_plateau([5, 4, 3, 2, 1, 1, 1, 1]) is None
    assert detect_plateau([0.0] * 95 + [1.0] * 5) is None  # less than a tenth of it


def test_what_has_not_come_near_its_level_is_no_plateau_yet() -> None:
    assert detect_plateau(1 - 0.9 * np.exp(-np.arange(10) / 1.25)) is None


def test_a_curve_that_fell_to_chance_stays_there() -> None:
    accuracy = [0.69, 0.78, 0.80, *[0.1] * 9]
    assert found(accuracy).step == 3


def test_a_flat_curve_is_a_plateau_from_its_first_step() -> None:
    assert found([7] * 8, range(100, 108)) == Plateau(100, 7.0, 1.0)
    plateau = found(3 + noise(1.0))
    assert plateau.step == 0
    assert plateau.level == pytest.approx(3, abs=0.15)
    coin = np.random.default_rng(3).random(1_000) < 0.5
    assert found(coin).step == 0
    assert found(coin).level == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    "values",
    [
        -X,
        -X / 1_000 + noise(0.5),
        -X / 1_000 + noise(1.3),
        -np.log1p(X) + noise(0.05),
        (1 + X) ** -0.3,
        (1 + X) ** -0.5 + noise(0.002),
        (X - 500.0) ** 2,
        np.maximum(DECAY, (X - 300) / 2_000) + noise(0.01),
        DECAY + 20 * np.exp((X - 1_000.0) / 15),
        np.where(X < 950, 1.0, 0.0) + noise(0.02),
        np.interp(X, [0, 200, 700, 1_000], [2, 1, 1, 0]) + noise(0.02),
        np.arange(8),
    ],
    ids=[
        "straight", "straight in noise", "straight in much noise", "logarithm", "power law",
        "power law in noise", "turns", "comes back", "diverges", "drops at the end",
        "falls again", "short",
    ],
)  # fmt: skip
def test_a_curve_that_still_moves_has_no_plateau(values: Any) -> None:
    assert detect_plateau(values) is None
    assert detect_plateau(-np.asarray(values)) is None


def test_a_high_beginning_does_not_make_a_slow_fall_flat() -> None:
    slow = 1.7 + 0.3 * ((X + 1) / 1_000) ** -0.3
    assert detect_plateau(slow + 8 * np.exp(-X / 5) + noise(0.02)) is None


def test_noise_that_hides_the_curve_has_no_plateau_after_a_change() -> None:
    hardly = np.where(X < 850, -X / 850, -1.0)
    assert detect_plateau(hardly + noise(0.6)) is None
    assert found(np.where(X < 300, -X / 300, -1.0) + noise(0.2)).step > 0


def test_more_points_and_less_noise_make_it_surer() -> None:
    def sure(flat: int, sigma: float) -> float:
        # The same noise in each, so that the evidence alone differs.
        shape = np.interp(np.arange(100 + flat), [0, 100], [1, 0])
        curves = [shape + sigma * noise(1.0, 300, seed)[: len(shape)] for seed in range(20)]
        plateaus = [detect_plateau(curve) for curve in curves]
        return float(np.mean([one.confidence if one else 0.0 for one in plateaus]))

    longer = [sure(flat, 0.1) for flat in (20, 40, 80, 200)]
    calmer = [sure(60, sigma) for sigma in (0.5, 0.2, 0.1, 0.05, 0.01)]
    assert longer == sorted(longer)
    assert calmer == sorted(calmer)
    assert calmer[0] < 0.5 < 0.99 < calmer[-1] <= 1


def test_noise_with_a_memory_is_no_trend() -> None:
    # Each value is a part of the one before: it wanders for a while, and comes back.
    right = 0
    for seed in range(30):
        wandering = noise(0.03, seed=seed)
        for index in range(1, 1_000):
            wandering[index] += 0.8 * wandering[index - 1]
        plateau = detect_plateau(np.exp(-X / 60) + wandering)
        right += plateau is not None and 90 <= plateau.step <= 400
        assert found(wandering).step == 0
    assert right >= 28


@pytest.mark.parametrize("outlier", [NAN, INF, -INF, 1e6, -1e6])
def test_outliers_do_not_hide_a_plateau(outlier: float) -> None:
    values = np.where(X < 300, 2.0, 1.0) + noise(0.02)
    values[[0, 50, 299, 400, 700, 701, 999]] = outlier
    plateau = found(values)
    assert plateau.step == pytest.approx(300, abs=8)
    assert plateau.level == pytest.approx(1, abs=0.01)


def test_a_value_that_is_held_until_the_next_is_measured_counts_once() -> None:
    rising = np.array([10, 25, 36, 46, 52, 57, 61, 63.5, 66.7, 68.2, 68.3])
    assert detect_plateau(np.repeat(rising, 72)) is None
    settled = np.append(rising, 68.2 + noise(0.05, 12))
    assert found(np.repeat(settled, 72)[:-30]).step == pytest.approx(9 * 72, abs=2 * 72)
    stays = np.append(np.repeat(rising, 72), [68.3] * 600)
    assert found(stays).step == pytest.approx(9 * 72, abs=72)


def test_a_single_value_off_a_constant_is_no_change() -> None:
    assert found(np.where(X == 500, 1.0, 0.0)) == Plateau(0, 0.0, 1.0)


def test_numbers_at_the_ends_of_the_floats_are_read() -> None:
    assert found(np.where(X < 300, 1e308, -1e308)) == Plateau(300, -1e308, 1.0)
    tiny = found(np.where(X < 300, 1e-310, 5e-320))
    assert (tiny.step, tiny.level) == (300, 5e-320)
    far = found(1e12 + np.where(X < 300, 1.0, 0.0))
    assert (far.step, far.level) == (300, 1e12)
    assert found([10**400, -(10**400), *[1] * 8]).step == 2  # beyond the floats: infinite


def test_what_is_no_number_is_left_out() -> None:
    cells = np.array([1.0, None, {"_type": "table"}, "x"] * 8, dtype=object)
    assert found(cells, range(32)) == Plateau(0, 1.0, 1.0)
    assert found([None, 2, True] * 8).step in {1, 2}
    assert found([True] * 9) == Plateau(0, 1.0, 1.0)
    assert found(["off", *[1.0] * 8]).step == 1
    nothings: list[Any] = [[], np.array([], dtype=str), [1.0] * 7, [NAN] * 20, [None] * 20]
    assert [detect_plateau(nothing) for nothing in nothings] == [None] * 5


@pytest.mark.parametrize(
    ("values", "steps", "what"),
    [
        ([1, 2], [1], "2 values have 1 steps"),
        ([1, 2], [1, NAN], "steps must be finite"),
        ([1, 2], [1, None], "steps must be finite"),
        ([1, 2], ["a", "b"], "steps must be numbers, not text such as 'a'"),
        (["a", "b"], None, "values must be numbers, not text such as 'a'"),
        ([[1, 2], [3, 4]], None, r"not of shape \(2, 2\)"),
        ([[1], [1, 2]], None, "values must be numbers in one row"),
        (5, None, "in one row, not a int"),
        (iter([1.0] * 9), None, "in one row, not a list_iterator"),
        (np.ones(9) * 1j, None, "not complex128"),
        (np.arange(9).astype("datetime64[s]"), None, "not datetime64"),
    ],
)
def test_what_is_no_curve_is_told(values: Any, steps: Any, what: str) -> None:
    with pytest.raises(InvalidValue, match=what):
        detect_plateau(values, steps)


def test_a_plateau_goes_to_json() -> None:
    plateau = found(DECAY + noise(0.01))
    assert encode(asdict(plateau))
    assert {type(value) for value in asdict(plateau).values()} == {int, float}


def test_values_that_share_a_step_keep_their_order() -> None:
    curve = as_curve([1, 2, 3, 4], steps=[5, 0, 5, 0])
    assert curve.values.tolist() == [2, 4, 1, 3]
    assert curve.steps.tolist() == [0, 0, 5, 5]
    large = as_curve([1, 2], steps=[10**30, 5])
    assert (large.values.tolist(), large.step(1)) == ([2, 1], 1e30)
    assert len(as_curve(np.array([1, 2], dtype=np.uint8)).finite()) == 2
    assert [as_curve([1, 2], steps=[True, False]).step(index) for index in (0, 1)] == [0, 1]
    assert type(as_curve([1], steps=[True]).step(0)) is int


def test_noise_is_measured_in_spite_of_trend_and_outliers() -> None:
    trend = 5 * np.sin(X / 100)
    values = trend + noise(0.3)
    values[::50] += 100
    assert point_noise(values) == pytest.approx(0.3, rel=0.15)
    assert point_noise(np.array([1.0, 2.0])) == 0
    assert np.abs(without_spikes(values) - trend).max() < 3
    assert np.array_equal(without_spikes(np.zeros(3)), np.zeros(3))


def test_a_rolling_median_follows_a_slope_to_its_ends() -> None:
    line = np.arange(40.0)
    assert rolling_median(line, 11).tolist() == line.tolist()
    for place in (0, 1, 2, -1):
        off = np.where(np.arange(40) == place % 40, 99.0, line)
        assert np.abs(rolling_median(off, 11) - line).max() <= 2
    assert rolling_median(np.array([4.0]), 11).tolist() == [4.0]
    leap = np.where(np.arange(40) < 20, 0.0, 1.0)
    assert rolling_median(leap, 7).tolist() == leap.tolist()
    values = noise(1, 100)
    inner = [float(np.median(values[index - 3 : index + 4])) for index in range(3, 97)]
    assert rolling_median(values, 7)[3:97] == pytest.approx(inner)


@pytest.mark.parametrize("count", [1, 2, 5, 10, 101])
def test_median_and_spread_are_those_of_numpy(count: int) -> None:
    values = noise(2, count)
    assert median(values) == pytest.approx(float(np.median(values)))
    assert spread(values) == pytest.approx(1.4826 * float(np.median(np.abs(values))), rel=1e-4)


def test_the_spread_of_few_levels_is_not_nothing() -> None:
    assert spread(np.array([0.0] * 8 + [1.0] * 2)) > 0.5
    assert spread(np.array([0.0] * 99 + [1.0])) == 0


def test_blocks_are_cut_between_points_and_at_the_beginning() -> None:
    sums = np.concatenate(([0.0], np.cumsum(np.arange(8.0))))
    means = block_means(sums, np.array([-4.0, 0.0]), np.array([4.0, 8.0]))
    assert means[1].tolist() == list(range(8))
    assert np.isnan(means[0, :4]).all()
    assert means[0, 4:].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [8, 15, 16, 31, 32, 1_000])
def test_leaps_are_told_from_noise(count: int) -> None:
    def ratio(values: Any) -> float:
        return leaps_between(np.concatenate(([0.0], np.cumsum(values))), point_noise(values))

    still = [ratio(noise(1, count, seed)) for seed in range(40)]
    assert 0.4 < float(np.median(still)) < 2
    assert ratio(np.arange(count) + noise(0.2, count)) > 12
    assert ratio(np.where(np.arange(count) < count // 2, 0.0, 9.0) + noise(1, count)) > 12
