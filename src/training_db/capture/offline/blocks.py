"""The blocks of a W&B log, which are those of LevelDB's: records that damage cannot spread from.

A log begins with seven bytes; the rest is cut into blocks of 32 KiB. In a block stand fragments,
each with a head of CRC-32 (of what follows the length), length and type, all little-endian. A
record is one fragment, or several where it does not fit into its block. A block's last bytes are
empty where no head fits in.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from zlib import crc32

from training_db.errors import UnreadableSource

if TYPE_CHECKING:
    from collections.abc import Iterator
    from os import PathLike

BLOCK = 32 * 1024
HEADER = b":W&B" + struct.pack("<HB", 0xBEE1, 0)

_HEAD = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something in a file that could not be read.

    Attributes:
        offset: Where, in bytes from the beginning of the file.
        reason: What is wrong there.
    """

    offset: int
    reason: str

    def __str__(self) -> str:
        return f"byte {self.offset:,}: {self.reason}"


class BlockReader:
    """The records of a log, which may still be growing and may be damaged.

    Args:
        path: The file.

    Attributes:
        is_cut: Whether the file ends inside a record, as far as it was read.

    Example:
        >>> path = getfixture("tmp_path") / "run-1.wandb"
        >>> with path.open("wb") as file:
        ...     BlockWriter(file).write(b"a record")
        >>> reader = BlockReader(path)
        >>> list(reader.records()), reader.damage
        ([b'a record'], [])
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.is_cut = False
        self._position = 0
        self._parts: list[bytes] = []  # of a record whose last fragment is still to come
        self._began = 0
        self._found: list[Damage] = []
        self._is_lost = False  # what belongs to the record before was damage already
        self._lost_until = -1

    @property
    def damage(self) -> list[Damage]:
        """All that could not be read, in the order of the file."""
        if self.is_cut:
            began = self._began if self._parts else self._position
            return [*self._found, Damage(began, "the file ends inside a record")]
        return list(self._found)

    @property
    def position(self) -> int:
        """How many bytes were read."""
        return self._position

    @property
    def offset(self) -> int:
        """Where the last record began that was read, in bytes."""
        return self._began

    def records(self) -> Iterator[bytes]:
        """Read on from where the last call ended, up to the present end of the file.

        Returns:
            The bytes of each whole record.

        Raises:
            UnreadableSource: The file cannot be opened, or is no log of W&B.
        """
        try:
            file = self.path.open("rb")
        except OSError as error:
            raise UnreadableSource(
                f"{self.path} cannot be read: {error.strerror}; pass a log that W&B wrote"
            ) from error
        with file:
            if self._position < len(HEADER) and not self._has_header(file):
                return
            while True:
                start = self._position - self._position % BLOCK
                file.seek(start)
                block = file.read(BLOCK)
                if self._position >= start + len(block):
                    self.is_cut = bool(self._parts)
                    return
                yield from self._block(block, start)
                if len(block) < BLOCK:
                    return

    def _has_header(self, file: BinaryIO) -> bool:
        """Read the first bytes; in a file that is not that long yet, nothing is read."""
        begins = file.read(len(_POINTER))
        header = begins[: len(HEADER)]
        self.is_cut = len(header) < len(HEADER)
        same = sum(a == b for a, b in zip(header, HEADER, strict=False))
        if 2 * same < len(header) or begins == _POINTER:
            is_pointer = begins == _POINTER
            raise UnreadableSource(
                f"{self.path} is a git-lfs pointer, and not the log itself; run `git lfs pull`"
                if is_pointer
                else f"{self.path} is no log of W&B, for it begins with {header!r}; "
                "pass a file run-ID.wandb"
            )
        if self.is_cut:
            return False
        if header != HEADER:
            self._found.append(Damage(0, f"the file begins with {header!r}, not {HEADER!r}"))
        self._position = len(HEADER)
        return True

    def _block(self, block: bytes, start: int) -> Iterator[bytes]:
        """Read the fragments of a block, and of the last block those that are whole."""
        at, end = self._position - start, len(block)
        while at + _HEAD.size <= end:
            stop = _end_of_sound(block, at)
            if stop:
                self._position = start + stop
                kind = block[at + _HEAD.size - 1]
                yield from self._fragment(kind, block[at + _HEAD.size : stop], start + at)
            elif stop := _end_of_damage(block, at):
                self._lose(start + at, block[at:stop])
                self._position = start + stop
            else:
                break
            at = stop
        if BLOCK - at < _HEAD.size:
            self._position = start + BLOCK
            at = end
        self.is_cut = at < end or bool(self._parts)

    def _fragment(self, kind: int, content: bytes, offset: int) -> Iterator[bytes]:
        if kind in (_WHOLE, _FIRST):
            if self._parts:
                self._found.append(Damage(self._began, "the end of a record is missing"))
            self._parts, self._began, self._is_lost = [], offset, False
        elif not self._parts:
            if not self._is_lost:
                self._found.append(Damage(offset, "the beginning of a record is missing"))
            self._is_lost = True
            return
        self._parts.append(content)
        if kind in (_WHOLE, _LAST):
            record = b"".join(self._parts)
            self._parts = []
            yield record

    def _lose(self, offset: int, lost: bytes) -> None:
        """Note damage, but for what goes on with the damage before it."""
        if offset != self._lost_until:
            what = "zeros" if not any(lost) else "damaged"
            self._found.append(Damage(offset, f"{len(lost):,} bytes are {what}"))
        self._lost_until = offset + len(lost)
        self._parts, self._is_lost = [], True


def _end_of_sound(block: bytes, at: int) -> int:
    """Return where a fragment ends, or 0 if its checksum is not that of its bytes."""
    if at + _HEAD.size > len(block):
        return 0
    crc, length, kind = _HEAD.unpack_from(block, at)
    stop = at + _HEAD.size + int(length)
    is_sound = _WHOLE <= kind <= _LAST and stop <= len(block) and crc32(block[at + 6 : stop]) == crc
    return stop if is_sound else 0


def _end_of_damage(block: bytes, at: int) -> int:
    """Return where to read on after a damaged fragment, or 0 if it may just be unfinished."""
    # Its length may be what is damaged, so the next sound fragment is looked for.
    for start in range(at + 1, len(block) - _HEAD.size + 1):
        # Most bytes are no kind: a look at one is cheaper than a checksum.
        if _WHOLE <= block[start + _HEAD.size - 1] <= _LAST and _end_of_sound(block, start):
            return start
    length = int(_HEAD.unpack_from(block, at)[1])
    is_unfinished = len(block) < at + _HEAD.size + length <= BLOCK
    return 0 if is_unfinished else len(block)


class BlockWriter:
    """Writes a log that W&B and :class:`BlockReader` read.

    Args:
        file: A new file, open for writing bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._file.write(HEADER)
        self._position = len(HEADER)

    def write(self, payload: bytes) -> None:
        """Write one record.

        Args:
            payload: Its bytes, of any length.
        """
        at, is_first = 0, True
        while is_first or at < len(payload):
            room = BLOCK - self._position % BLOCK
            if room < _HEAD.size:
                self._put(bytes(room))
                continue
            part = payload[at : at + room - _HEAD.size]
            at += len(part)
            is_last = at == len(payload)
            kind = (_WHOLE if is_last else _FIRST) if is_first else (_LAST if is_last else _MIDDLE)
            checked = bytes([kind]) + part
            self._put(_HEAD.pack(crc32(checked), len(part), kind) + part)
            is_first = False

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._position += len(data)
