"""Values that PostgreSQL could not hold, put back on the way to a backend that can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from training_db.models import run_events
from training_db.transfer.copying.forms import key_text
from training_db.transfer.copying.originals import KIND, Original

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from training_db.db.engine.streams import Row
    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.sides import Batch, Side

_METRICS = f"{KIND}:metric_names:"


class Kept:
    """The originals of some runs, as their events keep them.

    Args:
        source: Where the runs are.
        batch: The runs.

    Attributes:
        run_ids: The ids of those runs that had another one, by number.
        wandb_ids: The ids of W&B, likewise.
    """

    def __init__(self, source: Side, batch: Batch) -> None:
        self._rows: dict[tuple[str, int, str], Original] = {}
        self.run_ids: dict[int, Any] = {}
        self.wandb_ids: dict[int, Any] = {}
        self._used: set[tuple[int, str | None]] = set()
        self._metrics = {name: metric for metric, name in source.metrics.items()}
        for number, data, key in _events(source, batch):
            original = Original.from_json(data or "")
            if original is None or number not in batch.runs:
                continue
            self._rows[original.table, number, original.checksum] = original
            if original.table == "metric_names":
                self._used.add((number, key))
            elif original.table == "training_runs":
                self._find_ids(number, original.values, batch)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to put back."""
        return bool(self._rows)

    def restored(self, carried: Carried, number: int, checksum: int, row: Row) -> Row:
        """Return a row as it was, if it still is what was made of it."""
        original = self._rows.get((carried.name, number, f"{checksum:032x}"))
        if original is None or original.is_whole:
            return row
        self._used.add((number, original.event_key))
        return tuple(
            original.values.get(name, value)
            for name, value in zip(carried.columns, row, strict=True)
        )

    def left_out(self, carried: Carried) -> Iterator[tuple[int, Row]]:
        """Yield the rows that were no more than events, and the numbers of their runs."""
        for (table, number, _), original in self._rows.items():
            if table != carried.name or not original.is_whole:
                continue
            values = dict(original.values)
            if carried.metric is not None:
                values["metric_id"] = self._metrics.get(key_text(values["metric_id"]))
            if "run_number" in values:
                values["run_number"] = number
            if carried.metric is None or values["metric_id"] is not None:
                self._used.add((number, original.event_key))
                yield number, tuple(values.get(name) for name in carried.columns)

    def _find_ids(self, number: int, values: Mapping[str, Any], batch: Batch) -> None:
        run_id, wandb_id = values.get("run_id"), values.get("wandb_run_id")
        if run_id is not None and key_text(run_id) == batch.runs[number]:
            self.run_ids[number] = run_id
        if wandb_id is not None and key_text(wandb_id) == batch.wandb_ids.get(number):
            self.wandb_ids[number] = wandb_id

    def is_used(self, carried: Carried, number: int, row: Row) -> bool:
        """Tell whether a row is an event whose original was put back."""
        if carried.table is not run_events:
            return False
        return (number, row[carried.columns.index("event_key")]) in self._used


def metric_names_kept(source: Side) -> dict[str, str]:
    """Return the names that metrics had, by those that they have."""
    query = select(run_events.c.data_json).where(
        run_events.c.kind == KIND, run_events.c.event_key.like(f"{_METRICS}%")
    )
    names = {}
    for data in source.connection.scalars(query):
        original = Original.from_json(data or "")
        if original is not None and "name" in original.values:
            names[key_text(original.values["name"])] = original.values["name"]
    return names


def _events(source: Side, batch: Batch) -> Any:
    columns = run_events.c
    query = select(columns.run_number, columns.data_json, columns.event_key).where(
        columns.kind == KIND, columns.run_number.between(batch.low, batch.high)
    )
    return source.connection.execute(query).all()
