"""The codec of history: cells of one column to bytes and back, exactly.

A column is sparse: its cells stand in some of the rows of a run. A segment holds some thousands of
them, by kind:

======  ==================================================================================
float   64-bit floats, NaN and infinities among them, by pcodec
int     64-bit integers, by pcodec
bool    one bit each, by zlib
mixed   integers and floats side by side: floats by pcodec, then a bit each for what was an integer
json    everything else (text, lists, mappings, null, longer integers) as JSON, by zlib
======  ==================================================================================

Source: "Pcodec: Better Compression for Numerical Sequences" (Loncaric et al., arXiv:2502.06112).
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pcodec import ChunkConfig
from pcodec.standalone import simple_compress, simple_decompress

from training_db.documents import decode as decode_document
from training_db.documents import encode as encode_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

SEGMENT_CELLS = 4096
"""Cells in a full segment."""

EXACT = 2**53
"""Up to here each integer is a float too."""

_CONFIG = ChunkConfig(compression_level=4)  # level 8 saves 2 % of the bytes, at four times the time
_LENGTH = struct.Struct("<I")
_BY_DTYPE = {"f": "float", "i": "int", "u": "int", "b": "bool"}


@dataclass(frozen=True, slots=True)
class Column:
    """Some cells of one column, in the order of their rows.

    Attributes:
        rows: Row numbers, int64 of shape (n,), rising.
        values: float64, int64, bool or object of shape (n,); objects are exact Python values, and
            ``None`` among them is a null that was logged as such.
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, start: int, stop: int) -> Column:
        """Return the cells from one position to another."""
        return Column(self.rows[start:stop], self.values[start:stop])

    def from_row(self, row: int) -> Column:
        """Return the cells from a row on."""
        return self.part(int(self.rows.searchsorted(row)), len(self))


@dataclass(frozen=True, slots=True)
class Segment:
    """A column's cells as they are stored; the fields are those of ``run_history_segments``."""

    first_row: int
    last_row: int
    count: int
    min: float | None
    max: float | None
    non_finite_count: int
    kind: str
    row_numbers: bytes | None
    cells: bytes


def column(values: Sequence[Any] | NDArray[Any], first_row: int = 0) -> Column:
    """Make a column of values that stand one a row.

    Args:
        values: Python values, or an array of shape (n,). ``None`` is a row without a cell.
        first_row: The row of the first.

    Returns:
        Their cells, in the narrowest kind that gives each back as it was.

    Example:
        >>> column([0.5, None, 2.0]).rows.tolist()
        [0, 2]
        >>> column([1, 2**70]).values.tolist()
        [1, 1180591620717411303424]
    """
    if isinstance(values, np.ndarray):
        if values.dtype.kind in _BY_DTYPE and values.ndim == 1:
            return Column(_dense(first_row, len(values)), _standard(values))
        if values.dtype.kind in "mM":
            values = values.astype(str)  # as ISO 8601; its items would be integers or datetimes
        return column(values.tolist(), first_row)
    if not isinstance(values, (list, tuple)):
        values = list(values)  # a pandas Series, say, is no sequence by position
    there = [position for position, value in enumerate(values) if value is not None]
    rows = np.array(there, dtype=np.int64) + first_row
    if len(there) == len(values):
        return Column(rows, narrowed(values))
    return Column(rows, narrowed([values[position] for position in there]))


def narrowed(values: Sequence[Any]) -> NDArray[Any]:
    """Return Python values as an array of the narrowest type that gives each back as it was.

    Args:
        values: Any values; scalars of numpy and torch count as the numbers they are.

    Returns:
        float64, int64, bool, or else object, of shape (n,).
    """
    kinds = set(map(type, values))
    if not kinds <= _PLAIN:
        values = [plain(value) for value in values]
        kinds = set(map(type, values))
    if kinds == {float}:
        return np.array(values, dtype=np.float64)
    if kinds == {bool}:
        return np.array(values, dtype=np.bool_)
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return np.array(values, dtype=np.int64)
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


_PLAIN: set[type] = {float, int, bool, str, type(None), list, dict}


def plain(value: Any) -> Any:
    """Return what is stored of a value.

    Args:
        value: Anything; scalars of numpy, torch and jax count as the numbers they are.

    Returns:
        A float, int, bool, text, list or mapping, or ``None`` for a missing cell.

    Raises:
        InvalidValue: It cannot be stored.

    Example:
        >>> plain(np.float32(0.5)), plain(np.array([1, 2])), plain(np.datetime64("2024-05-06"))
        (0.5, [1, 2], '2024-05-06')
    """
    if type(value) in _PLAIN:
        return value
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, (np.floating, np.datetime64, np.timedelta64)):  # longer than Python's
        return float(value) if isinstance(value, np.floating) else str(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
        if type(value) in _PLAIN:
            return value
    return decode_document(encode_document(value, "the value"))


def _standard(values: NDArray[Any]) -> NDArray[Any]:
    kind = values.dtype.kind
    if kind == "u" and values.size and int(values.max()) >= 2**63:
        return narrowed(values.tolist())
    wanted = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}[kind]
    return np.ascontiguousarray(values, dtype=wanted)


def numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return values as floats of shape (n,); what is no number becomes NaN.

    Example:
        >>> numbers(narrowed([1, True, "x"])).tolist()
        [1.0, 1.0, nan]
    """
    if values.dtype != object:
        return values.astype(np.float64, copy=False)
    return np.array([_number(value) for value in values], dtype=np.float64)


def is_number(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which values are numbers, NaN among them; bool of shape (n,)."""
    if values.dtype != object:
        return np.ones(len(values), dtype=np.bool_)
    return np.array([isinstance(value, (int, float)) for value in values], dtype=np.bool_)


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, (int, float)) else math.nan
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def joined(parts: Iterable[Column]) -> Column:
    """Put columns of rising rows one after another."""
    some = list(parts)
    if len(some) < 2:
        return some[0] if some else Column(np.empty(0, dtype=np.int64), np.empty(0))
    rows = np.concatenate([part.rows for part in some])
    if len({part.values.dtype for part in some}) == 1:
        return Column(rows, np.concatenate([part.values for part in some]))
    return Column(rows, narrowed([value for part in some for value in part.values.tolist()]))


def segments(cells: Column) -> Iterator[Segment]:
    """Cut a column into full segments, the last one with what is left."""
    for start in range(0, len(cells), SEGMENT_CELLS):
        yield encode(cells.part(start, start + SEGMENT_CELLS))


def encode(cells: Column) -> Segment:
    """Make one segment of a column of at least one cell.

    Example:
        >>> segment = encode(column([0.5, float("nan"), 2.0]))
        >>> segment.kind, segment.count, segment.min, segment.max, segment.non_finite_count
        ('float', 3, 0.5, 2.0, 1)
        >>> decode(segment.kind, segment.cells, 0, 3, None).values.tolist()
        [0.5, nan, 2.0]
    """
    kind, payload = encode_values(cells.values)
    first, last = int(cells.rows[0]), int(cells.rows[-1])
    dense = last - first + 1 == len(cells)
    lowest, highest, non_finite = _range(cells.values)
    return Segment(
        first_row=first,
        last_row=last,
        count=len(cells),
        min=lowest,
        max=highest,
        non_finite_count=non_finite,
        kind=kind,
        row_numbers=None if dense else compress((cells.rows - first).astype(np.uint64)),
        cells=payload,
    )


def decode(
    kind: str, cells: bytes, first_row: int, count: int, row_numbers: bytes | None
) -> Column:
    """Take a segment's cells out again; the arguments are its fields."""
    if row_numbers is None:
        rows = _dense(first_row, count)
    else:
        rows = _decompress(row_numbers).astype(np.int64) + first_row
    return Column(rows, _DECODERS[kind](cells, count))


def _dense(first_row: int, count: int) -> NDArray[np.int64]:
    return np.arange(first_row, first_row + count, dtype=np.int64)


def _range(values: NDArray[Any]) -> tuple[float | None, float | None, int]:
    """Return the least and greatest finite number, and how many numbers are not finite."""
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


def encode_values(values: NDArray[Any]) -> tuple[str, bytes]:
    """Return the kind of some values, and their bytes."""
    kind = _BY_DTYPE.get(values.dtype.kind, "json")
    if kind in ("float", "int"):
        return kind, compress(values)
    if kind == "bool":
        return kind, _bits(values)
    items = values.tolist()
    if {type(item) for item in items} == {int, float} and all(
        -EXACT <= item <= EXACT for item in items if type(item) is int
    ):
        floats = compress(np.array(items, dtype=np.float64))
        flags = _bits(np.array([type(item) is int for item in items]))
        return "mixed", _LENGTH.pack(len(floats)) + floats + flags
    return "json", zlib.compress(encode_document(items, "the value").encode())


def _decode_mixed(cells: bytes, count: int) -> NDArray[Any]:
    (length,) = _LENGTH.unpack_from(cells)
    floats = _decompress(cells[_LENGTH.size : _LENGTH.size + length]).tolist()
    flags = _from_bits(cells[_LENGTH.size + length :], count).tolist()
    array = np.empty(count, dtype=object)
    array[:] = [int(value) if flag else value for value, flag in zip(floats, flags, strict=True)]
    return array


def _decode_json(cells: bytes, count: int) -> NDArray[Any]:
    array = np.empty(count, dtype=object)
    array[:] = decode_document(zlib.decompress(cells).decode())
    return array


def _from_bits(bits: bytes, count: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(zlib.decompress(bits), dtype=np.uint8)
    return np.unpackbits(packed, count=count).astype(np.bool_)


_DECODERS: dict[str, Callable[[bytes, int], NDArray[Any]]] = {
    "float": lambda cells, _count: _decompress(cells),
    "int": lambda cells, _count: _decompress(cells),
    "bool": _from_bits,
    "mixed": _decode_mixed,
    "json": _decode_json,
}


def _bits(flags: NDArray[np.bool_]) -> bytes:
    return zlib.compress(np.packbits(flags).tobytes())


def compress(values: NDArray[Any]) -> bytes:
    """Return numbers as bytes, by pcodec."""
    return bytes(simple_compress(values, _CONFIG))


def _decompress(data: bytes) -> NDArray[Any]:
    values = simple_decompress(data)
    return np.empty(0) if values is None else np.asarray(values)
