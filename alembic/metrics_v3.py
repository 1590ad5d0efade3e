"""What each metric of a run came to, and the few series that everyone asks for, as v3 made them."""

from __future__ import annotations

import math
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Parts = Callable[[str], Iterable[Any]]  # a column's name to its cells, in pieces

documents: Any = None  # modules beside this one, given by who loads it
segments: Any = None
one_form: Any = None  # of backfill_v2

KEY_ROWS = 1_000
LARGEST = 2.0**63
STEPS = ("_step", "step", "global_step", "train/global_step", "trainer/global_step")
TIMES = ("_timestamp", "timestamp")
KEY_COLUMNS = {
    "loss": ("loss", "train/loss", "training/loss", "train_loss", "total_loss", "loss/total"),
    "grad_norm": ("grad_norm", "train/grad_norm", "training/grad_norm", "gradient_norm"),
    "learning_rate": (
        "learning_rate", "train/learning_rate", "training/learning_rate", "lr", "train/lr"
    ),
}  # fmt: skip
OBJECTIVE = re.compile(r"objectives/(.+)/raw_mean", re.DOTALL)
METRICS = {
    "run_number": "int8", "metric_id": "int8", "count": "int8", "non_finite_count": "int8",
    "other_count": "int8", "first": "float8", "first_step": "int8", "last": "float8",
    "last_step": "int8", "min": "float8", "min_step": "int8", "max": "float8",
    "max_step": "int8", "mean": "float8",
}  # fmt: skip
KEY_METRICS = {
    "run_id": "text", "step": "int8", "loss": "float8", "grad_norm": "float8",
    "learning_rate": "float8", "objective_scores_json": "text", "timestamp": "timestamptz",
}  # fmt: skip


def steps(names: Iterable[str], parts_of: Parts, rows: int) -> NDArray[np.int64]:
    """Return the step of each row: of the step columns the first that has a cell, or its number."""
    found: NDArray[np.int64] = np.arange(rows, dtype=np.int64)
    there = set(names)
    columns = [name for name in reversed(STEPS) if name in there]
    for part in chain.from_iterable(map(parts_of, columns)):
        if part.values.dtype == np.int64:
            found[part.rows] = part.values
            continue
        numbers = segments.is_number(part.values)
        values = np.floor(segments.numbers(part.values[numbers]))
        fit = (values >= -LARGEST) & (values < LARGEST)
        found[part.rows[numbers][fit]] = values[fit].astype(np.int64)
        if part.values.dtype == object:  # floats do not hold each integer
            for row, value in zip(part.rows.tolist(), part.values.tolist(), strict=True):
                if type(value) is int and -(2**63) <= value < 2**63:
                    found[row] = value
    return found


