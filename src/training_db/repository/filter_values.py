"""One column against one value, so that both backends find the same rows.

A comparison is true or it is not: a column that is NULL or not finite matches none.
"""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, true
from sqlalchemy.sql.elements import Grouping

from training_db.documents import LONGEST_INTEGER, check_text
from training_db.errors import InvalidValue, UnknownName
from training_db.models import RunStatus
from training_db.models.types import LARGEST, SMALLEST, by_backend
from training_db.timestamps import parse_timestamp

Condition = ColumnElement[bool]
Comparer = Callable[[Any, str, Any], Condition]

LONGEST_PATTERN = 10_000
_WIDEST = 200
_PYTHON_OPERATORS = {
    "=": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


def joined(conditions: Iterable[Condition], *, every: bool) -> Condition:
    """Join by AND or OR, in groups: SQLite refuses an expression of 1,000 parts in a row."""
    parts = list(conditions)
    while len(parts) > _WIDEST:
        starts = range(0, len(parts), _WIDEST)
        groups = (Grouping(_join(parts[at : at + _WIDEST], every=every)) for at in starts)
        # by_backend hides what is in a group from SQLAlchemy, which would take it out again.
        parts = [by_backend(sqlite=group, postgresql=group) for group in groups]
    return _join(parts, every=every)


def _join(parts: Iterable[Condition], *, every: bool) -> Condition:
    return and_(true(), *parts) if every else or_(false(), *parts)


def each(
    compare: Comparer,
    values: tuple[Any, ...],
    negated: bool,
    column: Any,
) -> Condition:
    """Ask for one of some values, or for a value that is none of them."""
    if negated:
        differs = (compare(column, "!=", value) for value in values)
        return and_(column.is_not(None), joined(differs, every=True))
    return joined((compare(column, "=", value) for value in values), every=False)


def compare_integer(column: Any, operator: str, value: Any) -> Condition:
    """Compare exactly, also with fractions and with what no 64-bit integer can hold."""
    number = _finite(column.name, value)
    low, high = math.floor(number), math.ceil(number)
    if operator in ("=", "!="):
        equal = column == low if low == high and SMALLEST <= low <= LARGEST else false()
        return equal if operator == "=" else and_(column.is_not(None), ~equal)
    bound = low if operator in (">", "<=") else high
    if bound > LARGEST or bound < SMALLEST:
        always = (bound > LARGEST) == (operator in ("<", "<="))
        return column.is_not(None) if always else false()
    return _applied(column, operator, bound)


def compare_real(column: Any, operator: str, value: Any) -> Condition:
    """Compare what is finite; ``=`` alone can ask for the rest."""
    if operator == "=" and isinstance(value, float) and not math.isfinite(value):
        return _applied(column, "=", value)
    number = _finite(column.name, value)
    try:
        number = float(number)
    except OverflowError:
        number = math.inf if number > 0 else -math.inf
    compared = _applied(column, operator, number)
    # NaN sorts above every number on both backends, and infinity is no result to be found by one.
    match operator:
        case "=":
            return compared if math.isfinite(number) else false()
        case ">" | ">=":
            return and_(compared, column < math.inf)
        case _:
            return and_(compared, column > -math.inf, column < math.inf)


def compare_flag(column: Any, operator: str, value: Any) -> Condition:
    """Compare with true or false, 1 or 0."""
    if operator not in ("=", "!=") or not isinstance(value, int) or value not in (0, 1):
        raise InvalidValue(f"{column.name} is true or false; {operator} {value!r} cannot be asked")
    return _applied(column, "=", bool(value) == (operator == "="))


def compare_text(column: Any, operator: str, value: Any) -> Condition:
    """Compare by code points."""
    if column.name == "status" and value not in list(RunStatus):
        raise UnknownName("status", value, list(RunStatus))
    if not isinstance(value, str):
        raise InvalidValue(f"{column.name} is text; put {value!r} in quotes")
    return _applied(column, operator, check_text(str(value), column.name))


def compare_moment(column: Any, operator: str, value: Any) -> Condition:
    """Compare with a moment in any of the forms that people write."""
    return _applied(column, operator, parse_timestamp(value, column.name))


COMPARERS: dict[type, Comparer] = {
    int: compare_integer,
    float: compare_real,
    bool: compare_flag,
    str: compare_text,
    datetime: compare_moment,
}


def _applied(column: Any, operator: str, value: Any) -> Condition:
    return _PYTHON_OPERATORS[operator](column, value)  # type: ignore[no-any-return]


def _finite(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is a number and cannot be compared with {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"{name} cannot be compared with {value!r}; only = can ask for it")
    return value


def scalar(value: Any) -> bool | int | float | str:
    """Check a value that a place in a document is compared with."""
    if isinstance(value, str):
        return check_text(str(value), "the value")
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= LONGEST_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise InvalidValue(f"{_short(value)} is no number, text, true or false to compare with")


def _short(value: object) -> str:
    return "an integer of that length" if isinstance(value, int) else repr(value)[:80]


def checked_pattern(pattern: Any) -> str:
    """Check a pattern of ``like``."""
    if not isinstance(pattern, str):
        raise InvalidValue(f"the pattern {pattern!r} is no text")
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidValue(
            f"a pattern of {len(pattern):,} characters; {LONGEST_PATTERN:,} can be matched"
        )
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    if trailing % 2:
        raise InvalidValue(f"the pattern {pattern!r} ends in a lone backslash; double it")
    return check_text(pattern, "the pattern")
