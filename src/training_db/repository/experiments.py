"""What a tracker asks of history: a run row by row, and runs side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import func, select

from training_db.errors import MetricNotFound, RunNotFound
from training_db.history_rules import AXES
from training_db.models import metric_names, run_metrics, training_runs
from training_db.models.types import LARGEST
from training_db.repository.base import Repository, require_run
from training_db.repository.history_names import metrics_of
from training_db.repository.history_reading import AXIS_NAMES, stored_columns
from training_db.repository.history_rows import axis_of, steps_of
from training_db.segments import EXACT, numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from training_db.repository.history_reading import Writers
    from training_db.segments import Column

TRAINING_LOSSES = (
    "train_loss", "train/loss", "training/loss", "training_loss", "loss/train", "loss/training",
    "loss",
)  # fmt: skip
"""What people call the loss on the training set, in lower case, best first."""

VALIDATION_LOSSES = (
    "val_loss", "val/loss", "validation/loss", "validation_loss", "valid_loss", "valid/loss",
    "eval/loss", "eval_loss", "loss/val", "loss/validation", "loss/valid", "loss/eval",
)  # fmt: skip
"""Likewise for the validation set. ``test_loss`` is none: no epoch should be chosen by a test."""

_OURS = frozenset(names[0] for names in AXES.values())
_LOSSES = (*TRAINING_LOSSES, *VALIDATION_LOSSES)


@dataclass(frozen=True, slots=True)
class Logged:
    """Cells of the history of a run, in the order in which they were logged.

    Attributes:
        names: The metric of each, object of shape (n,).
        values: float64 of shape (n,); object where some are no floats, bools or short integers.
        steps: int64 of shape (n,).
        epochs: float64 of shape (n,), NaN where none was logged.
        timestamps: Unix seconds, float64 of shape (n,), NaN where none was logged.
    """

    names: NDArray[Any]
    values: NDArray[Any]
    steps: NDArray[np.int64]
    epochs: NDArray[np.float64]
    timestamps: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Compared:
    """One run among others; ``None`` where something is not known."""

    run_id: int
    run_name: str | None
    final_train_loss: float | None
    final_val_loss: float | None
    best_val_loss: float | None
    best_epoch: float | None
    total_epochs: int | None


@dataclass(frozen=True, slots=True)
class _Loss:
    """What a loss came to in a run, as ``run_metrics`` has it."""

    name: str
    last: float | None
    min: float | None
    min_step: int | None


class ExperimentRepository(Repository):
    """The questions of :class:`training_db.ExperimentDB` that no other repository answers."""

    def logged(self, run_id: str, metric: str | None = None) -> Logged:
        """Return the history of a run, one cell after another.

        Rows of several writers stand in the order of their times. The axes ``_step``, ``_epoch``
        and ``_timestamp`` are left out unless one is asked for by name.

        Args:
            run_id: The run.
            metric: Only this metric.

        Raises:
            RunNotFound: There is no such run.
            MetricNotFound: The run has no such metric.
        """
        wanted = None if metric is None else {metric, *AXIS_NAMES}
        with self._transactions(writes=False) as connection:
            writers = stored_columns(connection, [run_id], wanted).get(run_id, {})
            if not writers:
                require_run(connection, run_id)
            if metric is not None and not any(metric in columns for columns in writers.values()):
                present = metrics_of(connection, [run_id])[run_id]
                raise MetricNotFound(metric, [name for name in present if name not in _OURS])
        names = {name for columns in writers.values() for name in columns}
        return _in_order(writers, {metric} if metric is not None else names - _OURS)

    def next_step(self, number: int) -> int:
        """Return the step after the highest one that a run has; 0 where it has none.

        Args:
            number: The number of the run.
        """
        highest = (
            select(run_metrics.c.max)
            .join(metric_names, metric_names.c.id == run_metrics.c.metric_id)
            .where(run_metrics.c.run_number == number, metric_names.c.name == AXES["step"][0])
        )
        with self._transactions(writes=False) as connection:
            found = connection.execute(highest).scalar()
        return 0 if found is None else math.floor(found) + 1

    def compared(self, numbers: Sequence[int]) -> list[Compared]:
        """Return what runs came to, in the order of their numbers asked for.

        Args:
            numbers: The numbers of the runs.

        Returns:
            For each run the training loss of its highest step; the validation loss likewise, its
            least finite value and the epoch of that (the step where the run has no epochs); and
            how many epochs it had.

        Raises:
            RunNotFound: One of them does not exist.
        """
        with self._transactions(writes=False) as connection:
            runs = _runs(connection, numbers)
            losses = _losses(connection, list(runs))
            validated = {
                number: found
                for number, by_name in losses.items()
                if (found := _first(by_name, VALIDATION_LOSSES)) is not None
            }
            columns = {*AXIS_NAMES, *(loss.name for loss in validated.values())}
            stored = stored_columns(connection, [run_id for run_id, _ in runs.values()], columns)
        rows = {}
        for number, (run_id, name) in runs.items():
            writers = stored.get(run_id, {})
            trained = _first(losses.get(number, {}), TRAINING_LOSSES)
            loss = validated.get(number)
            rows[number] = Compared(
                run_id=number,
                run_name=name,
                final_train_loss=trained.last if trained else None,
                final_val_loss=loss.last if loss else None,
                best_val_loss=loss.min if loss else None,
                best_epoch=_best_epoch(writers, loss) if loss else None,
                total_epochs=_total_epochs(writers),
            )
        return [rows[number] for number in numbers]


def _runs(connection: Connection, wanted: Iterable[int]) -> dict[int, tuple[str, str | None]]:
    run = training_runs.c
    numbers = list(dict.fromkeys(wanted))
    possible = [number for number in numbers if 0 <= number <= LARGEST]
    statement = select(run.number, run.run_id, run.run_name).where(run.number.in_(possible))
    found = {number: (run_id, name) for number, run_id, name in connection.execute(statement)}
    for number in numbers:
        if number not in found:
            raise RunNotFound(number)
    return found


def _losses(connection: Connection, runs: Sequence[int]) -> dict[int, dict[str, _Loss]]:
    """Return for each run its losses by their names in lower case."""
    metric = run_metrics.c
    statement = (
        select(metric.run_number, metric_names.c.name, metric.last, metric.min, metric.min_step)
        .join(metric_names, metric_names.c.id == metric.metric_id)
        .where(metric.run_number.in_(runs), func.lower(metric_names.c.name).in_(_LOSSES))
        .where(metric.count > 0)
        .order_by(metric_names.c.id)
    )
    found: dict[int, dict[str, _Loss]] = {}
    for number, name, *came_to in connection.execute(statement):
        found.setdefault(number, {}).setdefault(name.lower(), _Loss(name, *came_to))
    return found


def _first(losses: Mapping[str, _Loss], names: Iterable[str]) -> _Loss | None:
    return next((losses[name] for name in names if name in losses), None)


def _best_epoch(writers: Writers, loss: _Loss) -> float | None:
    """Return the epoch of the least loss: that of its row, else the last one up to its step."""
    if loss.min_step is None:
        return None
    for columns in reversed(writers.values()):
        cells = columns.get(loss.name)
        if cells is None:
            continue
        best = numbers(cells.values) == loss.min
        best &= steps_of(columns, cells.rows) == loss.min_step
        epochs = axis_of(columns, cells.rows[best], "epoch")
        if np.isfinite(epochs).any():
            return float(epochs[np.isfinite(epochs)][0])
    steps, epochs = _epochs(writers)
    if not len(epochs):
        return float(loss.min_step)
    before = np.flatnonzero(steps <= loss.min_step)
    if not len(before):
        return None
    latest = len(before) - 1 - int(np.argmax(steps[before][::-1]))
    return float(epochs[before][latest])


def _total_epochs(writers: Writers) -> int | None:
    """Count the epochs; whole numbers from 0 on are places, and others say how far it got."""
    _, epochs = _epochs(writers)
    if not len(epochs):
        return None
    are_places = bool((epochs == np.floor(epochs)).all()) and epochs.min() < 1.0
    highest = float(epochs.max())
    return math.floor(highest) + 1 if are_places else math.ceil(highest)


def _epochs(writers: Writers) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return every finite epoch that was logged, and the step of each."""
    steps, epochs = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for columns in writers.values():
        cells = next((columns[name] for name in AXES["epoch"] if name in columns), None)
        if cells is not None:
            found = numbers(cells.values)
            finite = np.isfinite(found)
            steps.append(steps_of(columns, cells.rows)[finite])
            epochs.append(found[finite])
    return np.concatenate(steps), np.concatenate(epochs)


