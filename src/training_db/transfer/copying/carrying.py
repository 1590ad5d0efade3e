"""Rows on their way: from the form of the source to that of the target, counted and summed up."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from training_db.models import run_events, run_history_tails, run_metrics, training_runs
from training_db.transfer.copying.copy_report import CarriedValue
from training_db.transfer.copying.forms import SOME_TIME, Forms, Unheld, is_moment, key_text, shown
from training_db.transfer.copying.originals import ALL, KIND, Original
from training_db.transfer.copying.restoring import Kept, metric_names_kept
from training_db.transfer.copying.sides import contents, with_metrics
from training_db.transfer.copying.sums import row_checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from training_db.db.engine.streams import Row
    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.sides import Batch, Side
    from training_db.transfer.copying.sums import Sums

    Sink = Callable[[Carried, Iterable[Row]], object]


_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Places:
    """Under which numbers rows are written.

    Attributes:
        numbers: The numbers of runs in the target, by those in the source; ``None`` for the same.
        metrics: The ids of metrics, likewise.
    """

    numbers: Mapping[int, int] | None = None
    metrics: Mapping[int, int] | None = None


class Carrier:
    """Turns rows of the source into rows of the target.

    Args:
        source: The source.
        backend: The backend of the target.
        first_event: The id of the first event that a copy adds.

    Attributes:
        names: What the metrics are called in the target, by their ids in the source.
    """

    def __init__(self, source: Side, backend: str, first_event: int) -> None:
        self.source = source
        self._event = first_event - 1
        self._forms = {carried.name: Forms(carried) for carried in source.tables}
        self._way = source.backend, backend
        self._key: Callable[[Any], Any] = key_text if self._states else _same
        self.restores = self._way == ("postgresql", "sqlite")
        kept = metric_names_kept(source) if self.restores else {}
        self.names = {
            metric: kept.get(name, self._key(name)) for metric, name in source.metrics.items()
        }
        self.odd_names = {
            metric: name for metric, name in source.metrics.items() if self.names[metric] != name
        }
        if self.restores:
            self.odd_names = {}

    @property
    def _states(self) -> bool:
        return self._way == ("sqlite", "postgresql")

    def compared(self, carried: Carried, row: Row) -> Row:
        """Return a row of SQLite in the form in which both sides can be compared."""
        return self._forms[carried.name].compared(row)

    def as_sqlite(self, carried: Carried, row: Row) -> Row:
        """Return a row of PostgreSQL as SQLite holds it."""
        return self._forms[carried.name].as_sqlite(row)

    def next_event(self) -> int:
        """Return the id of the next event that the copy adds."""
        self._event += 1
        return self._event

    def conversion(self, carried: Carried) -> Callable[[Row], tuple[Row, Row, Mapping[str, str]]]:
        """Return what makes of a row of the source the row to write, and the row to compare.

        Args:
            carried: The table.

        Returns:
            A function that returns both, and why columns have another form than they had; it
            raises Unheld for a row that the target cannot hold at all.
        """
        forms = self._forms[carried.name]

        def stated(row: Row) -> tuple[Row, Row, Mapping[str, str]]:
            if forms.is_held(row):
                return row, row, _NOTHING
            held, reasons = forms.as_postgresql(row)
            if carried.is_by_id:  # that is told of the run
                reasons.pop("run_id", None)
            return held, held, reasons

        match self._way:
            case "sqlite", "postgresql":
                return stated
            case "sqlite", "sqlite":
                return lambda row: (row, forms.compared(row), _NOTHING)
            case "postgresql", "sqlite":
                return lambda row: (forms.as_sqlite(row), row, _NOTHING)
        return lambda row: (row, row, _NOTHING)

    def run_ids(self, batch: Batch) -> dict[int, Any]:
        """Return the ids of runs as the target has them, by their numbers in the source."""
        if self.restores:
            return batch.runs | Kept(self.source, batch).run_ids
        return {number: self._key(run_id) for number, run_id in batch.runs.items()}

    def wandb_ids(self, batch: Batch) -> dict[int, Any]:
        """Return the ids that W&B gave runs as the target has them, likewise."""
        if self.restores:
            return batch.wandb_ids | Kept(self.source, batch).wandb_ids
        return {number: self._key(wandb_id) for number, wandb_id in batch.wandb_ids.items()}

    def carry(
        self,
        batch: Batch,
        sink: Sink,
        sums: Sums,
        *,
        only: Collection[int] | None = None,
        places: Places | None = None,
    ) -> list[CarriedValue]:
        """Carry all rows of some runs.

        Args:
            batch: The runs.
            sink: Takes each table with its rows, which it has to read to the end.
            sums: Takes the content of the rows, as the target has it.
            only: The numbers of those that are carried; ``None`` for all.
            places: Under which numbers the rows are written.

        Returns:
            The values that have another form in the target.
        """
        if only is not None and not only:
            return []
        journey = _Journey(self, batch, sums, only, places or Places())
        for carried in self.source.tables:
            sink(carried, journey.restored(carried))
            if carried.table is run_events and journey.originals:
                sink(carried, journey.events(carried))
        return journey.told


def read_only(_carried: Carried, rows: Iterable[Row]) -> None:
    """Take rows, and only let them be summed up."""
    for _ in rows:
        pass


class _Journey:
    """The rows of one batch."""

    def __init__(
        self,
        carrier: Carrier,
        batch: Batch,
        sums: Sums,
        only: Collection[int] | None,
        places: Places,
    ) -> None:
        self._carrier = carrier
        self._batch = batch
        self._sums = sums
        self._only = only
        self._places = places
        self._ids = carrier.run_ids(batch)
        self._times: dict[Any, str] = {}
        self._kept = Kept(carrier.source, batch) if carrier.restores else None
        self.originals: list[tuple[int, Original]] = []
        self.told: list[CarriedValue] = []

    def rows(self, carried: Carried) -> Iterator[Row]:
        """Yield the rows of a table as they are written; rows of no run or metric stay behind."""
        numbers = {run_id: number for number, run_id in self._batch.runs.items()}
        own, metric, names = carried.owner, carried.metric, self._carrier.names
        content, placed = contents(carried, names), self._placed(carried)
        convert = self._carrier.conversion(carried)
        table, is_runs = carried.name, carried.table is training_runs
        time = carried.columns.index("created_at_db") if is_runs else 0
        for row in self._carrier.source.rows(carried, self._batch, self._only):
            number: Any = numbers.get(row[own]) if carried.is_by_id else row[own]
            run = self._ids.get(number)
            if run is None or (metric is not None and row[metric] not in names):
                continue
            try:
                written, compared, reasons = convert(row)
            except Unheld as error:
                self._leave_out(carried, number, row, str(error))
                continue
            checksum = self._sums.add(table, run, content(compared))
            if reasons:
                self._keep(carried, number, row, compared, reasons, checksum)
            if is_runs:
                self._times[number] = compared[time]
            elif metric is not None and row[metric] in self._carrier.odd_names:
                self._keep_name(carried, number, row[metric])
            yield placed(written) if placed else written

    def restored(self, carried: Carried) -> Iterator[Row]:
        """Yield the rows of a table as they were before PostgreSQL had them."""
        if self._kept is None or not self._kept.is_needed:
            yield from self.rows(carried)
            return
        kept, own = self._kept, carried.owner
        stated = contents(carried, self._carrier.source.metrics)
        content, placed = contents(carried, self._carrier.names), self._placed(carried)
        numbers = {run_id: number for number, run_id in self._batch.runs.items()}
        later: list[tuple[int, Row]] = []

        def written(number: int, row: Row) -> Row:
            run = self._ids[number]
            if "run_id" in carried.columns:
                at = carried.columns.index("run_id")
                row = (*row[:at], run, *row[at + 1 :])
            self._sums.add(carried.name, run, content(self._carrier.compared(carried, row)))
            return placed(row) if placed else row

        for found in self._carrier.source.rows(carried, self._batch, self._only):
            number: Any = numbers.get(found[own]) if carried.is_by_id else found[own]
            if number not in self._ids:
                continue
            checksum = row_checksum(carried.name, self._batch.runs[number], stated(found))
            row = kept.restored(carried, number, checksum, self._carrier.as_sqlite(carried, found))
            if carried.table is run_events:
                later.append((number, row))
            else:
                yield written(number, row)
        for number, row in kept.left_out(carried):
            if self._only is None or number in self._only:
                yield written(number, row)
        for number, row in later:  # all that could be put back was
            if not kept.is_used(carried, number, row):
                yield written(number, row)

    def events(self, carried: Carried) -> Iterator[Row]:
        """Yield the events that keep what was not carried as it is."""
        content = contents(carried, self._carrier.names)
        for number, original in self.originals:
            time = self._times.get(number)
            values = {
                "id": self._carrier.next_event(),
                "run_number": (self._places.numbers or {}).get(number, number),
                "happened_at": time if time and is_moment(time) else SOME_TIME,
                "kind": KIND,
                "message": original.message,
                "data_json": original.as_json(),
                "event_key": original.event_key,
            }
            row = tuple(values.get(name) for name in carried.columns)
            self._sums.add(carried.name, self._ids[number], content(row))
            yield row

    def _placed(self, carried: Carried) -> Callable[[Row], Row] | None:
        """Return what puts rows under the numbers of the target, where those are others."""
        numbers, metrics = self._places.numbers, self._places.metrics
        own = None if carried.is_by_id or numbers is None else carried.owner
        metric = carried.metric if metrics is not None else None
        is_tail = carried.table is run_history_tails and metrics is not None
        if own is None and metric is None and not is_tail:
            return None
        block = carried.columns.index("block") if is_tail else None

        def placed(row: Row) -> Row:
            values = list(row)
            if own is not None and numbers is not None:
                values[own] = numbers[row[own]]
            if metrics is not None:
                if metric is not None:
                    values[metric] = metrics[row[metric]]
                if block is not None:
                    values[block] = with_metrics(row[block], metrics)
            return tuple(values)

        return placed

    def _keep(
        self,
        carried: Carried,
        number: int,
        row: Row,
        stated: Row,
        reasons: Mapping[str, str],
        checksum: int,
    ) -> None:
        values = {name: row[carried.columns.index(name)] for name in reasons}
        self.originals.append((number, Original(carried.name, f"{checksum:032x}", values)))
        for name, reason in reasons.items():
            value = shown(stated[carried.columns.index(name)])
            self._tell(carried, number, self._row_key(carried, stated), name, reason, value)

    def _leave_out(self, carried: Carried, number: int, row: Row, reason: str) -> None:
        """Keep a row that the table cannot hold as an event alone."""
        values = dict(zip(carried.columns, row, strict=True))
        checksum = blake2b(repr(row).encode(errors="surrogatepass"), digest_size=16).hexdigest()
        metric = carried.metric
        if metric is not None:
            values["metric_id"] = self._carrier.source.metrics[row[metric]]
        self.originals.append((number, Original(carried.name, checksum, values, is_whole=True)))
        key = self._row_key(carried, row)
        self._tell(carried, number, key, ALL, reason, "an event alone")

    def _keep_name(self, carried: Carried, number: int, metric: int) -> None:
        if carried.table is not run_metrics:
            return  # it is kept once a run
        name = self._carrier.names[metric]
        original = Original("metric_names", name, {"name": self._carrier.odd_names[metric]})
        self.originals.append((number, original))
        self._tell(
            carried, number, {"metric": name}, "metric_id", "the name of the metric", shown(name)
        )

    def _row_key(self, carried: Carried, row: Row) -> dict[str, Any]:
        key = {carried.columns[at]: row[at] for at in carried.key}
        if carried.metric is not None:
            key["metric"] = self._carrier.names[row[carried.metric]]
        return key

    def _tell(
        self,
        carried: Carried,
        number: int,
        key: dict[str, Any],
        column: str,
        reason: str,
        stated: str,
    ) -> None:
        run = str(self._ids[number])
        self.told.append(CarriedValue(carried.name, run, key, column, reason, stated))


def _same(value: Any) -> Any:
    return value
