"""The points of MLflow's metrics as rows of a history."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.captured import RowBatch
from training_db.capture.key_names import KeyNames
from training_db.recording.rows import STEP, TIMESTAMP
from training_db.segments import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from training_db.capture.mlflow.source import MLflowDatabase, Snapshot

BATCH_POINTS = 2**18
_PART = 2**15
_LARGEST = float(np.finfo(np.float64).max)
"""What MLflow writes for an infinity, which not every database of its can hold."""


@dataclass(frozen=True)
class Points:
    """The points of one run: 28 bytes each, in the order of the rows they stand in.

    Points of the same step and time share a row. Where a metric has several of them, each further
    one gets a row of its own. Rows are ordered by time, then by step.

    Attributes:
        names: The name of each metric in our history.
        keys: Its key at MLflow.
        metrics: For each point the position of its metric among the names, int32 of shape (n,).
        values: Their values, float64 of shape (n,).
        steps: Their steps, int64 of shape (n,); ``None`` where MLflow did not know any yet.
        milliseconds: Their times in Unix milliseconds, int64 of shape (n,).
        rows: The numbers of their rows, int64 of shape (n,), not falling.
        infinities: How many values MLflow had to write as the largest float.
    """

    names: list[str]
    keys: list[str]
    metrics: NDArray[np.int32]
    values: NDArray[np.float64]
    steps: NDArray[np.int64] | None
    milliseconds: NDArray[np.int64]
    rows: NDArray[np.int64]
    infinities: int = 0

    def __len__(self) -> int:
        return len(self.values)

    @property
    def row_count(self) -> int:
        """How many rows they take."""
        return int(self.rows[-1]) + 1 if len(self) else 0

    def batches(self, first_row: int = 0) -> Iterator[RowBatch]:
        """Yield the rows from one on, some at a time."""
        start = int(self.rows.searchsorted(first_row))
        while start < len(self):
            stop = min(start + BATCH_POINTS, len(self))
            if stop < len(self):  # a row stays whole
                whole = int(self.rows.searchsorted(self.rows[stop]))
                after = int(self.rows.searchsorted(self.rows[start], "right"))
                stop = max(whole, after)
            yield self._batch(start, stop)
            start = stop

    def digest(self, rows: int) -> str:
        """Return what tells whether the first rows are the same as at another time."""
        stop = int(self.rows.searchsorted(rows))
        hashes = np.array([_hash(key) for key in self.keys], dtype=np.uint64)
        named = hashes[self.metrics[:stop]]
        order = np.lexsort((named, self.rows[:stop]))
        digest = blake2b(digest_size=16)
        for values in (self.rows, self.milliseconds, self.steps, self.values):
            if values is not None:
                digest.update(values[:stop][order].tobytes())
        digest.update(named[order].tobytes())
        return digest.hexdigest()

    def counts(self) -> dict[str, int]:
        """Return how many cells each column has: one for each metric, and those of the axes."""
        per_metric = np.bincount(self.metrics, minlength=len(self.names)).tolist()
        axes = (TIMESTAMP,) if self.steps is None else (STEP, TIMESTAMP)
        found = dict(zip(self.names, per_metric, strict=True))
        return found | (dict.fromkeys(axes, self.row_count) if found else {})

    @cached_property
    def latest(self) -> dict[str, float]:
        """The value that MLflow takes for the last one: of the greatest step, time and value."""
        steps = np.zeros(len(self), dtype=np.int64) if self.steps is None else self.steps
        values = np.where(np.isnan(self.values), 0.0, self.values)  # as MLflow writes a NaN
        order = np.lexsort((values, self.milliseconds, steps, self.metrics))
        ends = np.flatnonzero(np.diff(self.metrics[order], append=-1))
        return {self.keys[self.metrics[at]]: float(self.values[at]) for at in order[ends]}

    def _batch(self, start: int, stop: int) -> RowBatch:
        rows, metrics = self.rows[start:stop], self.metrics[start:stop]
        first = np.flatnonzero(np.diff(rows, prepend=-1))
        columns = {TIMESTAMP: Column(rows[first], self.milliseconds[start:stop][first] / 1000)}
        if self.steps is not None:
            columns[STEP] = Column(rows[first], self.steps[start:stop][first])
        order = np.argsort(metrics, kind="stable")
        cuts = np.flatnonzero(np.diff(metrics[order])) + 1
        for places in np.split(order, cuts):
            name = self.names[metrics[places[0]]]
            columns[name] = Column(rows[places], self.values[start:stop][places])
        return RowBatch(columns, (int(rows[0]), int(rows[-1]) + 1))


def read_points(database: MLflowDatabase, snapshot: Snapshot, run_uuid: str) -> Points:
    """Read all points of a run.

    Args:
        database: The database.
        snapshot: A transaction of it, which a writer of SQLite has to wait for: for about a
            second a million points.
        run_uuid: The run.
    """
    there = database.columns("metrics")
    wanted = ("key", "value", "timestamp", *(one for one in ("step", "is_nan") if one in there))
    ids: dict[str, int] = {}
    parts: list[tuple[Any, ...]] = []
    if there:
        for part in snapshot.parts("metrics", wanted, _PART, run_uuid=run_uuid):
            given = dict(zip(wanted, part, strict=True))
            metrics = [ids.setdefault(key, len(ids)) for key in map(str, given["key"])]
            parts.append(
                (
                    np.array(metrics, dtype=np.int32),
                    _floats(given["value"], given.get("is_nan")),
                    _integers(given["timestamp"]),
                    _integers(given.get("step", (0,) * len(metrics))),
                )
            )
    whole = [np.concatenate(one) for one in zip(*parts, strict=True)] if parts else _NOTHING
    return arranged(list(ids), *whole, has_steps="step" in there)


def arranged(
    keys: Sequence[str],
    metrics: NDArray[np.int32],
    values: NDArray[np.float64],
    milliseconds: NDArray[np.int64],
    steps: NDArray[np.int64],
    *,
    has_steps: bool = True,
) -> Points:
    """Put points into rows.

    Example:
        >>> zeros = np.zeros(3, dtype=np.int64)
        >>> of = np.array([0, 0, 1], dtype=np.int32)
        >>> found = arranged(["loss", "lr"], of, np.array([2.0, 1.0, 0.1]), zeros, zeros)
        >>> [found.names[one] for one in found.metrics], found.rows.tolist()
        (['loss', 'lr', 'loss'], [0, 0, 1])
    """
    infinite = np.abs(values) == _LARGEST
    values = np.where(infinite, np.copysign(np.inf, values), values)
    alphabetical = np.argsort(np.array(keys, dtype=object)) if keys else np.empty(0, dtype=int)
    rank = np.empty(len(keys), dtype=np.int32)
    rank[alphabetical] = np.arange(len(keys), dtype=np.int32)
    order = np.lexsort((values, rank[metrics], steps, milliseconds))
    metrics, values = metrics[order], values[order]
    milliseconds, steps = milliseconds[order], steps[order]
    rows = _row_numbers(metrics, milliseconds, steps)
    by_row = np.argsort(rows, kind="stable")
    names = KeyNames(reserved=(STEP, TIMESTAMP))
    return Points(
        names=[names.name((key,)) for key in keys],
        keys=list(keys),
        metrics=metrics[by_row],
        values=values[by_row],
        steps=steps[by_row] if has_steps else None,
        milliseconds=milliseconds[by_row],
        rows=rows[by_row],
        infinities=int(infinite.sum()),
    )


def number(value: object, is_nan: object = False) -> float:
    """Return the number that MLflow stands a value for.

    Example:
        >>> number(0.0, True), number(-1.7976931348623157e308), number(0.5)
        (nan, -inf, 0.5)
    """
    found = math.nan if is_nan else _float(value)
    return math.copysign(math.inf, found) if abs(found) == _LARGEST else found


def integer(value: object) -> int:
    """Return the step or time that a value stands for; 0 where it stands for none.

    Old versions of MLflow allow NULL, and SQLite whatever somebody wrote.

    Example:
        >>> integer(1_700_000_000_000), integer(None), integer("soon"), integer(math.inf)
        (1700000000000, 0, 0, 0)
    """
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError, OverflowError):
        return 0


def _row_numbers(
    metrics: NDArray[np.int32], milliseconds: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Number the rows of points that are ordered by time, step and metric."""
    positions = np.arange(len(metrics), dtype=np.int64)
    if not len(positions):
        return positions
    is_first = np.ones(len(metrics), dtype=np.bool_)
    is_first[1:] = (np.diff(milliseconds) != 0) | (np.diff(steps) != 0)
    begins = is_first.copy()
    begins[1:] |= np.diff(metrics) != 0
    repeat = positions - np.maximum.accumulate(np.where(begins, positions, 0))
    heights = np.maximum.reduceat(repeat, np.flatnonzero(is_first)) + 1
    bases = np.cumsum(heights) - heights
    return np.asarray(bases[np.cumsum(is_first) - 1] + repeat, dtype=np.int64)


def _hash(key: str) -> int:
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())


def _floats(values: Sequence[Any], are_nan: Sequence[Any] | None) -> NDArray[np.float64]:
    try:
        found = np.array(values, dtype=np.float64)  # None becomes NaN
    except (TypeError, ValueError):
        found = np.array([_float(value) for value in values], dtype=np.float64)
    if are_nan is not None:
        found[np.array(are_nan, dtype=np.bool_)] = np.nan
    return found


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _integers(values: Sequence[Any]) -> NDArray[np.int64]:
    try:
        return np.array(values, dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return np.array([integer(value) for value in values], dtype=np.int64)


_NOTHING: list[Any] = [
    np.empty(0, dtype=np.int32),
    np.empty(0),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
]
