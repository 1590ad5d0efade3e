"""Whether a value is worse than a baseline, in a sentence with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_db.analysis.regression.prediction import Expectation, expected, mean_of
from training_db.analysis.regression.regression import Regression
from training_db.analysis.targets import is_finite
from training_db.models import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_db.analysis.regression.baseline import Baseline
    from training_db.analysis.regression.tolerance import Tolerance

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A run's value and what it is compared with.

    Attributes:
        target: What is compared.
        run_id: The run.
        status: Where it stands.
        direction: ``"minimize"`` or ``"maximize"``.
        value: The run's value; NaN where it has none.
        ends_finite: Whether the history it was taken from ends with a finite number.
        baseline: What it is compared with.
        alike: The runs whose spread is noise.
    """

    target: str
    run_id: str
    status: RunStatus
    direction: str
    value: float
    ends_finite: bool
    baseline: Baseline
    alike: Baseline

    @property
    def is_broken(self) -> bool:
        """Whether it came to no result, which is worse whatever the baseline is."""
        is_done = self.status == RunStatus.COMPLETED
        return not (is_done and self.ends_finite and is_finite(self.value))


def verdict(
    compared: Compared, tolerance: Tolerance | None, min_runs: int, confidence: float
) -> Regression:
    """Say whether a run is worse than its baseline.

    Args:
        compared: The run's value and the baseline's.
        tolerance: How much worse is let pass; ``None`` for as much as the noise between the runs
            that are alike, see :func:`~training_db.analysis.regression.prediction.expected`.
        min_runs: How few runs do not tell the noise, at least 2.
        confidence: How seldom a run that is no worse is called worse.

    Returns:
        The answer. Of a run that has not ended it cannot be told yet; one that ended without
        completing, or with a value that is not finite, is worse, whatever the baseline is.
    """
    expectation, lack = _expectation(compared, tolerance, min_runs, confidence)
    sign = 1 if compared.direction == "minimize" else -1
    threshold = None if expectation is None else expectation.centre + sign * expectation.margin
    if not compared.status.ended:
        is_worse: bool | None = None
    elif compared.is_broken:
        is_worse = True
    else:
        is_worse = None if threshold is None else sign * compared.value > sign * threshold
    left_out = {}
    if expectation is not None:
        left_out = (compared.alike if tolerance is None else compared.baseline).left_out
    values = list(compared.baseline.values.values())
    centre = mean_of(values) if values else None
    value = None if compared.value != compared.value else compared.value
    return Regression(
        target=compared.target,
        run_id=compared.run_id,
        direction=compared.direction,
        is_worse=is_worse,
        value=value,
        baseline_value=centre,
        baseline_runs=tuple(compared.baseline.values),
        left_out=tuple(left_out),
        spread=expectation.spread if expectation and tolerance is None else None,
        difference=None if centre is None or value is None else value - centre,
        threshold=threshold,
        sentence=_sentence(compared, is_worse, centre, threshold, tolerance, confidence, lack)
        + _aside(left_out),
    )


def shortened(names: Sequence[str]) -> str:
    """Return some names in a row, and how many more there are.

    Example:
        >>> shortened(["r5", "r4", "r3", "r2", "r1"])
        'r5, r4, r3 and 2 more'
    """
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _expectation(
    compared: Compared, tolerance: Tolerance | None, min_runs: int, confidence: float
) -> tuple[Expectation | None, str]:
    """Return what is expected, or what is lacking for it."""
    values = list(compared.baseline.values.values())
    if not values:
        return None, f"nothing to compare with, no finite value of {compared.baseline.wording}"
    if tolerance is not None:
        centre = mean_of(values)
        return Expectation(centre, tolerance.of(centre), 0.0), ""
    alike = list(compared.alike.values.values())
    if len(alike) < min_runs:
        return None, (
            f"noise is told by {min_runs} runs at least, and {len(alike)} are known "
            f"({compared.alike.wording}); a tolerance does without"
        )
    return expected(values, alike, confidence), ""


def _sentence(
    compared: Compared,
    is_worse: bool | None,
    centre: float | None,
    threshold: float | None,
    tolerance: Tolerance | None,
    confidence: float,
    lack: str,
) -> str:
    subject = f"{compared.target} of {compared.run_id}"
    against = "" if centre is None else f"{centre:.6g}, {_mean_of(compared.baseline)}"
    status = compared.status
    what = _came_to(compared) + (f", against {against}" if against else "")
    if not status.ended:
        return f"Whether {subject} is worse cannot be told yet: it is {status}, and {what}."
    if is_worse is None:
        return f"Whether {subject} is worse cannot be told: {lack}."
    if compared.is_broken:
        how = "" if status == RunStatus.COMPLETED else f"{status}, and "
        return f"{subject} is worse: it {how}{what}."
    side = "above" if compared.direction == "minimize" else "below"
    why = (
        f"with a tolerance of {tolerance}"
        if tolerance is not None
        else f"by the noise between {len(compared.alike.values)} runs at {confidence:.4g}"
    )
    word = "is worse" if is_worse else "is not worse"
    return (
        f"{subject} {word}: {compared.value:.6g} against {against}; "
        f"worse is {side} {threshold:.6g} {why}."
    )


def _came_to(compared: Compared) -> str:
    if compared.value != compared.value:
        return "has no value, or NaN"
    end = "" if compared.ends_finite else ", but ends in NaN or infinity"
    return f"is {compared.value:.6g}{end}"


def _aside(left_out: dict[str, float]) -> str:
    named = [f"{run_id} ({value:.6g})" for run_id, value in left_out.items()]
    return f" Left out, far off the others: {shortened(named)}." if named else ""


def _mean_of(baseline: Baseline) -> str:
    return f"{'that' if len(baseline.values) == 1 else 'the mean'} of {baseline.wording}"
