"""Listings: runs in an order, by pages that stay fast at any depth.

A listing is in two parts: the runs that have a value in the column of the order, then those whose
value is missing or not finite. Each part is one range of an index, so the next page starts where
the last one ended instead of counting from the beginning.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

import orjson
from sqlalchemy import ColumnElement, and_, func, literal, not_, or_, select, tuple_

from training_db.documents import check_text
from training_db.errors import InvalidInput, UnknownName
from training_db.models import training_runs
from training_db.models.types import LARGEST, SMALLEST, Real, Timestamp
from training_db.repository.base import Record, as_dicts
from training_db.repository.filters import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Select

ORDERS = tuple(name for name in COLUMNS if not name.endswith("_json"))
"""The columns a listing can be ordered by."""


@dataclass(frozen=True)
class Order:
    """A column and a direction.

    Example:
        >>> Order.parse("final_loss")
        Order(column='final_loss', descending=False)
    """

    column: str
    descending: bool

    @classmethod
    def parse(cls, text: str) -> Order:
        """Read ``"column"``, ``"column ASC"`` or ``"column DESC"``.

        Raises:
            UnknownName: There is no such column, or the direction is neither.
        """
        column, _, direction = str(text).strip().partition(" ")
        if column not in ORDERS:
            raise UnknownName("column to order by", column, ORDERS)
        direction = direction.strip().upper() or "ASC"
        if direction not in ("ASC", "DESC"):
            raise UnknownName("direction", direction, ("ASC", "DESC"))
        return cls(column, direction == "DESC")

    def __str__(self) -> str:
        return f"{self.column} {'DESC' if self.descending else 'ASC'}"


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the order, the last value (``None`` in the second part) and run."""

    order: Order
    value: Any
    run_id: str

    def encode(self) -> str:
        """Write the cursor as text that a caller hands back."""
        return base64.urlsafe_b64encode(
            orjson.dumps([str(self.order), self.value, self.run_id])
        ).decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Read what :meth:`encode` wrote.

        Raises:
            InvalidInput: It did not write this.
        """
        try:
            order, value, run_id = orjson.loads(base64.urlsafe_b64decode(text))
            return cls(Order.parse(order), value, check_text(str(run_id), "the run id"))
        except (ValueError, TypeError):
            raise InvalidInput(
                f"{text!r} is no cursor; pass the `next` of the page before"
            ) from None


class Listing(Generic[Record]):
    """Runs that match a condition, in an order.

    Args:
        statement: What to select of ``training_runs``.
        condition: Which runs.
        order: In which order; runs without a finite value in its column come last.
        kind: What to make of each row.
    """

    def __init__(
        self,
        statement: Select[Any],
        condition: ColumnElement[bool],
        order: Order,
        kind: type[Record],
    ) -> None:
        self._kind = kind
        self._order = order
        self._column = training_runs.c[order.column]
        self._condition = condition
        self._statement = statement.where(condition)
        # Making a statement and knowing it again takes SQLAlchemy as long as running it does.
        self._kept: tuple[int | None, Select[Any]] | None = None

    def rows(
        self,
        connection: Connection,
        limit: int | None,
        *,
        offset: int = 0,
        after: Cursor | None = None,
    ) -> list[Record]:
        """Fetch a page: by one statement, two, or three where an offset leaves the first part."""
        if limit == 0:
            return []
        if after is not None and after.value is None and self._has_second_part:
            return self._fetch(connection, self._rest(after.run_id), limit, offset)
        if after is None and not offset:
            rows = self._first_page(connection, limit)
        else:
            rows = self._fetch(connection, self._valued(after), limit, offset)
        if not self._has_second_part or (limit is not None and len(rows) == limit):
            return rows
        if offset and not rows:
            offset -= self._count_valued(connection)
        else:
            offset = 0
        missing = None if limit is None else limit - len(rows)
        return rows + self._fetch(connection, self._rest(None), missing, offset)

    def cursor(self, row: Mapping[str, Any]) -> Cursor:
        """Return where a page that ends with this row ended."""
        value = row[self._order.column]
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        return Cursor(self._order, value, row["run_id"])

    @property
    def _has_second_part(self) -> bool:
        return bool(self._column.nullable)

    def _first_page(self, connection: Connection, limit: int | None) -> list[Record]:
        kept = self._kept
        if kept is None or kept[0] != limit:
            kept = self._kept = limit, self._valued(None).limit(limit)
        return as_dicts(connection.execute(kept[1]), self._kind)

    def _fetch(
        self, connection: Connection, statement: Select[Any], limit: int | None, offset: int
    ) -> list[Record]:
        if limit is not None:
            statement = statement.limit(limit)
        elif offset:
            statement = statement.limit(_ALL)  # SQLite has no OFFSET without a LIMIT
        paged = statement.offset(offset) if offset else statement
        return as_dicts(connection.execute(paged), self._kind)

    def _valued(self, after: Cursor | None) -> Select[Any]:
        statement = self._statement
        if self._has_second_part:
            statement = statement.where(self._is_valued())
        keys = [self._column, training_runs.c.run_id][: 1 if self._by_id else 2]
        if after is not None:
            last = [self._bound(after.value), literal(after.run_id)][: len(keys)]
            before = self._order.descending
            here, there = tuple_(*keys), tuple_(*last)
            statement = statement.where(here < there if before else here > there)
        return statement.order_by(
            *(key.desc() if self._order.descending else key.asc() for key in keys)
        )

    def _rest(self, after_run_id: str | None) -> Select[Any]:
        run_id = training_runs.c.run_id
        without: ColumnElement[bool] = self._column.is_(None)
        if isinstance(self._column.type, Real):
            without = or_(without, not_(self._is_valued()))
        statement = self._statement.where(without).order_by(run_id)
        return statement if after_run_id is None else statement.where(run_id > after_run_id)

    def _is_valued(self) -> ColumnElement[bool]:
        if isinstance(self._column.type, Real):
            return and_(self._column > -math.inf, self._column < math.inf)
        return self._column.is_not(None)

    def _count_valued(self, connection: Connection) -> int:
        count = select(func.count()).select_from(training_runs)
        return connection.execute(count.where(self._condition, self._is_valued())).scalar_one()

    @property
    def _by_id(self) -> bool:
        return self._order.column == "run_id"

    def _bound(self, value: Any) -> ColumnElement[Any]:
        kind = self._column.type.python_type
        fits = isinstance(value, _IN_CURSORS[kind]) and isinstance(value, bool) == (kind is bool)
        if not fits or (kind is int and not SMALLEST <= value <= LARGEST):
            raise InvalidInput("this is no cursor of this listing; pass the `next` of a page")
        if kind is datetime:
            return literal(value, Timestamp)
        return literal(value, self._column.type)


_ALL = 2**62
# What a column's values are in a cursor, which is JSON.
_IN_CURSORS: dict[type, Any] = {
    int: int,
    float: (int, float),
    bool: bool,
    str: str,
    datetime: str,
}
