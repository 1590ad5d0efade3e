"""A run as its reader gets it: a plain dict, with the history behind a key."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

STALE_SECONDS = 120
"""A run that is at work, and has not beaten for so long, is shown as stale."""


def is_stale(heartbeat: str | None, clock: str | None) -> bool:
    """Tell whether a run has stopped beating.

    Args:
        heartbeat: When it last did.
        clock: What time it is; ``None`` where nothing is expected of the run.

    Example:
        >>> is_stale("2026-01-01T00:00:00Z", "2026-01-01T00:02:01Z")
        True
        >>> is_stale("2026-01-01T00:00:00Z", None)
        False
    """
    if heartbeat is None or clock is None:
        return False
    age = parse_timestamp(clock) - parse_timestamp(heartbeat)
    return age > timedelta(seconds=STALE_SECONDS)


class RunDict(dict[str, Any]):
    """A run as a plain dict, except that ``history_json`` is fetched when it is asked for.

    Listings stay small that way, and ``json.dumps`` sees what was fetched.
    """

    __slots__ = ("fetch_history",)
    fetch_history: Callable[[str], str | None]

    def __missing__(self, key: str) -> Any:
        if key != "history_json":
            raise KeyError(key)
        self[key] = self.fetch_history(self["run_id"])
        return self[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, also that of ``history_json``, which is not there yet."""
        if key == "history_json" and "run_id" in self:
            return self[key]
        return super().get(key, default)

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy that goes to another process cannot take the database along.
        return dict, (dict(self),)
