"""Which cells of a column are kept of an old history, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from training_db.errors import InvalidValue
from training_db.extraction import objective_key
from training_db.history_rules import KEY_METRICS, key_stride
from training_db.models.types import LARGEST
from training_db.segments import Column, is_number, narrowed, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY_NAMES = {name for names in KEY_METRICS.values() for name in names}
_FORMS = "key-metrics, every:K or metrics:A,B"


@dataclass(frozen=True)
class Keep:
    """What is kept of a history. To keep it a second time changes nothing.

    Attributes:
        text: As people write it.
        every: Of so many rows of a column the first, besides its last, least and greatest value;
            0 for another rule.
        metrics: These metrics, whole; ``None`` for another rule.
    """

    text: str
    every: int = 0
    metrics: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: object) -> Keep:
        """Read what to keep.

        Args:
            text: ``key-metrics`` for the metrics of ``run_history_key_metrics`` at its rows,
                ``every:10`` for one row of ten, ``metrics:loss,lr`` for these metrics.

        Raises:
            InvalidValue: It is none of these.

        Example:
            >>> Keep.parse("every:10").every
            10
        """
        if text == "key-metrics":
            return cls("key-metrics")
        kind, _, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
        if kind == "every" and rest.isascii() and rest.isdigit() and 1 <= int(rest) <= LARGEST:
            return cls(f"every:{int(rest)}", every=int(rest))
        names = frozenset(name.strip() for name in rest.split(",") if name.strip())
        if kind == "metrics" and names:
            return cls(f"metrics:{','.join(sorted(names))}", metrics=names)
        raise InvalidValue(f"keep is {text!r}; say {_FORMS}")

    @property
    def said(self) -> str:
        """The rule in words."""
        if self.every:
            return f"of every {self.every} rows the first, and each metric's last, least, greatest"
        if self.metrics is not None:
            return f"the metrics {', '.join(sorted(self.metrics))}"
        return "the key metrics, at fewer rows the longer the run"

    def of(self, name: str, cells: Column) -> Column:
        """Return the cells of a column that are kept.

        Example:
            >>> from training_db.segments import column
            >>> Keep.parse("every:4").of("loss", column([3, 9, 3, 3, 3, 3, 0, 3, 3])).rows.tolist()
            [0, 1, 4, 6, 8]
        """
        if self.metrics is not None:
            return cells if name in self.metrics else cells.part(0, 0)
        if self.every:
            at = _first_of_each(cells.rows // self.every) | _extremes(cells)
        elif name in _KEY_NAMES or _is_score(name):
            strides = np.array([key_stride(row) for row in cells.rows.tolist()], dtype=np.int64)
            at = _first_of_each(strides) | _first_of_each(cells.rows // strides)
        else:
            return cells.part(0, 0)
        at[-1:] = True
        kept = cells.values[at]
        return Column(cells.rows[at], narrowed(kept.tolist()) if kept.dtype == object else kept)


def _first_of_each(groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell which of some cells are the first of their group, where groups follow one another."""
    first = np.ones(len(groups), dtype=np.bool_)
    first[1:] = groups[1:] != groups[:-1]
    return first


def _extremes(cells: Column) -> NDArray[np.bool_]:
    """Tell which cells hold the least and the greatest number."""
    found = np.zeros(len(cells), dtype=np.bool_)
    floats = np.where(is_number(cells.values), numbers(cells.values), np.nan)
    finite = np.isfinite(floats)
    if finite.any():
        found[np.argmin(np.where(finite, floats, np.inf))] = True
        found[np.argmax(np.where(finite, floats, -np.inf))] = True
    return found


def _is_score(name: str) -> bool:
    parsed = objective_key(name)
    return parsed is not None and parsed[2] == "raw_mean"
