"""Numbers with their nouns, as sentences say them."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """Return how many there are of something.

    Example:
        >>> counted(1, "run"), counted(1200, "run"), counted(2, "entry", "entries")
        ('1 run', '1,200 runs', '2 entries')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
