"""The block format of W&B logs, written and read in the plainest way there is.

The file begins with ``:W&B``, 0xBEE1 and a version. Blocks of 32 KiB follow, the first of which
holds that header. In a block stand pieces of records: a CRC, a length, a kind, and bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE_HEADER = struct.pack("<4sHB", b":W&B", 0xBEE1, 0)
BLOCK = 32 * 1024
PIECE = struct.Struct("<IHB")
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


@dataclass(frozen=True)
class Framed:
    """A log in bytes.

    Attributes:
        data: All of it.
        payloads: The records.
        starts: Where the first piece of each begins.
        ends: Where the last piece of each ends.
    """

    data: bytes
    payloads: list[bytes]
    starts: list[int]
    ends: list[int]

    def whole(self, length: int) -> list[bytes]:
        """Return the records that end within the first bytes."""
        return [one for one, end in zip(self.payloads, self.ends, strict=True) if end <= length]

    def is_inside(self, length: int) -> bool:
        """Tell whether so many bytes end inside a record."""
        return any(start < length < end for start, end in zip(self.starts, self.ends, strict=True))


def framed(payloads: Iterable[bytes]) -> Framed:
    """Write records into blocks."""
    data = bytearray(FILE_HEADER)
    given, starts, ends = list(payloads), [], []
    for payload in given:
        rest, begun = payload, False
        while True:
            room = BLOCK - len(data) % BLOCK
            if room < PIECE.size:
                data += bytes(room)
                continue
            if not begun:
                starts.append(len(data))
            piece, rest = rest[: room - PIECE.size], rest[room - PIECE.size :]
            kind = (MIDDLE if begun else FIRST) if rest else (LAST if begun else FULL)
            data += PIECE.pack(zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            begun = True
            if not rest:
                break
        ends.append(len(data))
    return Framed(bytes(data), given, starts, ends)


def payloads(data: bytes) -> list[bytes]:
    """Read the records of an undamaged log, the last of which may be cut."""
    assert data[: len(FILE_HEADER)] == FILE_HEADER
    position, begun, found = len(FILE_HEADER), b"", []
    while position + PIECE.size <= len(data):
        room = BLOCK - position % BLOCK
        if room < PIECE.size:
            position += room
            continue
        crc, length, kind = PIECE.unpack_from(data, position)
        piece = data[position + PIECE.size : position + PIECE.size + length]
        if len(piece) < length:
            break
        assert zlib.crc32(bytes([kind]) + piece) == crc, f"damage at {position}"
        begun = (b"" if kind in (FULL, FIRST) else begun) + piece
        if kind in (FULL, LAST):
            found.append(begun)
        position += PIECE.size + length
    return found
