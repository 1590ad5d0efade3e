"""Objectives that part ways, on generated curves whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_db.analysis.curves.conflicts import conflict_matrix, detect_conflicts
from training_db.analysis.curves.noise import memory_noise
from training_db.analysis.curves.windows import begin, trends, windows_of
from training_db.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    Floats = np.ndarray[Any, np.dtype[np.float64]]

UP = np.arange(100.0)
LATE = np.where(UP < 50, 0.0, 50.0 - UP)  # the same for half of the steps, then worse


def noise(chance: np.random.Generator, n: int, memory: float = 0.0) -> Floats:
    fresh = chance.standard_normal(n)
    for index in range(1, n):
        fresh[index] = memory * fresh[index - 1] + np.sqrt(1 - memory**2) * fresh[index]
    return fresh


def test_one_that_gets_worse_while_another_gets_better_is_a_conflict_since_it_turned() -> None:
    chance = np.random.default_rng(0)
    series = {"QED": UP + noise(chance, 100), "novelty": LATE + noise(chance, 100)}
    [conflict] = detect_conflicts(series, steps=10 * UP)
    assert (conflict.better, conflict.worse) == ("QED", "novelty")
    assert 400 <= conflict.since <= 550
    assert (conflict.until, conflict.lasting) == (990, True)
    assert conflict.correlation < -0.9
    assert conflict.share == pytest.approx((990 - conflict.since) / 1000, abs=0.06)
    assert conflict.p_value < 0.01
    assert conflict.better_change == pytest.approx(45, abs=10)
    assert conflict.worse_change == pytest.approx(-45, abs=10)


def test_noise_does_not_draw_the_beginning_of_a_conflict_back() -> None:
    """Before it turned, a curve that stayed the same looks, in noise, like part of its fall."""
    chance, since = np.random.default_rng(8), []
    for _ in range(20):
        bent = np.where(UP < 40, 0.0, 40.0 - UP)
        series = {"a": UP + 4 * noise(chance, 100), "b": bent + 4 * noise(chance, 100)}
        since += [conflict.since for conflict in detect_conflicts(series)]
    assert len(since) >= 18
    assert np.mean([30 <= step <= 55 for step in since]) >= 0.9


def test_a_conflict_that_ends_is_told_with_its_end() -> None:
    back = np.where(UP < 60, -UP, UP - 120)
    [conflict] = detect_conflicts({"a": UP, "b": back})
    assert (conflict.since, conflict.lasting) == (0, False)
    assert 50 <= conflict.until <= 65


def test_the_direction_says_what_is_better() -> None:
    series = {"QED": UP, "SA": 2 * UP}
    assert detect_conflicts(series) == []
    [conflict] = detect_conflicts(series, directions={"SA": "minimize", "QED": None})
    assert (conflict.better, conflict.worse) == ("QED", "SA")
    assert conflict.worse_change == pytest.approx(190)  # in its own sense: it grew
    assert detect_conflicts(series, directions={"SA": "min", "QED": "min"}) == []


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("n", [40, 200, 1000])
def test_noise_alone_makes_no_conflict_even_beside_a_trend(n: int, memory: float) -> None:
    chance = np.random.default_rng(n)
    found = 0
    for _ in range(30):
        series = {name: noise(chance, n, memory) for name in "abc"}
        series["trend"] = 5 * np.linspace(0, 1, n) + noise(chance, n, memory)
        found += bool(detect_conflicts(series))
    assert found <= (3 if memory == 0.9 else 0)


def test_what_changes_one_after_the_other_is_no_conflict() -> None:
    first = np.minimum(UP, 40.0)
    then = np.where(UP < 60, 0.0, 60.0 - UP)
    chance = np.random.default_rng(1)
    series = {"first": first + noise(chance, 100), "then": then + noise(chance, 100)}
    assert detect_conflicts(series) == []


def test_a_change_too_small_to_matter_is_no_conflict() -> None:
    settled = 100 * np.exp(-UP / 10)
    sinks = np.where(UP < 50, UP, 50.0 - (UP - 50) / 20)
    assert detect_conflicts({"a": sinks, "b": UP, "c": settled}, directions={"c": "min"}) == []


def test_of_many_objectives_the_surest_conflict_comes_first() -> None:
    chance = np.random.default_rng(2)
    series = {"a": UP + noise(chance, 100), "b": -UP + noise(chance, 100)}
    series["c"] = -UP + 15 * noise(chance, 100)
    found = detect_conflicts(series)
    assert [(one.better, one.worse) for one in found] == [("a", "b"), ("a", "c")]
    assert found[0].p_value < found[1].p_value


def test_the_order_of_the_steps_given_does_not_matter() -> None:
    mixed = np.random.default_rng(3).permutation(100)
    one = detect_conflicts({"a": UP, "b": LATE}, UP)
    assert detect_conflicts({"a": UP[mixed], "b": LATE[mixed]}, UP[mixed]) == one


def test_gaps_and_odd_values_are_left_out() -> None:
    holes = [None if index % 3 else float(value) for index, value in enumerate(UP)]
    texts: list[Any] = [-value for value in UP]
    texts[3:6] = ["x", float("inf"), {"a": 1}]
    [conflict] = detect_conflicts({"a": holes, "b": texts})
    assert (conflict.better, conflict.worse) == ("a", "b")
    late = np.where(UP < 50, np.nan, -UP)
    [conflict] = detect_conflicts({"a": UP, "b": late})
    assert conflict.since >= 45


ODD = {
    "NaN": np.full(100, np.nan),
    "constant": np.ones(100),
    "infinite": np.full(100, np.inf),
    "one value": np.where(UP == 3, 1.0, np.nan),
    "bools": UP > 50,
    "beyond floats": [10**400 * index for index in range(100)],
    "swinging": np.where(UP % 2, 1.7e308, -1.7e308),
    "step": np.where(UP < 50, 0.0, 1.0),
    "largest": [1.7976931348623157e308] * 100,
    "text": np.array(["x"] * 100, dtype=object),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_curves_conflict_with_nothing_and_warn_of_nothing(name: str) -> None:
    assert detect_conflicts({"odd": ODD[name], "up": UP, "down": -UP})[0].better == "up"
    assert len(detect_conflicts({"odd": ODD[name], "up": UP, "down": -UP})) == 1
    assert conflict_matrix({"odd": ODD[name], "up": UP}).correlation.shape == (2, 2)


@pytest.mark.parametrize("scale", [1e-310, 1e-9, 8e305])
def test_the_scale_does_not_matter(scale: float) -> None:
    [conflict] = detect_conflicts({"a": scale * UP, "b": LATE})
    assert 45 <= conflict.since <= 55
    assert conflict.better_change == pytest.approx(45 * scale, rel=0.2)


def test_steps_from_end_to_end_of_the_floats_are_no_trouble() -> None:
    [conflict] = detect_conflicts({"a": UP, "b": LATE}, np.linspace(-1, 1, 100) * 1.7e308)
    assert abs(conflict.since) < 0.2e308


@pytest.mark.parametrize(
    ("series", "steps"),
    [({}, None), ({"a": UP}, None), ({"a": [], "b": []}, None), ({"a": [1.0], "b": [2.0]}, None),
     ({"a": UP[:17], "b": -UP[:17]}, None), ({"a": UP, "b": -UP}, 0 * UP)],
)  # fmt: skip
def test_nothing_is_said_where_there_is_too_little(series: dict[str, Any], steps: Any) -> None:
    assert detect_conflicts(series, steps) == []
    matrix = conflict_matrix(series, steps)
    assert matrix.correlation.shape == (len(series), len(series))


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"series": {"a": [1], "b": [2, 3]}}, InvalidValue, "different lengths"),
        ({"series": {"a": [1]}, "steps": [1, 2]}, InvalidValue, "1 values have 2 steps"),
        ({"series": {"a": 5}}, InvalidValue, "'a' must be numbers in one row, not a int"),
        ({"series": {"a": np.zeros((2, 2))}}, InvalidValue, r"not of shape \(2, 2\)"),
        ({"series": {"a": ["1"]}}, InvalidValue, "'a' must be numbers, not text such as '1'"),
        ({"series": {"a": [1]}, "steps": [np.nan]}, InvalidValue, "steps must be finite"),
        ({"series": {"a": [1]}, "directions": {"b": "max"}}, UnknownName, "objective 'b'"),
        ({"series": {"a": [1]}, "directions": {"a": "up"}}, UnknownName, "direction 'up'"),
        ({"series": {"a": [1]}, "windows": 3}, InvalidValue, "at least 4"),
        ({"series": {"a": [1]}, "windows": True}, InvalidValue, "at least 4"),
    ],
)
def test_what_cannot_be_is_said(arguments: dict[str, Any], error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        detect_conflicts(**arguments)


def test_windows_may_be_chosen() -> None:
    [conflict] = detect_conflicts({"a": UP, "b": LATE}, windows=10)
    assert conflict.since in (40, 50)
    assert detect_conflicts({"a": UP, "b": -UP}, windows=101) == []


def test_a_matrix_says_how_all_go_together() -> None:
    chance = np.random.default_rng(4)
    series = {"a": UP, "b": UP + noise(chance, 100), "c": UP, "still": np.ones(100)}
    matrix = conflict_matrix(series, directions={"c": "minimize"})
    assert matrix.names == ("a", "b", "c", "still")
    assert matrix.correlation[0, :3] == pytest.approx([1.0, 1.0, -1.0], abs=0.02)
    assert np.isnan(matrix.correlation[3]).all()
    assert np.array_equal(matrix.correlation, matrix.correlation.T, equal_nan=True)
    assert matrix.as_dict()["names"] == ["a", "b", "c", "still"]
    assert matrix.as_dict()["correlation"][0][2] == pytest.approx(-1.0)


def test_the_noise_of_a_curve_is_estimated_with_its_memory() -> None:
    chance = np.random.default_rng(5)
    for memory in (0.0, 0.5, 0.8):
        curve = 3 * noise(chance, 5_000, memory) + np.linspace(0, 20, 5_000)
        deviation, carried = memory_noise(curve)
        assert deviation == pytest.approx(3, rel=0.15)
        assert carried == pytest.approx(memory, abs=0.06)
    assert memory_noise(np.ones(50)) == (0.0, 0.0)
    assert memory_noise(np.ones(3)) == (0.0, 0.0)


def test_a_trend_is_as_many_errors_from_none_as_noise_says() -> None:
    """Of noise alone the certainty is normal; else p-values would say nothing."""
    chance = np.random.default_rng(6)
    curves = np.stack([noise(chance, 400) for _ in range(400)])
    windows = windows_of(curves, np.arange(400.0), 20)
    _, certainty = trends(windows)
    whole = certainty[:, 0, -1]
    assert 0.55 < whole.std() < 1.1
    assert abs(whole.mean()) < 0.2


def test_a_bend_is_found_where_it_is_and_not_in_a_line() -> None:
    steps = np.arange(200.0)
    bent = np.where(steps < 100, 0.0, steps - 100)
    chance = np.random.default_rng(7)
    curves = np.stack([bent, steps]) + 2 * np.stack([noise(chance, 200) for _ in range(2)])
    windows = windows_of(curves, steps, 20)
    assert 9 <= begin(windows, 0, 0, 19) <= 11
    assert begin(windows, 1, 0, 19) == 0
    assert begin(windows, 0, 0, 3) == 0
