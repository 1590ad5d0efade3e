"""How many runs go into a transaction: as many as are written in a second or two."""

from __future__ import annotations

from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST, _MOST = 20, 5_000
_SECONDS = 1.0


class Pace:
    """Finds out how many runs a transaction should have.

    Few enough that little is done twice after a kill, and that nobody waits long; enough that the
    transactions themselves cost nothing.

    Attributes:
        runs: How many the next one should have.
    """

    def __init__(self) -> None:
        self.runs = _FIRST

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Measure how long a transaction takes."""
        start = monotonic()
        yield
        took = monotonic() - start
        if took < _SECONDS:
            self.runs = min(2 * self.runs, _MOST)
        elif took > 4 * _SECONDS:
            self.runs = max(self.runs // 2, 1)
