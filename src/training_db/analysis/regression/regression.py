"""Whether a run is worse than what it is compared with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Regression:
    """Whether a run became worse than a baseline.

    Attributes:
        target: What was compared, as it was named: ``"loss"``, or ``"loss (min)"`` of a statistic.
        run_id: The run.
        direction: ``"minimize"`` where less is better, ``"maximize"`` where more is.
        is_worse: Whether it is worse by more than is tolerated, or did not complete; ``None`` where
            that cannot be told, as of a run that has not ended.
        value: Its value; ``None`` where it is missing or NaN, which is worse than any number, as
            infinity is.
        baseline_value: The mean of the baseline.
        baseline_runs: The runs of the baseline that have a finite value, the newest first.
        left_out: The good runs that count neither for the baseline nor for the noise, because they
            lie far off the others.
        spread: The standard deviation between runs that is taken for noise; ``None`` where a
            tolerance was given.
        difference: The value less that of the baseline.
        threshold: The value beyond which it counts as worse.
        sentence: The answer in a sentence, with its numbers.
    """

    target: str
    run_id: str
    direction: str
    is_worse: bool | None
    value: float | None
    baseline_value: float | None
    baseline_runs: tuple[str, ...]
    left_out: tuple[str, ...]
    spread: float | None
    difference: float | None
    threshold: float | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return asdict(self)
