"""Where runs crash: how often by method and by host, after which errors, at which step."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Any

from training_db.analysis.comparison.rank_tests import ALIKE, ALPHA, DIFFERS, UNTOLD, holm
from training_db.analysis.intervals import share_interval
from training_db.extras import load
from training_db.repository.group_endings import Endings
from training_db.repository.grouping import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from training_db.analysis.comparison.rank_tests import Verdict
    from training_db.repository.group_queries import Counts

_NUMBER = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class CrashGroup:
    """How the runs of one method or host ended.

    Attributes:
        value: The method or host; ``None`` for the runs that have none.
        runs: How many there are.
        ended: How many of them ended, in whatever way.
        crashed: How many crashed.
        failed: How many failed.
        rate: The crashed and failed among those that ended; ``None`` where none did.
        low: The lower end of its Wilson interval.
        high: Its upper end.
        p_value: By Fisher's exact test against all other runs, adjusted by Holm for the number of
            groups, if more than two; ``None`` where there is nothing to compare.
        verdict: Whether the rate differs from that of all others by more than noise.
        error: The most common error of the crashed and failed runs.
        error_runs: How many of them had it.
        last_step: The median of the last steps they reached.
    """

    value: Any
    runs: int
    ended: int
    crashed: int
    failed: int
    rate: float | None
    low: float | None
    high: float | None
    p_value: float | None
    verdict: Verdict
    error: str | None
    error_runs: int
    last_step: float | None


@dataclass(frozen=True, slots=True)
class Crashes:
    """How runs ended, by several attributes.

    Attributes:
        confidence: Of the intervals.
        by: For each attribute, such as ``"host"``, its groups, the one with most crashes first.
    """

    confidence: float
    by: dict[str, tuple[CrashGroup, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def crash_groups(
    counts: Sequence[Counts], endings: Iterable[Endings], confidence: float = 0.95
) -> tuple[CrashGroup, ...]:
    """Tell how the runs of each group ended, and whether one differs from all others.

    Each group is compared with all other runs by Fisher's exact test (R. A. Fisher, "The Logic of
    Inductive Inference", JRSS 98, 1935), adjusted for the number of groups by Holm. Errors are the
    same where their first lines are the same but for numbers.

    Args:
        counts: The groups, as ``db.statistics.counts`` returns them.
        endings: Errors and last steps of the crashed and failed runs, as
            ``db.statistics.endings`` returns them.
        confidence: Of the intervals.

    Returns:
        The groups, the one with most crashes and failures first.
    """
    ended = {identity(one.value): one for one in endings}
    tests = _against_the_rest(counts)
    groups = []
    for count, (p_value, verdict) in zip(counts, tests, strict=True):
        ending = ended.get(identity(count.value), Endings(count.value))
        bad = count.crashed + count.failed
        low, high = share_interval(bad, count.ended, confidence) or (None, None)
        error, error_runs = _most_common(ending.errors)
        groups.append(
            CrashGroup(
                value=count.value, runs=count.runs, ended=count.ended,
                crashed=count.crashed, failed=count.failed,
                rate=bad / count.ended if count.ended else None, low=low, high=high,
                p_value=p_value, verdict=verdict, error=error, error_runs=error_runs,
                last_step=float(median(ending.last_steps)) if ending.last_steps else None,
            )
        )  # fmt: skip
    return tuple(sorted(groups, key=lambda one: -(one.crashed + one.failed)))


def _against_the_rest(counts: Sequence[Counts]) -> list[tuple[float | None, Verdict]]:
    bad = sum(one.crashed + one.failed for one in counts)
    ended = sum(one.ended for one in counts)
    raw: list[float | None] = []
    for one in counts:
        own, others = one.crashed + one.failed, ended - one.ended
        raw.append(
            _fisher(own, one.ended - own, bad - own, others - (bad - own))
            if one.ended and others
            else None
        )
    tested = [place for place, p_value in enumerate(raw) if p_value is not None]
    tests = 1 if len(tested) == 2 else len(tested)  # of two groups each is the rest of the other
    known = [raw[place] or 0.0 for place in tested]
    adjusted = dict(zip(tested, known if tests == 1 else holm(known), strict=True))
    return [
        (adjusted.get(place), _verdict(adjusted.get(place), one.ended, ended, tests))
        for place, one in enumerate(counts)
    ]


@lru_cache(maxsize=1_000)  # many small groups have few different tables
def _fisher(own_bad: int, own_good: int, other_bad: int, other_good: int) -> float:
    table = [[own_bad, own_good], [other_bad, other_good]]
    return float(load("scipy.stats").fisher_exact(table).pvalue)


def _verdict(p_value: float | None, own: int, ended: int, tested: int) -> Verdict:
    if p_value is not None and p_value < ALPHA:
        return DIFFERS
    # Even if all of the group had crashed, and none of the others.
    is_able = max(1, tested) * _fisher(own, 0, 0, ended - own) < ALPHA
    return ALIKE if is_able else UNTOLD


def _most_common(errors: Mapping[str, set[int]]) -> tuple[str | None, int]:
    """Return the error that most runs had, and how many had it."""
    kinds: dict[str, dict[str, set[int]]] = {}
    for message, runs in errors.items():
        first, *_ = message.strip().splitlines() or [""]
        alike = kinds.setdefault(_NUMBER.sub("#", first), {})
        alike[first] = alike.get(first, set()) | runs
    counted = {kind: len(set().union(*alike.values())) for kind, alike in kinds.items()}
    if not counted:
        return None, 0
    most = max(counted, key=lambda kind: (counted[kind], kind))
    shown = max(kinds[most], key=lambda first: (len(kinds[most][first]), first))
    return shown, counted[most]
