"""Runs: inserted, updated, found and listed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, type_coerce, update

from training_db.db.engine import bulk_insert
from training_db.documents import plain_json
from training_db.errors import Conflict, InvalidValue, RunExists, RunNotFound
from training_db.extraction import RULES, ExtractionRules
from training_db.models import run_objectives, training_runs
from training_db.models.types import Timestamp
from training_db.repository.base import Repository, as_dicts, page_size, run_key, shown_columns
from training_db.repository.filter_sql import condition
from training_db.repository.filters import COLUMNS, Filter, as_filter
from training_db.repository.listing import Cursor, Listing, Order
from training_db.repository.objectives import upsert_objectives
from training_db.repository.run_dict import RunDict
from training_db.repository.selectivity import finds_few
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sqlalchemy import Connection

    from training_db.db.session import Transactions

NEWEST_FIRST = "created_at DESC"
_LISTED = select(*shown_columns(training_runs, without=["history_json"]))
_BATCH = 1_000
_REMEMBERED = 256  # listings


@dataclass(frozen=True)
class Page:
    """Some runs of a listing.

    Attributes:
        items: The runs.
        next: What to pass as ``after`` for the next page; ``None`` when this is the last one.
    """

    items: list[RunDict]
    next: str | None


class RunRepository(Repository):
    """The runs of a database, as ``db.runs``.

    Args:
        transactions: Where each method gets its connection from.
        rules: Where the columns of a run are found in its config and summary.
    """

    def __init__(self, transactions: Transactions, rules: ExtractionRules = RULES) -> None:
        super().__init__(transactions)
        self._rules = rules
        self._listings: dict[tuple[str, Order, bool], Listing[RunDict]] = {}

    def insert(
        self,
        run_id: str,
        wandb_run_id: str | None = None,
        config: Any = None,
        *,
        summary: Any = None,
        **fields: Any,
    ) -> str:
        """Record that a run was launched.

        Args:
            run_id: Its id, at most 1,000 bytes.
            wandb_run_id: Its id at W&B.
            config: Its config: a mapping, ``Namespace``, dataclass or JSON text. Columns and
                objectives are filled from it by the extraction rules.
            summary: Its final metrics, if it has any yet.
            fields: Columns of ``training_runs``; they win over what the config says.

        Returns:
            The run's id.

        Raises:
            RunExists: There is a run with this id or this W&B id.
            InvalidValue: A value that cannot be stored.
            UnknownName: A column or status that does not exist.

        Example:
            >>> db = getfixture("example_db")
            >>> db.runs.insert("r1", config={"training": {"learning_rate": 3e-4}})
            'r1'
            >>> db.runs.get("r1")["learning_rate"]
            0.0003
        """
        from training_db.repository.run_rows import new_run

        given = {"run_id": run_id, "wandb_run_id": wandb_run_id, "config": config}
        row, objectives = new_run(given | {"summary": summary} | fields, self._rules, now())
        with self._transactions(writes=True) as connection:
            try:
                connection.execute(insert(training_runs), row)
            except Conflict:
                raise RunExists(
                    f"there is a run {run_id!r} already, or one with the W&B id {wandb_run_id!r}; "
                    "take another id, or change that run with update_run_status"
                ) from None
            upsert_objectives(connection, row["run_id"], objectives)
        return str(row["run_id"])

    def insert_many(self, runs: Iterable[Mapping[str, Any]]) -> int:
        """Record many runs in one transaction: all of them, or none.

        Args:
            runs: For each run what :meth:`insert` takes, as a mapping with ``run_id``.

        Returns:
            How many there were.

        Raises:
            RunExists: One of them is there already, or comes twice.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> db.runs.insert_many({"run_id": f"seed-{n}"} for n in range(3))
            3
        """
        from training_db.repository.run_rows import OBJECTIVE_COLUMNS, new_rows

        count = 0
        with self._transactions(writes=True) as connection:
            for rows, objectives in new_rows(runs, self._rules, _BATCH):
                try:
                    bulk_insert(connection, training_runs, COLUMNS, rows)
                except Conflict as error:
                    raise RunExists(
                        f"no run was inserted, for one is there already: {error}"
                    ) from None
                bulk_insert(connection, run_objectives, OBJECTIVE_COLUMNS, objectives)
                count += len(rows)
        return count

    def update_status(self, run_id: str, status: str, **fields: Any) -> None:
        """Say where a run stands, and what else became known of it.

        Args:
            run_id: The run.
            status: ``launched``, ``running``, ``completed``, ``failed`` or ``crashed``.
            fields: Columns of ``training_runs``; and ``summary`` (a mapping of final metrics),
                which fills the ``final_*`` columns and the objectives. ``history_json`` takes a
                mapping of metric to list, a list of row mappings, or a DataFrame.

        A run that starts gets its ``started_at``; one that ends its ``ended_at`` and, where both
        are known, its ``duration_seconds``, unless they are given or known already.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: A status or column that does not exist.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r2")
            >>> db.runs.update_status("r2", "completed", summary={"loss": 0.25})
            >>> db.runs.get("r2")["final_loss"]
            0.25
        """
        self.update(run_id, status=status, **fields)

    def update(self, run_id: str, **fields: Any) -> None:
        """Change some columns of a run; what they may be is said at :meth:`update_status`."""
        from training_db.repository.run_rows import changed_run, lifetime_changes

        changes, objectives = changed_run(fields, self._rules)
        with self._transactions(writes=True) as connection:
            known = self._lifetime(connection, run_id)
            changes |= lifetime_changes(changes, known)
            statement = update(training_runs).where(training_runs.c.run_id == run_id)
            try:
                connection.execute(statement, changes | {"updated_at_db": now()})
            except Conflict as error:
                raise RunExists(f"run {run_id!r} was not changed: {error}") from None
            upsert_objectives(connection, run_id, objectives)

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
        with self._transactions(writes=False) as connection:
            statement = _LISTED.where(training_runs.c.run_id == run_key(run_id))
            found = self._runs(as_dicts(connection.execute(statement), RunDict))
        return found[0] if found else None

    def history_json(self, run_id: str) -> str | None:
        """Return the stored history of a run as JSON text: an object of one list a metric."""
        with self._transactions(writes=False) as connection:
            text = connection.execute(
                select(training_runs.c.history_json).where(
                    training_runs.c.run_id == run_key(run_id)
                )
            ).scalar()
        return None if text is None else plain_json(text)

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

    def count(self, filters: Mapping[str, Any] | str | Filter | None = None) -> int:
        """Return how many runs match."""
        tree = as_filter(filters)
        statement = select(func.count()).select_from(training_runs)
        with self._transactions(writes=False) as connection:
            short = condition(tree, few=finds_few(connection, tree))
            return int(connection.execute(statement.where(short)).scalar_one())

    def _listing(self, connection: Connection, tree: Filter, order: Order) -> Listing[RunDict]:
        """Return the listing, which is kept: dashboards and loops ask the same question again."""
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
        return runs

    def _lifetime(self, connection: Connection, run_id: str) -> Mapping[str, Any]:
        run = training_runs.c
        times = select(
            type_coerce(run.started_at, Timestamp).label("started_at"),
            type_coerce(run.ended_at, Timestamp).label("ended_at"),
            run.duration_seconds,
        )
        found = connection.execute(
            times.where(training_runs.c.run_id == run_key(run_id)).with_for_update()
        ).first()
        if found is None:
            raise RunNotFound(run_id)
        return {name: _moment(value) for name, value in found._asdict().items()}


def _moment(value: Any) -> Any:
    """Read a stored time; old text that is no time is as good as none."""
    try:
        return parse_timestamp(value) if isinstance(value, str) else value
    except InvalidValue:
        return None
