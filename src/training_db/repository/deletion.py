"""Runs deleted for good: which of the trash, how much they are, and how they go."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, not_, select, type_coerce

from training_db.db.engine import unlimited
from training_db.db.engine.space import lock_out, row_bytes
from training_db.models import Base, RunStatus, metric_names, run_history_segments, run_metrics
from training_db.models import training_runs as runs
from training_db.models.types import Timestamp
from training_db.repository.base import Repository
from training_db.repository.clock import clock
from training_db.repository.run_dict import STALE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Table

TABLES = tuple(reversed(Base.metadata.sorted_tables))
"""Every table, children before parents."""

BATCH_RUNS = 200
BATCH_SEGMENTS = 5_000
"""Segments of the runs that go in one transaction, unless a single run has more."""

_run = runs.c


@dataclass(frozen=True)
class TrashedRun:
    """A run of the trash.

    Attributes:
        run_id: The run.
        number: Its number.
        deleted_at: When it was thrown away, as ISO 8601.
    """

    run_id: str
    number: int
    deleted_at: str


@dataclass(frozen=True)
class Share:
    """What runs have in a table.

    Attributes:
        table: Its name.
        rows: How many rows.
        bytes: How many bytes their values take, without indexes.
    """

    table: str
    rows: int
    bytes: int


class TrashRepository(Repository):
    """The runs that were thrown away before some moment, and may go for good.

    A run that is still being logged to is none of them: its recorder would make it anew.
    """

    def clock(self) -> datetime:
        """Return what time it is by the clock of the database, which stamps what is deleted."""
        with self._transactions(writes=False) as connection:
            return clock(connection)

    def older(self, before: datetime) -> list[TrashedRun]:
        """Return the runs, those first that were thrown away first."""
        with self._transactions(writes=False) as connection:
            return _trashed(connection, _may_go(connection, before))

    def alive(self, before: datetime) -> list[TrashedRun]:
        """Return the runs of the trash that stay because they are being logged to."""
        with self._transactions(writes=False) as connection:
            return _trashed(connection, _is_old(before), is_alive(connection))

    def shares(self, before: datetime) -> list[Share]:
        """Return what the runs have in each table, where they have anything."""
        with self._transactions(writes=False) as connection:
            chosen = _may_go(connection, before)
            return [
                share
                for table in TABLES
                if (share := _share(connection, table, chosen)) is not None
            ]

    def next_batch(self, within: Sequence[TrashedRun]) -> list[TrashedRun]:
        """Return the first of some runs that may go together: a bounded number of rows.

        Args:
            within: The runs that may be chosen.
        """
        some = within[:BATCH_RUNS]
        numbers = [run.number for run in some]
        segment = run_history_segments.c
        sizes = (
            select(segment.run_number, func.count())
            .where(segment.run_number.in_(numbers))
            .group_by(segment.run_number)
        )
        with self._transactions(writes=False) as connection:
            segments = {number: count for number, count in connection.execute(sizes)}  # noqa: C416 - rows are no pairs to dict()
        batch: list[TrashedRun] = []
        total = 0
        for run in some:
            total += segments.get(run.number, 0)
            if batch and total > BATCH_SEGMENTS:
                break
            batch.append(run)
        return batch

    def delete(
        self, batch: Sequence[TrashedRun], before: datetime
    ) -> tuple[list[str], dict[str, int]]:
        """Delete runs with all their rows in one transaction.

        Args:
            batch: The runs. Those that are no longer in the trash, or are logged to, stay.
            before: When they have to have been thrown away.

        Returns:
            The ids of the runs that went, and how many rows of each table.

        Raises:
            Conflict: A table of somebody else refers to one of them; none was deleted.
        """
        with self._transactions(writes=True) as connection:
            unlimited(connection)
            chosen = (
                select(_run.number, _run.run_id)
                .where(_run.run_id.in_([run.run_id for run in batch]), _may_go(connection, before))
                .order_by(_run.run_id)
                .with_for_update()
            )
            there = connection.execute(chosen).all()
            by_key: dict[str, list[Any]] = {
                "run_number": [row.number for row in there],
                "run_id": [row.run_id for row in there],
            }
            gone = {}
            for table in TABLES:
                for key, values in by_key.items():
                    if key in table.c:
                        statement = delete(table).where(table.c[key].in_(values))
                        gone[table.name] = connection.execute(statement).rowcount
        return by_key["run_id"], {table: count for table, count in gone.items() if count}

    def unused_names(self, before: datetime) -> list[str]:
        """Return the names of metrics that no run will have when these runs are gone."""
        name, total, segment = metric_names.c, run_metrics.c, run_history_segments.c
        with self._transactions(writes=False) as connection:
            going = list(connection.scalars(select(_run.number).where(_may_go(connection, before))))
            used: set[int] = set()
            for metric in (total.metric_id, segment.metric_id):
                table = metric.table
                of_others = select(metric).distinct()
                if going:
                    chosen = select(_run.number).where(
                        _may_go(connection, before), _run.number.is_not(None)
                    )
                    of_others = of_others.where(table.c.run_number.not_in(chosen))
                used.update(connection.scalars(of_others))
            names = connection.execute(select(name.id, name.name).order_by(name.id))
            return [text for number, text in names if number not in used]

    def forget_name(self, name: str) -> bool | None:
        """Delete the name of a metric that no run has.

        Returns:
            Whether it was; ``None`` where writers of history are at work, who may need it.
        """
        with self._transactions(writes=True) as connection:
            unlimited(connection)
            # Who writes history reads this table first, in the same transaction: so nobody is
            # left who has seen the name and not written yet.
            if not lock_out(connection, metric_names):
                connection.rollback()
                return None
            statement = delete(metric_names).where(metric_names.c.name == name, _is_unused())
            return connection.execute(statement).rowcount > 0


def is_alive(connection: Connection) -> ColumnElement[bool]:
    """Return the condition for runs that a recorder is writing to, by the database's clock."""
    since = clock(connection) - timedelta(seconds=STALE_SECONDS)
    ended = [one.value for one in RunStatus if one.ended]
    has_beaten = _run.heartbeat_at.is_not(None)
    return and_(has_beaten, _run.heartbeat_at >= since, _run.status.not_in(ended))


