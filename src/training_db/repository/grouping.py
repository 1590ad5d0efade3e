"""Runs grouped by any attribute, by the database."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, literal, select, type_coerce

from training_db.documents import check_text, decode
from training_db.errors import InvalidValue
from training_db.models import run_tags, training_runs
from training_db.models.types import Timestamp, UTCDateTime
from training_db.repository.filter_sql import condition, document_paths
from training_db.repository.filters import ColumnField, DocumentField, TagField, field

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from sqlalchemy import CTE, ColumnElement

    from training_db.repository.filters import Filter

_RUN = training_runs.c


class Attribute:
    """What runs are grouped by.

    Args:
        by: A column, ``config.PATH``, ``summary.KEY`` or ``tag.NAME``; of several, the first that
            a run has counts.

    Raises:
        UnknownName: A name that means none of these.
        InvalidValue: What no runs can be grouped by.

    Example:
        >>> Attribute("config.optimizer.name").name
        'config.optimizer.name'
    """

    def __init__(self, by: str | Sequence[str]) -> None:
        names = [by] if isinstance(by, str) or not isinstance(by, Sequence) else list(by)
        if not names or not all(isinstance(name, str) for name in names):
            raise InvalidValue(f"{by!r} is no attribute to group by; pass one like 'host'")
        self.name = ", ".join(names)
        parts = [_part(name) for name in names]
        self._expressions = [expression for expression, _ in parts]
        self._readers = [reader for _, reader in parts]
        self._known: dict[tuple[Any, ...], Any] = {}

    @property
    def width(self) -> int:
        """How many columns of SQL it takes."""
        return len(self._expressions)

    def of_runs(self, tree: Filter, *columns: ColumnElement[Any]) -> CTE:
        """Select the attribute of the runs that match, and columns beside it."""
        # Apart, because PostgreSQL takes an expression with parameters for another one each time
        # it is written, so that none could be grouped by. The limit, which is none, keeps SQLite
        # from working it out wherever it stands; its word for that is of version 3.35.
        keys = [one.label(f"key_{place}") for place, one in enumerate(self._expressions)]
        runs = select(*keys, *columns).where(condition(tree))
        return runs.suffix_with("LIMIT -1", dialect="sqlite").cte("runs")

    def keys(self, runs: CTE) -> list[ColumnElement[Any]]:
        """Return the columns of it in such a selection."""
        return [runs.c[f"key_{place}"] for place in range(self.width)]

    def value(self, row: Sequence[Any]) -> Any:
        """Return the value of a row that begins with those columns."""
        key = tuple(row[: self.width])
        if key not in self._known:
            values = (read(one) for read, one in zip(self._readers, key, strict=True))
            self._known[key] = next((value for value in values if value is not None), None)
        return self._known[key]


def identity(value: Any) -> tuple[str, Hashable]:
    """Return what tells the value of a group from others: 1 from ``True``, and NaN from nothing.

    Example:
        >>> identity(1) == identity(1.0), identity(1) == identity(True)
        (True, False)
        >>> identity(float("nan")) == identity(float("nan"))
        True
    """
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, float) and math.isnan(value):
        return "number", None
    return ("number" if isinstance(value, (int, float)) else type(value).__name__), value


def _part(name: str) -> tuple[ColumnElement[Any], Callable[[Any], Any]]:
    match field(name):
        case ColumnField(column) if not column.endswith("_json"):
            stored = _RUN[column]
            is_time = isinstance(stored.type, UTCDateTime)
            return (type_coerce(stored, Timestamp) if is_time else stored), _as_it_is
        case DocumentField() as place:
            first, *others = (path.node() for path in document_paths(place))
            return (func.coalesce(first, *others) if others else first), _from_json
        case TagField(tag):
            return _tag(check_text(tag, "the tag's name")), _from_tag
        case _:
            raise InvalidValue(
                f"runs cannot be grouped by {name}; "
                "group by a column, config.PATH, summary.KEY or tag.NAME"
            )


def _tag(name: str) -> ColumnElement[Any]:
    # A tag that is a word and no more is there, with no value: that is not the same as no tag.
    shown = case((run_tags.c.value.is_(None), "there"), else_=literal("=") + run_tags.c.value)
    of_run = run_tags.c.run_number == _RUN.number
    return select(shown).where(of_run, run_tags.c.name == name).scalar_subquery()


def _as_it_is(value: Any) -> Any:
    return value


def _from_tag(text: str | None) -> Any:
    return None if text is None else True if text == "there" else text[1:]


def _from_json(text: str | None) -> Any:
    """Read the JSON text of a place, so that values that are equal are one."""
    value = None if text is None else decode(text)
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))  # PostgreSQL writes 1e300 as its 301 digits
    return json.dumps(value, sort_keys=True) if isinstance(value, (dict, list)) else value
