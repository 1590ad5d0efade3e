"""A copy into an empty database, or into what is there of the same copy after it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import or_

from training_db.db.engine.loading import count_anew, number_on, restore, strip
from training_db.db.exclusive import exclusive
from training_db.models import metric_names, training_runs
from training_db.transfer.copying import marker
from training_db.transfer.copying.carried import METRICS, TABLES
from training_db.transfer.copying.carrying import Carrier, Places, read_only
from training_db.transfer.copying.extras import add_columns
from training_db.transfer.copying.lanes import Lanes
from training_db.transfer.copying.pace import Pace
from training_db.transfer.copying.sides import Side, among
from training_db.transfer.copying.sums import Sums
from training_db.transfer.copying.target import Writer

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Engine

    from training_db.transfer.copying.carrying import Sink
    from training_db.transfer.copying.copy_report import CopyReport
    from training_db.transfer.copying.course import Course
    from training_db.transfer.copying.sides import Batch

_FEW = 20_000  # rows


class Filling:
    """Fills a database, a batch of whole runs in a transaction.

    Args:
        source: What is copied.
        engine: The database to fill.
        report: Takes what is done.
        course: Takes how far it is.
    """

    def __init__(self, source: Side, engine: Engine, report: CopyReport, course: Course) -> None:
        self._source = source
        self._engine = engine
        self._report = report
        self._course = course
        self._carrier = Carrier(source, engine.dialect.name, course.first_event)
        self._places = Places()

    def run(self, unfinished: marker.Marker | None) -> Sums:
        """Copy all runs.

        Args:
            unfinished: What was stopped, if anything was.

        Returns:
            The content of the source, as the target has it.
        """
        later = self._begin(unfinished)
        sums = Sums()
        pace = Pace()
        last: int | None = None
        with self._lanes() as lanes:
            while (batch := self._source.next_batch(last, pace.runs)) is not None:
                with pace.timed():
                    if unfinished is None or not self._mended(batch, last, sums):
                        with lanes.batch() as sink:
                            self._carry(batch, sink, sums)
                last = batch.high
        self._end(later, last)
        for name in self._carrier.names.values():
            sums.add(METRICS, "", (name,))
        return sums

    def _begin(self, unfinished: marker.Marker | None) -> tuple[str, ...]:
        with exclusive(self._engine, self._course.wait) as connection:
            self._report.notes += add_columns(connection, self._source.tables, self._source.backend)
            writer = Writer(connection, (), keeps_ids=True)
            if unfinished is not None:
                self._places = Places(metrics=writer.metrics(self._carrier.names))
                return unfinished.later
            # For few rows it takes longer to make the indexes anew.
            later = strip(connection, TABLES) if self._course.rows > _FEW else []
            writer.forget_metrics(())
            self._places = Places(metrics=writer.metrics(self._carrier.names))
            marker.mark(connection, self._report.source, later)
            return tuple(later)

    def _lanes(self) -> Lanes:
        tables = self._source.tables
        return Lanes(
            lambda: exclusive(self._engine, self._course.wait, shared=True),
            lambda connection: Writer(connection, tables, keeps_ids=True).write,
            side_by_side=self._engine.dialect.name != "sqlite",
        )

    def _carry(
        self, batch: Batch, sink: Sink, sums: Sums, only: Collection[int] | None = None
    ) -> None:
        """Write the runs of a batch, or some of them."""
        self._report.carried += self._carrier.carry(
            batch, self._course.counting(sink), sums, only=only, places=self._places
        )
        self._report.copied_runs += len(batch.runs if only is None else only)

    def _mended(self, batch: Batch, after: int | None, sums: Sums) -> bool:
        """Write those runs of a batch that have changed, if any of them are in the target."""
        with exclusive(self._engine, self._course.wait, shared=True) as connection:
            target = Side(connection, self._source.tables)
            ids = self._carrier.run_ids(batch)
            column = training_runs.c
            between = column.number <= batch.high
            if after is not None:
                between &= column.number > after
            present = target.runs_where(
                or_(
                    between,
                    among(column.run_id, ids.values()),
                    among(column.wandb_run_id, self._carrier.wandb_ids(batch).values()),
                )
            )
            if present.runs:
                self._mend(target, batch, ids, present, sums)
        return bool(present.runs)

    def _mend(
        self, target: Side, batch: Batch, ids: dict[int, Any], present: Batch, sums: Sums
    ) -> None:
        """Leave those runs of a batch that are as they should be, and write the others."""
        here, there = Sums(by_run=True), Sums(by_run=True)
        told = self._carrier.carry(batch, read_only, there)
        target.add_to(here, present)
        same = {
            number
            for number, run_id in ids.items()
            if present.runs.get(number) == run_id and here.of_run(run_id) == there.of_run(run_id)
        }
        writer = Writer(target.connection, self._source.tables, keeps_ids=True)
        writer.remove([number for number in present.runs if number not in same])
        kept = {ids[number] for number in same}
        self._report.carried += [value for value in told if value.run_id in kept]
        self._report.same_runs += len(same)
        sums += there
        if changed := [number for number in batch.runs if number not in same]:
            self._carry(batch, writer.write, Sums(), changed)

    def _end(self, later: tuple[str, ...], last: int | None) -> None:
        """Take away what the source has no more, and put back what was taken off."""
        self._course.say("making the indexes")
        with exclusive(self._engine, self._course.wait) as connection:
            writer = Writer(connection, self._source.tables, keeps_ids=True)
            if self._report.resumed:
                target = Side(connection, self._source.tables)
                beyond = target.runs_between(last, None)
                writer.remove(list(beyond.runs))
                writer.forget_metrics(set(self._carrier.names.values()))
            writer.metrics(self._carrier.names)
            restore(connection, later)
            number_on(connection, (*TABLES, metric_names))
            marker.put_back(connection)
            count_anew(connection, (*TABLES, metric_names))
