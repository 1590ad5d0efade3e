"""The items of rows and documents: a key, or a path of keys, and a value as JSON.

The bytes of an item are those of its key, the tag of the value, and the value. Keys come again and
again, so what stands before the tag is read once and looked up from then on.
"""

from __future__ import annotations

import json
import math
import struct
from typing import TYPE_CHECKING, Any

from training_db.capture.offline.records import decoded, messages, text

if TYPE_CHECKING:
    from collections.abc import Callable

    Path = tuple[str, ...]

VALUE = b"\x82\x01"
"""The tag of ``value_json``, whose length follows."""

_NUMBER = 0x31
_FLOAT = struct.Struct("<d")
_TYPED: dict[str, Callable[[Any], bytes]] = {
    "none": lambda _value: b"null",
    "boolean": lambda value: b"true" if value else b"false",
    "integer": lambda value: b"%d" % value,
    "number": lambda value: json.dumps(value).encode(),
    "text": lambda value: json.dumps(text(value)).encode(),
    "json": bytes,
}


def is_key(head: bytes) -> bool:
    """Tell whether bytes are a key and nothing else, so that a value may follow them."""
    return bool(head) and key_of(head) == head


def key_of(item: bytes) -> bytes | None:
    """Return the bytes of an item's key, if the item begins with them."""
    found = decoded("Item", item)
    if found is None:
        return None
    key = messages()["Item"](key=found.key or None, nested_key=found.nested_key)
    head: bytes = key.SerializeToString()
    return head if head and item.startswith(head) else None


def path_and_value(item: bytes) -> tuple[Path, bytes] | None:
    r"""Read an item, whatever it is made of.

    Args:
        item: The bytes of its message.

    Returns:
        The parts of its key, and its value as JSON; the typed value, which tells 1.0 from 1, where
        it has one. ``None`` for what is no item.

    Example:
        >>> path_and_value(b"\x12\x01n\x12\x01d\x82\x01\x011")
        (('n', 'd'), b'1')
    """
    found = decoded("Item", item)
    if found is None:
        return None
    path = tuple(map(text, found.nested_key)) or (text(found.key),)
    kind = found.WhichOneof("value")
    if kind is None:
        return path, found.value_json
    return path, _TYPED[kind](getattr(found, kind))


def long_value(value: bytes) -> bytes | None:
    """Return a value of 128 to 16,383 bytes, before which stand two bytes of length."""
    has_two = len(value) > 2 and value[1] < 0x80 <= value[0]
    return value[2:] if has_two and value[0] & 0x7F | value[1] << 7 == len(value) - 2 else None


def typed_number(value: bytes) -> bytes | None:
    """Return a float as JSON that follows its own text as a typed value, as W&B writes them."""
    end = len(value) - 9
    if end < 1 or value[0] != end - 1 or value[end] != _NUMBER:
        return None
    found: float = _FLOAT.unpack_from(value, end + 1)[0]
    return (repr(found) if math.isfinite(found) else json.dumps(found)).encode()
