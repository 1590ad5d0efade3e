"""The rows of a spool: packed where they are numbers, JSON where they are not, and read by columns.

A layout says which metrics a row has and of which kinds they are, so that a row itself holds
values only. The codes of :mod:`struct` stand for the kinds: ``d`` float, ``q`` integer, ``?`` bool;
``j`` is everything else, which follows the numbers as one JSON list.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.documents import decode as decode_document
from training_db.documents import sound
from training_db.models.types import LONGEST_INDEXED
from training_db.segments import Column, joined, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

STEP, TIMESTAMP, EPOCH = "_step", "_timestamp", "_epoch"

CODES: dict[type, str] = {
    float: "d", int: "q", bool: "?",
    np.float64: "d", np.float32: "d", np.float16: "d", np.bool_: "?",
    np.int64: "q", np.int32: "q", np.int16: "q", np.int8: "q",
    np.uint32: "q", np.uint16: "q", np.uint8: "q",
}  # fmt: skip
"""What is packed as it is, without a look at the value."""

_LONGEST = 2**63
_DTYPES = {"d": "<f8", "q": "<i8", "?": "?"}
EMPTY_KEY = "(empty)"


class Layout:
    """Which metrics a row has, and of which kinds they are.

    Args:
        number: Its number within the spool.
        codes: One code a metric.
        keys: Their names, in the same order.

    Example:
        >>> layout = Layout(1, "qdj", ("_step", "loss", "phase"))
        >>> cells = layout.packed((7, 0.5), ['"warm-up"'])
        >>> columns({layout: ([0], [cells])})["phase"].values.tolist()
        ['warm-up']
    """

    __slots__ = ("_struct", "codes", "keys", "number", "pack", "size")

    def __init__(self, number: int, codes: str, keys: tuple[str, ...]) -> None:
        self.number, self.codes, self.keys = number, codes, keys
        self._struct = struct.Struct("<" + codes.replace("j", ""))
        self.pack = self._struct.pack
        self.size = self._struct.size

    def packed(self, numbers: Sequence[Any], texts: Sequence[str]) -> bytes:
        """Return a row as bytes.

        Args:
            numbers: The values of the metrics that are numbers, in order.
            texts: The JSON text of each of the others, in order.
        """
        head = self.pack(*numbers)
        return head + f"[{','.join(texts)}]".encode() if texts else head

    def columns(self, rows: Sequence[int], cells: Sequence[bytes]) -> dict[str, Column]:
        """Return many rows of this layout by columns: numbers without a look at each."""
        numbered = np.array(rows, dtype=np.int64)
        dtype = np.dtype([(str(at), _DTYPES[code]) for at, code in self._numeric()])
        size = self.size
        heads = cells if "j" not in self.codes else [row[:size] for row in cells]
        if set(map(len, heads)) != {size}:
            raise ValueError(f"not all of {len(heads)} rows have the {size} bytes of their layout")
        packed = b"".join(heads)
        table = np.frombuffer(packed, dtype=dtype) if size else np.empty(0, dtype=dtype)
        # Copies, for a field of one row only counts as contiguous wherever it stands.
        found = {
            self.keys[at]: Column(numbered, np.array(table[str(at)]))
            for at, _code in self._numeric()
        }
        if "j" in self.codes:
            documents = [decode_document(row[size:].decode()) for row in cells]
            others = [key for key, code in zip(self.keys, self.codes, strict=True) if code == "j"]
            for key, values in zip(others, zip(*documents, strict=True), strict=True):
                found[key] = Column(numbered, narrowed(values))
        return found

    def _numeric(self) -> Iterable[tuple[int, str]]:
        return ((at, code) for at, code in enumerate(self.codes) if code != "j")


class JSONRows(Layout):
    """The layout of rows that are one JSON object each, where there are too many other ones."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, "", ())

    def columns(self, rows: Sequence[int], cells: Sequence[bytes]) -> dict[str, Column]:
        """Return many rows by columns."""
        found: dict[str, tuple[list[int], list[Any]]] = {}
        for row, text in zip(rows, cells, strict=True):
            for key, value in decode_document(text.decode()).items():
                numbers, values = found.setdefault(key, ([], []))
                numbers.append(row)
                values.append(value)
        return {
            key: Column(np.array(numbers, dtype=np.int64), narrowed(values))
            for key, (numbers, values) in found.items()
        }


def columns(parts: Mapping[Layout, tuple[Sequence[int], Sequence[bytes]]]) -> dict[str, Column]:
    """Put rows of several layouts together by columns.

    Args:
        parts: For each layout the numbers of its rows, rising, and their bytes.

    Returns:
        For each metric its cells, in the order of their rows.
    """
    found: dict[str, list[Column]] = {}
    for layout, (rows, cells) in parts.items():
        for key, part in layout.columns(rows, cells).items():
            found.setdefault(key, []).append(part)
    return {key: _merged(some) for key, some in found.items()}


def _merged(parts: list[Column]) -> Column:
    whole = joined(parts)
    if len(parts) > 1 and not np.all(whole.rows[1:] > whole.rows[:-1]):
        order = np.argsort(whole.rows, kind="stable")
        return Column(whole.rows[order], whole.values[order])
    return whole


def code_of(value: Any) -> str:
    """Return the code of a plain value."""
    code = CODES.get(type(value), "j")
    return "j" if code == "q" and not -_LONGEST <= value < _LONGEST else code


@lru_cache(maxsize=10_000, typed=True)  # 1, 1.0 and True are equal
def metric_name(key: object) -> str:
    """Return the name under which a key is stored.

    What is no text is written as text; NUL characters and lone surrogates become U+FFFD; a long
    name is cut, and a digest of the whole takes the place of the rest.

    Example:
        >>> metric_name("loss"), metric_name(3), metric_name("")
        ('loss', '3', '(empty)')
        >>> metric_name("x" * 2_000)[-20:], len(metric_name("x" * 2_000))
        ('xxx#91ee4e3956f236e1', 1000)
    """
    name = str(key)
    if not name:
        return EMPTY_KEY
    name = sound(name)
    data = name.encode()
    if len(data) <= LONGEST_INDEXED:
        return name
    digest = "#" + blake2b(data, digest_size=8).hexdigest()
    return data[: LONGEST_INDEXED - len(digest)].decode(errors="ignore") + digest
