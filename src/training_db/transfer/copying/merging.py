"""A copy into a database that has runs of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, or_, select

from training_db.db.engine.loading import keep_writers_out, number_on
from training_db.db.exclusive import exclusive
from training_db.models import metric_names, training_runs
from training_db.transfer.copying.carried import METRICS
from training_db.transfer.copying.carrying import Carrier, Places, read_only
from training_db.transfer.copying.copy_report import RunConflict
from training_db.transfer.copying.extras import add_columns
from training_db.transfer.copying.pace import Pace
from training_db.transfer.copying.sides import Batch, Side, among
from training_db.transfer.copying.sums import Sums
from training_db.transfer.copying.target import Writer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from training_db.transfer.copying.copy_report import CopyReport
    from training_db.transfer.copying.course import Course

Merge = Literal["skip", "replace", "fail"]
_OUTCOMES = {"skip": "skipped", "replace": "replaced", "fail": "stopped the copy"}


@dataclass
class Decision:
    """What becomes of the runs of a batch; all by their numbers in the source.

    Attributes:
        same: Those that the target has already, and their numbers there.
        written: Those that are to be written, and the numbers they get.
        skipped: Those that are kept out.
        removed: The numbers of those runs of the target that have to go.
    """

    same: dict[int, int] = field(default_factory=dict)
    written: dict[int, int] = field(default_factory=dict)
    skipped: list[int] = field(default_factory=list)
    removed: set[int] = field(default_factory=set)


class Merging:
    """Adds the runs of one database to another.

    Args:
        source: What is copied.
        backend: The backend of the target.
        merge: What to do with runs that cannot be added.
        report: Takes what is done.
        course: Takes how far it is.
    """

    def __init__(
        self, source: Side, backend: str, merge: Merge, report: CopyReport, course: Course
    ) -> None:
        self._source = source
        self._merge = merge
        self._report = report
        self._course = course
        self._carrier = Carrier(source, backend, course.first_event)
        self._next_number = 0

    def plan(self, connection: Connection) -> None:
        """Report what would be done, and write nothing."""
        target = Side(connection, self._source.tables)
        for batch in self._batches(Pace()):
            decision = self._decide(target, batch)
            self._count(batch, decision)
            self._report.carried += self._carrier.carry(
                batch, read_only, Sums(), only=decision.written
            )

    def run(self, engine: Engine) -> tuple[Sums, Sums]:
        """Add the runs, a batch in a transaction.

        Returns:
            The content of the runs that were to be there, and of those that are.
        """
        wanted, found = Sums(), Sums()
        with exclusive(engine, self._course.wait) as connection:
            self._report.notes += add_columns(connection, self._source.tables, self._source.backend)
        pace = Pace()
        for batch in self._batches(pace):
            with pace.timed(), exclusive(engine, self._course.wait) as connection:
                keep_writers_out(connection, (training_runs, metric_names))
                target = Side(connection, self._source.tables)
                decision = self._decide(target, batch)
                self._write(connection, batch, decision, wanted)
                self._count(batch, decision)
                self._carrier.carry(batch, read_only, wanted, only=decision.same)
                self._read_back(connection, batch, decision, found)
        with exclusive(engine, self._course.wait) as connection:
            names = set(self._carrier.names.values())
            here = set(connection.scalars(select(metric_names.c.name)))
            for name in names:
                wanted.add(METRICS, "", (name,))
            for name in names & here:
                found.add(METRICS, "", (name,))
        return wanted, found

    def _batches(self, pace: Pace) -> Any:
        last: int | None = None
        while (batch := self._source.next_batch(last, pace.runs)) is not None:
            yield batch
            last = batch.high

    def _decide(self, target: Side, batch: Batch) -> Decision:
        """Compare the runs of a batch with what the target has of their ids and numbers."""
        ids, wandb_ids = self._carrier.run_ids(batch), self._carrier.wandb_ids(batch)
        column = training_runs.c
        present = target.runs_where(
            or_(
                among(column.run_id, ids.values()),
                column.number.in_(batch.runs),
                among(column.wandb_run_id, wandb_ids.values()),
            )
        )
        places = {run_id: number for number, run_id in present.runs.items()}
        wandb = {wandb_id: number for number, wandb_id in present.wandb_ids.items()}
        equal = self._equal(target, batch, ids, places)
        decision = Decision()
        taken = set(present.runs)
        for number, run_id in ids.items():
            there = places.get(run_id)
            if there is not None and run_id in equal:
                decision.same[number] = there
                continue
            holder = wandb.get(wandb_ids.get(number))
            in_the_way = {one for one in (there, holder) if one is not None}
            if in_the_way:
                self._conflict(run_id, there, holder, present)
                if self._merge != "replace":
                    decision.skipped.append(number)
                    continue
                decision.removed |= in_the_way
            place = there if there is not None else number
            if there is None and number in taken - decision.removed:
                place = self._free(target)
            taken.add(place)
            decision.written[number] = place
        # What is the same as here must not go because of another run.
        decision.removed -= set(decision.same.values())
        return decision

    def _equal(
        self, target: Side, batch: Batch, ids: dict[int, Any], places: dict[Any, int]
    ) -> set[Any]:
        """Return the ids of the runs that both sides have with the same content."""
        both = {number: run_id for number, run_id in ids.items() if run_id in places}
        if not both:
            return set()
        here, there = Sums(by_run=True), Sums(by_run=True)
        self._carrier.carry(batch, read_only, there, only=both)
        target.add_to(here, Batch({places[run_id]: run_id for run_id in both.values()}))
        return {one for one in both.values() if here.of_run(one) == there.of_run(one)}

    def _conflict(self, run_id: Any, there: int | None, holder: int | None, present: Batch) -> None:
        reason = "the target has a run of this id with other content"
        if there is None and holder is not None:
            reason = f"its W&B id is that of the run {present.runs[holder]!r} in the target"
        outcome = _OUTCOMES[self._merge]
        self._report.conflicts.append(RunConflict(str(run_id), reason, outcome))

    def _free(self, target: Side) -> int:
        """Return a number that no run has, on either side."""
        if not self._next_number:
            highest = select(func.coalesce(func.max(training_runs.c.number), 0))
            sides = self._source.connection, target.connection
            self._next_number = max(int(side.scalar(highest) or 0) for side in sides)
        else:
            highest = select(func.coalesce(func.max(training_runs.c.number), 0))
            self._next_number = max(self._next_number, int(target.connection.scalar(highest) or 0))
        self._next_number += 1
        return self._next_number

    def _write(
        self, connection: Connection, batch: Batch, decision: Decision, wanted: Sums
    ) -> None:
        writer = Writer(connection, self._source.tables, keeps_ids=False)
        writer.remove(decision.removed)
        if not decision.written:
            return
        places = Places(decision.written, writer.metrics(self._carrier.names))
        sink = self._course.counting(writer.write)
        self._report.carried += self._carrier.carry(
            batch, sink, wanted, only=decision.written, places=places
        )
        number_on(connection, (training_runs, metric_names))

    def _count(self, batch: Batch, decision: Decision) -> None:
        report = self._report
        report.copied_runs += len(decision.written)
        report.same_runs += len(decision.same)
        report.skipped_runs += len(decision.skipped)
        report.replaced_runs += len(decision.removed)
        for number, place in decision.written.items():
            if number != place:
                report.renumbered[str(batch.runs[number])] = number, place

    def _read_back(
        self, connection: Connection, batch: Batch, decision: Decision, found: Sums
    ) -> None:
        """Add what the target has of the runs now."""
        ids = self._carrier.run_ids(batch)
        settled = decision.same | decision.written
        side = Side(connection, self._source.tables)
        side.add_to(found, Batch({place: ids[number] for number, place in settled.items()}))
