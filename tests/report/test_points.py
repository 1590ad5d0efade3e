"""What of a series is drawn, and the round numbers and names beside it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_db.errors import InvalidValue
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.points import drawn, smoothed
from training_db.report.ticks import log_ticks, round_ticks, time_ticks

FINITE = st.floats(-1e300, 1e300)


def series(values: object, x: object = None) -> SimpleNamespace:
    return SimpleNamespace(x=np.arange(len(values)) if x is None else x, values=values)  # type: ignore[arg-type]


def test_points_without_a_place_are_told_by_their_reason() -> None:
    points = drawn(series([1.0, math.nan, math.inf, -math.inf, 0.0, -2.0]))
    assert points.values.tolist() == [1.0, 0.0, -2.0]
    assert points.x.tolist() == [0, 4, 5]
    reasons = {name: where.tolist() for name, where in points.outside.items()}
    assert reasons == {"NaN": [1], "+Inf": [2], "-Inf": [3]}


def test_zero_and_less_have_no_place_on_a_logarithmic_axis() -> None:
    points = drawn(series([1.0, 0.0, -2.0, -math.inf]), log=True)
    assert points.values.tolist() == [1.0]
    reasons = {name: where.tolist() for name, where in points.outside.items()}
    assert reasons == {"0 or less": [1, 2], "-Inf": [3]}


def test_what_is_no_number_is_no_point_and_a_long_integer_is_an_infinity() -> None:
    points = drawn(series(np.array([1, "a", None, True, 10**400], dtype=object)))
    assert points.values.tolist() == [1.0, 1.0]
    assert points.outside["+Inf"].tolist() == [4]


def test_points_are_drawn_in_the_order_of_their_places() -> None:
    points = drawn(series([1.0, 2.0, 3.0, 4.0], [5.0, 2.0, math.inf, 2.0]))
    assert points.x.tolist() == [2.0, 2.0, 5.0]
    assert points.values.tolist() == [2.0, 4.0, 1.0]


def test_values_without_a_place_each_are_refused() -> None:
    with pytest.raises(InvalidValue, match="2 values at 1 places"):
        drawn(series([1.0, 2.0], [0]))
    with pytest.raises(InvalidValue, match=r"shape \(1, 2\)"):
        drawn(series(np.ones((1, 2))))


def test_the_average_of_what_does_not_change_is_that_from_its_start() -> None:
    assert smoothed(np.full(50, 3.0), 0.99) == pytest.approx(np.full(50, 3.0))


def test_the_average_is_that_of_the_definition() -> None:
    values = np.random.default_rng(0).normal(size=60)
    weights = 0.9 ** np.arange(60)
    direct = [
        np.average(values[: place + 1], weights=weights[: place + 1][::-1]) for place in range(60)
    ]
    assert smoothed(values, 0.9) == pytest.approx(np.array(direct))


@pytest.mark.parametrize("weight", [1, -0.1, math.nan, True, "much", None])
def test_a_smoothing_out_of_its_range_is_refused(weight: object) -> None:
    with pytest.raises(InvalidValue, match="from 0"):
        smoothed(np.ones(3), weight)  # type: ignore[arg-type]


@given(FINITE, FINITE, st.integers(1, 12))
def test_round_ticks_lie_on_the_axis_and_are_about_as_many_as_asked(
    one: float, other: float, count: int
) -> None:
    low, high = sorted((one, other))
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-290):
        return
    ticks = round_ticks(low, high, count)
    room = (high - low) * 1e-6
    assert all(low - room <= place <= high + room for place, _ in ticks)
    assert 2 <= len(ticks) <= max(count, 5) + 1
    assert len({word for _, word in ticks}) == len(ticks)
    assert all(float(word) == pytest.approx(place, abs=room) for place, word in ticks)


def test_round_ticks_are_round() -> None:
    assert [word for _, word in round_ticks(0, 1000, 5)] == [
        "0",
        "200",
        "400",
        "600",
        "800",
        "1000",
    ]
    assert [word for _, word in round_ticks(0.1, 0.35, 3)] == ["0.1", "0.2", "0.3"]


@given(st.floats(-323, 300), st.floats(0.01, 600))
def test_logarithmic_ticks_lie_on_the_axis(low: float, span: float) -> None:
    high = min(low + span, 300)
    ticks = log_ticks(low, high, 6) if high > low else []
    assert all(low - 0.01 <= place <= high + 0.01 for place, _ in ticks)


@pytest.mark.parametrize(
    ("low", "high", "first"),
    [(1.7e9, 1.7e9 + 60, "22:13:20"), (1.7e9, 1.7e9 + 5e5, "11-14 22:13"),
     (1.7e9, 1.8e9, "2023-11-14"), (-1e12, 1e12, "-1e+12")],
)  # fmt: skip
def test_moments_show_as_much_of_their_date_as_it_takes(
    low: float, high: float, first: str
) -> None:
    assert time_ticks(low, high, 4)[0][1] == first


def test_names_stay_apart_when_they_are_shortened() -> None:
    names = [f"run-{'x' * 80}-{place}" for place in range(20)] + ["same", "same"]
    short = shortened(names)
    assert len(set(short)) == len(names)
    assert all(len(one) <= 40 for one in short)
    assert short[-2:] == ["same", "same (2)"]


@given(st.text())
def test_escaped_text_holds_nothing_that_a_figure_reads_as_more(text: str) -> None:
    shown = escaped(text)
    assert not set(shown) & set("<>$%\n\r\t")
    assert shown
    assert not set(wrapped(text).replace("<br>", "")) & set("<>$%\n")


def test_a_very_long_text_ends_in_an_ellipsis() -> None:
    assert wrapped("word " * 500).endswith("<br>…")
    assert wrapped("word " * 500).count("<br>") == 8


def test_what_is_next_to_nothing_is_drawn_as_nothing() -> None:
    assert drawn(series([5e-324, 1.0], [1e-310, 2.0])).values.tolist() == [0.0, 1.0]
    assert drawn(series([5e-324, 1.0], [1e-310, 2.0])).x.tolist() == [0.0, 2.0]
    assert drawn(series([5e-324, 1.0]), log=True).values.tolist() == [5e-324, 1.0]
