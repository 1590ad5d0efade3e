"""Medians of repeated calls, and the table they are printed in."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REPEATS = 5


@dataclass(frozen=True)
class Timing:
    """The seconds of each repeat of something."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.seconds)

    @property
    def noise(self) -> float:
        """How far the slowest lies above the fastest, as a share of the median."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def timed_pair(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    *,
    inner: int = 1,
    given: Callable[[], Any] | None = None,
) -> tuple[Timing, Timing]:
    """Time two ways of doing a thing in turns, as :func:`timed_in_turns` does."""
    first, second = timed_in_turns(ours, theirs, inner=inner, given=given)
    return first, second


def timed_in_turns(
    *ways: Callable[..., Any], inner: int = 1, given: Callable[[], Any] | None = None
) -> tuple[Timing, ...]:
    """Time ways of doing a thing in turns, so that the machine's moods meet all of them.

    Args:
        ways: What is timed.
        inner: How often each is called for one measurement.
        given: Makes what each call takes, before the clock starts; ``None`` where it takes nothing.
    """
    seconds: tuple[list[float], ...] = tuple([] for _ in ways)
    for repeat in range(REPEATS + 1):  # the first warms up
        for way, taken in zip(ways, seconds, strict=True):
            arguments = [(given(),) if given else () for _ in range(inner)]
            gc.collect()
            started = time.perf_counter()
            for each in arguments:
                way(*each)
            if repeat:
                taken.append((time.perf_counter() - started) / inner)
    return tuple(Timing(tuple(taken)) for taken in seconds)


@dataclass(frozen=True)
class Line:
    """A line of the table: what was done, by us and by hand, and how it should compare."""

    what: str
    ours: Timing
    theirs: Timing | None
    limit: float
    unit: str = "ms"

    @property
    def figure(self) -> float:
        """The ratio to what was done by hand, or the seconds where nothing was."""
        return self.ours.median / self.theirs.median if self.theirs else self.ours.median


def print_table(lines: Iterable[Line]) -> None:
    """Print the lines as a Markdown table."""
    print("| what | ours, ms | by hand, ms | figure | limit | reached | spread |")
    print("|---|---:|---:|---:|---:|---|---:|")
    for line in lines:
        theirs = f"{line.theirs.median * 1e3:.3g}" if line.theirs else ""
        figure = f"{line.figure:.2f} x" if line.theirs else f"{line.figure:.3f} s"
        limit = f"{line.limit:g} x" if line.theirs else f"{line.limit:g} s"
        reached = "yes" if line.figure <= line.limit else "**no**"
        spread = max(one.noise for one in (line.ours, line.theirs) if one)
        print(
            f"| {line.what} | {line.ours.median * 1e3:.3g} | {theirs} | {figure} | {limit} "
            f"| {reached} | {spread:.0%} |",
            flush=True,
        )
