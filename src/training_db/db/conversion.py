"""Values as hand-made tables hold them, to values as our columns hold them."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from training_db.db.scripts import load_script

if TYPE_CHECKING:
    from collections.abc import Callable

TRUE = {"true", "t", "yes", "y", "on", "1"}
FALSE = {"false", "f", "no", "n", "off", "0"}


class Unreadable(ValueError):
    """A value that its column cannot hold."""


class Converter:
    """Converts the values of one kind of column.

    Args:
        backend: ``"sqlite"`` or ``"postgresql"``.
    """

    def __init__(self, backend: str) -> None:
        self._backend = backend
        self._one_form: Callable[[Any], str | None] = load_script("backfill_v2").one_form
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "text": _text,
            "json": _text,
            "moment": self._moment,
            "integer": _integer,
            "rounded": _rounded,
            "number": self._number,
            "flag": _flag,
            "bytes": _bytes,
        }

    def convert(self, kind: str, value: Any) -> Any:
        """Return the value as a column of this kind holds it.

        Raises:
            Unreadable: It is nothing that such a column can hold.
        """
        if value is None:
            return None
        try:
            return self._kinds[kind](value)
        except (ValueError, OverflowError, TypeError):
            raise Unreadable(value) from None

    def _moment(self, value: Any) -> str:
        moment = self._one_form(value)
        if moment is None:
            raise Unreadable(value)
        return moment

    def _number(self, value: Any) -> Any:
        number = float(value)
        # SQLite would make NULL of a NaN.
        return "NaN" if self._backend == "sqlite" and number != number else number


def _text(value: Any) -> str:
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).decode()
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, (bytes, bytearray, memoryview)):
        raise Unreadable(value)
    return bytes(value)


def _integer(value: Any) -> int:
    if isinstance(value, str):
        value = Decimal(value.strip()) if set(value) <= set("0123456789+-.eE ") else value
    whole = int(value)
    if whole != value or not -(2**63) <= whole < 2**63:
        raise Unreadable(value)
    return whole


def _rounded(value: Any) -> int:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    return _integer(round(float(value)))


def _flag(value: Any) -> bool:
    word = str(value).strip().lower()
    if word in TRUE | FALSE:
        return word in TRUE
    number = float(word)
    if number not in (0, 1):
        raise Unreadable(value)
    return bool(number)