class Summary:
    """One metric of one run, cell by cell; of values at one step, the latest counts."""

    def __init__(self) -> None:
        self.count = self.non_finite = self.other = 0
        self.first = self.last = self.min = self.max = (None, None)  # values and their steps
        self.mean: float | None = None

    def add(self, at: NDArray[np.int64], cells: NDArray[Any], *, rising: bool) -> None:
        """Take some cells.

        Args:
            at: The steps they stand at.
            cells: As many cells.
            rising: Whether each step is above the one before, as nearly always.
        """
        if cells.dtype == object:
            numbers = segments.is_number(cells)
            self.other += len(cells) - int(np.count_nonzero(numbers))
            at, cells = at[numbers], cells[numbers]
        values = segments.numbers(cells)
        if not len(values):
            return
        # Of several values at one step the latest is the first, and the last.
        earliest = 0 if rising else len(at) - 1 - int(np.argmin(at[::-1]))
        latest = len(at) - 1 - (0 if rising else int(np.argmax(at[::-1])))
        if self.first[1] is None or at[earliest] <= self.first[1]:
            self.first = float(values[earliest]), int(at[earliest])
        if self.last[1] is None or at[latest] >= self.last[1]:
            self.last = float(values[latest]), int(at[latest])
        before = self.count - self.non_finite
        self.count += len(values)
        lowest, highest = int(values.argmin()), int(values.argmax())
        if not (math.isfinite(values[lowest]) and math.isfinite(values[highest])):
            finite = np.isfinite(values)
            self.non_finite += len(finite) - int(np.count_nonzero(finite))
            at, values = at[finite], values[finite]
            if not len(values):
                return
            lowest, highest = int(values.argmin()), int(values.argmax())
        self.min = self._nearer(self.min, values, at, lowest, 1, rising=rising)
        self.max = self._nearer(self.max, values, at, highest, -1, rising=rising)
        self._add_to_mean(values, before)

    def _nearer(
        self, known: Any, values: NDArray[np.float64], at: NDArray[np.int64], place: int,
        sign: int, *, rising: bool,
    ) -> tuple[float, int]:  # fmt: skip
        """Return the least of all values (or the greatest, by the sign) and its first step."""
        value = float(values[place])
        step = int(at[place] if rising else at[values == value].min())
        if known[0] is None or (sign * value, step) < (sign * known[0], known[1]):
            return value, step
        return known  # type: ignore[no-any-return]

    def _add_to_mean(self, values: NDArray[np.float64], before: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
        if not math.isfinite(mean):  # the sum may pass the largest float, and the mean does not
            mean = float((values / len(values)).sum())
        share = len(values) / (before + len(values))
        self.mean = mean if self.mean is None else self.mean * (1 - share) + mean * share

    def row(self) -> tuple[Any, ...]:
        """Return the last columns of ``run_metrics``."""
        return (
            self.count, self.non_finite, self.other,
            *self.first, *self.last, *self.min, *self.max, self.mean,
        )  # fmt: skip


def summaries(names: Iterable[str], parts_of: Parts, at: NDArray[np.int64]) -> dict[str, Any]:
    """Return the last columns of ``run_metrics`` for each metric."""
    found = {}
    rising = bool((at[1:] > at[:-1]).all())
    for name in names:
        summary = Summary()
        for part in parts_of(name):
            summary.add(at[part.rows], part.values, rising=rising)
        found[name] = summary.row()
    return found


def key_metrics(
    names: list[str], parts_of: Parts, at: NDArray[np.int64]
) -> list[tuple[int, float | None, float | None, float | None, str | None, str | None]]:
    """Return the columns of ``run_history_key_metrics`` after the run, for some of its rows."""
    every = 1
    while -(-len(at) // every) > KEY_ROWS:
        every *= 2
    there = set(names)
    series = [
        _thinned(next((name for name in places if name in there), None), parts_of, every)
        for places in KEY_COLUMNS.values()
    ]
    scores: dict[int, dict[str, float]] = {}
    for name in names:
        parsed = OBJECTIVE.fullmatch(name)
        if parsed:
            for row, value in _thinned(name, parts_of, every).items():
                scores.setdefault(row, {})[_without_direction(parsed[1])] = value
    rows = sorted({row for one in (*series, scores) for row in one})
    times = _times(next((name for name in TIMES if name in there), None), parts_of, every)
    return [
        (
            int(at[row]),
            *(one.get(row) for one in series),
            documents.dumps(scores[row]) if row in scores else None,
            times.get(row),
        )
        for row in rows
    ]


def _thinned(name: str | None, parts_of: Parts, every: int) -> dict[int, float]:
    """Return the numbers of a column in every so-manieth row."""
    found: dict[int, float] = {}
    for part in parts_of(name) if name is not None else ():
        kept = part.rows % every == 0
        cells = part.values[kept]
        for row, value in zip(part.rows[kept].tolist(), cells.tolist(), strict=True):
            if type(value) in (int, float):
                found[row] = segments.as_float(value)
    return found


def _times(name: str | None, parts_of: Parts, every: int) -> dict[int, str]:
    found = {}
    for part in parts_of(name) if name is not None else ():
        kept = part.rows % every == 0
        cells = zip(part.rows[kept].tolist(), part.values[kept].tolist(), strict=True)
        for row, value in cells:
            moment = one_form(value) if type(value) in (int, float, str) else None
            if moment is not None:
                found[row] = moment
    return found


def _without_direction(label: str) -> str:
    for direction in ("maximize", "minimize"):
        name = label.removesuffix(f"_{direction}")
        if name and name != label:
            return name
    return label
