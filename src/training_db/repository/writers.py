"""Writers of history: each numbers its rows by itself, so that none waits for another."""

from __future__ import annotations

import secrets
import time
from hashlib import blake2b

_RANDOM_BITS = 20
_LATEST = 2 ** (62 - _RANDOM_BITS) - 1  # in the year 2109


def new_writer(*, live: bool) -> int:
    """Make the id of a writer.

    Args:
        live: Whether it is a recorder, whose rows come from one place only. The others can be
            gone on with by whoever appends next.

    Returns:
        An integer below 2**63 that is greater than those made before, as far as the clocks of the
        machines agree; odd for recorders.

    Example:
        >>> new_writer(live=True) % 2, new_writer(live=False) % 2
        (1, 0)
    """
    milliseconds = time.time_ns() // 1_000_000
    return (milliseconds << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)) << 1 | live


def known_writer(milliseconds: int, identity: str) -> int:
    """Make the id of a writer whose rows stand somewhere else too, the same each time.

    Args:
        milliseconds: When it began to write, in Unix milliseconds.
        identity: What tells it from others that began then.

    Returns:
        An id like those of :func:`new_writer`, to which nobody appends.

    Example:
        >>> known_writer(1_700_000_000_000, "a") == known_writer(1_700_000_000_000, "a")
        True
        >>> known_writer(1_700_000_000_000, "a") < known_writer(1_700_000_000_001, "b")
        True
    """
    digest = int.from_bytes(blake2b(identity.encode(), digest_size=8).digest())
    began = min(max(milliseconds, 1), _LATEST)
    return int(began << _RANDOM_BITS | digest % (1 << _RANDOM_BITS)) << 1 | 1


def can_be_extended(writer: int) -> bool:
    """Tell whether rows may be appended to what a writer wrote."""
    return writer % 2 == 0