def _in_order(writers: Writers, metrics: Iterable[str]) -> Logged:
    names = sorted(metrics)
    parts = [part for columns in writers.values() if (part := _cells(columns, names))]
    if not parts:
        none = np.empty(0)
        return Logged(np.empty(0, dtype=object), none, np.empty(0, dtype=np.int64), none, none)
    cells = _Cells._make(map(_side_by_side, zip(*parts, strict=True)))
    if len(parts) > 1:
        cells = cells.taken(np.argsort(cells.order, kind="stable"))
    values = _numbers_if_exact(cells.values)
    named = np.array(names, dtype=object)[cells.names]
    return Logged(named, values, cells.steps, cells.epochs, cells.timestamps)


class _Cells(NamedTuple):
    """Cells of one writer or more, as arrays of the same length."""

    names: NDArray[np.intp]
    values: NDArray[Any]
    steps: NDArray[np.int64]
    epochs: NDArray[np.float64]
    timestamps: NDArray[np.float64]
    order: NDArray[np.float64]

    def taken(self, positions: NDArray[np.intp]) -> _Cells:
        return _Cells._make(array[positions] for array in self)


def _cells(columns: Mapping[str, Column], names: Sequence[str]) -> _Cells | None:
    """Return the cells of some columns of one writer, row by row."""
    there = [(place, columns[name]) for place, name in enumerate(names) if name in columns]
    if not there:
        return None
    rows = np.concatenate([cells.rows for _, cells in there])
    sorted_rows = np.argsort(rows, kind="stable")
    distinct, back = np.unique(rows, return_inverse=True)
    epochs = axis_of(columns, distinct, "epoch")
    times = axis_of(columns, distinct, "timestamp")
    # A clock may be set back, and the rows of a writer stay in their order all the same.
    order = np.maximum.accumulate(np.where(np.isnan(times), -np.inf, times))
    whole = _Cells(
        names=np.concatenate([np.full(len(cells), place) for place, cells in there]),
        values=_side_by_side([cells.values for _, cells in there]),
        steps=steps_of(columns, distinct)[back],
        epochs=epochs[back],
        timestamps=times[back],
        order=order[back],
    )
    return whole.taken(sorted_rows)


def _side_by_side(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len({part.dtype for part in parts}) == 1:
        return np.concatenate(parts)
    return np.concatenate([part.astype(object) for part in parts])


def _numbers_if_exact(values: NDArray[Any]) -> NDArray[Any]:
    """Return values as floats where that gives each back, else as Python objects."""
    if values.dtype == object:
        exact = all(
            isinstance(value, float) or (isinstance(value, int) and -EXACT <= value <= EXACT)
            for value in values
        )
    else:
        exact = values.dtype != np.int64 or bool(((values >= -EXACT) & (values <= EXACT)).all())
    return numbers(values) if exact else values.astype(object)
