"""What is said of settings that matter, and of those that do not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Importance:
    """How much one setting matters for a target.

    Attributes:
        name: The setting, as a path into the config: ``"optimizer.lr"``.
        kind: ``"numeric"``, ``"bool"`` or ``"categorical"``.
        mean: The share of the variance of the target's ranks that is the setting's doing, alone or
            with others: half of what predictions lose when it is shuffled among runs that were not
            learnt from. 0 where it does not matter; around 0, chance makes it negative too.
        low: The lower end of the interval of the mean.
        high: The upper end.
        matters: Whether that is more than chance, given that many settings were looked at.
        partial_correlation: The rank correlation with the target once the other settings are
            taken into account, from -1 to 1: which way it works, if it works one way. ``None``
            for a setting of more than two words, which have no order.
        partial_low: The lower end of the interval of the correlation.
        partial_high: The upper end.
        same_as: Settings that always changed together with this one; nothing can tell them apart,
            so they were shuffled together.
        goes_with: Settings whose values follow it in part, with the rank correlation (or for words
            Cramer's V); a share of its importance may be theirs.
    """

    name: str
    kind: str
    mean: float
    low: float
    high: float
    matters: bool
    partial_correlation: float | None = None
    partial_low: float | None = None
    partial_high: float | None = None
    same_as: tuple[str, ...] = ()
    goes_with: tuple[tuple[str, float], ...] = ()

    @property
    def sentence(self) -> str:
        """What that means, with its numbers."""
        names = ", ".join((self.name, *self.same_as))
        text = (
            f"{names} {'matters' if self.matters else 'is not told from chance'}: "
            f"importance {self.mean:.2f} ({self.low:.2f} to {self.high:.2f})"
        )
        if self.partial_correlation is not None:
            text += f", partial rank correlation {self.partial_correlation:+.2f}"
        if self.goes_with:
            others = ", ".join(f"{name} ({strength:.2f})" for name, strength in self.goes_with)
            text += f"; it goes with {others}, so part of that may be theirs"
        return text


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Which settings matter for a target.

    Attributes:
        target: What was asked about, as it was named: ``"QED"``, or ``"QED (raw_std)"`` of a
            statistic.
        runs: How many runs it rests on.
        importances: The settings, the most important first; none where there are too few runs.
        r2: Which share of the variance of the target's ranks the settings predict, in runs that
            the forest has not seen; below 0 where the mean predicts better.
        r2_low: The lower end of the interval of that share.
        r2_high: The upper end.
        can_tell: Whether the settings together, or one of them, make more of the target than
            chance does.
        reason: Why it cannot be told, in a sentence; ``None`` where it can.
        confidence: Of all intervals.
        without_value: How many runs that match have no finite value of the target; they are left
            out, however much the settings are to blame.
        not_drawn: How many runs were left out because there were more than are looked at.
        left_out: Settings that were not looked at, and why.
    """

    target: str
    runs: int
    importances: tuple[Importance, ...] = ()
    r2: float | None = None
    r2_low: float | None = None
    r2_high: float | None = None
    can_tell: bool = False
    reason: str | None = None
    confidence: float = 0.95
    without_value: int = 0
    not_drawn: int = 0
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def sentence(self) -> str:
        """The answer in a sentence, with its numbers."""
        if not self.can_tell:
            return f"Which settings matter for {self.target} cannot be told: {self.reason}."
        share = f"{self.r2:.0%}" if self.r2 and self.r2 > 0 else "none"
        whole = f"over {self.runs} runs the settings predict {share} of it"
        found = [one for one in self.importances if one.matters]
        if not found:
            return f"No single setting is told from chance for {self.target}; {whole}."
        listed = ", ".join(f"{one.name} ({one.mean:.2f})" for one in found)
        return f"What matters for {self.target} is {listed}; {whole}."

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as plain values, with the sentences."""
        importances = [asdict(one) | {"sentence": one.sentence} for one in self.importances]
        return asdict(self) | {"importances": importances, "sentence": self.sentence}
