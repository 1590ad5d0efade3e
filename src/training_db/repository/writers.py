"""Writers of history: each numbers its rows by itself, so that none waits for another."""

from __future__ import annotations

import secrets
import time

_RANDOM_BITS = 20


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


def can_be_extended(writer: int) -> bool:
    """Tell whether rows may be appended to what a writer wrote."""
    return writer % 2 == 0
