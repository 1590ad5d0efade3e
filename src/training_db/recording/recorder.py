"""Recorder: what a training logs, kept at once and sent by a thread."""

from __future__ import annotations

import math
import sqlite3
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from training_db.errors import InvalidValue, UnknownName
from training_db.models.run import RunStatus
from training_db.models.types import LONGEST_INDEXED
from training_db.recording.complaints import shown, warn
from training_db.recording.flusher import Request
from training_db.recording.life import Life
from training_db.recording.rows import EPOCH, STEP, TIMESTAMP
from training_db.recording.sending import MOST_CELLS
from training_db.recording.shutdown import shutdown
from training_db.repository.base import run_key
from training_db.segments import plain
from training_db.settings import spool_settings

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType

    from training_db.recording.place import Database
    from training_db.recording.spool import Spool

CLOSE_SECONDS = 30.0
MANY_CELLS = MOST_CELLS // 2
"""Cells that are sent without waiting for the time to come; with fewer, a fast loop would meet the
flusher all the time."""
_WARN_AT = 0.8
"""The share of the bytes that a spool may hold at which it is said; and rows are kept again."""
_LONGEST = 2**63


class Recorder(Life):
    """Logs the history of a run while it trains.

    ``log()`` puts the row into a local file, the spool, and returns; a thread sends the rows to
    the database. What was logged survives the end of the process, however it ends; only a power
    cut may cost what the database does not have yet. After the constructor, nothing here raises:
    what goes wrong becomes a :class:`RecorderWarning` and an event of the run.

    Args:
        db: The database. It is not touched before the thread does so.
        run_id: The run; it is made if it is not there.
        flush_seconds: Seconds between two times of sending.
        spool_dir: The folder of the spool; without one, what the environment says.
        spool_bytes: How much may wait for the database; beyond that, new rows are dropped.
        close_seconds: How long :meth:`close` may take.
        sets_status: Whether the run is ``running`` from now on, and has ended when this is closed.
            Switch it off in all but one of several processes that log one run.

    Attributes:
        run_id: The run.

    Threads may share it. A forked child that logs gets a spool of its own, and leaves the status
    of the run alone.

    Raises:
        InvalidValue: An argument that cannot be used.
        ConfigurationError: An environment variable that cannot be used.

    Example:
        >>> db = getfixture("example_db")
        >>> with db.recorder("r1", spool_dir=getfixture("tmp_path")) as recorder:
        ...     for step in range(3):
        ...         recorder.log({"loss": 1 / (step + 1)}, step=step)
        >>> db.history.arrays("r1", "loss")["r1"]["loss"].values.tolist()
        [1.0, 0.5, 0.3333333333333333]
        >>> db.runs.get("r1")["status"]
        'completed'
    """

    def __init__(
        self,
        db: Database,
        run_id: str,
        flush_seconds: float = 5.0,
        *,
        spool_dir: str | os.PathLike[str] | None = None,
        spool_bytes: int | None = None,
        close_seconds: float = CLOSE_SECONDS,
        sets_status: bool = True,
    ) -> None:
        folder, most = spool_settings()
        most = int(most if spool_bytes is None else _positive(spool_bytes, "spool_bytes"))
        self._warn_at = int(most * _WARN_AT)
        super().__init__(
            db,
            _checked_run_id(run_id),
            _positive(flush_seconds, "flush_seconds"),
            folder if spool_dir is None else Path(spool_dir).expanduser().absolute(),
            most,
            _positive(close_seconds, "close_seconds"),
            sets_status=sets_status,
        )

    @property
    def writer(self) -> int:
        """The id under which the rows are stored."""
        return self._spool.writer if self._is_made else 0

    def log(
        self, metrics: Mapping[str, Any], step: int | None = None, epoch: float | None = None
    ) -> None:
        """Log some metrics at a step.

        Args:
            metrics: Their values by name: numbers, also of numpy and torch, and anything JSON can
                hold. ``None`` is a missing cell. ``_step``, ``_timestamp`` and ``_epoch`` among
                them win over what this adds.
            step: The step; one more than the last, if nothing is said.
            epoch: The epoch.
        """
        try:
            self._log(metrics, step, epoch)
        except Exception as error:  # noqa: BLE001 - a training does not end for its log
            self._complaints.about(
                "rows", f"a row was not logged: {shown(error)}", type(error).__name__
            )
        if shutdown.is_pending:
            shutdown.catch_up()

    def log_many(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Log many rows, each at a step of its own: its ``_step``, else one more than the last.

        Args:
            rows: A mapping of metrics for each.
        """
        for row in rows:
            self.log(row)

    def event(self, kind: str, message: str, data: Any = None) -> None:
        """Put an event on the timeline of the run.

        Args:
            kind: What sort of event it is, such as ``"checkpoint"``.
            message: What happened.
            data: What else is to be known of it: anything JSON can hold.
        """
        try:
            if self._is_closed:
                self._complaints.about("closed", "what is logged after close() is not kept")
            self._note(kind, message, data, is_own=False)
        except Exception as error:  # noqa: BLE001 - as for rows
            warn(f"an event was not recorded: {shown(error)}")
        if shutdown.is_pending:
            shutdown.catch_up()

    def flush(self, timeout: float = CLOSE_SECONDS) -> bool:
        """Wait until the database has everything that was logged so far.

        Args:
            timeout: Seconds to wait. Inside a transaction of one's own, SQLite lets nobody else
                write: then this waits in vain.

        Returns:
            Whether it has.
        """
        if self._is_closed or not self._is_made:
            return True
        request = Request()
        self._flusher.ask(request)
        return self._flusher.is_served(request, timeout)

    def close(self, status: str = RunStatus.COMPLETED) -> None:
        """Send everything, and say how the run has ended.

        Args:
            status: ``completed``, ``failed`` or ``crashed``.
        """
        try:
            valid = [one.value for one in RunStatus if one.ended]
            if status not in valid:
                warn(f"{UnknownName('status', status, valid)}; the run is completed")
                status = RunStatus.COMPLETED
            self._close(str(status))
        except Exception as error:  # noqa: BLE001 - as for rows
            warn(f"the recorder of run {self.run_id!r} was not closed well: {error!r}")
        if shutdown.is_pending:
            shutdown.catch_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        is_exit = isinstance(error, SystemExit)
        if is_exit and self._was_signalled:
            self.close(RunStatus.CRASHED)
        elif error is None or (is_exit and error.code in (0, None)):  # type: ignore[attr-defined]
            self.close()
        else:
            self.close(self._note_end(error))

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Recorder cannot be sent to another process; a forked one may use it, and a spawned "
            "one opens its own with db.recorder(run_id, sets_status=False)"
        )

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "not in use yet"
        if self._is_made and not self._is_closed:
            state = str(self._spool.path or "in memory")
        return f"<Recorder of run {self.run_id!r}: {state}>"

    # What follows is under way in log().

    def _log(self, metrics: Mapping[str, Any], step: int | None, epoch: float | None) -> None:
        with self._lock:
            if self._is_busy:  # a signal's handler logs, in the middle of this
                self._later.append((metrics, step, epoch))
                return
            self._is_busy = True
            try:
                is_logged = self._is_open and self._log_fast(metrics, step, epoch)
            except sqlite3.Error as error:
                self._go_on_in_memory(error)
                is_logged = False
            finally:
                self._is_busy = False
        if not is_logged:
            self._log_any(metrics, step, epoch)
        while self._later:
            with self._lock:  # another thread may have taken it meanwhile
                later = self._later.pop(0) if self._later else None
            if later is not None:
                self._log(*later)
        if self._spool.waiting_cells > MANY_CELLS and not self._flusher.is_poked:
            self._flusher.poke()

    def _log_fast(self, metrics: Any, step: Any, epoch: Any) -> bool:
        """Log metrics of a shape that needs no look at each value; tell whether it was one."""
        if type(metrics) is not dict:
            return False
        keys = (*metrics,)
        types = (*map(type, metrics.values()),)
        shape = self._shape
        if shape.types != types or shape.keys != keys or shape.epoch is not type(epoch):
            shape = self._shape = self._packer.shape(keys, types, type(epoch))
        pack = shape.pack
        if pack is None:
            return False
        if shape.is_whole and epoch is None:
            try:
                self._put((shape.number, pack(*metrics.values()), len(keys)), metrics[STEP])
            except struct.error:
                return False
            return True
        if step is None:
            step = self._last_step + 1
        elif type(step) is not int:
            return False
        try:
            if epoch is None:
                cells = pack(step, time.time(), *metrics.values())
            else:
                cells = pack(step, time.time(), epoch, *metrics.values())
        except struct.error:  # an integer of more than 64 bits
            return False
        self._put((shape.number, cells, len(keys) + 2), step)
        return True

    def _log_any(self, metrics: Any, step: Any, epoch: Any) -> None:
        """Log metrics of any shape."""
        if not self._is_open and not self._wakes_up():
            self._complaints.about("closed", "what is logged after close() is not kept")
            return
        if not isinstance(metrics, Mapping):
            raise InvalidValue(
                f"{shown(metrics)} is no mapping; pass a dict of metric names to values"
            )
        with self._lock:
            packer = self._packer  # of this moment; names and values mean the same to the next
        row = packer.plain(metrics)  # without the lock: values of any class may take their time
        if EPOCH not in row and epoch is not None:
            row |= packer.plain({EPOCH: epoch})
        with self._lock:
            self._is_busy = True
            try:
                own = self._own_columns(row, step)
                whole = own | row
                at = own.get(STEP, self._last_step)
                try:
                    self._put(self._packer.packed(whole), at)
                except sqlite3.Error as error:
                    self._go_on_in_memory(error)
                    self._put(self._packer.packed(whole), at)
            finally:
                self._is_busy = False

    def _own_columns(self, row: dict[str, Any], step: Any) -> dict[str, Any]:
        own: dict[str, Any] = {}
        if STEP in row:
            with suppress(ValueError, OverflowError, TypeError):
                self._last_step = math.floor(row[STEP])
        else:
            own[STEP] = self._last_step + 1 if step is None else self._whole(step)
        if TIMESTAMP not in row:
            own[TIMESTAMP] = time.time()
        return own

    def _whole(self, step: Any) -> int:
        """Return a step that somebody gave, as a whole number of 64 bits."""
        try:
            number: float = plain(step)
            whole = math.floor(number)
            if whole == number and abs(whole) < _LONGEST:
                return whole
        except Exception:  # noqa: BLE001 - values of any class do as they like
            whole = _LONGEST
        going_on = whole if abs(whole) < _LONGEST else self._last_step + 1
        self._complaints.about(
            "steps", f"the step {shown(step)} is no whole number; it is logged as step {going_on}"
        )
        return going_on

    def _put(self, packed: tuple[int, bytes, int], step: int) -> None:
        self._last_step = step
        spool = self._spool
        if self._takes(spool, len(packed[1]), step):
            spool.add(*packed)

    def _takes(self, spool: Spool, size: int, step: int) -> bool:
        """Tell whether a row may be added; what is dropped is counted."""
        if spool.waiting_bytes >= self._warn_at:
            return self._has_room(spool, size, step)
        if self._dropped is not None:
            self._say_what_was_dropped()
        return True

    def _has_room(self, spool: Spool, size: int, step: int) -> bool:
        """Tell whether a row may be added, and say so where it matters."""
        waiting, most = spool.waiting_bytes, self._most_bytes
        where = spool.path or "memory"
        if self._dropped is None and waiting + size <= most:
            if not self._has_warned:
                self._has_warned = True
                warn(
                    f"{waiting:,} bytes of run {self.run_id!r} wait in {where} for the database, "
                    f"of {most:,} at most; beyond that, new rows are dropped"
                )
            return True
        if self._dropped is None:
            self._dropped = [0, step, step]
            self._note(
                "error",
                f"the spool is full ({waiting:,} of {most:,} bytes): rows from step {step} on are "
                "dropped",
                {"about": "full", "bytes": most, "first_step": step},
            )
            warn(f"run {self.run_id!r}: {where} is full; rows from step {step} on are dropped")
        self._dropped[0] += 1
        self._dropped[2] = step
        return False

    def _say_what_was_dropped(self) -> None:
        if self._dropped is None:
            return
        (count, first, last), self._dropped = self._dropped, None
        self._has_warned = False
        message = f"{count} rows of steps {first} to {last} were dropped, for the spool was full"
        data = {"about": "full", "rows": count, "first_step": first, "last_step": last}
        self._note("error", message, data)
        warn(f"run {self.run_id!r}: {message}")


def _checked_run_id(run_id: object) -> str:
    key = run_key(run_id)
    if not key or len(key.encode()) > LONGEST_INDEXED:
        raise InvalidValue(
            f"the run id {key[:60]!r} has {len(key.encode())} bytes; it has 1 to {LONGEST_INDEXED}"
        )
    return key


def _positive(value: Any, name: str) -> Any:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 < value < math.inf:
        raise InvalidValue(f"{name} is {value!r}; pass a number above 0")
    return value
