"""Values in the form in which both backends can be compared, and in which each can hold them.

A row of SQLite may hold anything: text with a NUL character or of bytes that are no UTF-8, a word
in a column of numbers. What PostgreSQL cannot hold has a stated form there, and the original is
kept beside it.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from training_db.db.engine.streams import BAD_TEXT, Row
from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db.transfer.copying.carried import Carried

LONGEST_INDEXED = 1_250
"""Bytes; two such texts fit into one row of an index of PostgreSQL, which ends at 2,704."""
SOME_TIME = "1970-01-01T00:00:00.000000Z"
"""What stands where a time has to be, and there is none."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII).fullmatch
_UNHELD = re.compile("[\x00\udc80-\udcff]")
_TYPES = {"text": str, "moment": str, "integer": int, "number": float, "flag": int, "bytes": bytes,
          "any": str}  # fmt: skip
_NOTHING = type(None)
_SHOWN = 60


class Unheld(ValueError):
    """A row that a table of PostgreSQL cannot hold in any form."""


class Forms:
    """Knows plain rows of a table from odd ones, which are rare.

    Args:
        carried: The table.
    """

    def __init__(self, carried: Carried) -> None:
        self._carried = carried
        self._types = tuple(_TYPES[kind] for kind in carried.kinds)
        self._suits: dict[tuple[type, ...], bool] = {}
        self._texts = self._places("text") + self._places("any")
        self._moments = self._places("moment")
        self._numbers = self._places("number")
        self._flags = self._places("flag")
        self._long = frozenset(
            at for at, name in enumerate(carried.columns) if name in carried.indexed
        )

    def _places(self, kind: str) -> tuple[int, ...]:
        return tuple(at for at, one in enumerate(self._carried.kinds) if one == kind)

    def compared(self, row: Row) -> Row:
        """Return a row of SQLite as both backends can be compared: NaN and times in one form."""
        if self._is_plain(row):
            return row
        values = list(row)
        for at in self._numbers:
            values[at] = _number(values[at])
        for at in self._moments:
            values[at] = _moment(values[at])
        return tuple(values)

    def as_sqlite(self, row: Row) -> Row:
        """Return a row of PostgreSQL as SQLite holds it: NaN as text."""
        for at in self._numbers:
            if row[at] != row[at]:
                return tuple("NaN" if one != one else one for one in row)
        return row

    def is_held(self, row: Row) -> bool:
        """Tell whether PostgreSQL can hold a row of SQLite as it is."""
        if not self._is_plain(row):
            return False
        for at in self._texts:
            value = row[at]
            if value is None:
                continue
            if "\x00" in value or not (value.isascii() or _is_utf8(value)):
                return False
            # A character takes up to four bytes.
            if at in self._long and len(value) * 4 > LONGEST_INDEXED:
                return False
        return all(row[at] in (0, 1, None) for at in self._flags)

    def as_postgresql(self, row: Row) -> tuple[Row, dict[str, str]]:
        """Return a row of SQLite as PostgreSQL can hold it.

        Returns:
            The row, and for each column that has another form the reason why.

        Raises:
            Unheld: A column that may not be NULL has a value that nothing can stand for.
        """
        values, reasons = list(row), {}
        names, kinds = self._carried.columns, self._carried.kinds
        for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
            value, reason = _FORMS[kind](values[at])
            if reason is None and kind == "text" and at in self._long:
                value, reason = shortened(value)
            if value is None and values[at] is not None and name in self._carried.needed:
                if kind != "moment":
                    raise Unheld(f"{name}: {reason}")
                value = SOME_TIME
            if reason and at in self._long and kind == "text":
                value = _told_apart(value, row[at])
            values[at] = value
            if reason:
                reasons[name] = reason
        return tuple(values), reasons

    def _is_plain(self, row: Row) -> bool:
        """Tell whether all values are of the types that their columns are for."""
        types = tuple(map(type, row))
        suits = self._suits.get(types)
        if suits is None:
            suits = self._suits[types] = all(
                one in (wanted, _NOTHING) for one, wanted in zip(types, self._types, strict=True)
            )
        return suits and all(row[at] is None or is_moment(row[at]) for at in self._moments)


