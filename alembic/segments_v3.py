"""Cells of one column to bytes and back, as v3 did it: frozen.

The format is that of training_db.segments, which describes it; a test reads each with the other.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pcodec import ChunkConfig
from pcodec.standalone import simple_compress, simple_decompress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

documents: Any = None  # documents_v3, given by who loads this module

SEGMENT_CELLS = 4096
EXACT = 2**53
CONFIG = ChunkConfig(compression_level=4)
LENGTH = struct.Struct("<I")


class Column(NamedTuple):
    """Cells in the order of their rows: int64 of shape (n,), and values of shape (n,)."""

    rows: NDArray[np.int64]
    values: NDArray[Any]


class Segment(NamedTuple):
    """A piece of a column as it is stored: the last fields of ``run_history_segments``."""

    first_row: int
    last_row: int
    count: int
    min: float | None
    max: float | None
    non_finite_count: int
    kind: str
    row_numbers: bytes | None
    cells: bytes


def column(values: list[Any], first_row: int) -> Column:
    """Make a column of values one a row; None is a row without a cell."""
    if None not in values:
        return Column(dense(first_row, len(values)), narrowed(values))
    there = [position for position, value in enumerate(values) if value is not None]
    rows = np.array(there, dtype=np.int64) + first_row
    return Column(rows, narrowed([values[position] for position in there]))


def narrowed(values: list[Any]) -> NDArray[Any]:
    """Return JSON values as an array of the narrowest type that gives each back as it was."""
    kinds = set(map(type, values))
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return np.array(values, dtype=np.int64)
    return objects(values)


def objects(values: list[Any]) -> NDArray[Any]:
    """Return values as an array of Python objects."""
    return np.fromiter(values, dtype=object, count=len(values))


def dense(first_row: int, count: int) -> NDArray[np.int64]:
    """Return rising row numbers without a gap."""
    return np.arange(first_row, first_row + count, dtype=np.int64)


def joined(parts: list[Column]) -> Column:
    """Put columns of rising rows one after another."""
    if len(parts) == 1:
        return parts[0]
    rows = np.concatenate([part.rows for part in parts])
    if len({part.values.dtype for part in parts}) == 1:
        return Column(rows, np.concatenate([part.values for part in parts]))
    return Column(rows, narrowed([value for part in parts for value in part.values.tolist()]))


def numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers as floats; a bool counts as 0 or 1."""
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    return np.array([as_float(value) for value in values], dtype=np.float64)


def is_number(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values are numbers, NaN among them."""
    if values.dtype != object:
        return np.ones(len(values), dtype=np.bool_)
    return np.array([isinstance(value, (int, float)) for value in values], dtype=np.bool_)


def as_float(value: float) -> float:
    """Return a number as a float, and one that is too large as an infinity."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def segments(cells: Column) -> Iterator[Segment]:
    """Cut a column into full segments, the last one with what is left."""
    for start in range(0, len(cells.rows), SEGMENT_CELLS):
        stop = start + SEGMENT_CELLS
        values = cells.values[start:stop]
        yield encode(
            Column(
                cells.rows[start:stop],
                narrowed(values.tolist()) if values.dtype == object else values,
            )
        )


def encode(cells: Column) -> Segment:
    """Make one segment of a column of at least one cell."""
    rows, values = cells.rows, cells.values
    first, last = int(rows[0]), int(rows[-1])
    kind, payload = _encoded(values)
    gaps = last - first + 1 != len(rows)
    return Segment(
        first,
        last,
        len(rows),
        *_range(values),
        kind,
        compress((rows - first).astype(np.uint64)) if gaps else None,
        payload,
    )


def _range(values: NDArray[Any]) -> tuple[float | None, float | None, int]:
    """Return the least and the greatest finite number, and how many numbers are not finite."""
    if values.dtype == object:
        values = numbers(values[is_number(values)])
    elif values.dtype != np.float64:
        return float(values.min()), float(values.max()), 0
    lowest, highest = (values.min(), values.max()) if len(values) else (math.nan, math.nan)
    if math.isfinite(lowest) and math.isfinite(highest):
        return float(lowest), float(highest), 0
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None, None, len(values)
    return float(finite.min()), float(finite.max()), len(values) - len(finite)


def _encoded(values: NDArray[Any]) -> tuple[str, bytes]:
    if values.dtype == np.float64:
        return "float", compress(values)
    if values.dtype == np.int64:
        return "int", compress(values)
    if values.dtype == np.bool_:
        return "bool", _bits(values)
    items = values.tolist()
    if set(map(type, items)) == {int, float} and all(
        -EXACT <= item <= EXACT for item in items if type(item) is int
    ):
        floats = compress(np.array(items, dtype=np.float64))
        flags = _bits(np.array([type(item) is int for item in items]))
        return "mixed", LENGTH.pack(len(floats)) + floats + flags
    return "json", zlib.compress(documents.dumps(items).encode())


def decode(
    kind: str, cells: bytes, first_row: int, count: int, row_numbers: bytes | None
) -> Column:
    """Take a segment's cells out again."""
    if row_numbers is None:
        rows = dense(first_row, count)
    else:
        rows = decompress(row_numbers).astype(np.int64) + first_row
    return Column(rows, DECODERS[kind](cells, count))


def unpack(block: bytes, first_row: int) -> dict[int, Column]:
    """Take the columns out of a block of ``run_history_tails``, by the ids of their metrics."""
    (length,) = LENGTH.unpack_from(block)
    start = LENGTH.size + length
    found = {}
    for metric, kind, count, at, length, rows_at, rows_length in json.loads(
        block[LENGTH.size : start]
    ):
        rows = block[start + rows_at : start + rows_at + rows_length] if rows_length else None
        cells = block[start + at : start + at + length]
        found[metric] = decode(kind, cells, first_row, count, rows)
    return found


def _mixed(cells: bytes, count: int) -> NDArray[Any]:
    (length,) = LENGTH.unpack_from(cells)
    floats = decompress(cells[LENGTH.size : LENGTH.size + length]).tolist()
    flags = _flags(cells[LENGTH.size + length :], count).tolist()
    return objects(
        [int(value) if flag else value for value, flag in zip(floats, flags, strict=True)]
    )


def _json(cells: bytes, _count: int) -> NDArray[Any]:
    return objects(documents.untagged(json.loads(zlib.decompress(cells))))


def _flags(bits: bytes, count: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(zlib.decompress(bits), dtype=np.uint8)
    return np.unpackbits(packed, count=count).astype(np.bool_)


def _bits(flags: NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(flags).tobytes())


def compress(values: NDArray[Any]) -> bytes:
    """Compress an array of numbers."""
    return simple_compress(values, CONFIG)


def decompress(data: bytes) -> NDArray[Any]:
    """Return the array again."""
    values = simple_decompress(data)
    return np.empty(0) if values is None else np.asarray(values)


DECODERS = {
    "float": lambda cells, _count: decompress(cells),
    "int": lambda cells, _count: decompress(cells),
    "bool": _flags,
    "mixed": _mixed,
    "json": _json,
}
