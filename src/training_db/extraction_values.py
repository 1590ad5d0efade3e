"""Values of configs and summaries, brought to the type of a column.

What cannot be brought to it becomes ``None``, and so fills no column.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from training_db.documents import is_storable
from training_db.models import DIRECTIONS
from training_db.models.types import LARGEST, LONGEST_INDEXED, SMALLEST

_TRUE_WORDS = {"yes", "true", "on", "mixed", "1"}
_FALSE_WORDS = {"no", "false", "off", "none", "full", "0", ""}
_FULL_PRECISION = 32  # bits of a float; "bf16-mixed" has fewer


def as_number(value: object) -> float | None:
    """Return a number as a float, also one in a text, of numpy or torch; else ``None``.

    Example:
        >>> as_number("3e-4"), as_number(True)
        (0.0003, None)
    """
    if value.__class__ is float:
        return value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
        return value if math.isfinite(value) else None
    if hasattr(value, "item") and not isinstance(value, (int, float)):
        value = _scalar(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return None


def _scalar(value: Any) -> object:
    """Take the number out of a numpy scalar or a tensor of one element."""
    try:
        return value.item()
    except (ValueError, RuntimeError, TypeError):
        return None


def as_integer(value: object) -> int | None:
    """Return a whole number of 64 bits, else ``None``.

    Example:
        >>> as_integer("8"), as_integer(0.5)
        (8, None)
    """
    number = value if type(value) is int else as_number(value)
    if number is None or not math.isfinite(number) or number != int(number):
        return None
    return int(number) if SMALLEST <= number <= LARGEST else None


def as_rounded(value: object) -> int | None:
    """Return the nearest whole number, else ``None``."""
    number = as_number(value)
    return None if number is None or not math.isfinite(number) else as_integer(round(number))


def as_count(value: object) -> int | None:
    """Return how many there are of something that is listed, or its number.

    Example:
        >>> as_count(["QED", "SA"]), as_count(3)
        (2, 3)
    """
    return len(value) if isinstance(value, (list, tuple, Mapping)) and value else as_integer(value)


def as_text(value: object) -> str | None:
    """Return a text that an index can hold, else ``None``."""
    if not isinstance(value, str) or not value or not is_storable(value):
        return None
    return str(value) if len(value.encode()) <= LONGEST_INDEXED else None


def as_direction(value: object) -> str | None:
    """Return a direction, else ``None``."""
    return str(value) if value in DIRECTIONS else None


def as_flag(value: object) -> bool | None:
    """Return yes or no, also where it is said in a word, else ``None``.

    Example:
        >>> as_flag("on"), as_flag(0), as_flag("perhaps")
        (True, False, None)
    """
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in _TRUE_WORDS else False if word in _FALSE_WORDS else None
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def is_mixed_precision(value: object) -> bool | None:
    """Tell whether a precision, such as ``"bf16-mixed"`` or 16, has less than 32 bits.

    Example:
        >>> is_mixed_precision("bf16-mixed"), is_mixed_precision(32)
        (True, False)
    """
    if isinstance(value, str) and (bits := re.search(r"\d+", value)):
        value = int(bits[0][:4])
    if type(value) is int and value > 1:
        return value < _FULL_PRECISION
    return as_flag(value)