def digest(trashed: Sequence[TrashedRun]) -> str:
    """Return a short text that is another one for each set of runs.

    Example:
        >>> digest([]) == digest([TrashedRun("r1", 1, "2024-05-06T07:08:09.000000Z")])
        False
    """
    hashed = blake2b(digest_size=8)
    for run in sorted(trashed, key=lambda one: one.run_id):
        hashed.update(f"{run.number}\n{run.run_id}\n{run.deleted_at}\n".encode(errors="replace"))
    return hashed.hexdigest()


def _is_old(before: datetime) -> ColumnElement[bool]:
    return and_(_run.deleted_at.is_not(None), _run.deleted_at < before)


def _may_go(connection: Connection, before: datetime) -> ColumnElement[bool]:
    return and_(_is_old(before), not_(is_alive(connection)))


def _trashed(connection: Connection, *are_meant: ColumnElement[bool]) -> list[TrashedRun]:
    rows = connection.execute(
        select(_run.run_id, _run.number, type_coerce(_run.deleted_at, Timestamp))
        .where(*are_meant)
        .order_by(_run.deleted_at, _run.number)
    )
    return [TrashedRun(*row) for row in rows]


def _share(connection: Connection, table: Table, chosen: ColumnElement[bool]) -> Share | None:
    key = next((name for name in ("run_number", "run_id") if name in table.c), None)
    if key is None:
        return None
    wanted: Any = _run.number if key == "run_number" else _run.run_id
    statement = select(func.count(), func.sum(row_bytes(connection, table)))
    statement = statement.where(table.c[key].in_(select(wanted).where(chosen)))
    rows, size = connection.execute(statement).one()
    return Share(table.name, rows, int(size or 0)) if rows else None


def _is_unused() -> ColumnElement[bool]:
    name, total, segment = metric_names.c.id, run_metrics.c, run_history_segments.c
    return and_(
        ~exists().where(total.metric_id == name),
        name.not_in(select(segment.metric_id)),
    )
