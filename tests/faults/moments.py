"""End this process by SIGKILL at a moment that lies inside a flush or inside a sync."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event

if TYPE_CHECKING:
    from types import FrameType


def end_at(commits: int, calls: int, *, here: bool = False) -> None:
    """End the process at a call of a function, counted from a commit to the database.

    Args:
        commits: How many transactions are about to be committed before the calls are counted.
        calls: The call at which the process ends. A flush makes some thousands of them.
        here: Whether the calls of this thread count, and not only those of the threads that start
            from now on.
    """
    committed = called = 0

    def note_commit(_connection: object) -> None:
        nonlocal committed
        committed += 1

    def count(_frame: FrameType, what: str, _argument: Any) -> None:
        nonlocal called
        if committed >= commits and what in ("call", "c_call"):
            called += 1
            if called >= calls:
                os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "commit", note_commit)
    threading.setprofile(count)
    if here:
        sys.setprofile(count)
