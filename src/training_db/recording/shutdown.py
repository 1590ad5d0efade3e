"""The end of the process: what the open recorders still do when it comes, however it comes.

Installed with the first recorder that is opened, and taken away with the last that is closed: a
function at the interpreter's exit, a hook that sees the exception that ends the program, and a
handler of SIGTERM, which runs the handler that was there before.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import FrameType, TracebackType

SIGNAL_SECONDS = 5.0
"""How long a signal waits for what is in the spools."""


class Watched(Protocol):
    """What is needed of a recorder."""

    def is_busy_here(self) -> bool:
        """Whether the signal came in the middle of one of its methods."""

    def begin_to_end(self, number: signal.Signals, *, is_last: bool) -> None:
        """Ask for everything to be sent, and for the run to be crashed.

        ``is_last`` says that the process dies of it, whatever is logged meanwhile.
        """

    def wait_to_end(self, seconds: float, *, is_last: bool) -> None:
        """Wait for that."""

    def begin_to_close(self, error: BaseException | None) -> None:
        """Ask for the last of everything, for the program is over."""

    def wait_to_close(self) -> None:
        """Wait for that, no longer than a close may take from when it was asked for."""


class Shutdown:
    """What is installed, and for which recorders."""

    def __init__(self) -> None:
        self._recorders: list[Watched] = []
        self._lock = threading.RLock()
        self._error: BaseException | None = None
        self._old_hook: Any = None
        self._old_handler: Any = None
        self._has_handler = False
        self._worker = 0
        self.is_pending = False
        """Whether a signal waits for the end of a method of a recorder."""
        self._is_noting = False

    def watch(self, recorder: Watched) -> None:
        """End this recorder with the process."""
        with self._lock:
            self._recorders.append(recorder)
            if len(self._recorders) == 1:
                self._error = None
                self._old_hook, sys.excepthook = sys.excepthook, self._note_exception
                atexit.register(self._at_exit)
                self._finalize_worker()
            self._handle_signals()

    def forget(self, recorder: Watched) -> None:
        """Leave this recorder alone: it is closed."""
        with self._lock:
            if recorder in self._recorders:
                self._recorders.remove(recorder)
            if self._recorders:
                return
            atexit.unregister(self._at_exit)
            if sys.excepthook == self._note_exception:
                sys.excepthook = self._old_hook
            if self._has_handler and signal.getsignal(signal.SIGTERM) == self._handle:
                with suppress(ValueError):  # not in the main thread: it stays, and does nothing
                    signal.signal(signal.SIGTERM, self._old_handler)
                    self._has_handler = False

    def start_over_in_child(self) -> None:
        """Forget the recorders of the parent."""
        self._lock = threading.RLock()
        recorders, self._recorders = self._recorders, []
        self.is_pending = False
        if recorders:
            atexit.unregister(self._at_exit)
            if sys.excepthook == self._note_exception:
                sys.excepthook = self._old_hook

    def catch_up(self) -> None:
        """Do what a signal asked for in the middle of a method that is now at its end."""
        if threading.current_thread() is threading.main_thread():
            self.is_pending = False
            self._end_by_signal(None)

    def _finalize_worker(self) -> None:
        """Have a child of multiprocessing call us: its exit runs finalizers, but no atexit."""
        process = sys.modules.get("multiprocessing.process")
        is_worker = process is not None and process.parent_process() is not None
        if is_worker and self._worker != os.getpid():
            self._worker = os.getpid()
            sys.modules["multiprocessing.util"].Finalize(None, self._at_exit, exitpriority=10)

    def _handle_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        handler = signal.getsignal(signal.SIGTERM)
        # None: it is not Python's, so nobody could call it.
        if handler in (signal.SIG_IGN, None) or handler == self._handle:
            return
        self._old_handler = signal.signal(signal.SIGTERM, self._handle)
        self._has_handler = True

    def _handle(self, _number: int, frame: FrameType | None) -> None:
        if any(recorder.is_busy_here() for recorder in self._recorders):
            self.is_pending = True
        else:
            self._end_by_signal(frame)

    def _end_by_signal(self, frame: FrameType | None) -> None:
        old = self._old_handler
        end = monotonic() + SIGNAL_SECONDS
        is_last = old == signal.SIG_DFL
        recorders = list(self._recorders)
        for recorder in recorders:
            recorder.begin_to_end(signal.SIGTERM, is_last=is_last)
        for recorder in recorders:
            recorder.wait_to_end(end - monotonic(), is_last=is_last)
        if callable(old):
            old(signal.SIGTERM, frame)
        elif is_last:
            # So that the exit status says what ended the process.
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _note_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        self._error = error
        if self._is_noting:  # who hooked in between leads back to us: W&B's client does
            sys.__excepthook__(kind, error, trace)
            return
        self._is_noting = True
        try:
            self._old_hook(kind, error, trace)
        finally:
            self._is_noting = False

    def _at_exit(self) -> None:
        recorders = list(self._recorders)
        for recorder in recorders:  # all first: so the longest wait is the whole wait
            recorder.begin_to_close(self._error)
        for recorder in recorders:
            recorder.wait_to_close()


shutdown = Shutdown()
os.register_at_fork(after_in_child=shutdown.start_over_in_child)
