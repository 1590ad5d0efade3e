"""Checksums of content: equal for equal rows, whatever their order, their ids and the backend."""

from __future__ import annotations

import marshal
from collections import defaultdict
from hashlib import blake2b
from typing import Any

BYTES = 16
_MODULUS = 1 << (8 * BYTES)


class Sums:
    """How many rows each table has, and what their content comes to.

    Args:
        by_run: Whether to sum up each run besides.

    Attributes:
        runs: What all rows of a run come to.
    """

    def __init__(self, *, by_run: bool = False) -> None:
        self.runs: defaultdict[str, int] | None = defaultdict(int) if by_run else None
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._sums: defaultdict[str, int] = defaultdict(int)

    def add(self, table: str, run: str, content: tuple[Any, ...]) -> int:
        """Add a row.

        Args:
            table: Its table.
            run: The id of its run.
            content: Its values, without any that another database would have otherwise.

        Returns:
            The checksum of the row.
        """
        digest = row_checksum(table, run, content)
        self._counts[table] += 1
        # A sum, and not an exclusive or, which two equal rows would leave as it was.
        self._sums[table] += digest
        if self.runs is not None:
            self.runs[run] += digest
        return digest

    def __iadd__(self, other: Sums) -> Sums:
        for table, count in other._counts.items():
            self._counts[table] += count
            self._sums[table] += other._sums[table]
        return self

    def of_run(self, run: str) -> int:
        """Return what all rows of a run come to."""
        return self.runs[run] if self.runs else 0

    def rows(self, table: str) -> int:
        """Return how many rows were added."""
        return self._counts[table]

    def checksum(self, table: str) -> str:
        """Return what the rows of a table come to, as 32 hexadecimal digits."""
        return f"{self._sums[table] % _MODULUS:0{2 * BYTES}x}"


def row_checksum(table: str, run: str, content: tuple[Any, ...]) -> int:
    """Return what a row comes to; see :meth:`Sums.add`.

    Example:
        >>> row_checksum("run_tags", "r1", ("a", 1)) == row_checksum("run_tags", "r1", ("a", 1.0))
        False
    """
    # The second version of this format knows neither references nor interned texts: equal values
    # give equal bytes, in any version of Python.
    data = marshal.dumps((table, run, content), 2)
    return int.from_bytes(blake2b(data, digest_size=BYTES).digest(), "little")
