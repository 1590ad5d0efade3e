"""Whether groups differ by more than noise, and how far a mean may be off: functions on arrays."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from scipy import stats

from training_db.analysis.comparison.groups import measured
from training_db.analysis.comparison.rank_tests import holm, rank_test
from training_db.analysis.intervals import _expanded_tail, mean_interval, share_interval
from training_db.errors import InvalidValue

DICE = np.random.default_rng(5)


def test_two_groups_are_compared_by_mann_whitney() -> None:
    one, other = DICE.normal(size=30), DICE.normal(1.0, size=40)
    test = rank_test({"one": one, "other": other})
    expected = stats.mannwhitneyu(one, other)
    assert (test.method, test.p_value) == ("Mann-Whitney", expected.pvalue)
    (pair,) = test.pairs
    assert pair.superiority == pytest.approx(np.mean(one[:, None] > other))
    assert test.verdict == pair.verdict == "more than noise"
    assert "2 groups, 70 values" in test.sentence


def test_more_groups_are_compared_by_kruskal_and_wallis() -> None:
    samples = {name: DICE.normal(size=20) for name in range(4)}
    test = rank_test(samples)
    expected = stats.kruskal(*samples.values())
    assert test.method == "Kruskal-Wallis"
    assert test.statistic == pytest.approx(expected.statistic)
    assert test.p_value == pytest.approx(expected.pvalue)
    assert len(test.pairs) == 6


def test_few_values_are_compared_with_all_their_orders() -> None:
    samples = {"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [2.5, 5.0]}
    values = [value for group in samples.values() for value in group]

    def spread(order: tuple[float, ...]) -> float:
        ranks = stats.rankdata(order)
        return float(sum(ranks[start : start + 2].sum() ** 2 for start in (0, 2, 4)))

    every = [spread(order) for order in permutations(values)]
    exact = np.mean([one >= spread(tuple(values)) - 1e-9 for one in every])
    test = rank_test(samples)
    assert test.method == "Kruskal-Wallis by permutation"
    assert test.p_value == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("other", [[1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 1, 1, 2]])
def test_few_values_with_ties_are_compared_with_all_their_orders(other: list[int]) -> None:
    one = [0, 0, 0, 1][: len(other)]
    ranks = stats.rankdata(one + other)
    mean = len(one) * ranks.mean()
    sums = [sum(drawn) for drawn in combinations(ranks, len(one))]
    own = abs(ranks[: len(one)].sum() - mean)
    exact = np.mean([abs(drawn - mean) >= own - 1e-9 for drawn in sums])
    test = rank_test({"one": one, "other": other})
    assert test.method == "Mann-Whitney by permutation"
    assert test.p_value == pytest.approx(exact, abs=0.015)
    assert test.statistic == stats.mannwhitneyu(one, other).statistic


def test_three_runs_that_failed_and_three_that_did_not_cannot_tell() -> None:
    test = rank_test({"failed": [0, 0, 0], "not": [1, 1, 1]})  # 1 of 10 orders, whatever is true
    assert test.verdict == test.pairs[0].verdict == "too few runs to tell"
    pairs = {"a": [1, 2], "b": [3, 4], "c": [5, 6]}  # 1 of 15
    assert rank_test(pairs).verdict == "too few runs to tell"
    assert rank_test(pairs | {"d": [7, 8]}).verdict == "more than noise"


def test_noise_alone_is_seldom_called_a_difference() -> None:
    verdicts = [
        rank_test({name: DICE.normal(size=8) for name in "abc"}).verdict for _ in range(200)
    ]
    assert sum(verdict == "more than noise" for verdict in verdicts) <= 20  # 5 % of 200 are 10
    assert "too few runs to tell" not in verdicts


def test_pairs_are_adjusted_for_their_number() -> None:
    wrong = 0
    for _ in range(60):
        test = rank_test({name: DICE.normal(size=10) for name in range(6)})
        wrong += any(pair.verdict == "more than noise" for pair in test.pairs)
    assert wrong <= 9  # unadjusted, 15 pairs would stand out by chance in most of the 60


@pytest.mark.parametrize("size", [2, 3])
def test_few_runs_cannot_tell_and_one_more_can(size: int) -> None:
    apart = {"low": list(range(size)), "high": list(range(10, 10 + size))}
    test = rank_test(apart)
    assert test.verdict == "too few runs to tell"
    assert test.pairs[0].verdict == "too few runs to tell"
    assert rank_test({"low": range(4), "high": range(10, 14)}).verdict == "more than noise"


def test_groups_of_one_value_take_no_part() -> None:
    test = rank_test({"a": [1.0], "b": [2.0, 3.0], "c": []})
    assert (test.verdict, test.p_value, test.pairs) == ("too few runs to tell", None, ())
    assert "fewer than two groups" in test.sentence
    assert rank_test({}).verdict == "too few runs to tell"


def test_equal_values_differ_by_nothing() -> None:
    for samples in ({"a": [1.0] * 9, "b": [1.0] * 9}, {name: [2.0] * 9 for name in "abc"}):
        test = rank_test(samples)
        assert (test.p_value, test.verdict) == (1.0, "no more than noise")
        assert all(pair.superiority == 0.5 for pair in test.pairs)


def test_many_groups_are_not_compared_pair_by_pair() -> None:
    test = rank_test({name: DICE.normal(size=5) for name in range(21)})
    assert test.pairs == ()
    assert test.p_value is not None


def test_huge_groups_take_their_verdict_from_the_same_tests() -> None:
    test = rank_test({"a": DICE.normal(size=30_000), "b": DICE.normal(0.1, size=30_000)})
    assert test.verdict == "more than noise"


@pytest.mark.parametrize(
    "values", [[1.0, math.nan], [math.inf, 1.0], ["x", "y"], [[1.0], [1.0, 2.0]], [10**400, 1]]
)
def test_values_that_are_no_finite_numbers_are_refused(values: list[object]) -> None:
    with pytest.raises(InvalidValue, match="'a'"):
        rank_test({"a": values, "b": [1.0, 2.0]})


def test_holm_multiplies_the_least_most() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_the_interval_of_a_share_is_wilsons() -> None:
    for count, of in ((0, 5), (3, 10), (10, 10), (500, 1000)):
        expected = stats.binomtest(count, of).proportion_ci(0.9, method="wilson")
        assert share_interval(count, of, 0.9) == pytest.approx((expected.low, expected.high))
    assert share_interval(0, 0) is None


def test_the_interval_of_a_mean_holds_it_as_often_as_it_says() -> None:
    held = 0
    for seed in range(300):
        _, low, high, how = mean_interval(DICE.exponential(size=12), resamples=500, seed=seed)
        held += low <= 1.0 <= high
        assert how == "bootstrap"
    assert 0.88 <= held / 300 <= 0.98  # skewed as they are


@pytest.mark.parametrize("size", [2, 3, 4])
def test_the_interval_of_a_few_seeds_is_that_of_student(size: int) -> None:
    values = DICE.normal(size=size)
    _, low, high, how = mean_interval(values, 0.9)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert (low, high, how) == (pytest.approx(expected.low), pytest.approx(expected.high), "t")


def test_the_interval_of_few_values_is_expanded_as_in_hesterbergs_table() -> None:
    tails = [round(_expanded_tail(0.95, count), 4) for count in (5, 10, 20, 100)]
    assert tails == [0.001, 0.0086, 0.0159, 0.0231]


def test_the_intervals_of_few_and_of_many_values_meet() -> None:
    values = DICE.gamma(2.0, size=2_001)
    _, low, high, how = mean_interval(values)
    _, low_drawn, high_drawn, drawn = mean_interval(values[:2_000])
    assert (how, drawn) == ("t", "bootstrap")
    width = high - low
    assert low_drawn == pytest.approx(low, abs=0.1 * width)
    assert high_drawn == pytest.approx(high, abs=0.1 * width)


def test_means_of_odd_values() -> None:
    assert measured([]).mean is None
    assert measured([0.0, 0.0]).high == 0.0
    assert measured([-1.7e308] * 3).low == pytest.approx(-1.7e308)
    many = measured(np.concatenate([np.full(2_000, 1.7e308), np.full(2_000, -1.7e308)]))
    assert (many.interval, many.mean, many.median) == ("t", 0.0, 0.0)
    assert measured([3.0]).interval is None
