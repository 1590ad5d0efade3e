"""The metrics of a run side by side: one row for what was logged together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from training_db.database import TrainingDB
    from training_db.repository.history_queries import Axis
    from training_db.repository.history_series import Points

    Places = NDArray[Any]
    Cells = tuple[NDArray[np.int64], NDArray[Any]]

_NOWHERE = np.empty(0, dtype=np.int64)
_BLOCK = 1_024  # rows that are Python values at a time


@dataclass(frozen=True)
class HistoryTable:
    """Some metrics of one run, aligned.

    Attributes:
        places: Where each row stands on the axis, of shape (n,).
        columns: For each metric the rows that have a value, rising, and the values.
    """

    places: Places
    columns: dict[str, Cells]

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, start: int = 0) -> Iterator[tuple[Any, dict[str, Any]]]:
        """Go through the rows: each one's place, and the metrics that have a value there.

        Args:
            start: The first row.
        """
        for first in range(start, len(self), _BLOCK):
            places = self.places[first : first + _BLOCK].tolist()
            found: list[dict[str, Any]] = [{} for _ in places]
            for metric, (rows, values) in self.columns.items():
                low, high = np.searchsorted(rows, [first, first + len(places)])
                part = zip(rows[low:high].tolist(), values[low:high].tolist(), strict=True)
                for row, value in part:
                    found[row - first][metric] = value
            yield from zip(places, found, strict=True)


def read_table(
    db: TrainingDB,
    run_id: str,
    metrics: Iterable[str] | None,
    steps: tuple[float, float] | None,
    x: Axis,
    duplicates: Any,
) -> HistoryTable:
    """Read metrics of a run; the arguments are those of ``db.history.arrays``.

    Raises:
        RunNotFound: There is no such run.
        MetricNotFound: The run has no such metric.
    """
    history = db.history.points(run_id, metrics, steps, x, duplicates)
    return aligned(history[run_id])


def aligned(metrics: Mapping[str, Points]) -> HistoryTable:
    """Put metrics side by side: what was logged together stands in one row.

    Args:
        metrics: For each its points.

    Example:
        >>> from training_db.repository.history_series import Points
        >>> steps, keys = np.array([0, 1, 1]), np.array([0, 1, 2])
        >>> loss = Points(steps, np.array([3.0, 2.0, 2.5]), keys)
        >>> lr = Points(steps[2:], np.array([0.1]), keys[2:])
        >>> list(aligned({"loss": loss, "lr": lr}).rows())
        [(0, {'loss': 3.0}), (1, {'loss': 2.0}), (1, {'loss': 2.5, 'lr': 0.1})]
    """
    some = [one for one in metrics.values() if len(one)]
    if not some:
        return HistoryTable(_NOWHERE, dict.fromkeys(metrics, (_NOWHERE, _NOWHERE)))
    keys = np.unique(np.concatenate([one.keys for one in some]))
    rows = {name: np.searchsorted(keys, one.keys) for name, one in metrics.items()}
    places = np.empty(len(keys), dtype=some[0].x.dtype)
    for name, one in metrics.items():
        places[rows[name]] = one.x
    return HistoryTable(places, {name: (rows[name], one.values) for name, one in metrics.items()})