def is_moment(value: str) -> bool:
    """Tell whether a text is a time in our one form.

    Example:
        >>> is_moment("2024-02-29T00:00:00.000000Z"), is_moment("2023-02-29T00:00:00.000000Z")
        (True, False)
    """
    if not _MOMENT(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def held_text(value: Any) -> str:
    r"""Return a text without what PostgreSQL cannot hold, which is written as Python escapes it.

    Example:
        >>> print(held_text("a\x00b"))
        a\x00b
    """
    text = value.decode("utf-8", BAD_TEXT) if isinstance(value, bytes) else str(value)
    return _UNHELD.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


def key_text(value: Any) -> str:
    """Return the form of a text that tells rows apart: of a run's id, or of a metric's name.

    It depends on the text alone, so that rows which refer to each other go on doing so.
    """
    text, reason = _text(value)
    if reason is None:
        text, reason = shortened(text)
    return str(_told_apart(text, value) if reason else text)


def shown(value: object) -> str:
    """Return a value as a report has room for it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def shortened(value: str | None) -> tuple[str | None, str | None]:
    """Return as much of a text as an index takes, and the reason if that is not all of it."""
    if value is None or len(value) * 4 <= LONGEST_INDEXED:
        return value, None
    data = value.encode()
    if len(data) <= LONGEST_INDEXED:
        return value, None
    return data[:200].decode(errors="ignore"), f"{len(data)} bytes are too long for an index"


def _told_apart(value: str | None, original: Any) -> str | None:
    """Return the form of a text, with what tells it from another text of the same form."""
    if value is None:
        return None
    head, _ = shortened(value)
    data = original if isinstance(original, bytes) else str(original).encode(errors=BAD_TEXT)
    return f"{head}...#{blake2b(data, digest_size=8).hexdigest()}"


def _is_utf8(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> tuple[Any, str | None]:
    if value is None:
        return None, None
    if not isinstance(value, str):
        return held_text(value), f"{_name(value)} in a column of text"
    text = held_text(value)
    if text == value:
        return value, None
    return text, "a NUL character" if "\x00" in value else "bytes that are no UTF-8"


def _moment(value: Any) -> Any:
    """Return a time in our one form, and what is no time as it is."""
    if not isinstance(value, str) or is_moment(value):
        return value
    try:
        return format_timestamp(parse_timestamp(value))
    except InvalidValue:
        return value


def _number(value: Any) -> Any:
    return math.nan if value == "NaN" else value


def _held_moment(value: Any) -> tuple[Any, str | None]:
    moment = _moment(value)
    if moment is None or (isinstance(moment, str) and is_moment(moment)):
        return moment, None
    return None, f"{shown(value)} is no time"


def _held(kind: type, word: str, fits: Callable[[Any], bool]) -> Callable[[Any], Any]:
    def held(value: Any) -> tuple[Any, str | None]:
        value = _number(value) if kind is float else value
        if value is None or (type(value) is kind and fits(value)):
            return value, None
        return None, f"{shown(value)} is no {word}"

    return held


def _held_bytes(value: Any) -> tuple[Any, str | None]:
    if value is None or isinstance(value, bytes):
        return value, None
    if isinstance(value, str):
        return value.encode(errors=BAD_TEXT), "text in a column of bytes"
    return None, f"{_name(value)} in a column of bytes"


def _name(value: Any) -> str:
    return "bytes" if isinstance(value, bytes) else "a number"


_FORMS: dict[str, Callable[[Any], tuple[Any, str | None]]] = {
    "text": _text,
    "moment": _held_moment,
    "integer": _held(int, "whole number", lambda _: True),
    "number": _held(float, "number", lambda _: True),
    "flag": _held(int, "flag", lambda value: value in (0, 1)),
    "bytes": _held_bytes,
    "any": lambda value: _text(value if isinstance(value, (bytes, _NOTHING)) else str(value)),
}
