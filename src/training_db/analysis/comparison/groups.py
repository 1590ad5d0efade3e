"""Groups of runs side by side: how many, how many succeeded, how long, how good."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training_db.analysis.comparison.rank_tests import RankTest, rank_test
from training_db.analysis.intervals import (
    RESAMPLES,
    check_confidence,
    mean_interval,
    share_interval,
)
from training_db.repository.grouping import identity

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from numpy.typing import ArrayLike

    from training_db.repository.gathering import Gathered
    from training_db.repository.group_queries import Counts


@dataclass(frozen=True, slots=True)
class Measured:
    """What a group came to in an objective or a metric.

    Attributes:
        count: The runs with a finite value; the others are left out of all that follows.
        mean: The mean over them; ``None`` where there is none.
        median: Their median.
        low: The lower end of the interval of the mean; ``None`` below 2 values.
        high: Its upper end.
        interval: How the interval was made: ``"bootstrap"``, ``"t"``, or ``None``.
    """

    count: int
    mean: float | None
    median: float | None
    low: float | None
    high: float | None
    interval: Literal["bootstrap", "t"] | None


@dataclass(frozen=True, slots=True)
class Group:
    """The runs that have one value.

    Attributes:
        value: The value; ``None`` for the runs that have none.
        runs: How many there are.
        ended: How many of them ended, in whatever way.
        completed: How many completed.
        success_rate: The completed among those that ended; ``None`` where none did.
        success_low: The lower end of its Wilson interval.
        success_high: Its upper end.
        mean_duration_seconds: Over the runs whose duration is known.
        measures: For each objective or metric what the group came to.
    """

    value: Any
    runs: int
    ended: int
    completed: int
    success_rate: float | None
    success_low: float | None
    success_high: float | None
    mean_duration_seconds: float | None
    measures: dict[str, Measured]


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of runs side by side.

    Attributes:
        by: What they were grouped by.
        confidence: Of all intervals, such as 0.95.
        groups: The groups, the largest first.
        tests: For each objective or metric, whether the groups differ in it by more than noise.
    """

    by: str
    confidence: float
    groups: tuple[Group, ...]
    tests: dict[str, RankTest]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def measured(
    values: ArrayLike, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Measured:
    """Return what a group came to, of the values of its runs.

    Args:
        values: Finite numbers, of shape (n,); there may be none.
        confidence: Of the interval of the mean; how it is made says
            :func:`training_db.analysis.intervals.mean_interval`.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.

    Example:
        >>> measured([0.5, 0.7]).mean
        0.6
    """
    array = np.sort(np.asarray(values, dtype=np.float64))
    if not len(array):
        return Measured(0, None, None, None, None, None)
    mean, low, high, interval = mean_interval(array, confidence, resamples, seed)
    middle = array[(len(array) - 1) // 2] / 2 + array[len(array) // 2] / 2
    if interval is None:
        return Measured(len(array), mean, float(middle), None, None, None)
    return Measured(len(array), mean, float(middle), low, high, interval)


def grouped(
    by: str,
    counts: Iterable[Counts],
    gathered: Iterable[Gathered],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Groups:
    """Put groups side by side, of what the database counted and gathered.

    Args:
        by: What the runs were grouped by.
        counts: The groups, in order.
        gathered: The finite values of each objective or metric and group that has any.
        confidence: Of all intervals.
        resamples: Of the bootstrap.
        seed: Of the bootstrap and of permutations.
    """
    check_confidence(confidence)
    found: dict[str, dict[Hashable, Gathered]] = {}
    for one in gathered:
        found.setdefault(one.name, {})[identity(one.group)] = one
    listed = list(counts)

    def of(name: str, count: Counts) -> list[float]:
        own = found[name].get(identity(count.value))
        return own.values if own else []

    names = sorted(found)
    groups = tuple(
        _group(
            count,
            {name: measured(of(name, count), confidence, resamples, seed) for name in names},
            confidence,
        )
        for count in listed
    )
    tests = {
        name: rank_test([(count.value, of(name, count)) for count in listed], seed)
        for name in names
    }
    return Groups(by, confidence, groups, tests)


def _group(count: Counts, measures: dict[str, Measured], confidence: float) -> Group:
    low, high = share_interval(count.completed, count.ended, confidence) or (None, None)
    return Group(
        value=count.value,
        runs=count.runs,
        ended=count.ended,
        completed=count.completed,
        success_rate=count.completed / count.ended if count.ended else None,
        success_low=low,
        success_high=high,
        mean_duration_seconds=count.seconds / count.timed if count.timed else None,
        measures=measures,
    )
