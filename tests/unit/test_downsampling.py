from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK
from training_db.repository.downsampling import MIN_MAX, min_max
from training_db.repository.history_series import Series

finite = st.floats(-1e9, 1e9)
series_values = st.lists(
    st.one_of(finite, st.sampled_from([math.nan, math.inf, -math.inf])), max_size=300
)


def of(values: list[float]) -> Series:
    return Series(np.arange(len(values)), np.array(values, dtype=np.float64))


def test_the_method_says_what_it_does() -> None:
    assert "min" in MIN_MAX
    assert "max" in MIN_MAX


@QUICK
@given(st.lists(finite, min_size=1, max_size=300), st.integers(2, 60))
def test_the_greatest_and_the_least_of_a_series_stay(values: list[float], n: int) -> None:
    kept = min_max(of(values), n).tolist()
    assert len(kept) <= n
    assert min(values) in [values[at] for at in kept]
    assert max(values) in [values[at] for at in kept]


@QUICK
@given(series_values, st.integers(2, 60))
def test_positions_rise_and_infinities_and_gaps_stay_visible(values: list[float], n: int) -> None:
    kept = min_max(of(values), n).tolist()
    assert kept == sorted(set(kept))
    assert all(0 <= at < len(values) for at in kept)
    numbers = [value for value in values if math.isfinite(value)]
    shown = [values[at] for at in kept]
    if numbers:
        assert {min(numbers), max(numbers)} <= set(shown)
    if len(numbers) < len(values):
        assert not all(map(math.isfinite, shown))
    assert sum(map(math.isfinite, shown)) <= max(n, 2)


@pytest.mark.parametrize("length", [0, 1, 2, 9, 10])
def test_a_series_that_is_short_enough_stays_whole(length: int) -> None:
    assert min_max(of([0.5] * length), 10).tolist() == list(range(length))


def test_a_single_spike_in_a_million_points_stays() -> None:
    values = np.zeros(1_000_000)
    values[[123_456, 765_432]] = 1e-3, -1e-3
    kept = min_max(Series(np.arange(len(values)), values), 500)
    assert {123_456, 765_432} <= set(kept.tolist())
    assert len(kept) <= 500


def test_booleans_integers_and_text_can_be_thinned_too() -> None:
    assert len(min_max(Series(np.arange(100), np.arange(100) % 2 == 0), 10)) <= 10
    assert 99 in min_max(Series(np.arange(100), np.arange(100)), 10)
    words = np.array(["x"] * 100, dtype=object)
    assert 1 <= len(min_max(Series(np.arange(100), words), 10)) <= 10
