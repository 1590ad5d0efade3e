"""How fast curves got where they got, by formulas that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training_db.analysis.curves.convergence import convergence_speed
from training_db.errors import InvalidValue, UnknownName

STEPS = np.arange(500)
DECAY = 2.0 + np.exp(-STEPS / 40)


@pytest.mark.parametrize("sign", [1, -1])
def test_an_exponential_decay_is_as_fast_as_its_formula_says(sign: int) -> None:
    noise = 0.01 * np.random.default_rng(0).standard_normal(500)
    speed = convergence_speed(sign * (DECAY + noise), 10 * STEPS)
    assert speed is not None
    assert speed.direction == ("minimize" if sign == 1 else "maximize")
    assert (sign * speed.first, sign * speed.last) == pytest.approx((3, 2), abs=0.03)
    assert speed.change == speed.last - speed.first
    assert speed.step_50 == pytest.approx(400 * np.log(2), rel=0.1)
    assert speed.step_90 == pytest.approx(400 * np.log(10), rel=0.1)
    assert speed.step_50 < speed.step_90 < speed.step_95 < speed.step_99
    assert speed.half_life == pytest.approx(400 * np.log(2), rel=0.1)
    assert speed.area == pytest.approx(40 / 500, rel=0.1)
    assert speed.settled


def test_the_steps_are_those_at_which_so_much_was_made() -> None:
    speed = convergence_speed(DECAY)
    assert speed is not None
    for share, step in ((0.5, speed.step_50), (0.9, speed.step_90), (0.95, speed.step_95)):
        assert (3 - DECAY[int(step)]) >= share * 0.999 > 3 - DECAY[int(step) - 1] - 0.001
        assert isinstance(step, int)


def test_an_even_pace_has_half_the_area_and_has_not_settled() -> None:
    speed = convergence_speed(np.linspace(0, 1, 500))
    assert speed is not None
    assert (speed.direction, speed.settled, speed.half_life) == ("maximize", False, None)
    assert speed.area == pytest.approx(0.5, abs=0.06)
    assert speed.step_50 == pytest.approx(250, abs=25)


def test_what_happens_at_the_very_end_has_the_whole_area() -> None:
    late = np.where(STEPS < 390, 1.0, 0.0)
    speed = convergence_speed(late)
    assert speed is not None
    assert speed.area == pytest.approx(390 / 500, abs=0.01)
    assert speed.settled  # it fell late, and then stayed
    assert speed.step_50 == speed.step_99 == 390


def test_what_happens_at_once_has_no_area() -> None:
    speed = convergence_speed([10.0] + [1.0] * 99)
    assert speed is None  # a single value is an outlier, as far as one can tell
    speed = convergence_speed([10.0] * 3 + [1.0] * 97)
    assert speed is not None
    assert speed.area < 0.05
    assert speed.half_life is None


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_noise_alone_converges_nowhere(memory: float) -> None:
    chance = np.random.default_rng(1)
    for n in (8, 30, 300):
        for _ in range(30):
            curve = chance.standard_normal(n)
            for index in range(1, n):
                curve[index] += memory * curve[index - 1]
            assert convergence_speed(curve) is None


def test_values_of_few_levels_are_noise_too() -> None:
    chance = np.random.default_rng(2)
    for n in (20, 200, 1000):
        for odds in (0.1, 0.5):
            assert convergence_speed(chance.random(n) < odds) is None
    assert convergence_speed([1, 3] * 20) is None
    wins = chance.random(2000) < np.linspace(0.1, 0.9, 2000)
    speed = convergence_speed(wins)
    assert speed is not None
    assert (speed.first, speed.last) == pytest.approx((0.1, 0.87), abs=0.1)


def test_a_short_curve_is_steep_at_its_beginning() -> None:
    speed = convergence_speed([1.0, 0.5, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2])
    assert speed is not None
    assert (speed.first, speed.last, speed.step_50) == pytest.approx((1.0, 0.2, 1))


def test_the_wrong_way_is_no_convergence() -> None:
    assert convergence_speed(DECAY, direction="maximize") is None
    assert convergence_speed(-DECAY, direction="min") is None
    assert convergence_speed(DECAY, direction="min") == convergence_speed(DECAY)


def test_a_slow_rise_in_noise_has_not_settled() -> None:
    noise = 0.07 * np.random.default_rng(2).standard_normal(130)
    speed = convergence_speed(np.linspace(0, 1, 130) + noise)
    assert speed is not None
    assert not speed.settled


def test_noise_hides_when_a_curve_settles_but_not_that_it_did() -> None:
    chance = np.random.default_rng(3)
    settled = []
    for _ in range(20):
        speed = convergence_speed(DECAY + 0.15 * chance.standard_normal(500))
        assert speed is not None
        settled.append(speed.settled)
        assert speed.step_50 == pytest.approx(40 * np.log(2), abs=30)
    assert np.mean(settled) >= 0.9


def test_gaps_odd_values_and_the_order_of_steps_do_not_matter() -> None:
    odd: list[Any] = DECAY.tolist()
    odd[30], odd[60], odd[90] = None, float("nan"), "x"
    speed, whole = convergence_speed(odd), convergence_speed(DECAY)
    assert speed is not None
    assert whole is not None
    assert (speed.step_50, speed.settled) == (whole.step_50, whole.settled)
    mixed = np.random.default_rng(4).permutation(500)
    assert convergence_speed(DECAY[mixed], STEPS[mixed]) == whole


@pytest.mark.parametrize("scale", [1e-310, 1e-5, 5e307])
def test_the_scale_does_not_matter(scale: float) -> None:
    speed = convergence_speed(scale * DECAY)
    assert speed is not None
    assert speed.step_50 == pytest.approx(28, abs=1)
    assert speed.change == pytest.approx(-scale, rel=0.01)


@pytest.mark.parametrize(
    "values",
    [[], [1.0], [3.0, 2.0, 1.0], [1.0] * 50, [float("nan")] * 50, [float("inf")] * 50,
     [None] * 50, [10**400] * 50],
)  # fmt: skip
def test_nothing_is_said_where_nothing_converges(values: list[Any]) -> None:
    assert convergence_speed(values) is None


def test_values_from_end_to_end_of_the_floats_are_no_trouble() -> None:
    speed = convergence_speed(np.linspace(-1, 1, 100) * 1.7e308)
    assert speed is not None
    assert speed.change == float("inf")
    assert speed.area == pytest.approx(0.5, abs=0.06)


def test_steps_that_are_all_the_same_are_no_trouble() -> None:
    speed = convergence_speed(DECAY, [7] * 500)
    assert speed is not None
    assert (speed.step_50, speed.half_life) == (7, None)
    assert 0.0 < speed.area < 0.2


def test_bad_arguments_are_told() -> None:
    with pytest.raises(UnknownName, match="direction 'up'"):
        convergence_speed(DECAY, direction="up")
    with pytest.raises(InvalidValue, match="2 values have 1 steps"):
        convergence_speed([1, 2], [1])
