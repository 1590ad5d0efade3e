"""The history of a run as the records of W&B's log, a range of steps at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.captured import RUNTIME
from training_db.capture.export.items import (
    ItemHeads,
    history_record,
    json_text,
    number_texts,
    pieces,
)
from training_db.recording.rows import STEP, TIMESTAMP
from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.capture.key_names import Path
    from training_db.database import TrainingDB
    from training_db.repository.history_series import Points

_LATEST = 2**33  # in the year 2242
_ROWS = 2048
"""Rows in memory at once: of 149 metrics some 50 MB."""


@dataclass(frozen=True)
class Lifetime:
    """When a run ran, in Unix seconds.

    Attributes:
        start: Its start.
        end: Its end; ``None`` where it has none yet.
    """

    start: float
    end: float | None


class HistoryRecords:
    """The rows of a run in the order of their steps, one a step, each as a record.

    Where a step was logged more than once, the value of the writer who began last counts.

    Args:
        db: The database.
        run_id: The run.
        paths: For each metric that stands for a nested key the parts of that key.
        lifetime: When the run ran, for rows that do not say when they were logged.

    Attributes:
        rows: How many rows were written so far.
        values: How many values the database has of them; the steps themselves do not count.
        last: The last value of each key.
        faults: What could not be kept as it is, in words.
    """

    def __init__(
        self, db: TrainingDB, run_id: str, paths: Mapping[str, Sequence[str]], lifetime: Lifetime
    ) -> None:
        self._db, self._run_id = db, run_id
        self._paths = {name: tuple(path) for name, path in paths.items()}
        self._heads: dict[Path, ItemHeads] = {}
        self.rows = self.values = 0
        self.last: dict[Path, Any] = {}
        self.faults: list[str] = []
        self._keys = {one["metric"]: one["count"] for one in db.history.keys(run_id)}
        steps = self._known_steps()
        self._cuts = steps[_ROWS::_ROWS].tolist()
        self._times = _Times(lifetime, steps, is_timed=not _TIMES.isdisjoint(self._keys))

    def records(self, number: Callable[[], int]) -> Iterator[bytes]:
        """Go through the rows.

        Args:
            number: Gives the next number of a record.

        Returns:
            The bytes of each row's record.
        """
        bounds = [-math.inf, *self._cuts, math.inf]
        for first, stop in pairwise(bounds):
            last = stop - 1 if stop < math.inf else stop
            for step, items in self._part((first, last)):
                yield history_record(number(), step, items)
        self._find_faults()

    def _known_steps(self) -> NDArray[np.int64]:
        """Return the steps of the metric that has most of them."""
        if not self._keys:
            return np.empty(0, dtype=np.int64)
        densest = max(self._keys, key=lambda name: (self._keys[name], name == STEP))
        return self._db.history.points(self._run_id, densest)[self._run_id][densest].x

    def _part(self, bounds: tuple[float, float]) -> Iterator[tuple[int, list[bytes]]]:
        """Go through the rows of a range of steps: their steps and items."""
        found = self._db.history.points(self._run_id, steps=bounds)[self._run_id]
        columns = {name: one for name, one in found.items() if len(one)}
        if not columns:
            return
        steps = np.unique(np.concatenate([one.x for one in columns.values()]))
        items: list[list[bytes]] = [[] for _ in range(len(steps))]
        for name, one in columns.items():
            if name != STEP:
                self._add(items, self._path(name), np.searchsorted(steps, one.x), one.values)
                self.values += len(one)
        for name, at, values in self._times.missing(steps, columns):
            self._add(items, (name,), at, values)
        self._add(items, (STEP,), np.arange(len(steps)), steps)
        self.rows += len(steps)
        if steps[0] < 0:
            self.faults.append(
                f"{int((steps < 0).sum())} rows have a negative step, which W&B may refuse"
            )
        yield from zip(steps.tolist(), items, strict=True)

    def _add(
        self, items: list[list[bytes]], path: Path, at: NDArray[np.int64], values: NDArray[Any]
    ) -> None:
        if not len(at):
            return
        self.last[path] = values[-1:].tolist()[0]
        if values.dtype != object:
            heads = self._heads_of(path)
            for row, text in zip(at.tolist(), number_texts(values), strict=True):
                items[row].append(heads[len(text)] + text)
            return
        for row, value in zip(at.tolist(), values.tolist(), strict=True):
            for inner, leaf in pieces(value, path):
                text = json_text(leaf)
                items[row].append(self._heads_of(inner)[len(text)] + text)

    def _heads_of(self, path: Path) -> ItemHeads:
        heads = self._heads.get(path)
        if heads is None:
            heads = self._heads[path] = ItemHeads(path)
        return heads

    def _path(self, name: str) -> Path:
        return self._paths.get(name, (name,))

    def _find_faults(self) -> None:
        lost = sum(count for name, count in self._keys.items() if name != STEP) - self.values
        if lost > 0:
            self.faults.append(
                f"{lost} values were left out, for another one was logged later at the same step "
                "and key; W&B has one value a step"
            )
        if self.rows and self._times.are_spread:
            self.faults.append(
                "its history does not say when it was logged; _timestamp and _runtime are spread "
                "evenly over the run"
            )
        taken = {self._path(name) for name in self._keys}
        for path in sorted(taken):
            if any(path[:length] in taken for length in range(1, len(path))):
                self.faults.append(
                    f"the key {'.'.join(path)!r} stands below one that has values itself; W&B may "
                    "show one of them only"
                )


_TIMES = frozenset([TIMESTAMP, RUNTIME, "timestamp"])


class _Times:
    """When rows were logged that do not say it themselves, as far as it can be told.

    Args:
        lifetime: When the run ran.
        steps: The steps that are known, int64 of shape (n,), rising.
        is_timed: Whether any row says when it was logged.
    """

    def __init__(self, lifetime: Lifetime, steps: NDArray[np.int64], *, is_timed: bool) -> None:
        self.are_spread = not is_timed
        self._lifetime = lifetime
        self._moment = lifetime.start  # of the last row that has one
        self._ends = (int(steps[0]), int(steps[-1])) if len(steps) else (0, 0)

    def missing(
        self, steps: NDArray[np.int64], columns: Mapping[str, Points]
    ) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float64]]]:
        """Go through what has to be added to rows.

        Args:
            steps: The steps of the rows, int64 of shape (n,), rising.
            columns: The columns that they have.

        Returns:
            ``_timestamp`` and ``_runtime``, each with the positions of the rows that lack it and
            the values, in seconds.
        """
        start = self._lifetime.start
        own, has_moment = _placed(steps, columns.get(TIMESTAMP))
        runtimes, has_runtime = _placed(steps, columns.get(RUNTIME))
        others, _ = _placed(steps, columns.get("timestamp"))
        others[~((others > 0) & (others < _LATEST))] = np.nan  # in other units, or no times at all
        moments = np.where(np.isfinite(own), own, others)
        moments = np.where(np.isfinite(moments), moments, start + runtimes)
        if self.are_spread:
            moments = self._spread(steps)
        moments = self._carried(moments)
        yield TIMESTAMP, np.flatnonzero(~has_moment), moments[~has_moment]
        yield RUNTIME, np.flatnonzero(~has_runtime), np.maximum(moments - start, 0)[~has_runtime]

    def _spread(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        first, last = self._ends
        length = (self._lifetime.end or self._lifetime.start) - self._lifetime.start
        share = (steps - first) / max(last - first, 1)
        return self._lifetime.start + np.clip(share, 0, 1) * max(length, 0)

    def _carried(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fill gaps with the moment before."""
        there = np.isfinite(moments)
        before = np.maximum.accumulate(np.where(there, np.arange(len(moments)), -1))
        filled = np.where(before < 0, self._moment, moments[before])
        self._moment = float(filled[-1])
        return filled


def _placed(
    steps: NDArray[np.int64], column: Points | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a column's numbers at each step, NaN where it has none, and where it has cells."""
    values, there = np.full(len(steps), np.nan), np.zeros(len(steps), dtype=np.bool_)
    if column is not None:
        at = np.searchsorted(steps, column.x)
        values[at], there[at] = numbers(column.values), True
    return values, there
