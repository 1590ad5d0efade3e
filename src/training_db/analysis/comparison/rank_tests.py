"""Whether groups differ by more than noise: rank tests, and their verdict in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Samples = Mapping[Hashable, NDArray[np.float64]]

Verdict = Literal["more than noise", "no more than noise", "too few runs to tell"]
DIFFERS: Verdict = "more than noise"
ALIKE: Verdict = "no more than noise"
UNTOLD: Verdict = "too few runs to tell"
ALPHA = 0.05
FEWEST = 2
"""Values that a group needs to take part in a test."""
MOST_PAIRED = 20
"""Groups up to which each is compared with each: 190 pairs."""
_SMALL = 5  # the chi-squared approximation of Kruskal-Wallis is poor for groups below it
_SMALL_TIED = 9  # the normal one of Mann-Whitney, where ties forbid its exact distribution
_PERMUTED = 200  # values up to which they are replaced by permutations
_PERMUTATIONS = 9_999


@dataclass(frozen=True, slots=True)
class Pair:
    """Two groups against each other.

    Attributes:
        one: The one group.
        other: The other.
        superiority: How probable it is that a value of the one is above a value of the other,
            ties counted half (the A of Vargha & Delaney, 2000); 0.5 where neither is.
        p_value: By Mann-Whitney, adjusted for the number of pairs by Holm.
        verdict: Whether they differ by more than noise.
    """

    one: Any
    other: Any
    superiority: float
    p_value: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RankTest:
    """Whether groups differ by more than noise.

    Attributes:
        method: The test, in words.
        statistic: Its statistic; ``None`` where nothing could be tested.
        p_value: How probable a difference as large is where there is none.
        verdict: ``"more than noise"``, ``"no more than noise"`` or ``"too few runs to tell"``.
        sentence: The verdict with its numbers.
        pairs: Each two groups against each other, where there are no more than 20 groups.
    """

    method: str
    statistic: float | None
    p_value: float | None
    verdict: Verdict
    sentence: str
    pairs: tuple[Pair, ...]


def rank_test(
    samples: Mapping[Any, ArrayLike] | Sequence[tuple[Any, ArrayLike]],
    seed: int = 0,
) -> RankTest:
    """Tell whether groups of values differ by more than noise.

    Two groups are compared by the Mann-Whitney U test (Mann & Whitney, 1947), exact for few values
    without ties; more by the Kruskal-Wallis H test (Kruskal & Wallis, 1952). For few values with
    ties, and for more groups of fewer than 5 values, the approximations of both see differences
    where there are none, so there the statistic is compared with that of 9,999 permutations
    (Phipson & Smyth, 2010). Ranks ask nothing of how values are spread. Pairs
    are adjusted by the method of Holm (1979), so that of many pairs none stands out by chance.
    The verdict is at the level of 5 %.

    Args:
        samples: For each group its values, finite numbers of any shape. Groups of fewer than 2
            values take no part.
        seed: Of the permutations.

    Returns:
        The test. It says ``"too few runs to tell"`` where not even groups without any overlap
        could have differed significantly.

    Raises:
        InvalidValue: A value that is no finite number.

    Example:
        >>> test = rank_test({"mgda": [0.61, 0.64, 0.66, 0.63], "sum": [0.41, 0.44, 0.46, 0.43]})
        >>> test.verdict, round(test.p_value, 3)
        ('more than noise', 0.029)
        >>> rank_test({"mgda": [0.61, 0.64], "sum": [0.41, 0.44]}).verdict
        'too few runs to tell'
    """
    given = list(samples.items()) if hasattr(samples, "items") else list(samples)
    tested = [(name, values) for name, raw in given if len(values := _finite(raw, name)) >= FEWEST]
    if len(tested) < 2:
        sentence = f"{UNTOLD}: fewer than two groups have {FEWEST} values or more"
        return RankTest("none", None, None, UNTOLD, sentence, ())
    arrays = [values for _, values in tested]
    pairs = _pairs(tested, seed) if len(tested) <= MOST_PAIRED else ()
    method, statistic, p_value = _whole(arrays, seed)
    verdict = _verdict(p_value, _least_p([len(values) for values in arrays]))
    total = sum(len(values) for values in arrays)
    numbers = f"{method}, {len(arrays)} groups, {total:,} values, p = {p_value:.2g}"
    return RankTest(
        method, statistic, p_value, verdict, f"{_SENTENCES[verdict]} ({numbers})", pairs
    )


_SENTENCES = {
    DIFFERS: "the groups differ by more than noise",
    ALIKE: "the groups differ by no more than noise explains",
    UNTOLD: "too few runs to tell whether the groups differ",
}


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, greatest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        greatest = max(greatest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = greatest
    return adjusted


def _whole(arrays: list[NDArray[np.float64]], seed: int) -> tuple[str, float, float]:
    stats = load("scipy.stats")
    if len(arrays) == 2:
        return _mann_whitney(arrays[0], arrays[1], seed)
    every = np.concatenate(arrays)
    if (every == every[0]).all():
        return "Kruskal-Wallis", 0.0, 1.0
    statistic, p_value = (float(one) for one in stats.kruskal(*arrays))
    if min(map(len, arrays)) >= _SMALL or len(every) > _PERMUTED:
        return "Kruskal-Wallis", statistic, p_value
    sizes = [len(values) for values in arrays]
    return "Kruskal-Wallis by permutation", statistic, _permuted(every, sizes, seed)


def _permuted(every: NDArray[np.float64], sizes: list[int], seed: int) -> float:
    """Return how often groups of these sizes, drawn at random, differ as much.

    As far as H does from its least, which for two groups is as far as U does from its mean.
    """
    ranks = load("scipy.stats").rankdata(every)
    starts = np.cumsum([0, *sizes[:-1]])

    def spread(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        # H but for what is the same in each permutation.
        sums = np.add.reduceat(rows, starts, axis=1)
        return np.asarray((sums**2 / sizes).sum(axis=1))

    dice = np.random.default_rng(seed)
    drawn = dice.permuted(np.tile(ranks, (_PERMUTATIONS, 1)), axis=1)
    own = spread(ranks[np.newaxis])[0]
    as_much = int((spread(drawn) >= own * (1 - 1e-12)).sum())
    return (1 + as_much) / (1 + _PERMUTATIONS)


def _pairs(tested: list[tuple[Any, NDArray[np.float64]]], seed: int) -> tuple[Pair, ...]:
    found = []
    for (one, values), (other, others) in combinations(tested, 2):
        _, statistic, p_value = _mann_whitney(values, others, seed)
        least = _least_p([len(values), len(others)])
        found.append((one, other, statistic / (len(values) * len(others)), p_value, least))
    adjusted = holm([p_value for *_, p_value, _ in found])
    return tuple(
        Pair(one, other, superiority, p_value, _verdict(p_value, least * len(found)))
        for (one, other, superiority, _, least), p_value in zip(found, adjusted, strict=True)
    )


def _mann_whitney(
    one: NDArray[np.float64], other: NDArray[np.float64], seed: int
) -> tuple[str, float, float]:
    found = load("scipy.stats").mannwhitneyu(one, other)
    # Where all values are the same it divides 0 by 0.
    p_value = float(found.pvalue) if found.pvalue == found.pvalue else 1.0
    every = np.concatenate([one, other])
    is_small = min(len(one), len(other)) < _SMALL_TIED and len(every) <= _PERMUTED
    if not is_small or len(np.unique(every)) == len(every):
        return "Mann-Whitney", float(found.statistic), p_value
    p_value = _permuted(every, [len(one), len(other)], seed)
    return "Mann-Whitney by permutation", float(found.statistic), p_value


def _least_p(sizes: Sequence[int]) -> float:
    """Return the p-value of groups without any overlap.

    There are two such orders of them, or all orders of the groups where those are of one size.
    """
    orders = math.lgamma(sum(sizes) + 1) - sum(math.lgamma(size + 1) for size in sizes)
    extreme = math.lgamma(len(sizes) + 1) if len(set(sizes)) == 1 else math.log(2)
    return math.exp(extreme - orders)


def _verdict(p_value: float, least: float) -> Verdict:
    if p_value < ALPHA:
        return DIFFERS
    return UNTOLD if least >= ALPHA else ALIKE


def _finite(raw: ArrayLike, name: Any) -> NDArray[np.float64]:
    try:
        # Sorted, as ranking what is sorted takes a tenth of the time.
        values = np.sort(np.asarray(raw, dtype=np.float64), axis=None)
    except (TypeError, ValueError, OverflowError):
        raise InvalidValue(f"the values of {name!r} are no numbers") from None
    if not np.isfinite(values).all():
        raise InvalidValue(f"the values of {name!r} are not all finite; leave NaN and Inf out")
    return values
