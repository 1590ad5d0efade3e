"""Figures beside those of the bare driver and of the peers, and the table they are printed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OTHERS = ("by hand", "floor", "trackio", "wandb", "mlflow")


@dataclass(frozen=True)
class Comparison:
    """A line of the table. Every figure is the better the smaller it is.

    Attributes:
        what: What was done, and on which backend.
        unit: The unit of all its figures.
        ours: Our figure.
        others: The others' figures by name (:data:`OTHERS`), or why there is none.
        at_most: The most that ours may be.
        faster: How many times as much as ours the figure by hand is to be.
        spread: How far the repeats lay apart, as a share of the median.
    """

    what: str
    unit: str
    ours: float
    others: Mapping[str, float | str] = field(default_factory=dict)
    at_most: float | None = None
    faster: float | None = None
    spread: float | None = None

    @property
    def cells(self) -> list[str]:
        """The line as it is printed."""
        others = [self._beside(self.others.get(name, "")) for name in OTHERS]
        spread = "" if self.spread is None else f"{self.spread:.0%}"
        return [self.what, self.unit, f"{self.ours:.3g}", *others, *self._verdict(), spread]

    def _beside(self, other: float | str) -> str:
        return other if isinstance(other, str) else f"{other:.3g} ({other / self.ours:.3g} x)"

    def _verdict(self) -> tuple[str, str]:
        by_hand = self.others.get("by hand")
        if self.at_most is not None:
            return f"<= {self.at_most:g}", "yes" if self.ours <= self.at_most else "**no**"
        if self.faster is not None and isinstance(by_hand, float):
            reached = by_hand / self.ours >= self.faster
            return f"by hand >= {self.faster:g} x", "yes" if reached else "**no**"
        return "", ""


def print_comparisons(lines: Iterable[Comparison]) -> None:
    """Print the lines as a Markdown table; the factors in brackets are theirs over ours."""
    names = ["what", "unit", "ours", *OTHERS, "asked", "reached", "spread"]
    print("| " + " | ".join(names) + " |")
    print("|---|---|---:|" + "---:|" * len(OTHERS) + "---|---|---:|")
    for line in lines:
        print("| " + " | ".join(line.cells) + " |", flush=True)
