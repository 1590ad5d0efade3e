"""The analyses of arrays hold for whatever people pass: they answer, or refuse in our own words."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import asdict, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.unit.strategies import SLOW
from training_db import TrainingDBError, detect_plateau
from training_db.analysis.comparison.bands import band
from training_db.analysis.comparison.rank_tests import rank_test
from training_db.analysis.curves.conflicts import conflict_matrix, detect_conflicts
from training_db.analysis.curves.convergence import convergence_speed
from training_db.analysis.curves.explosion import detect_explosions
from training_db.analysis.curves.instability import detect_instability
from training_db.analysis.fronts.hypervolume import hypervolume
from training_db.analysis.fronts.pareto import (
    dominated_by,
    dominates_which,
    is_on_front,
    knee_point,
    pareto_ranks,
)
from training_db.analysis.sensitivity.importance import settings_importance
from training_db.analysis.sensitivity.settings_table import settings_table

if TYPE_CHECKING:
    from collections.abc import Callable

ONE_CURVE: list[Callable[..., Any]] = [
    detect_plateau,
    detect_instability,
    lambda values, steps: detect_instability(values, steps, direction="minimize"),
    lambda values, steps: detect_instability(values, steps, direction="maximize"),
    detect_explosions,
    convergence_speed,
]
SEVERAL: list[Callable[..., Any]] = [
    lambda values, steps: detect_conflicts({"one": values, "other": list(values)[::-1]}, steps),
    lambda values, steps: conflict_matrix({"one": values, "other": list(values)[::-1]}, steps),
    lambda values, steps: band([("a", [SimpleNamespace(x=steps, values=values)])], n=20),
    lambda values, steps: band(
        [("a", [SimpleNamespace(x=steps, values=values)] * 2)], n=20, statistic="median"
    ),
    lambda values, _: rank_test({"a": values, "b": [1.0, 2.0], "c": values}),
]


class Scalar:
    """A number as a tensor of no dimensions holds it."""

    ndim = 0

    def __init__(self, number: float) -> None:
        self._number = number

    def item(self) -> float:
        return self._number

    def __float__(self) -> float:
        return self._number


class Tensor:
    """A row as torch has it: an array for those who ask, and scalars of its own for the rest."""

    def __init__(self, numbers: list[float]) -> None:
        self._numbers = numbers

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self._numbers, dtype=dtype or np.float64)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, place: int) -> Scalar:
        return Scalar(self._numbers[place])


EXTREMES = (
    0.0, -0.0, 1.0, 5e-324, -1e-310, 1e-160, 3e197, 1e308, -1e308, 1.7976931348623157e308,
    -1.7976931348623157e308, math.nan, math.inf, -math.inf,
)  # fmt: skip
EXTREME = st.sampled_from(EXTREMES) | st.floats(-2.0, 2.0)
NO_FLOATS: tuple[Any, ...] = (
    None, True, 2**70, -(10**400), "x", "1.5", "", b"bytes", [1.0], {}, 1 + 2j, Decimal("0.5"),
    object(), pd.NA, pd.NaT, np.float16(6e4), np.datetime64("2024-05-06"), Scalar(0.5),
)  # fmt: skip
ANYTHING = EXTREME | st.sampled_from(NO_FLOATS)
NUMBERS = st.lists(EXTREME, max_size=40)
CONTAINERS: list[Callable[[list[Any]], Any]] = [
    list,
    tuple,
    lambda values: np.array([*values, None], dtype=object)[:-1],
    lambda values: pd.Series(values, index=range(7, 7 + len(values)), dtype=object),
]
OF_NUMBERS: list[Callable[[list[Any]], Any]] = [np.array, pd.Series, Tensor, np.float32]
ROWS = st.builds(
    lambda values, container: container(values),
    st.lists(ANYTHING, max_size=12),
    st.sampled_from(CONTAINERS),
) | st.builds(
    lambda values, container: container(values),
    NUMBERS.map(lambda values: [float(np.clip(one, -3e38, 3e38)) for one in values]),
    st.sampled_from(OF_NUMBERS),
)


def shapes(points: int) -> list[np.ndarray[Any, np.dtype[np.float64]]]:
    """Return curves as trainings make them, and some that they should not."""
    at = np.arange(points)
    noise = np.random.default_rng(points).normal(0.0, 0.02, points)
    falls = np.exp(-at / (points / 6))
    spiky = falls + noise
    spiky[points // 2] = 9.0
    diverges = np.where(at > 0.7 * points, 5.0, falls) + noise
    holes = np.where(at % 7 == 3, np.nan, falls + noise)
    return [falls, falls + noise, 1.0 - at / points + noise, noise, spiky, diverges, holes]


CURVES = [curve for points in (8, 40, 300) for curve in shapes(points)]


def steps_like(values: Any) -> st.SearchStrategy[Any]:
    """Return steps for values: rising, unsorted, equal, huge, or of another length."""
    count = len(values)
    places = st.one_of(
        st.integers(-(2**62), 2**62), st.sampled_from([0, 1, 1.7e308, -1.7e308]), st.floats()
    )
    return (
        st.just(list(range(count)))
        | st.permutations(range(count))
        | st.lists(places, min_size=count, max_size=count)
        | st.lists(ANYTHING, max_size=3)
    )


@pytest.mark.parametrize("ask", [*ONE_CURVE, *SEVERAL])
@settings(SLOW, max_examples=torture.rounds(15, 300))
@given(data=st.data())
def test_odd_rows_are_answered_or_refused(ask: Callable[..., Any], data: st.DataObject) -> None:
    values = data.draw(ROWS.filter(lambda one: hasattr(one, "__len__")))
    steps = data.draw(steps_like(values))
    with contextlib.suppress(TrainingDBError):
        ask(values, steps)


@pytest.mark.parametrize("ask", ONE_CURVE)
@settings(SLOW, max_examples=torture.rounds(15, 300))
@given(
    curve=st.sampled_from(CURVES),
    odd=st.lists(st.tuples(st.integers(0, 299), st.sampled_from(EXTREMES)), max_size=4),
)
def test_curves_with_extremes_in_them_are_answered(
    ask: Callable[..., Any], curve: Any, odd: list[tuple[int, float]]
) -> None:
    values = curve.copy()
    for place, value in odd:
        values[place % len(values)] = value
    found = ask(values, None)
    listed = found if isinstance(found, tuple) else [found] if found is not None else []
    for one in listed:
        json.dumps(asdict(one))


def same_units(found: Any, power: int, sign: float = 1.0) -> Any:
    """Return what was found with its values in the units before they were scaled."""
    if isinstance(found, tuple):
        return tuple(same_units(one, power, sign) for one in found)
    scaled = ("level", "value", "best", "final", "first", "last", "change", "usual")
    fields = {
        name: sign * math.ldexp(value, -power)
        for name, value in (asdict(found) if found is not None else {}).items()
        if name in scaled and isinstance(value, float)
    }
    return replace(found, **fields) if fields else found


@pytest.mark.parametrize("power", [-700, -3, 700])
@pytest.mark.parametrize("curve", CURVES)
def test_units_do_not_matter(curve: Any, power: int) -> None:
    scaled = np.ldexp(curve, power)
    for ask in (detect_plateau, convergence_speed):
        assert repr(same_units(ask(scaled), power)) == repr(ask(curve))
    for direction in (None, "minimize", "maximize"):
        found = detect_instability(scaled, direction=direction)  # type: ignore[arg-type]
        before = detect_instability(curve, direction=direction)  # type: ignore[arg-type]
        assert same_units(found.spikes, power) == before.spikes
        assert same_units(found.divergence, power) == before.divergence


@pytest.mark.parametrize("curve", CURVES)
def test_where_steps_begin_does_not_matter(curve: Any) -> None:
    at = 5 * np.arange(len(curve))
    for far in (-(10**6), 10**9):
        plateau, shifted = detect_plateau(curve, at), detect_plateau(curve, at + far)
        assert shifted == (plateau and replace(plateau, step=plateau.step + far))
        found, moved = detect_instability(curve, at), detect_instability(curve, at + far)
        assert [one.step for one in moved.spikes] == [one.step + far for one in found.spikes]
        assert (moved.divergence is None) == (found.divergence is None)
        speed, later = convergence_speed(curve, at), convergence_speed(curve, at + far)
        assert (later and later.step_90) == (speed and speed.step_90 + far)


@pytest.mark.parametrize("curve", CURVES)
def test_steps_may_come_in_any_order(curve: Any) -> None:
    at = np.arange(len(curve))
    mixed = np.random.default_rng(0).permutation(at)
    for ask in (detect_plateau, detect_instability, detect_explosions, convergence_speed):
        assert repr(ask(curve[mixed], mixed)) == repr(ask(curve, at))


@pytest.mark.parametrize("curve", CURVES)
def test_a_reward_is_a_loss_upside_down(curve: Any) -> None:
    plateau, other = detect_plateau(curve), detect_plateau(-curve)
    assert (other and (other.step, -other.level)) == (
        plateau and (plateau.step, pytest.approx(plateau.level))
    )
    found = detect_instability(curve, direction="minimize")
    turned = detect_instability(-curve, direction="maximize")
    assert same_units(turned.spikes, 0, -1.0) == tuple(
        replace(one, size=-one.size) for one in found.spikes
    )
    assert (turned.divergence and (turned.divergence.step, -turned.divergence.best)) == (
        found.divergence and (found.divergence.step, pytest.approx(found.divergence.best))
    )
    speed, risen = convergence_speed(curve), convergence_speed(-curve)
    assert (risen and risen.step_90) == (speed and speed.step_90)
    assert (risen is None) or {risen.direction, speed and speed.direction} == {
        "maximize", "minimize"
    }  # fmt: skip


def test_a_loss_that_leaps_just_before_its_end_and_comes_back_does_not_diverge() -> None:
    for points, high, back in [(300, 8, 2), (300, 9, 5), (100, 4, 2)]:
        loss = np.exp(-np.arange(points) / 5)
        loss[points - high - back : points - back] = 5.0
        assert detect_instability(loss).divergence is None


def test_the_order_and_the_units_of_objectives_do_not_matter_to_conflicts() -> None:
    at = np.arange(200)
    noise = np.random.default_rng(0).normal(0.0, 0.01, (3, 200))
    series = dict(zip("abc", noise + [at / 200, -at / 200, np.minimum(at, 80) / 80], strict=True))
    pairs = {(one.better, one.worse, one.since, one.until) for one in detect_conflicts(series)}
    assert {(better, worse) for better, worse, _, _ in pairs} == {("a", "b"), ("c", "b")}
    powers = {"c": 900, "a": -900, "b": 3}
    other = {name: np.ldexp(series[name], power) for name, power in powers.items()}
    turned = other | {"b": -other["b"]}
    for asked, directions in ((other, None), (turned, {"b": "min"})):
        found = detect_conflicts(asked, directions=directions)
        assert {(one.better, one.worse, one.since, one.until) for one in found} == pairs


SCORES = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, 5e-324, 1e308, -1e308, math.nan]),
                 min_size=width, max_size=width),
        min_size=1, max_size=12,
    )
)  # fmt: skip


@settings(SLOW, max_examples=torture.rounds(30, 800))
@given(rows=SCORES, data=st.data())
def test_ranks_are_what_dominance_says(rows: list[list[float]], data: st.DataObject) -> None:
    scores = np.array(rows)
    items, objectives = scores.shape
    ways = data.draw(
        st.lists(st.sampled_from(["max", "min"]), min_size=objectives, max_size=objectives)
    )
    ranks = pareto_ranks(scores, ways)
    assert ((ranks > 0) == np.isfinite(scores).all(axis=1)).all()
    assert (is_on_front(scores, ways) == (ranks == 1)).all()
    for item in range(items):
        above = dominated_by(scores, item, ways)
        if ranks[item]:
            assert ranks[item] == 1 + max(ranks[above], default=0)
        assert all(item in dominates_which(scores, other, ways) for other in above)
    # Neither the order of items and objectives nor the sign of what is minimized matters.
    order, columns = (data.draw(st.permutations(range(size))) for size in scores.shape)
    mixed = scores[np.ix_(order, columns)]
    assert (pareto_ranks(mixed, [ways[one] for one in columns]) == ranks[order]).all()
    flipped = ["min" if way == "max" else "max" for way in ways]
    assert (pareto_ranks(-scores, flipped) == ranks).all()
    covered = hypervolume(scores, ways)
    assert 0.0 <= covered.share <= 1.0
    assert hypervolume(-scores, flipped).share == pytest.approx(covered.share)
    knee = knee_point(scores, ways)
    assert knee is None or ranks[knee] == 1


@settings(SLOW, max_examples=torture.rounds(15, 300))
@given(rows=st.lists(st.lists(ANYTHING, min_size=2, max_size=2), max_size=5) | ROWS)
def test_odd_scores_are_ranked_or_refused(rows: Any) -> None:
    for ask in (pareto_ranks, is_on_front, knee_point, hypervolume):
        with contextlib.suppress(TrainingDBError):
            ask(rows, ["max", "min"])


CONFIG = st.dictionaries(
    st.sampled_from(["lr", "it's", "a.b", "", "100%"]),
    st.sampled_from([None, True, "x", "1e-4", [1], {"k": 2**70}, 10**400, -0.0, *EXTREMES]),
)


@settings(SLOW, max_examples=torture.rounds(4, 40))
@given(configs=st.lists(CONFIG, min_size=16, max_size=20), data=st.data())
def test_importance_takes_any_settings(configs: list[Any], data: st.DataObject) -> None:
    table = settings_table([{"config_json": json.dumps(config)} for config in configs])
    target = data.draw(st.lists(
        st.sampled_from([one for one in EXTREMES if math.isfinite(one)]),
        min_size=len(configs), max_size=len(configs),
    ))  # fmt: skip
    found = settings_importance(table.settings, target, seeds=2)
    assert found.sentence
    json.dumps(found.as_dict())
