"""How much worse than a baseline is let pass."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from training_db.errors import InvalidValue

_WRITTEN = re.compile(r"\s*([0-9.eE+-]+)\s*(%?)\s*\Z")


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is let pass.

    Attributes:
        amount: In the units of what is compared, or as a share of the baseline.
        is_share: Which of the two.
    """

    amount: float
    is_share: bool

    def of(self, baseline: float) -> float:
        """Return the tolerance in the units of a baseline."""
        return self.amount * abs(baseline) if self.is_share else self.amount

    def __str__(self) -> str:
        return f"{self.amount * 100:g}%" if self.is_share else f"{self.amount:g}"


def as_tolerance(given: float | str) -> Tolerance:
    """Read a tolerance: a number, or a share such as ``"5%"``.

    Raises:
        InvalidValue: It is neither, or below 0.

    Example:
        >>> as_tolerance("5%").of(-20.0), as_tolerance(0.5).of(-20.0)
        (1.0, 0.5)
    """
    written = _WRITTEN.match(given) if isinstance(given, str) else None
    try:
        if written is not None:
            amount, is_share = float(written[1]), bool(written[2])
        elif isinstance(given, (bool, str)):
            raise TypeError  # noqa: TRY301 - the same answer as for what float refuses
        else:
            amount, is_share = float(given), False
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not 0 <= amount < math.inf:
        raise InvalidValue(
            f"the tolerance {given!r} is no number of 0 or more; pass one like 0.05, or '5%'"
        )
    return Tolerance(amount / 100 if is_share else amount, is_share)
