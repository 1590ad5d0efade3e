"""The trash emptied: runs that were deleted long ago go for good, and their room is given back."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING

from training_db.database import TrainingDB
from training_db.db.engine import unlimited
from training_db.db.engine.space import give_back, kept, taken
from training_db.db.session import Transactions, primary_only
from training_db.errors import Conflict, InvalidValue
from training_db.repository.deletion import TABLES, Share, TrashedRun, TrashRepository, digest
from training_db.settings import resolve_url
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from datetime import datetime, timedelta

    from sqlalchemy import URL

    from training_db.db.report import Progress

    Place = TrainingDB | URL | str | os.PathLike[str] | None

_NAME_SECONDS = 5.0
"""How long names are looked for and deleted: each may cost a look at all segments."""


@dataclass(frozen=True)
class Plan:
    """What a collection will delete.

    Attributes:
        before: Runs that were thrown away before this moment go.
        runs: Those runs, those first that were thrown away first.
        shares: What they have in each table.
        alive: Runs that were thrown away as early, and stay because they are being logged to.
        unused_names: Names of metrics that no run will have then, and that go too.
    """

    before: datetime
    runs: list[TrashedRun]
    shares: list[Share]
    alive: list[TrashedRun]
    unused_names: list[str]

    @property
    def digest(self) -> str:
        """What tells this set of runs from any other."""
        return digest(self.runs)


@dataclass
class Collected:
    """What a collection deleted.

    Attributes:
        run_ids: The runs.
        rows: How many rows of each table.
        names: How many names of metrics.
        names_left: Names of metrics that nobody has, and that were left for another time.
        bytes_before: The room that the database took.
        bytes_after: The room that it takes now.
        bytes_kept: What is free inside a SQLite file that has to be rewritten to shrink.
    """

    run_ids: list[str] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    names: int = 0
    names_left: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    bytes_kept: int = 0

    @property
    def runs(self) -> int:
        """How many runs."""
        return len(self.run_ids)


def plan(
    place: Place, *, older_than: timedelta | None = None, before: datetime | str | None = None
) -> Plan:
    """Say what a collection would delete, without changing anything.

    Args:
        place: A database, a URL, the path of a SQLite file, or ``None`` for what the environment
            says.
        older_than: Runs that have been in the trash for longer, by the database's clock.
        before: Or: runs that were thrown away before this moment.

    Returns:
        The runs, and what they have.

    Raises:
        InvalidValue: Neither of both is given, or a moment that is none.
        SchemaError: The schema is not of the version this library needs.

    Example:
        >>> from datetime import timedelta
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("old"), db.runs.delete("old")
        >>> found = plan(db, older_than=timedelta(0))
        >>> [run.run_id for run in found.runs], [share.table for share in found.shares]
        (['old'], ['training_runs'])
    """
    with (
        _trash(place) as (transactions, trash),
        transactions.snapshot() as connection,  # all of it at one moment
    ):
        unlimited(connection)
        if before is not None:
            moment = parse_timestamp(before, "before")
        elif older_than is not None:
            try:
                moment = trash.clock() - older_than
            except OverflowError:
                raise InvalidValue(f"older_than is {older_than!r}, which is before time") from None
        else:
            raise InvalidValue("say how old the runs have to be: older_than, or before")
        return Plan(
            moment, trash.older(moment), trash.shares(moment), trash.alive(moment),
            trash.unused_names(moment),
        )  # fmt: skip


@primary_only()
def collect(
    place: Place,
    planned: Plan,
    *,
    expected: str | None = None,
    whole: bool = False,
    progress: Progress | None = None,
) -> Collected:
    """Delete for good what was planned, and give the room back.

    Runs go in batches, each with all its rows in one transaction. Interrupted at any moment, each
    run is there whole or not at all, and the next collection goes on.

    Args:
        place: As for :func:`plan`.
        planned: What :func:`plan` returned. Runs that were brought back since then stay.
        expected: The ``digest`` of an earlier plan that this has to be the same as.
        whole: Whether to write the whole database anew, so that it becomes as small as it can be.
        progress: Takes a label, how much is done and how much there is.

    Returns:
        What went.

    Raises:
        Conflict: The runs are others than expected (nothing was deleted), or a table of somebody
            else refers to one of them (it and those after it stay).

    Example:
        >>> from datetime import timedelta
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("old"), db.runs.delete("old")
        >>> collect(db, plan(db, older_than=timedelta(0))).rows
        {'training_runs': 1}
        >>> db.runs.find("old") is None
        True
    """
    if expected is not None and expected != planned.digest:
        raise Conflict(
            f"the trash has changed since {expected} was printed: {len(planned.runs)} runs would "
            f"go now ({planned.digest}), and nothing was deleted; look again with --dry-run"
        )
    done = Collected()
    with _trash(place) as (transactions, trash):
        engine = transactions.engine
        done.bytes_before = taken(engine, TABLES)
        _delete_runs(trash, planned, done, progress)
        _forget_names(trash, planned.unused_names, done)
        give_back(engine, TABLES, whole=whole, progress=progress)
        done.bytes_after, done.bytes_kept = taken(engine, TABLES), kept(engine)
    return done


def _delete_runs(
    trash: TrashRepository, planned: Plan, done: Collected, progress: Progress | None
) -> None:
    left, total = planned.runs, len(planned.runs)
    while left:
        if progress:
            progress("deleting runs", total - len(left), total)
        batch = trash.next_batch(left)
        run_ids, gone = trash.delete(batch, planned.before)
        done.run_ids += run_ids
        for table, rows in gone.items():
            done.rows[table] = done.rows.get(table, 0) + rows
        left = left[len(batch) :]
    if progress and total:
        progress("deleting runs", total, total)


def _forget_names(trash: TrashRepository, unused: list[str], done: Collected) -> None:
    began = monotonic()
    for position, name in enumerate(unused):
        gone = trash.forget_name(name) if monotonic() - began < _NAME_SECONDS else None
        if gone is None:
            done.names_left = len(unused) - position
            return
        done.names += gone


@contextmanager
def _trash(place: Place) -> Iterator[tuple[Transactions, TrashRepository]]:
    url = place.url if isinstance(place, TrainingDB) else resolve_url(place)
    transactions = Transactions(url)
    try:
        yield transactions, TrashRepository(transactions)
    finally:
        transactions.close()
