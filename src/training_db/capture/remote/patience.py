"""Waiting for a server, within bounds: calls that hang are given up, and their threads left."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from training_db.errors import SourceUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_LOOK_SECONDS = 0.2


class Patience:
    """Waits for one server, in whichever thread, as long as it answers now and then.

    Args:
        seconds: How long nothing may come from it.
        server: What to call it.

    Example:
        >>> patience = Patience(60, "the server")
        >>> patience.call(lambda: 6 * 7)
        42
    """

    def __init__(self, seconds: float, server: str) -> None:
        self.seconds = seconds
        self.server = server
        self._is_stopped = False

    def stop(self) -> None:
        """Let no call begin any more, and give up those that wait."""
        self._is_stopped = True

    def call(
        self,
        work: Callable[[], _T],
        progress: Callable[[], object] | None = None,
        seconds: float | None = None,
    ) -> _T:
        """Do something that waits for the server.

        Args:
            work: What to do. It may hang for ever: it runs in a thread of its own, which nobody
                waits for at the end of the process.
            progress: What changes while answers come in.
            seconds: How long nothing may come this time.

        Returns:
            What the work returned.

        Raises:
            SourceUnavailable: Nothing came for too long, or the import was stopped.
            Exception: What the work raised.
        """
        is_done = threading.Event()
        results: list[_T] = []
        faults: list[BaseException] = []

        def run() -> None:
            try:
                results.append(work())
            except BaseException as fault:  # noqa: BLE001 - raised again by who waits
                faults.append(fault)
            is_done.set()

        limit = self.seconds if seconds is None else seconds
        heard = time.monotonic()
        seen: Any = progress() if progress else None
        if not self._is_stopped:
            threading.Thread(target=run, name="training-db-import", daemon=True).start()
        while not is_done.wait(0 if self._is_stopped else min(_LOOK_SECONDS, limit)):
            if self._is_stopped:
                raise SourceUnavailable("the import was stopped; the next one goes on from there")
            now: Any = progress() if progress else None
            if now != seen:
                seen, heard = now, time.monotonic()
            if time.monotonic() - heard > limit:
                raise SourceUnavailable(
                    f"{self.server} gave no answer for {limit:g} s; import again when it is well, "
                    "or with a longer timeout: it goes on from what was imported"
                )
        if faults:
            raise faults[0]
        return results[0]
