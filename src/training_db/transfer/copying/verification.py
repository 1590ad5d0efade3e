"""Whether the target has what was copied: all of it read back, and compared."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from training_db.db.engine import snapshots, unlimited
from training_db.transfer.copying.carried import METRICS
from training_db.transfer.copying.copy_report import CopiedTable
from training_db.transfer.copying.sides import Side
from training_db.transfer.copying.sums import Sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.copy_report import CopyReport
    from training_db.transfer.copying.course import Course

_RUNS = 2_000  # read at once


def compare(
    engine: Engine, tables: Sequence[Carried], wanted: Sums, report: CopyReport, course: Course
) -> None:
    """Compare a database that was filled with what it was filled with.

    Args:
        engine: The database.
        tables: The tables.
        wanted: What was carried.
        report: Takes the counts and checksums of each table.
        course: Takes how far it is.
    """
    found = Sums()
    with snapshots(engine).begin() as connection:
        unlimited(connection)
        side = Side(connection, tables)
        last: int | None = None
        done = 0
        while (batch := side.next_batch(last, _RUNS)) is not None:
            side.add_to(found, batch, is_range=True)
            last = batch.high
            done += len(batch.runs)
            course.compared(done)
        for name in side.metrics.values():
            found.add(METRICS, "", (name,))
        # Rows that belong to no run would not have been found.
        counts = {carried.name: side.count(carried) for carried in tables}
    tell(report, wanted, found, list(counts), counts)


def tell(
    report: CopyReport,
    wanted: Sums,
    found: Sums,
    tables: Sequence[str],
    counts: Mapping[str, int] = MappingProxyType({}),
) -> None:
    """Put both sides into a report, table by table.

    Args:
        report: The report.
        wanted: What was carried.
        found: What was read back.
        tables: The names of the tables.
        counts: How many rows the tables have, where that is known.
    """
    for name in (*tables, METRICS):
        rows = counts.get(name, found.rows(name))
        sums = wanted.checksum(name), found.checksum(name)
        report.tables.append(CopiedTable(name, wanted.rows(name), rows, *sums))
