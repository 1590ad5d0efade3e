"""Short columns of the same rows side by side in one block: how the newest rows are stored."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from training_db.segments import Column, compress, decode, encode_values

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

_LENGTH = struct.Struct("<I")


def pack(columns: Mapping[int, Column], first_row: int) -> bytes:
    """Put short columns of the same rows into one block, which holds them side by side.

    Args:
        columns: For each metric's id its cells.
        first_row: The row that the block begins with.

    Returns:
        A length, a directory as JSON, and then the cells and row numbers that it points at.
    """
    directory: list[tuple[int, str, int, int, int, int, int]] = []
    payload: list[bytes] = []
    known: dict[bytes, int] = {b"": 0}  # columns that are logged together have the same rows
    size = 0

    def placed(piece: bytes) -> int:
        nonlocal size
        payload.append(piece)
        size += len(piece)
        return size - len(piece)

    for metric, cells in columns.items():
        kind, values = encode_values(cells.values)
        begins_and_ends = (first_row, first_row + len(cells) - 1)
        dense = (cells.rows[0], cells.rows[-1]) == begins_and_ends
        rows = b"" if dense else compress((cells.rows - first_row).astype(np.uint64))
        if rows not in known:
            known[rows] = placed(rows)
        at = placed(values)
        directory.append((metric, kind, len(cells), at, len(values), known[rows], len(rows)))
    head = orjson.dumps(directory)
    return b"".join((_LENGTH.pack(len(head)), head, *payload))


def unpack(
    block: bytes, first_row: int, wanted: Collection[int] | None = None
) -> dict[int, Column]:
    """Take columns out of a block again.

    Args:
        block: What :func:`pack` made.
        first_row: The row that it begins with.
        wanted: The ids of the metrics to take out; ``None`` for all.

    Example:
        >>> from training_db.segments import column
        >>> block = pack({7: column([0.5, 0.25], 10)}, 10)
        >>> unpack(block, 10)[7].rows.tolist()
        [10, 11]
    """
    found: dict[int, Column] = {}
    directory, payload = opened(block)
    for metric, kind, count, at, size, rows_at, rows_size in directory:
        if wanted is None or metric in wanted:
            rows = bytes(payload[rows_at : rows_at + rows_size]) or None
            found[metric] = decode(kind, bytes(payload[at : at + size]), first_row, count, rows)
    return found


def renamed(block: bytes, names: Mapping[int, Any]) -> bytes:
    """Return a block whose metrics go by other ids, or by names.

    Args:
        block: What :func:`pack` made.
        names: What to call each of its metrics.

    Raises:
        KeyError: One of them has no other name.
        ValueError: It is no block.

    Example:
        >>> from training_db.segments import column
        >>> block = renamed(pack({7: column([0.5], 0)}, 0), {7: 8})
        >>> list(unpack(block, 0))
        [8]
    """
    try:
        directory, payload = opened(block)
        head = orjson.dumps([(names[metric], *rest) for metric, *rest in directory])
    except struct.error as error:
        raise ValueError("a block ends before it begins") from error
    return b"".join((_LENGTH.pack(len(head)), head, payload))


def opened(block: bytes) -> tuple[list[Any], memoryview]:
    """Return the directory of a block and what it points at; see :func:`pack`."""
    start = _LENGTH.size + _LENGTH.unpack_from(block)[0]
    return orjson.loads(block[_LENGTH.size : start]), memoryview(block)[start:]
