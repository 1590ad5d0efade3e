"""Values of a history as W&B's log holds them: items of a record, written without protobuf.

A log of 149 metrics and 100,000 steps has fifteen million items, and a protobuf object for each
takes longer than everything else together. So the bytes of an item's key are made once a metric,
and those of its value for a whole column at once. The numbers are those of ``HistoryRecord``,
``HistoryItem`` and ``Record`` in W&B's protobuf files, which never changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from training_db.capture.key_names import Path

_ITEM, _STEP = b"\x0a", b"\x12"  # fields 1 and 2 of HistoryRecord
_NESTED_KEY, _VALUE_JSON = b"\x12", b"\x82\x01"  # fields 2 and 16 of HistoryItem
_STEP_NUMBER = b"\x08"  # field 1 of HistoryStep
_RECORD_NUMBER, _HISTORY = b"\x08", b"\x12"  # fields 1 and 2 of Record


class ItemHeads(dict[int, bytes]):
    r"""For the length of a value what stands before it in an item of one key.

    Args:
        path: The parts of the key.

    Example:
        >>> ItemHeads(("loss",))[3] + b"0.5"
        b'\n\x0c\x12\x04loss\x82\x01\x030.5'
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        parts = (part.encode() for part in path)
        self._key = b"".join(_NESTED_KEY + _varint(len(part)) + part for part in parts)

    def __missing__(self, length: int) -> bytes:
        before = self._key + _VALUE_JSON + _varint(length)
        head = _ITEM + _varint(len(before) + length) + before
        self[length] = head
        return head


def history_record(number: int, step: int, items: list[bytes]) -> bytes:
    """Return the bytes of a record with one row of a history.

    Args:
        number: The number of the record.
        step: The step of the row.
        items: Its items.
    """
    at = b"" if step == 0 else _STEP_NUMBER + _varint(step)
    row = b"".join(items) + _STEP + _varint(len(at)) + at
    return _RECORD_NUMBER + _varint(number) + _HISTORY + _varint(len(row)) + row


def number_texts(values: NDArray[Any]) -> list[bytes]:
    """Return numbers as JSON, each with all its digits; those that are not finite as W&B does.

    Args:
        values: float64, int64 or bool of shape (n,).

    Example:
        >>> number_texts(np.array([0.1, 1.0, np.nan, -np.inf]))
        [b'0.1', b'1.0', b'NaN', b'-Infinity']
    """
    whole = np.ascontiguousarray(values)
    texts = orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
    if whole.dtype == np.float64:
        for at in np.flatnonzero(~np.isfinite(whole)).tolist():
            texts[at] = json_text(float(whole[at]))
    return texts


def json_text(value: Any) -> bytes:
    """Return a value as the JSON of W&B: with NaN and Infinity, which strict JSON has not."""
    return json.dumps(value, separators=(",", ":")).encode()


def pieces(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Take a value apart, as the client does with a mapping that is logged; media too.

    Example:
        >>> list(pieces({"_type": "histogram", "size": {}, "range": {"low": 1}}, ("h",)))
        [(('h', '_type'), 'histogram'), (('h', 'size'), {}), (('h', 'range', 'low'), 1)]
    """
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from pieces(inner, (*path, str(key)))
    else:
        yield path, value


def _varint(number: int) -> bytes:
    """Write an integer seven bits a byte, lowest first; a negative one as its 64-bit complement."""
    rest = number % (1 << 64)
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)
