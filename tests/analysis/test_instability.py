"""Instability of curves: spikes, what is not finite, divergence; and gradients that explode."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.analysis.curves import curves
from training_db.analysis.curves.explosion import Explosion, detect_explosions
from training_db.analysis.curves.instability import Instability, NonFinite, detect_instability
from training_db.documents import encode
from training_db.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    from training_db.analysis.curves.divergence import Divergence

NAN, INF = math.nan, math.inf
X = np.arange(1_000)
DECAY = np.exp(-X / 100)


def noise(sigma: float, count: int = 1_000, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(0, sigma, count)


def steps_of_spikes(values: Any, **settings: Any) -> list[float]:
    return [spike.step for spike in detect_instability(values, **settings).spikes]


def divergence(values: Any, steps: Any = None, **settings: Any) -> Divergence:
    found = detect_instability(values, steps, **settings).divergence
    assert found is not None
    return found


def test_a_calm_curve_has_nothing() -> None:
    for values in (DECAY + noise(0.02), noise(1.0), [], [1.0], [3, 2], X, np.ones(50)):
        found = detect_instability(values)
        assert found == Instability()
        assert not found


def test_a_spike_is_told_with_its_size_its_value_and_its_length() -> None:
    values = DECAY + noise(0.02)
    values[400] += 1
    values[700:703] -= [0.5, 0.9, 0.4]
    up, down = detect_instability(values, 10 * X).spikes
    assert (up.step, up.value, up.points) == (4_000, values[400], 1)
    assert up.size == pytest.approx(1 / 0.02, rel=0.4)
    assert (down.step, down.value, down.points) == (7_010, values[701], 3)
    assert down.size == pytest.approx(-0.9 / 0.02, rel=0.4)


def test_a_spike_is_measured_by_what_is_around_it() -> None:
    # The noise is ten times as large in the first half: what is a spike later is none there.
    values = noise(1.0) * np.where(X < 500, 0.5, 0.05)
    values[[250, 750]] += 1
    assert steps_of_spikes(values) == [750]
    assert steps_of_spikes(values, threshold=30) == []


def test_two_values_with_one_between_them_are_one_spike() -> None:
    values = noise(0.02)
    values[[300, 302]] += 1
    values[[500, 504]] += 1
    spikes = detect_instability(values).spikes
    assert [(spike.step, spike.points) for spike in spikes] in (
        [(300, 2), (500, 1), (504, 1)],
        [(302, 2), (500, 1), (504, 1)],
    )


@pytest.mark.parametrize(
    "values",
    [
        np.where(X < 500, 1.0, 0.0) + noise(0.01),
        0.1 ** np.floor(X / 250),
        np.minimum(X / 100, (1_000 - X) / 900),
        np.cos(np.pi * (X % 200) / 200),
        np.exp(-X / 5),
        (1 + X) ** -0.5,
        np.abs(X % 20 - 10.0),
        0.05 * (X % 50) / 50 + np.exp(-X / 80) + noise(0.005),
        DECAY + 5 * np.exp(-(((X - 600) / 30) ** 2)) + noise(0.01),
        np.where((X > 500) & (X < 540), 3.0, 0.0) + noise(0.01),
        np.where((X > 500) & (X < 516), 3.0, 0.0) + noise(0.01),
    ],
    ids=[
        "a step", "a staircase", "a warm-up", "restarts", "a steep beginning", "a power law",
        "teeth", "teeth of epochs", "a broad bump", "a table", "a small table",
    ],
)  # fmt: skip
def test_what_a_curve_does_by_itself_is_no_spike(values: Any) -> None:
    assert steps_of_spikes(values) == []
    assert steps_of_spikes(-values) == []
    assert steps_of_spikes(values[::-1]) == []


def test_noise_with_a_memory_neither_spikes_nor_diverges() -> None:
    leaves = 0
    for seed in range(60):
        wandering = noise(0.01, 200, seed)
        for index in range(1, 200):
            wandering[index] += 0.85 * wandering[index - 1]
        steep = np.exp(-np.arange(200) / 15) + wandering
        found = [detect_instability(one) for one in (wandering, steep, np.round(wandering, 2))]
        assert not any(one.spikes for one in found)
        leaves += any(one.divergence for one in found)
    assert leaves <= 1


def test_where_a_curve_stands_still_spikes_are_measured_by_the_rest_of_it() -> None:
    values = np.where(X < 600, noise(0.1), 0.0)
    values[[700, 800, 900]] = [0.05, 3, 0.05]
    late = [spike for spike in detect_instability(values).spikes if spike.step > 650]
    assert [spike.step for spike in late] == [800]
    assert 3 / 0.1 < late[0].size < 1_000


def test_of_curves_of_all_shapes_hardly_a_value_is_called_a_spike() -> None:
    wrong = []
    for curve in curves(500):
        right = {point + off for spike in curve.spikes for point in spike for off in (-2, 0, 2)}
        found = np.searchsorted(curve.steps, steps_of_spikes(curve.values, steps=curve.steps))
        wrong += sorted(set(found.tolist()) - right - curve.open_points)
    assert len(wrong) <= 4


def test_the_value_before_a_leap_is_no_spike() -> None:
    accuracy = [0.6904, 0.779, 0.798, *[0.1] * 9]
    assert steps_of_spikes(accuracy) == []
    in_two_steps = np.interp(X, [0, 500, 501, 503, 504], [0, 0, -0.2, -0.2, -1]) + noise(0.01)
    assert steps_of_spikes(in_two_steps) == []


def test_the_ends_of_a_curve_have_no_spike() -> None:
    # Before the first value, and after the last one, nothing says that it is not the curve.
    values = noise(0.02)
    values[[0, -1]] = 9
    assert steps_of_spikes(values) == []
    assert steps_of_spikes([1, 1, 1, 9, 1, 1, 1]) == []  # 7 values
    assert steps_of_spikes([2, 1, 2, 1, 9, 1, 2, 1]) == [4]


def test_among_values_that_are_all_the_same_a_spike_has_the_largest_size() -> None:
    sizes = [spike.size for spike in detect_instability(np.where(X == 500, 5.0, 1.0)).spikes]
    assert sizes == [1e6]
    assert [one.size for one in detect_instability(np.where(X == 9, -5.0, 1.0)).spikes] == [-1e6]


@pytest.mark.parametrize("scale", [1e-310, 1e-6, 1e6, 1e306])
def test_the_scale_of_a_curve_does_not_matter(scale: float) -> None:
    values = np.where(X < 600, 1 + 0.1 * noise(0.1), 80 + 0.1 * noise(0.1))
    values[200] = 5
    found = detect_instability(scale * values, direction="minimize")
    assert [spike.step for spike in found.spikes] == [200]
    assert found.divergence is not None
    assert found.divergence.step == pytest.approx(600, abs=1)
    assert found.divergence.best == pytest.approx(scale, rel=0.1)


def test_what_is_not_finite_is_counted_by_kind() -> None:
    values = DECAY + noise(0.01)
    values[[10, 20]] = NAN
    values[30] = INF
    values[[40, 50, 60]] = -INF
    found = detect_instability(values, 5 * X)
    assert found.non_finite == NonFinite(nan=2, positive=1, negative=3, first=50, last=300)
    assert found.non_finite.count == 6
    assert found.divergence is None
    assert found.spikes == ()
    with_null: Any = [1, None, 2]  # which is no value at all
    assert detect_instability(with_null).non_finite is None


@pytest.mark.parametrize("end", [NAN, INF, -INF])
def test_a_curve_that_ends_non_finite_diverges(end: float) -> None:
    values = np.concatenate([[NAN], DECAY + noise(0.01), [end] * 5])
    found = divergence(values, range(100, 1_106))
    assert found.step == 1_101
    assert found.best == pytest.approx(0, abs=0.02)
    assert np.array_equal([found.final], [end], equal_nan=True)
    rewards = divergence([0, 1, 2, NAN], direction="maximize")
    assert (rewards.step, rewards.best) == (3, 2)
    nothing = divergence([end] * 3)
    assert nothing.step == 0
    assert math.isnan(nothing.best)


@pytest.mark.parametrize(
    ("rise", "begin"),
    [
        (np.where(X < 700, 0, 4.0), 700),
        (np.clip((X - 700) / 50, 0, None), 700),
        (np.expm1(np.clip((X - 700) / 60, 0, None)), 700),
    ],
    ids=["leap", "straight", "bend"],
)
def test_a_loss_that_leaves_its_best_for_good_diverges(rise: Any, begin: int) -> None:
    values = DECAY + rise + noise(0.02)
    found = divergence(values)
    assert begin - 1 <= found.step <= begin + 150
    assert found.best == pytest.approx(0, abs=0.03)
    assert found.final == values[-1]
    blown = divergence(np.append(values, [NAN, NAN]))
    assert blown.step == pytest.approx(found.step, abs=2)
    assert math.isnan(blown.final)


@pytest.mark.parametrize(
    "values",
    [
        DECAY + np.clip((X - 500) / 1_000, 0, None),
        DECAY + np.where((X > 500) & (X < 800), 4.0, 0.0),
        DECAY + np.where(X >= 998, 4.0, 0.0),
        1 - DECAY,
        (X * 5 / 1_000) % 1,
        np.append(np.linspace(1, 0, 10), [1.0]),
        np.abs(X[:60] % 20 - 10.0),
    ],
    ids=["comes back by a half", "came back", "two values", "rises", "teeth", "one value", "waves"],
)
def test_a_curve_that_does_not_leave_for_good_does_not_diverge(values: Any) -> None:
    assert detect_instability(values + noise(0.01, len(values))).divergence is None


def test_a_leap_that_is_back_at_the_last_values_is_no_divergence() -> None:
    values = np.exp(-np.arange(300) / 5)
    values[290:298] = 5
    assert detect_instability(values).divergence is None


def test_the_direction_says_what_divergence_is() -> None:
    collapse = np.where(X < 500, 1 - DECAY, 0.0) + noise(0.02)
    assert detect_instability(collapse).divergence is None
    assert detect_instability(collapse, direction="minimize").divergence is None
    found = divergence(collapse, direction="maximize")
    assert found.step == pytest.approx(500, abs=1)
    assert found.best == pytest.approx(1, abs=0.05)
    assert detect_instability(1 - collapse, direction="maximize").divergence is None

    blows_up = 2.3 * 1.02**X
    assert detect_instability(blows_up).divergence is None
    assert divergence(blows_up, direction="minimize").final == blows_up[-1]
    assert detect_instability(2.3 + X / 1_000, direction="minimize").divergence is None
    assert divergence(blows_up, direction="min").final == blows_up[-1]
    with pytest.raises(UnknownName, match="direction 'up'"):
        detect_instability([1], direction="up")


def test_a_short_run_diverges_too() -> None:
    found = divergence([9, 7, 5, 3, 1, 1, 1, 9, 30, 100])
    assert (found.step, found.best, found.final) == (7, 1, 100)
    assert detect_instability([5, 1, 1, 9, 30, 100, 200]).divergence is None  # 7 values


def test_a_spike_beyond_all_measure_has_the_largest_size() -> None:
    values = noise(1e-10)
    values[500] = 1e300
    assert [spike.size for spike in detect_instability(values).spikes] == [1e6]


@pytest.mark.parametrize("threshold", [0, -1, NAN])
def test_a_threshold_has_to_be_above_zero(threshold: float) -> None:
    with pytest.raises(InvalidValue, match="threshold must be above 0"):
        detect_instability([1], threshold=threshold)


def test_what_is_no_curve_is_told() -> None:
    with pytest.raises(InvalidValue, match="values must be numbers"):
        detect_instability(["a"])
    with pytest.raises(InvalidValue, match="2 values have 1 steps"):
        detect_explosions([1, 2], [1])


def test_what_is_found_goes_to_json() -> None:
    values = np.append(DECAY + noise(0.01), NAN)
    values[500] = 3
    assert encode(asdict(detect_instability(values)))
    assert encode([asdict(found) for found in detect_explosions(values)])


NORMS = np.exp(noise(0.4))


def test_gradients_explode_by_an_order_of_magnitude() -> None:
    norms = NORMS.copy()
    norms[300:304] = [30, 200, 100, 40]
    norms[600] *= 4
    (found,) = detect_explosions(norms, 10 * X)
    assert (found.step, found.last, found.value, found.points) == (3_000, 3_030, norms[301], 4)
    assert found.usual == pytest.approx(float(np.median(norms[249:300])))
    assert found.factor == pytest.approx(norms[301] / found.usual)
    assert detect_explosions(norms, factor=1_000) == ()
    assert detect_explosions(-norms, 10 * X)[0].value == norms[301]


def test_norms_at_the_end_of_the_floats_have_a_usual_one() -> None:
    (found,) = detect_explosions([1.5e308, 1.7e308] * 5 + [math.inf])
    assert 1.5e308 <= found.usual <= 1.7e308


def test_a_norm_that_is_not_finite_is_an_explosion() -> None:
    norms = NORMS.copy()
    norms[[500, 504]] = INF
    norms[510] = NAN
    first, second = detect_explosions(norms)
    assert (first.step, first.last, first.value, first.factor) == (500, 504, INF, INF)
    assert (second.step, second.points) == (510, 1)
    assert math.isnan(second.value)
    (all_of_it,) = detect_explosions([NAN] * 4)
    assert (all_of_it.points, math.isnan(all_of_it.usual)) == (4, True)


@pytest.mark.parametrize(
    "norms",
    [
        NORMS,
        NORMS * np.exp(X / 100),
        NORMS * (1 + 100 * np.exp(-X / 5)),
        NORMS * np.minimum(1, X / 50 + 1e-3),
        np.exp(noise(2.0)),
        np.where(X < 100, 0, NORMS),
        np.zeros(1_000),
        [1, 1, 1, 1, 100],
        [],
    ],
    ids=[
        "calm", "growing", "a high beginning", "a warm-up", "wild throughout", "zeros first",
        "zeros", "too few before", "none",
    ],
)  # fmt: skip
def test_what_is_usual_is_no_explosion(norms: Any) -> None:
    assert detect_explosions(norms) == ()


def test_a_norm_is_compared_with_those_before_it_alone() -> None:
    (sixth,) = detect_explosions([1, 1, 1, 1, 1, 100, 1])
    assert sixth == Explosion(5, 5, 100, 1, pytest.approx(100), 1)  # type: ignore[arg-type]
    assert detect_explosions([1, 1, 1, 1, 1]) == ()
    stays = detect_explosions(np.where(X < 500, NORMS, 50 * NORMS))
    assert [found.step for found in stays] == [500]
    assert 20 <= stays[0].points <= 30
    early, late = np.ones(200), np.ones(200)
    early[30] = late[150] = 12
    assert [found.step for found in detect_explosions(early)] == [30]
    assert [found.step for found in detect_explosions(late)] == [150]


def test_the_largest_and_smallest_norms_have_a_factor() -> None:
    (found,) = detect_explosions(np.where(X == 60, 1e308, 1e-308))
    assert (found.step, found.factor) == (60, INF)


@pytest.mark.parametrize("factor", [1, 0, -5, NAN])
def test_a_factor_has_to_be_above_one(factor: float) -> None:
    with pytest.raises(InvalidValue, match="factor must be above 1"):
        detect_explosions([1], factor=factor)
