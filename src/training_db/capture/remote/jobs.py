"""Several pieces of work at once, none of which can keep the process from ending."""

from __future__ import annotations

import threading
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_SECONDS = 0.2
_END_SECONDS = 1.0  # for what is being written to come to its end


def side_by_side(
    number: int, jobs: int, work: Callable[[int], None], stop: Callable[[], object] | None = None
) -> None:
    """Do numbered pieces of work, some at a time, in their order.

    Args:
        number: How many there are.
        jobs: How many at a time.
        work: Does the piece of a number.
        stop: Called once something went wrong, for the others to end soon.

    Raises:
        Exception: The first that a piece raised. No piece is begun after it.
        KeyboardInterrupt: Somebody pressed Ctrl-C.

    Example:
        >>> done = []
        >>> side_by_side(3, 1, done.append)
        >>> done
        [0, 1, 2]
    """
    numbers = count()
    picking = threading.Lock()
    faults: list[BaseException] = []

    def run() -> None:
        while not faults:
            with picking:
                mine = next(numbers)
            if mine >= number:
                return
            try:
                work(mine)
            except BaseException as fault:  # noqa: BLE001 - raised again by who waits
                faults.append(fault)
                if stop is not None:
                    stop()

    # Daemons: whoever presses Ctrl-C is not made to wait for a server.
    threads = [
        threading.Thread(target=run, name=f"training-db-import-{job}", daemon=True)
        for job in range(min(jobs, number))
    ]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(_LOOK_SECONDS)
    except KeyboardInterrupt as interrupt:
        faults.append(interrupt)
        if stop is not None:
            stop()
        for thread in threads:
            thread.join(_END_SECONDS)
        raise
    if faults:
        raise faults[0]
