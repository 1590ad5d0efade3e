"""What callers pass besides values: one of some words, names, numbers; checked in one way."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    from collections.abc import Collection


def one_of(kind: str, value: object, valid: Collection[str]) -> str:
    """Return a word that is one of some.

    Args:
        kind: What it says, such as ``"mode"``.
        value: What the caller wrote.
        valid: The words there are.

    Raises:
        UnknownName: It is none of them.

    Example:
        >>> one_of("mode", "min", ("min", "max"))
        'min'
    """
    if not isinstance(value, str) or value not in valid:
        raise UnknownName(kind, value, valid)
    return value


def names_in(given: object, what: str) -> list[str]:
    """Return names, each once, of which the caller passed one or several.

    Args:
        given: A text, or texts.
        what: What they name, such as ``"metric"``.

    Raises:
        InvalidValue: Something else.

    Example:
        >>> names_in("loss", "metric"), names_in(("a", "b", "a"), "metric")
        (['loss'], ['a', 'b'])
    """
    several = [given] if isinstance(given, str) else list_of(given, f"names of {what}s")
    for name in several:
        if not isinstance(name, str):
            raise InvalidValue(f"{name!r} names no {what}, for it is no text")
    return list(dict.fromkeys(several))


def whole_numbers(given: object, what: str) -> list[int]:
    """Return whole numbers.

    Args:
        given: What the caller passed.
        what: What they are, such as ``"writers"``.

    Raises:
        InvalidValue: They are no list, or one of them is no whole number.

    Example:
        >>> whole_numbers({3}, "writers")
        [3]
    """
    return [whole_number(one, what) for one in list_of(given, what)]


def whole_number(given: object, what: str) -> int:
    """Return a whole number.

    Raises:
        InvalidValue: It is none.
    """
    try:
        return operator.index(given)  # type: ignore[arg-type] # that is the question
    except TypeError:
        raise InvalidValue(f"{what}: {given!r} is no whole number") from None


def list_of(given: object, what: str) -> list[Any]:
    """Return what the caller passed as a list.

    Raises:
        InvalidValue: It is none.
    """
    # An array without dimensions says that it can be iterated over, and cannot.
    if (
        isinstance(given, Iterable)
        and getattr(given, "ndim", None) != 0
        and not isinstance(given, bytes)
    ):
        return list(given)
    raise InvalidValue(f"{given!r} is no list of {what}")
