"""Which row of a W&B run takes the next values, so that W&B drops none of them.

W&B numbers the rows of a run by one rising counter, and drops silently what comes with a lower
number. The stages of a pipeline each count their own steps, in any order.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_LARGEST = 2**53
"""Beyond this W&B's numbers are no longer exact."""


class OpenRow:
    """The row of a W&B run that still takes values: the newest one.

    A row holds one step of a stage, and each key once. It has the number of the step wherever
    the numbers still rise by that, and the next free number elsewhere.

    Example:
        >>> row = OpenRow()
        >>> row.place(["train/loss"], "train", 5), row.place(["train/acc"], "train", 5)
        (5, 5)
        >>> row.place(["eval/acc"], "eval", 1), row.place(["eval/acc"], "eval", 2)
        (5, 6)
        >>> row.place(["train/loss"], "train", 5), row.place(["train/loss"], "train", 6)
        (6, 7)
    """

    def __init__(self) -> None:
        self._number = -1
        self._keys: set[str] = set()
        self._stages: dict[str, Any] = {}

    def place(
        self, keys: Iterable[str], stage: str | None = None, step: Any = None, lowest: int = 0
    ) -> int:
        """Return the number of the row that these values go to.

        Args:
            keys: The names of the values.
            stage: The stage whose step they belong to; ``None`` for values without a step.
            step: That step.
            lowest: The lowest number that W&B still takes.
        """
        names = set(keys)
        number = step if _is_number(step) else -1
        is_taken = bool(names & self._keys) or self._stages.get(stage or "", step) != step
        if self._number < max(0, lowest, number) or is_taken:
            self._number = max(lowest, number, self._number + 1)
            self._keys, self._stages = set(), {}
        self._keys |= names
        if stage is not None:
            self._stages[stage] = step
        return self._number


def whole(step: Any) -> Any:
    """Return a step as an integer where it is one, else as a float, else ``None``.

    Example:
        >>> whole(3.0), whole(0.5), whole("later")
        (3, 0.5, None)
    """
    try:
        return operator.index(step)
    except TypeError:
        pass
    try:
        number = float(step)
        return int(number) if number.is_integer() else number
    except Exception:  # noqa: BLE001 - values of any class do as they like
        return None


def _is_number(step: Any) -> bool:
    return isinstance(step, int) and 0 <= step < _LARGEST
