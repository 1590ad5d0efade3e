"""Runs found, listed and counted."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, func, or_, select, type_coerce

from training_db.errors import InvalidValue, RunNotFound
from training_db.models import RunStatus, training_runs
from training_db.models.types import LARGEST, Timestamp, utc_now
from training_db.repository.base import (
    Repository,
    as_dicts,
    page_size,
    run_key,
    run_number,
    shown_columns,
)
from training_db.repository.filter_sql import condition
from training_db.repository.filters import Filter, as_filter
from training_db.repository.listing import Cursor, Listing, Order
from training_db.repository.run_dict import RunDict, is_stale
from training_db.repository.selectivity import few_numbers, finds_few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection

    from training_db.db.session import Transactions

NEWEST_FIRST = "created_at DESC"
_RUN = training_runs.c
_IS_AWAITED = and_(
    or_(*(_RUN.status == status.value for status in RunStatus if not status.ended)),
    _RUN.heartbeat_at.is_not(None),
)
_LISTED = select(
    *shown_columns(training_runs, without=["history_layout"]),
    # The database's clock, by which a heartbeat is old or not.
    type_coerce(case((_IS_AWAITED, utc_now())), Timestamp).label("stale"),
)
_BEGUN = re.compile(r"\d{8}_\d{6}\b|w\d+\Z")
_REMEMBERED = 256  # listings
_DIGITS = len(str(LARGEST))  # so many may be too large already


@dataclass(frozen=True)
class Page:
    """Some runs of a listing.

    Attributes:
        items: The runs.
        next: What to pass as ``after`` for the next page; ``None`` when this is the last one.
    """

    items: list[RunDict]
    next: str | None


class RunQueries(Repository):
    """The part of ``db.runs`` that reads.

    Args:
        transactions: Where each method gets its connection from.
    """

    def __init__(self, transactions: Transactions) -> None:
        super().__init__(transactions)
        self._listings: dict[tuple[str, Order, bool], Listing[RunDict]] = {}

    def get(self, run_id: str) -> RunDict:
        """Return a run.

        Raises:
            RunNotFound: There is no such run.
        """
        run = self.find(run_id)
        if run is None:
            raise RunNotFound(run_id)
        return run

    def find(self, run_id: str) -> RunDict | None:
        """Return a run, or ``None`` where there is none."""
        return self._found(_RUN.run_id == run_key(run_id))

    def with_wandb_id(self, wandb_run_id: str) -> list[RunDict]:
        """Return the runs that go by an id of W&B, those in the trash too.

        Args:
            wandb_run_id: The id. W&B lets several runs have one; the others are stored under the
                id, a dash, and when they began.

        Example:
            >>> db = getfixture("example_db")
            >>> for own in ("3ojed7lz", "3ojed7lz-20220429_201936", "3ojed7lz-b"):
            ...     _ = db.runs.insert(own, own)
            >>> [run["run_id"] for run in db.runs.with_wandb_id("3ojed7lz")]
            ['3ojed7lz', '3ojed7lz-20220429_201936']
        """
        key = run_key(wandb_run_id)
        is_later = and_(_RUN.wandb_run_id > f"{key}-", _RUN.wandb_run_id < f"{key}.")
        meant = or_(_RUN.wandb_run_id == key, is_later)
        statement = _LISTED.where(meant).order_by(_RUN.number)
        with self._transactions(writes=False) as connection:
            found = self._runs(as_dicts(connection.execute(statement), RunDict))
        rest = len(key) + 1
        return [
            run
            for run in found
            if run["wandb_run_id"] == key or _BEGUN.match(run["wandb_run_id"][rest:])
        ]

    def number(self, run_id: str) -> int:
        """Return the number of a run: 1, 2, 3 ... in the order in which runs were inserted.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r7")
            >>> db.runs.number("r7")
            1
        """
        with self._transactions(writes=False) as connection:
            return run_number(connection, run_id)

    def by_number(self, number: int) -> RunDict:
        """Return the run that has a number.

        Raises:
            RunNotFound: No run has it.
            InvalidValue: It is no whole number.
        """
        if isinstance(number, bool) or not isinstance(number, int):
            raise InvalidValue(f"the number {number!r} of a run is no whole number")
        found = self._found(_RUN.number == number) if 0 <= number <= LARGEST else None
        if found is None:
            raise RunNotFound(number)
        return found

    def resolve(self, text: str) -> str:
        """Return the id of the run that somebody means: by its id, else by its number.

        Args:
            text: What was typed. A run whose id looks like a number is found by its id.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r8")
            >>> db.runs.resolve("1"), db.runs.resolve("r8")
            ('r8', 'r8')
        """
        meant = _RUN.run_id == run_key(text)
        digits = text if text.isascii() and text.isdecimal() and len(text) < _DIGITS else None
        if digits is not None:
            meant = or_(meant, _RUN.number == int(digits))
        with self._transactions(writes=False) as connection:
            found = connection.execute(select(_RUN.run_id).where(meant)).scalars().all()
        if not found:
            raise RunNotFound(text)
        return text if text in found else str(found[0])

    def history_json(self, run_id: str) -> str | None:
        """Return the history of a run as JSON text: an object of one list a metric."""
        from training_db.repository.history_json import history_text

        with self._transactions(writes=False) as connection:
            return history_text(connection, run_key(run_id))

    def query(
        self,
        filters: Mapping[str, Any] | str | Filter | None = None,
        order_by: str = NEWEST_FIRST,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[RunDict]:
        """Return the runs that match.

        Args:
            filters: A dict of filters, a text in the filter language, or ``None`` for all runs.
            order_by: A column, and ``ASC`` or ``DESC``. Runs without a finite value in it come
                last, whichever way.
            limit: At most so many; ``None`` for all.
            offset: Skip so many; for deep pages :meth:`page` is faster.

        Raises:
            UnknownName: A filter, column or status that does not exist.
            InvalidInput: A filter that cannot be read, or a value that cannot be compared.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r3", gradient_method="mgda", host="gpu-7")
            >>> [run["run_id"] for run in db.runs.query("host like 'gpu-%'")]
            ['r3']
        """
        tree, order = as_filter(filters), Order.parse(order_by)
        size, start = page_size(limit, "limit"), page_size(offset, "offset") or 0
        with self._transactions(writes=False) as connection:
            rows = self._listing(connection, tree, order).rows(connection, size, offset=start)
        return self._runs(rows)

    def page(
        self,
        filters: Mapping[str, Any] | str | Filter | None = None,
        order_by: str = NEWEST_FIRST,
        limit: int = 100,
        after: str | None = None,
    ) -> Page:
        """Return one page of the runs that match; every page is as fast as the first.

        Args:
            filters: As for :meth:`query`.
            order_by: As for :meth:`query`; the same for every page.
            limit: Runs a page, at least 1.
            after: The ``next`` of the page before.

        Raises:
            InvalidInput: A cursor of another order, and whatever :meth:`query` raises.
        """
        order = Order.parse(order_by)
        cursor = None if after is None else Cursor.decode(after)
        if cursor is not None and cursor.order != order:
            raise InvalidValue(f"this cursor is of a listing by {cursor.order}, not by {order}")
        size = page_size(limit, "limit")
        if not size:
            raise InvalidValue(f"limit is {limit!r}; a page has at least 1 run")
        tree = as_filter(filters)
        with self._transactions(writes=False) as connection:
            listing = self._listing(connection, tree, order)
            rows = listing.rows(connection, size + 1, after=cursor)
        items = self._runs(rows[:size])
        return Page(items, listing.cursor(items[-1]).encode() if len(rows) > size else None)

    def iterate(
        self,
        filters: Mapping[str, Any] | str | Filter | None = None,
        order_by: str = NEWEST_FIRST,
        page_size: int = 500,
    ) -> Iterator[RunDict]:
        """Go through all runs that match, a page in memory at a time."""
        after: str | None = None
        while True:
            page = self.page(filters, order_by, page_size, after)
            yield from page.items
            after = page.next
            if after is None:
                return

    def ids(self, filters: Mapping[str, Any] | str | Filter | None = None) -> list[str]:
        """Return the ids of all runs that match, in the order of their numbers.

        Args:
            filters: As for :meth:`query`.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r9", status="failed"), db.runs.insert("r2")
            >>> db.runs.ids(), db.runs.ids("status = 'failed'")
            (['r9', 'r2'], ['r9'])
        """
        tree = as_filter(filters)
        with self._transactions(writes=False) as connection:
            short = condition(tree, few=finds_few(connection, tree))
            found = connection.execute(select(_RUN.run_id).where(short).order_by(_RUN.number))
            return list(found.scalars())

    def count(self, filters: Mapping[str, Any] | str | Filter | None = None) -> int:
        """Return how many runs match."""
        tree = as_filter(filters)
        statement = select(func.count()).select_from(training_runs)
        with self._transactions(writes=False) as connection:
            short = condition(tree, few=finds_few(connection, tree))
            return int(connection.execute(statement.where(short)).scalar_one())

    def _found(self, which: ColumnElement[bool]) -> RunDict | None:
        with self._transactions(writes=False) as connection:
            found = self._runs(as_dicts(connection.execute(_LISTED.where(which)), RunDict))
        return found[0] if found else None

    def _listing(self, connection: Connection, tree: Filter, order: Order) -> Listing[RunDict]:
        """Return the listing, which is kept: dashboards and loops ask the same question again."""
        numbers = few_numbers(connection, tree)
        if numbers is not None:
            among = and_(condition(tree), _RUN.number.in_(numbers))
            return Listing(_LISTED, among, order, RunDict)
        few = finds_few(connection, tree)
        key = (repr(tree), order, few)  # equal trees may differ: 1 == True, in JSON they do not
        listing = self._listings.get(key)
        if listing is None:
            if len(self._listings) >= _REMEMBERED:
                self._listings.clear()
            listing = Listing(_LISTED, condition(tree, few=few), order, RunDict)
            self._listings[key] = listing
        return listing

    def _runs(self, records: Iterable[RunDict]) -> list[RunDict]:
        runs = list(records)
        for run in runs:
            run.fetch_history = self.history_json
            run["stale"] = is_stale(run["heartbeat_at"], run["stale"])
        return runs
