"""What is worth saying of a run, in sentences with their numbers."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training_db.analysis.curves.conflicts import Conflict
    from training_db.analysis.curves.convergence import Convergence
    from training_db.analysis.curves.explosion import Explosion
    from training_db.analysis.curves.instability import Instability
    from training_db.analysis.curves.plateau import Plateau

Severity = Literal["info", "warning", "error"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth saying of a run.

    Attributes:
        kind: ``"plateau"``, ``"instability"``, ``"explosions"``, ``"conflict"`` or
            ``"convergence"``.
        severity: ``"error"`` where the training is broken (values that are not finite, a curve
            that diverged), ``"warning"`` where somebody should look, ``"info"`` for all else.
        about: The metric, or the objectives.
        sentence: The finding with its numbers, in plain text: escape it before it goes into HTML.
        data: The same in figures, as JSON takes it.
    """

    kind: str
    severity: Severity
    about: str
    sentence: str
    data: dict[str, Any] = field(default_factory=dict)


def of_plateau(
    metric: str, plateau: Plateau, first: float, last: float, until: float | None = None
) -> Finding:
    """Say that a metric stays where it is.

    Args:
        metric: The metric.
        plateau: Its plateau.
        first: Its first step.
        last: Its last step.
        until: The last step at which it is finite; if not given, its last step.

    Example:
        >>> from training_db.analysis.curves.plateau import Plateau
        >>> of_plateau("loss", Plateau(600, 0.25, 0.984), 0, 1000).sentence
        'loss has stayed at about 0.25 since step 600, for the last 40 % of the steps (98 % sure).'
        >>> of_plateau("loss", Plateau(60, 0.25, 0.984), 0, 1000, until=400).sentence
        'loss stayed at about 0.25 from step 60 to step 400, for 34 % of the steps (98 % sure).'
    """
    confidence = plateau.confidence
    until = last if until is None else until
    sure = "(over 99 % sure)" if confidence > 0.99 else f"({_percent(confidence)} sure)"
    if plateau.step == first and until == last:
        sentence = f"{shown(metric)} stayed at about {number(plateau.level)} all along {sure}."
        return Finding("plateau", "warning", metric, sentence, asdict(plateau))
    share = _percent((until - plateau.step) / (last - first))
    if until == last:
        stayed, span = "has stayed", f"since step {number(plateau.step)}, for the last {share}"
    else:
        stayed, span = "stayed", f"from step {number(plateau.step)} to step {number(until)}, "
        span += f"for {share}"
    sentence = f"{shown(metric)} {stayed} at about {number(plateau.level)} {span} of the steps "
    sentence += f"{sure}."
    return Finding("plateau", "info", metric, sentence, asdict(plateau))


def of_instability(metric: str, instability: Instability) -> Iterator[Finding]:
    """Say what was unstable in a metric: values that are not finite, divergence, spikes."""
    missing, away = instability.non_finite, instability.divergence
    ended_so = away is not None and not math.isfinite(away.final)
    if missing is not None:
        counts = (missing.nan, "NaN"), (missing.positive, "+Inf"), (missing.negative, "-Inf")
        listed = " and ".join(f"{name} at {_steps(count)}" for count, name in counts if count)
        end = ", and to the end" if ended_so else ""
        sentence = f"{shown(metric)} was {listed}, first at step {number(missing.first)}{end}."
        yield Finding("instability", "error", metric, sentence, asdict(missing))
    if away is not None and not ended_so:
        sentence = (
            f"{shown(metric)} diverged from step {number(away.step)} on: its best was "
            f"{number(away.best)}, and it ended at {number(away.final)}."
        )
        yield Finding("instability", "error", metric, sentence, asdict(away))
    if instability.spikes:
        largest = max(instability.spikes, key=lambda spike: abs(spike.size))
        sentence = (
            f"{shown(metric)} {_leapt(len(instability.spikes))} at step {number(largest.step)}, "
            f"to {number(largest.value)}: {number(abs(largest.size), 2)} times its usual spread."
        )
        data = {"spikes": [asdict(spike) for spike in instability.spikes]}
        yield Finding("instability", "warning", metric, sentence, data)


def of_explosions(metric: str, explosions: Sequence[Explosion]) -> Finding:
    """Say when gradients exploded."""
    worst = max(explosions, key=lambda one: one.factor)
    times = "once" if len(explosions) == 1 else f"{len(explosions)} times"
    beside = f", {number(worst.factor, 2)} times the usual" if math.isfinite(worst.factor) else ""
    place = f"at step {number(worst.step)}, to {number(worst.value)}{beside}"
    sentence = (
        f"{shown(metric)} exploded {times}: {'' if len(explosions) == 1 else 'worst '}{place}."
    )
    data = {"explosions": [asdict(one) for one in explosions]}
    return Finding("explosions", "warning", metric, sentence, data)


def of_conflict(conflict: Conflict) -> Finding:
    """Say that two objectives part ways.

    Example:
        >>> from training_db.analysis.curves.conflicts import Conflict
        >>> clash = Conflict("QED", "SA", 40, 90, False, -0.9, 0.5, 1e-6, 0.25, 1.5)
        >>> of_conflict(clash).sentence
        'QED got better (by +0.25) while SA got worse (by +1.5), from step 40 to step 90.'
    """
    until = "the end" if conflict.lasting else f"step {number(conflict.until)}"
    sentence = (
        f"{shown(conflict.better)} got better (by {_signed(conflict.better_change)}) while "
        f"{shown(conflict.worse)} got worse (by {_signed(conflict.worse_change)}), "
        f"from step {number(conflict.since)} to {until}."
    )
    about = f"{conflict.better}, {conflict.worse}"
    return Finding("conflict", "warning", about, sentence, asdict(conflict))


def of_convergence(metric: str, speed: Convergence) -> Finding:
    """Say how fast a metric got where it got."""
    way = "rose" if speed.change > 0 else "fell"
    moved = f"{shown(metric)} {way} from {number(speed.first)} to {number(speed.last)}"
    if speed.settled:
        sentence = (
            f"{moved}: half of it by step {number(speed.step_50)}, "
            f"90 % by step {number(speed.step_90)}."
        )
    else:
        sentence = f"{moved}, and had not settled at the end."
    return Finding("convergence", "info", metric, sentence, asdict(speed))


def of_worsening(metric: str, speed: Convergence) -> Finding:
    """Say that a metric ended worse than it began."""
    way = "rose" if speed.change > 0 else "fell"
    sentence = (
        f"{shown(metric)} got worse: it {way} from {number(speed.first)} to {number(speed.last)}."
    )
    return Finding("convergence", "warning", metric, sentence, asdict(speed))


def shown(name: str) -> str:
    """Return a name as it stands in a sentence, without spaces around it."""
    return " ".join(name.split())


def number(value: float, digits: int = 4) -> str:
    """Return a number as it stands in a sentence.

    Example:
        >>> number(1200), number(0.123456), number(123456.7), number(1e-9), number(float("nan"))
        ('1200', '0.1235', '123457', '1e-09', 'nan')
    """
    if isinstance(value, int) or (abs(value) >= 10**digits and abs(value) < 1e9):
        return f"{value:.0f}"
    return f"{value:.{digits}g}"


def _signed(value: float) -> str:
    return number(value) if value < 0 else f"+{number(value)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _leapt(times: int) -> str:
    return "leapt once," if times == 1 else f"leapt {times} times, farthest"
