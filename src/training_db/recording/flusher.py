"""The thread that sends what is in the spools of a recorder to the database."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from time import monotonic
from typing import TYPE_CHECKING, Any

from tenacity import RetryCallState, RetryError, Retrying, wait_exponential, wait_random

from training_db.db.engine import at_once
from training_db.db.session import primary_only
from training_db.errors import ConfigurationError, DatabaseUnavailable, SchemaError
from training_db.recording.complaints import warn
from training_db.recording.leftover import sending
from training_db.recording.sending import note, send

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from training_db.recording.place import Database
    from training_db.recording.spool import Spool

HEARTBEAT_SECONDS = 15.0
_FORK_PATIENCE = 10.0  # seconds; a fork that takes longer than this is none
FIRST_RETRY, LONGEST_RETRY = 0.1, 30.0  # seconds
_LASTING = (SchemaError, ConfigurationError)
"""Faults that are there until somebody mends them: nobody waits at the end for that."""
_TIDIED_ROWS = 4096  # as many as become segments at a time


class Request:
    """What somebody wants of the flusher, and the answer.

    Args:
        status: The status that the run shall have once everything is sent.
        is_final: Whether nothing comes after it.
        is_urgent: Whether it is worth another attempt now, in spite of failures.

    Attributes:
        is_done: Set with the answer.
        fault: Why it was given up; ``None`` if all was sent.
    """

    def __init__(
        self, status: str | None = None, *, is_final: bool = False, is_urgent: bool = True
    ) -> None:
        self.status, self.is_final, self.is_urgent = status, is_final, is_urgent
        self.is_done = threading.Event()
        self.fault: BaseException | None = None


class Flusher:
    """Sends what is in the spools, now and then and when asked.

    Args:
        db: The database.
        run_id: The run.
        spools: Where the rows are, oldest writer first; the last one is still written.
        flush_seconds: Seconds between two times of sending.
        folder: Where other spools may have been left; ``None`` if nobody is to look.
        sets_status: Whether the run's status is ours to set.
        in_background: Whether a thread does it; else whoever asks.
        on_return: Told what the database knew of the run, if it was there before and its status is
            ours to set; it returns the event that says so, if one shall. That is warned of, too.
    """

    def __init__(
        self,
        db: Database,
        run_id: str,
        spools: list[Spool],
        flush_seconds: float,
        *,
        folder: Path | None,
        sets_status: bool,
        in_background: bool,
        on_return: Callable[[Mapping[str, Any]], dict[str, Any] | None],
    ) -> None:
        self._db, self._run_id, self._spools = db, run_id, spools
        self._flush_seconds, self._folder = flush_seconds, folder
        self._sets_status, self._in_background = sets_status, in_background
        self._on_return = on_return
        self._started_at = datetime.now(UTC)
        # put() may be called by a signal's handler, whatever it interrupted.
        self._requests: SimpleQueue[Request] = SimpleQueue()
        self._open: list[Request] = []
        self._wanted, self._shown = "running", ""
        self._is_known = self._is_over = self._gave_up = False
        self._failures = self._untidy_rows = 0
        self._last_flush = monotonic()
        self._last_contact = float("-inf")
        self._leftovers: Generator[object] | None = None
        self.is_poked = False
        self._working = threading.Lock()  # held while the database is spoken to
        self._may_speak = threading.Event()
        self._may_speak.set()
        self._asking = threading.RLock()
        self._retrying = Retrying(
            retry=_is_a_failure,
            wait=wait_exponential(FIRST_RETRY, LONGEST_RETRY) + wait_random(0, FIRST_RETRY),
            stop=lambda state: (
                self._gave_up or not self._in_background or self._ends_in_vain(state)
            ),
            sleep=self._pause,
            before_sleep=self._note_failure,
        )
        self._thread = threading.Thread(target=self._run, name="training-db-recorder", daemon=True)

    def start(self) -> None:
        """Begin; the run is made known to the database at once."""
        if self._in_background:
            self._thread.start()

    def poke(self) -> None:
        """Have the rows sent soon, for there are many."""
        self.is_poked = True
        self.ask(Request(is_urgent=False))

    def ask(self, request: Request) -> None:
        """Have everything sent that is there by now."""
        if self._in_background:
            self._requests.put(request)
            return
        with self._asking:
            self._open.append(request)
            self._serve()

    def hold(self, timeout: float) -> bool:
        """Let the thread not be in the middle of anything; tell whether it is so in time."""
        self._may_speak.clear()
        return self._working.acquire(timeout=timeout)

    def go_on(self, *, was_held: bool) -> None:
        """End what :meth:`hold` began."""
        if was_held:
            self._working.release()
        self._may_speak.set()

    def give_up(self) -> None:
        """Stop after the attempt that is being made; what is not sent stays in the spools."""
        self._gave_up = True
        self._requests.put(Request())

    def is_served(self, request: Request, timeout: float) -> bool:
        """Tell whether a request is done within so many seconds.

        Without a thread it was served when it was asked for, and nobody comes back to it.
        """
        is_answered = request.is_done.wait(max(0.0, timeout) if self._in_background else 0)
        return is_answered and request.fault is None

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread."""
        if self._in_background:
            self._thread.join(timeout)

    @primary_only()
    @at_once()  # each attempt: between them, what is asked for meanwhile is seen
    def _run(self) -> None:
        while not self._is_over:
            try:
                self._wait()
                self._serve()
            except Exception as error:  # noqa: BLE001 - a thread that dies would lose everything
                warn(f"the recorder of run {self._run_id!r} met a fault and goes on: {error!r}")
        self._close_leftovers()

    def _wait(self) -> None:
        """Wait for a request, or until it is time to send or to give a sign of life."""
        while True:
            next_flush = self._last_flush + self._flush_seconds
            seconds = min(next_flush, self._last_contact + HEARTBEAT_SECONDS) - monotonic()
            if self._leftovers is not None and self._requests.empty() and seconds > 0:
                self._send_leftovers(self._leftovers)
                continue
            with suppress(Empty):
                self._open.append(self._requests.get(timeout=max(0.0, seconds)))
                while True:
                    self._open.append(self._requests.get_nowait())
            return

    def _serve(self) -> None:
        try:
            self._retrying(self._attempt)
        except RetryError as error:
            fault = error.last_attempt.exception()
            if not self._in_background:
                warn(f"run {self._run_id!r} was not sent: {fault}")
            else:
                self._gave_up = True
                for request in self._open:
                    request.fault = fault
                    request.is_done.set()
        else:
            if self._failures:
                warn(f"the recorder of run {self._run_id!r} reaches the database again")
            self._failures = 0
            done, self._open = self._open, []
            for request in done:
                self._is_over |= request.is_final
                request.is_done.set()
        self._is_over |= self._gave_up

    def _attempt(self) -> None:
        if self._gave_up:
            raise DatabaseUnavailable("the time to close is over")
        self.is_poked = False
        for request in self._open:
            self._wanted = request.status or self._wanted
        try:
            if not self._is_known:
                with self._speaking():
                    self._introduce()
            if self._open or monotonic() >= self._last_flush + self._flush_seconds:
                self._flush()
            if monotonic() >= self._last_contact + HEARTBEAT_SECONDS:
                with self._speaking(), self._db.transaction():
                    self._show_life()
            if any(request.is_final for request in self._open):
                self._finish()
            if self._sets_status and self._wanted != self._shown:
                with self._speaking():
                    self._db.runs.update_status(self._run_id, self._wanted)
                self._shown = self._wanted
        except BaseException:
            self._is_known, self._shown = False, ""
            raise

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """Speak to the database, unless a fork is waiting for its moment."""
        self._may_speak.wait(_FORK_PATIENCE)
        with self._working:
            yield

    def _introduce(self) -> None:
        """Say to the database that the run is there, and running."""
        is_first, said = self._last_contact < 0, None
        with self._db.transaction():
            run = self._db.runs.find(self._run_id)
            if run is None:
                self._db.runs.ensure(self._run_id)
            elif is_first and self._sets_status:
                said = self._on_return(run)
            if self._sets_status:
                started = run and run["started_at"]
                fields: dict[str, Any] = {} if started else {"started_at": self._started_at}
                self._db.runs.update_status(self._run_id, "running", **fields)
            if said is not None:
                key = f"{self._spools[-1].writer}:return"
                note(self._db, self._run_id, key, **said, happened_at=self._started_at.timestamp())
            self._db.runs.beat(self._run_id)
        if self._folder is not None and is_first:
            self._leftovers = sending(self._db, self._folder, own_run=self._own_run())
        self._is_known, self._shown = True, "running"
        self._last_contact = monotonic()
        if said is not None:
            warn(f"run {self._run_id!r}: {said['message']}")

    def _flush(self) -> None:
        begun = monotonic()
        for spool in list(self._spools):
            stop, last_event = spool.next_row, spool.next_event
            while (first := spool.first_row) < stop or spool.first_event < last_event:
                with self._speaking():
                    send(self._db, self._run_id, spool, stop, self._show_life)
                self._last_contact = monotonic()
                self._untidy_rows += spool.first_row - first
                if self._untidy_rows >= _TIDIED_ROWS:
                    with self._speaking():
                        self._tidy()
            if spool is not self._spools[-1] and spool.is_empty:
                self._spools.remove(spool)
                spool.close(delete=True)
        self._last_flush = begun

    def _show_life(self) -> None:
        self._db.runs.beat(self._run_id)
        self._last_contact = monotonic()

    def _finish(self) -> None:
        """Do what is done once, when everything is sent."""
        self._close_leftovers()
        if self._folder is not None:
            try:
                for _ in self._of_children(self._folder):
                    if self._gave_up:
                        break
            except DatabaseUnavailable:
                raise  # the status cannot be written either: all of it is tried again
            except Exception as error:  # noqa: BLE001 - the run has ended, whatever they left
                warn(f"what another process logged to run {self._run_id!r} was not sent, and "
                     f"stays: {type(error).__name__}: {error}")  # fmt: skip
        with self._speaking():
            self._compact()

    def _of_children(self, folder: Path) -> Iterator[None]:
        """Send what processes that are gone have logged to this run, a step at a time."""
        left = sending(self._db, folder, self._run_id, self._own_run())
        while True:
            with self._speaking():
                if next(left, self) is self:
                    return
            yield

    def _own_run(self) -> str | None:
        """Return the run if its status is ours: then no spool that was left decides on it."""
        return self._run_id if self._sets_status else None

    def _compact(self) -> None:
        for spool in self._spools:
            try:
                self._db.history.compact(self._run_id, spool.writer)
            except Exception as error:  # noqa: BLE001 - the rows are there, in another form
                warn(f"the history of run {self._run_id!r} was not compacted: {error}")
        self._tidy()

    def _tidy(self) -> None:
        self._untidy_rows = 0
        with suppress(Exception):  # the database does it by itself, if later
            self._db.history.tidy()

    def _send_leftovers(self, leftovers: Generator[object]) -> None:
        try:
            with self._speaking():
                next(leftovers)
        except StopIteration:
            self._leftovers = None
        except Exception as error:  # noqa: BLE001 - it is tried again by the next start
            self._leftovers = None
            warn(
                f"what an earlier process left was not sent, and stays: {type(error).__name__}: "
                f"{error}"
            )

    def _close_leftovers(self) -> None:
        if self._leftovers is not None:
            self._leftovers.close()
            self._leftovers = None

    def _pause(self, seconds: float) -> None:
        """Wait before the next attempt, but not if somebody waits for it."""
        end = monotonic() + seconds
        while not self._gave_up and (left := end - monotonic()) > 0:
            with suppress(Empty):
                request = self._requests.get(timeout=left)
                self._open.append(request)
                if request.is_urgent:
                    return

    def _ends_in_vain(self, state: RetryCallState) -> bool:
        """Tell whether somebody waits for the end, and no further attempt would bring it."""
        is_awaited = any(request.is_final for request in self._open)
        return (
            is_awaited
            and state.outcome is not None
            and isinstance(state.outcome.exception(), _LASTING)
        )

    def _note_failure(self, state: RetryCallState) -> None:
        self._failures += 1
        if self._failures == 1 and state.outcome is not None:
            error = state.outcome.exception()
            waiting = sum(spool.waiting_rows for spool in self._spools)
            warn(
                f"run {self._run_id!r} cannot be sent now and is tried again; {waiting} rows wait "
                f"in {self._spools[-1].path or 'memory'}: {type(error).__name__}: {error}"
            )


def _is_a_failure(state: RetryCallState) -> bool:
    outcome = state.outcome
    return outcome is not None and isinstance(outcome.exception(), Exception)
