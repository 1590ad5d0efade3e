"""The life of a recorder: opened, forked, signalled, closed, and whatever ends the process."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import threading
import time
import traceback
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from training_db.documents import decode as decode_document
from training_db.documents import encode as encode_document
from training_db.documents import sound
from training_db.models.run import RunStatus
from training_db.recording import forks
from training_db.recording.complaints import Complaints, warn
from training_db.recording.flusher import Flusher, Request
from training_db.recording.packing import Packer, Shape
from training_db.recording.place import place_of, ready_folder, spool_name
from training_db.recording.shutdown import SIGNAL_SECONDS, shutdown
from training_db.recording.spool import Spool
from training_db.repository.writers import new_writer
from training_db.timestamps import format_timestamp, now

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from training_db.recording.place import Database

NO_SHAPE = Shape((), (), object, None)
_FORK_SECONDS = 2.0  # how long a fork waits for the thread to be done with the database
_CHILD_SECONDS = 5.0  # how long a forked child may take to close
_JOIN_SECONDS = 0.1
_OWN_SHARE = 0.95  # of the time to close, for waiting; the rest is for what has to be said then
_SHOWN_FRAMES, _SHOWN_TRACE = 20, 8_000


class Life:
    """What a recorder consists of, and what becomes of it.

    A child that was forked makes its own only when it logs: then ``_is_made`` is true again.

    Args:
        db: The database.
        run_id: The run.
        flush_seconds: Seconds between two times of sending.
        folder: Where the spool is.
        most_bytes: How much may wait for the database.
        close_seconds: How long closing may take.
        sets_status: Whether the status of the run is ours to set.
    """

    _spool: Spool
    _packer: Packer
    _flusher: Flusher

    def __init__(
        self,
        db: Database,
        run_id: str,
        flush_seconds: float,
        folder: Path,
        most_bytes: int,
        close_seconds: float,
        *,
        sets_status: bool,
    ) -> None:
        self.run_id = run_id
        self._db, self._place = db, place_of(db.url)
        self._flush_seconds, self._close_seconds = flush_seconds, close_seconds
        self._folder, self._most_bytes = folder, most_bytes
        self._sets_status = sets_status
        self._speaks_for: tuple[str, dict[str, Any]] = ("", {})
        self._last_step = -1
        self._begin()
        self._open()
        forks.watch(self)

    def _begin(self) -> None:
        """Be as a recorder is that has no spool yet."""
        self._lock = threading.RLock()
        self._spools: list[Spool] = []
        self._shape = NO_SHAPE
        self._complaints = Complaints(self._note)
        self._later: list[tuple[Any, Any, Any]] = []
        self._is_made = self._is_open = self._is_closed = False
        self._is_busy = self._is_held = False
        self._ending: Request | None = None
        self._closing: tuple[Request, float, float] | None = None  # seconds, and when they end
        self._was_signalled = False
        self._dropped: list[int] | None = None  # how many rows, the first step and the last
        self._has_warned = False

    def _open(self) -> None:
        in_memory = not self._place
        trouble: Exception | None = None
        writer = new_writer(live=True)
        path = None if in_memory else self._folder / spool_name(self.run_id, writer)
        try:
            if path is not None:
                ready_folder(self._folder)
            self._spool = self._new_spool(path, writer)
        except (OSError, sqlite3.Error) as error:  # no folder, no rights, no space ...
            trouble = error
            self._spool = self._new_spool(None, writer)
        self._spools.append(self._spool)
        self._packer = Packer(self._spool, self._complaints)
        self._flusher = Flusher(
            self._db,
            self.run_id,
            self._spools,
            self._flush_seconds,
            folder=None if in_memory else self._folder,
            sets_status=self._sets_status,
            in_background=not in_memory,
            on_return=self._return_to,
        )
        self._is_made = self._is_open = True
        if trouble is not None:
            self._complaints.about(
                "disk",
                f"no spool can be kept in {self._folder} ({trouble}); what is logged is kept in "
                f"memory, {self._most_bytes:,} bytes at most, until the database has it. Name "
                "another folder by TRAINING_DB_SPOOL_DIR",
            )
        shutdown.watch(self)
        self._flusher.start()

    def _new_spool(self, path: Path | None, writer: int) -> Spool:
        meta = {
            "writer": str(writer),
            "run_id": self.run_id,
            "place": self._place,
            "pid": str(os.getpid()),
            "host": socket.gethostname(),
            "started_at": format_timestamp(now()),
            "sets_status": "yes" if self._sets_status else "no",
        }
        spool = Spool.create(path, meta)
        spool.lock = self._lock
        return spool

    def _wakes_up(self) -> bool:
        """Open for a child that logs, or go on after a signal; tell whether it is possible."""
        with self._lock:
            if self._is_closed:
                return False
            if not self._is_made:
                self._open()
            elif self._was_signalled:
                self._ending, self._was_signalled = None, False
                self._is_open = True
                self._set_closing(None)
                self._flusher.ask(Request(RunStatus.RUNNING))
        return True

    def _close(self, status: str | None, seconds: float | None = None) -> None:
        self._ask_to_close(status, seconds)
        self.wait_to_close()

    def _ask_to_close(self, status: str | None, seconds: float | None) -> None:
        seconds = self._close_seconds if seconds is None else seconds
        if self._is_closed or not self._is_made:
            self._is_closed = True
            return
        end = monotonic() + seconds * _OWN_SHARE
        self._say_what_was_dropped()
        self._complaints.sum_up()
        with self._lock:
            self._is_open, self._is_closed = False, True
        self._set_closing(status if self._sets_status else None)
        request = self._ending = Request(status if self._sets_status else None, is_final=True)
        self._closing = (request, seconds, end)
        self._flusher.ask(request)

    def wait_to_close(self) -> None:
        """Wait for what was asked for, give up in time, and let go of the files."""
        if self._closing is None:
            return
        (request, seconds, end), self._closing = self._closing, None
        flusher = self._flusher
        is_sent = flusher.is_served(request, end - monotonic())
        fault = request.fault  # of now: to give up makes one, too
        if not is_sent:
            flusher.give_up()
            self._note_moment("given_up_at")
            self._warn_of_rest(seconds, fault)
        flusher.join(max(_JOIN_SECONDS, end - monotonic()) if is_sent else _JOIN_SECONDS)
        shutdown.forget(self)
        for spool in self._spools:
            # Also where the thread still waits for the database: what it gets done there is not
            # forgotten here, and adds nothing when it is sent again.
            spool.close(delete=is_sent and spool.is_empty)

    def _warn_of_rest(self, seconds: float, fault: BaseException | None) -> None:
        why = f"within {seconds:g} s" if fault is None else f"({fault})"
        what = f"run {self.run_id!r} was not sent to the end {why}: "
        for spool in self._spools:
            if spool.path is not None:
                what += (
                    f"{spool.waiting_rows} rows wait in {spool.path}; `training-db spool sync` "
                    "sends them, and sets the status. "
                )
            elif not spool.is_empty:
                what += f"{spool.waiting_rows} rows were in memory only, and are lost. "
        warn(what.rstrip())

    def _set_closing(self, status: str | None) -> None:
        for spool in self._spools:
            try:
                spool.set("closed_at", format_timestamp(now()))
                spool.set("closing", status)
            except Exception as error:  # noqa: BLE001 - a full disk
                self._complaints.about("disk", f"{spool.path} takes no more: {error}")

    def _note_moment(self, name: str) -> None:
        for spool in self._spools:
            with suppress(sqlite3.Error):  # a full disk
                spool.set(name, format_timestamp(now()))

    def _say_what_was_dropped(self) -> None:
        """Note what did not fit into the spool."""

    def _return_to(self, run: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what is to be noted of a run that was there before; the thread that sends asks."""
        del run
        return None

    def _go_on_in_memory(self, error: Exception) -> None:
        """Keep what is logged in memory from now on, for the file takes no more."""
        old = self._spool
        if old.path is None:
            raise error
        self._spool = self._new_spool(None, max(new_writer(live=True), old.writer + 2))
        self._packer, self._shape = Packer(self._spool, self._complaints), NO_SHAPE
        self._spools.append(self._spool)
        self._complaints.about(
            "disk",
            f"{old.path} takes no more rows ({error}); what is logged from now on is kept in "
            f"memory, {self._most_bytes:,} bytes at most, until the database has it",
        )

    # Events.

    def _note(self, kind: Any, message: Any, data: Any = None, *, is_own: bool = True) -> None:
        event: dict[str, Any] = {
            "kind": sound(str(kind)),
            "message": sound(str(message)),
            "data": None,
            "happened_at": time.time(),
        }
        if data is not None:
            try:
                event["data"] = decode_document(encode_document(data, "data"))
            except Exception as error:  # noqa: BLE001 - values of any class do as they like
                event["data"] = {"not stored": str(error)}
        if self._is_closed or not (self._is_made or self._wakes_up()):
            return
        with self._lock:  # else two threads on a full disk would each go on in a memory
            if not is_own and not self._has_room_for_event(len(json.dumps(event))):
                return
            try:
                self._spool.add_event(event)
            except sqlite3.Error as error:
                self._go_on_in_memory(error)
                self._spool.add_event(event)

    def _has_room_for_event(self, size: int) -> bool:
        """Tell whether somebody's event may be added; what we say ourselves always may."""
        spool = self._spool
        if spool.waiting_bytes + size <= self._most_bytes:
            return True
        self._complaints.about(
            "events",
            f"{spool.path or 'memory'} is full ({spool.waiting_bytes:,} of {self._most_bytes:,} "
            "bytes): events are dropped until the database has what waits there",
        )
        return False

    def _note_end(self, error: BaseException) -> RunStatus:
        """Note what ended the training, and return the status that this makes."""
        is_interrupt = isinstance(error, KeyboardInterrupt)
        name = type(error).__name__
        text = f"{name} ({signal.SIGINT.name})" if is_interrupt else f"{name}: {error}"
        trace = "".join(traceback.format_exception(error, limit=-_SHOWN_FRAMES))
        data = {"type": name, "message": str(error), "traceback": trace[-_SHOWN_TRACE:]}
        who, about = self._speaks_for
        try:
            self._note("error", f"{who}: {text}" if who else text, data | about)
        except Exception as fault:  # noqa: BLE001 - a full disk
            warn(f"an event was not recorded: {fault!r}")
        return RunStatus.CRASHED if is_interrupt else RunStatus.FAILED

    # What ends the process; see shutdown.py.

    def is_busy_here(self) -> bool:
        """Tell whether this thread is in the middle of something that a signal interrupted."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def begin_to_end(self, number: signal.Signals, *, is_last: bool) -> None:
        """Ask for everything to be sent, and for the run to be crashed."""
        if self._is_closed or not self._is_made:
            return
        if self._sets_status:
            self._note("signal", f"the process was told to end by {number.name}")
            self._set_closing(RunStatus.CRASHED)
        self._was_signalled = True
        self._ending = Request(RunStatus.CRASHED if self._sets_status else None)
        self._flusher.ask(self._ending)
        self._is_open = is_last  # else the next row says that the training goes on

    def wait_to_end(self, seconds: float, *, is_last: bool) -> None:
        """Wait for that."""
        request = self._ending  # of this signal, or of a close() that it interrupted
        if request is None or not self._flusher.is_served(request, seconds) or not is_last:
            return
        with self._lock:
            if not self._is_closed and all(spool.is_empty for spool in self._spools):
                self._is_open, self._is_closed = False, True
                for spool in self._spools:
                    spool.close(delete=True)

    def begin_to_close(self, error: BaseException | None) -> None:
        """Ask for the last of everything, for the program is over."""
        if self._is_closed or not self._is_made:
            return
        status = RunStatus.COMPLETED
        if self._was_signalled:
            status = RunStatus.CRASHED
        elif error is not None:
            status = self._note_end(error)
        self._ask_to_close(status, None if self._sets_status else SIGNAL_SECONDS)

    # Forks; see forks.py.

    def before_fork(self) -> None:
        """Let no thread be inside SQLite or hold a lock that a child would inherit."""
        is_held = self._is_made and self._flusher.hold(_FORK_SECONDS)
        self._lock.acquire()
        self._is_held = is_held  # under the lock: another thread may want to fork, too

    def after_fork_in_parent(self) -> None:
        """Go on."""
        is_held, self._is_held = self._is_held, False
        self._lock.release()
        if self._is_made:
            self._flusher.go_on(was_held=is_held)

    def after_fork_in_child(self) -> None:
        """Forget what is the parent's; what is logged from now on is a writer of its own."""
        was_closed = self._is_closed
        if self._is_made:
            forks.keep_for_ever([*self._spools, self._flusher])
        self._sets_status = False
        # SQLite believes for ever that a transaction is open which was at the moment of the fork.
        # What a child cannot send is sent by its parent.
        self._close_seconds = min(self._close_seconds, _CHILD_SECONDS)
        self._begin()
        self._is_closed = was_closed
