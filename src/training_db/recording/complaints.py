"""What a recorder has to say: it warns instead of raising, and each kind of thing once."""

from __future__ import annotations

import sys
import threading
import warnings
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

NOTED = 20
"""Events of one kind that are kept; of the rest only their number is."""
_LONGEST_SHOWN = 200


class RecorderWarning(UserWarning):
    """Something about live logging that a person should know; training goes on."""


class Complaints:
    """The complaints of one recorder.

    Args:
        note: Puts an event on the timeline of the run: kind, message, data.
    """

    def __init__(self, note: Callable[[str, str, dict[str, Any]], None]) -> None:
        self._note = note
        self._counts: Counter[str] = Counter()
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.RLock()

    def about(self, kind: str, message: str, subject: str = "", **data: Any) -> None:
        """Warn, if it is the first of its kind, and note it as an event.

        Args:
            kind: What sort of complaint it is; each is warned of once.
            message: What is wrong, and what becomes of it.
            subject: What it is about, such as a metric; each is noted once.
            data: What else the event says.
        """
        with self._lock:
            self._counts[kind] += 1
            is_first = self._counts[kind] == 1
            subjects = sum(1 for one, _ in self._seen if one == kind)
            is_new = (kind, subject) not in self._seen and subjects < NOTED
            if is_new:
                self._seen.add((kind, subject))
        if is_new:
            self._note("error", message, {"about": kind} | data)
        if is_first:
            warn(message)

    def sum_up(self) -> None:
        """Note how often each kind came, where the events do not say it all."""
        with self._lock:
            repeated = {
                kind: count
                for kind, count in self._counts.items()
                if count > sum(1 for one, _ in self._seen if one == kind)
            }
        for kind, count in repeated.items():
            self._note("error", f"{kind}: {count} times in all", {"about": kind, "count": count})


def shown(value: object) -> str:
    """Write anything for a message; what has no text of its own is called by its class."""
    try:
        return repr(value)[:_LONGEST_SHOWN]
    except Exception:  # noqa: BLE001 - values of any class do as they like
        return f"<{type(value).__name__}>"


def warn(message: str) -> None:
    """Warn of something, also where warnings are errors: training goes on even then."""
    try:
        warnings.warn(message, RecorderWarning, stacklevel=3)
    except Exception:  # noqa: BLE001 - an error by a filter, or by somebody's showwarning()
        with suppress(Exception):  # a program without a terminal has no stderr
            sys.stderr.write(f"RecorderWarning: {message}\n")
