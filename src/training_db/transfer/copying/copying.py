"""A whole database copied to another place, on either backend, and compared at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from sqlalchemy import func, select

from training_db.db.engine import open_engine
from training_db.db.engine.loading import alone
from training_db.db.engine.sources import source as opened_source
from training_db.db.exclusive import exclusive
from training_db.errors import Conflict, UnknownName
from training_db.models import run_events, training_runs
from training_db.settings import resolve_url
from training_db.transfer.copying import marker
from training_db.transfer.copying.carried import METRICS
from training_db.transfer.copying.carrying import Carrier, read_only
from training_db.transfer.copying.copy_report import CopiedTable, CopyReport
from training_db.transfer.copying.course import Course
from training_db.transfer.copying.extras import carried_tables
from training_db.transfer.copying.filling import Filling
from training_db.transfer.copying.merging import Merge, Merging
from training_db.transfer.copying.orphans import orphans
from training_db.transfer.copying.places import (
    check_source,
    is_empty,
    needs_making,
    place_of,
    prepare,
    refuse_same,
)
from training_db.transfer.copying.sides import Side
from training_db.transfer.copying.sums import Sums
from training_db.transfer.copying.verification import compare, tell

if TYPE_CHECKING:
    import os

    from sqlalchemy import URL, Connection, Engine

    from training_db.db.report import Progress

_RUNS = 1_000  # read at once


def copy_database(
    source: str | os.PathLike[str] | URL | None,
    target: str | os.PathLike[str] | URL,
    *,
    merge: Merge | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> CopyReport:
    """Copy all runs of a database, with everything that is known of them, to another one.

    What is copied is the source as it is when the copy begins, whatever is written to it meanwhile.
    A copy that was stopped goes on when it is called again.

    Args:
        source: From where: a URL, the path of a SQLite file, or ``None`` for what the environment
            says. It is not changed.
        target: Where to, likewise. It is made where there is nothing.
        merge: What to do with a run that cannot be added, in a target that has runs: ``"skip"``
            it, ``"replace"`` what stands in its way, or ``"fail"`` before anything is changed.
        dry_run: Whether to say only what would be done.
        progress: Takes a label, how much is done and how much there is (0 where nobody knows).

    Returns:
        What was done; :attr:`CopyReport.ok` says whether all of it is in the target.

    Raises:
        ConfigurationError: A URL cannot work.
        Conflict: The target has other runs, and ``merge`` is ``None``; or another copy is at work
            there.
        SchemaError: A database is not of the version that this library needs.

    Example:
        >>> from training_db import TrainingDB, init_db
        >>> folder = getfixture("tmp_path")
        >>> init_db(folder / "here.db")
        >>> with TrainingDB(folder / "here.db") as db:
        ...     run_id = db.runs.insert("r1", config={"lr": 0.1})
        >>> report = copy_database(folder / "here.db", folder / "there.db")
        >>> report.ok, report.copied_runs, report.tables[0].name, report.tables[0].target_rows
        (True, 1, 'training_runs', 1)
    """
    if merge is not None and merge not in get_args(Merge):
        raise UnknownName("way to merge", merge, get_args(Merge))
    here, there = resolve_url(source), resolve_url(target)
    report = CopyReport(place_of(here), place_of(there), dry_run=dry_run)
    refuse_same(here, there)
    with opened_source(here) as connection:
        check_source(connection)
        copy = _Copy(connection, there, report, progress)
        if dry_run:
            copy.plan(merge)
        else:
            copy.run(merge)
    return report


class _Copy:
    """One copy, from a source that is open.

    Args:
        connection: The source.
        target: Where to.
        report: Takes what is done.
        progress: Takes how far it is.
    """

    def __init__(
        self, connection: Connection, target: URL, report: CopyReport, progress: Progress | None
    ) -> None:
        has_signed_zero = target.get_backend_name() != "sqlite"
        tables = carried_tables(connection)
        self._source = Side(connection, tables, has_signed_zero=has_signed_zero)
        self._target = target
        self._report = report
        self._progress = progress
        self._totals = {carried.name: self._source.count(carried) for carried in tables}

    def run(self, merge: Merge | None) -> None:
        """Copy into the target."""
        prepare(self._target)
        with alone(self._target):
            engine = open_engine(self._target)
            try:
                with exclusive(engine, self._say) as connection:
                    unfinished = self._unfinished(connection)
                    fills = unfinished is not None or is_empty(connection)
                    course = self._course(connection)
                if fills:
                    self._fill(engine, unfinished, course)
                else:
                    self._add(engine, self._asked(merge, course), course)
            finally:
                engine.dispose()
        self._look_for_orphans()

    def plan(self, merge: Merge | None) -> None:
        """Say what would be done, and write nothing."""
        backend = self._target.get_backend_name()
        if needs_making(self._target):
            self._report.notes.append("the target would be made")
            self._plan_filling(Course(self._totals, 1, self._progress), backend)
        else:
            with opened_source(self._target) as connection:
                unfinished = self._unfinished(connection)
                self._report.resumed = unfinished is not None
                course = self._course(connection)
                if unfinished is not None or is_empty(connection):
                    self._plan_filling(course, backend)
                else:
                    report = self._report
                    asked = self._asked(merge, course)
                    planned = Merging(self._source, backend, asked, report, course)
                    planned.plan(connection)
                    report.stopped = merge == "fail" and bool(report.conflicts)
        self._look_for_orphans()

    def _fill(self, engine: Engine, unfinished: marker.Marker | None, course: Course) -> None:
        report = self._report
        report.resumed = unfinished is not None
        sums = Filling(self._source, engine, report, course).run(unfinished)
        compare(engine, self._source.tables, sums, report, course)
        if all(table.same for table in report.tables):
            with exclusive(engine, course.wait) as connection:
                marker.unmark(connection)

    def _add(self, engine: Engine, merge: Merge, course: Course) -> None:
        report, backend = self._report, engine.dialect.name
        if merge == "fail":
            attempt = CopyReport(report.source, report.target)
            with opened_source(self._target) as connection:
                Merging(self._source, backend, merge, attempt, course).plan(connection)
            if attempt.conflicts:
                report.stopped, report.conflicts = True, attempt.conflicts
                return
        wanted, found = Merging(self._source, backend, merge, report, course).run(engine)
        tell(report, wanted, found, [carried.name for carried in self._source.tables])

    def _plan_filling(self, course: Course, backend: str) -> None:
        """Read everything, to tell what the target could not hold as it is."""
        carrier, sums, last = Carrier(self._source, backend, course.first_event), Sums(), None
        sink = course.counting(read_only)
        while (batch := self._source.next_batch(last, _RUNS)) is not None:
            self._report.carried += carrier.carry(batch, sink, sums)
            self._report.copied_runs += len(batch.runs)
            last = batch.high
        for metric in carrier.names.values():
            sums.add(METRICS, "", (metric,))
        for name in (*self._totals, METRICS):
            table = CopiedTable(name, sums.rows(name), None, sums.checksum(name))
            self._report.tables.append(table)

    def _asked(self, merge: Merge | None, course: Course) -> Merge:
        if merge is not None:
            return merge
        if self._is_there(course):
            self._report.notes.append("the target has all of it already")
            return "fail"
        raise Conflict(
            f"the target {self._report.target} has runs already; add to them with --merge "
            "skip, --merge replace or --merge fail (merge= in Python), which says what to do "
            "with a run that is there with other content"
        )

    def _is_there(self, course: Course) -> bool:
        """Tell whether the target is this copy already, as where one was killed at its end."""
        attempt = CopyReport(self._report.source, self._report.target)
        with opened_source(self._target) as connection:
            runs = connection.scalar(select(func.count()).select_from(training_runs))
            if runs != self._totals[training_runs.name]:
                return False
            backend = self._target.get_backend_name()
            Merging(self._source, backend, "fail", attempt, course).plan(connection)
        return attempt.same_runs == runs

    def _course(self, target: Connection) -> Course:
        return Course(self._totals, self._first_event(target), self._progress)

    def _say(self, line: str) -> None:
        if self._progress:
            self._progress(line, 0, 0)

    def _look_for_orphans(self) -> None:
        self._report.orphans += orphans(self._source)

    def _unfinished(self, connection: Connection) -> marker.Marker | None:
        """Return what is there of the same copy, if it was stopped."""
        found = marker.unfinished_copy(connection)
        if found is not None and found.source != self._report.source:
            raise Conflict(
                f"the target is an unfinished copy of {found.source}; finish it: "
                f"training-db copy {found.source} {self._report.target}"
            )
        return found

    def _first_event(self, connection: Connection) -> int:
        """Return an id that no event has, for those that the copy adds."""
        query = select(func.coalesce(func.max(run_events.c.id), 0))
        sides = connection, self._source.connection
        return 1 + max(int(side.scalar(query) or 0) for side in sides)
