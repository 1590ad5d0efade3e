"""Stored values as the types of a dataset; what does not fit is kept beside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue
from training_db.models.types import LARGEST, SMALLEST
from training_db.timestamps import parse_timestamp
from training_db.transfer.dataset.tables import FLAG, FLOAT, INTEGER, TEXT, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NOTHING: type = type(None)


def fitted(values: Sequence[Any], kind: str) -> tuple[Sequence[Any], list[int]]:
    """Return values as a type of a dataset.

    Args:
        values: What a column holds, as the driver returned it.
        kind: The type.

    Returns:
        The values, with ``None`` in the place of each that does not fit, and where these stand.

    Example:
        >>> fitted([1, None, "many"], INTEGER)
        ([1, None, None], [2])
    """
    if set(map(type, values)) <= _FITTING[kind]:
        return values, []
    fits = _WAYS[kind]
    made: list[Any] = []
    misfits = []
    for position, value in enumerate(values):
        try:
            made.append(None if value is None else fits(value))
        except (ValueError, TypeError):
            made.append(None)
            misfits.append(position)
    return made, misfits


def stored_form(value: object) -> str:
    """Write a value that did not fit: text as it is, bytes as SQL writes them.

    Example:
        >>> stored_form("many"), stored_form(2.5), stored_form(b"ab")
        ('many', '2.5', "X'6162'")
    """
    if isinstance(value, str):
        return value
    return f"X'{value.hex().upper()}'" if isinstance(value, bytes) else repr(value)


def _integer(value: Any) -> int:
    if type(value) in (int, bool) and SMALLEST <= value <= LARGEST:
        return int(value)
    raise ValueError


def _float(value: Any) -> float:
    if value == "NaN":  # how SQLite keeps it in a column of numbers
        return math.nan
    if type(value) in (int, float):
        return float(value)
    raise ValueError


def _flag(value: Any) -> bool:
    if type(value) in (int, bool) and value in (0, 1):
        return bool(value)
    raise ValueError


def _time(value: Any) -> Any:
    if not isinstance(value, str):
        raise TypeError
    try:
        return parse_timestamp(value)
    except InvalidValue:
        raise ValueError from None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_FITTING: dict[str, set[type]] = {
    TEXT: {str, _NOTHING},
    INTEGER: {int, _NOTHING},
    FLOAT: {float, _NOTHING},
    FLAG: {bool, _NOTHING},
    TIME: {_NOTHING},
}
_WAYS: dict[str, Callable[[Any], Any]] = {
    TEXT: _text,
    INTEGER: _integer,
    FLOAT: _float,
    FLAG: _flag,
    TIME: _time,
}
