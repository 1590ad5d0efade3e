from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.history_oracle import expected_totals, same_totals
from tests.unit.strategies import QUICK, same
from training_db.repository.metric_totals import Totals, merged, totals
from training_db.segments import column

numbers = st.one_of(
    st.floats(-1e100, 1e100),
    st.integers(-5, 5),
    st.booleans(),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0]),
)
points = st.lists(
    st.tuples(st.integers(-3, 6), st.one_of(numbers, st.text(max_size=2), st.just([1]))), min_size=1
)


def of(batch: list[tuple[int, Any]]) -> Totals:
    steps = np.array([step for step, _ in batch], dtype=np.int64)
    return totals(column([value for _, value in batch]), steps)


@QUICK
@given(points)
def test_the_totals_of_a_batch_are_those_of_plain_python(batch: list[tuple[int, Any]]) -> None:
    assert same_totals(of(batch), expected_totals(batch))


@QUICK
@given(st.lists(points, min_size=1, max_size=5))
def test_batches_added_up_are_the_totals_of_all_rows(batches: list[list[Any]]) -> None:
    added = of(batches[0])
    for batch in batches[1:]:
        added = merged(added, of(batch))
    assert same_totals(added, expected_totals([point for batch in batches for point in batch]))


def test_the_lowest_step_wins_a_tie_also_within_a_batch_whose_steps_go_back() -> None:
    found = of([(10, 1.0), (3, 1.0), (7, 1.0)])
    assert (found.min_step, found.max_step) == (3, 3)


def test_the_value_written_last_stands_for_a_step_that_was_logged_twice() -> None:
    found = of([(0, 1.0), (5, 2.0), (0, 3.0), (5, 4.0)])
    assert (found.first, found.last) == (3.0, 4.0)
    again = merged(found, of([(0, 5.0), (5, 6.0)]))
    assert (again.first, again.last) == (5.0, 6.0)


def test_a_metric_without_a_number_has_no_numbers() -> None:
    assert of([(0, "a"), (1, [1])]) == Totals(other_count=2)
    both = merged(Totals(other_count=2), of([(2, 0.5)]))
    assert (both.count, both.other_count, both.first, both.mean) == (1, 2, 0.5, 0.5)
    both = merged(of([(2, 0.5)]), Totals(other_count=2))
    assert (both.count, both.other_count, both.last_step, both.mean) == (1, 2, 2, 0.5)


def test_what_is_not_finite_wins_neither_end_and_no_mean() -> None:
    found = of([(0, math.nan), (1, math.inf), (2, 2.0), (3, -math.inf)])
    assert (found.count, found.non_finite_count) == (4, 3)
    assert (found.min, found.max, found.mean) == (2.0, 2.0, 2.0)
    assert same([found.first, found.last], [math.nan, -math.inf])
    only = of([(0, math.nan)])
    assert (only.min, only.max, only.mean, only.min_step) == (None, None, None, None)


@pytest.mark.parametrize("low", [0.0, -1.0, 1.0])
def test_the_mean_of_numbers_near_the_largest_is_finite_and_warns_of_nothing(low: float) -> None:
    batch = [(step, 1.7e308) for step in range(4)] + [(step, low * 1.7e308) for step in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = of(batch)
    assert found.mean == pytest.approx(1.7e308 * ((1 + low) / 2), abs=1e295)


def test_the_mean_of_many_batches_does_not_drift() -> None:
    values = np.random.default_rng(1).normal(100, 1, 10_000)
    added = Totals()
    for start in range(0, 10_000, 20):
        batch = values[start : start + 20]
        added = merged(added, totals(column(batch), np.arange(start, start + 20)))
    assert added.mean == pytest.approx(float(values.mean()), rel=1e-13)
    assert added.count == 10_000
