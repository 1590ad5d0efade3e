"""A recorder whose newest row may still grow, and that is told facts of the run."""

from __future__ import annotations

import sqlite3
import struct
from typing import TYPE_CHECKING, Any

from training_db.recording.complaints import shown, warn
from training_db.recording.facts import FACTS
from training_db.recording.recorder import MANY_CELLS, Recorder
from training_db.recording.rows import STEP
from training_db.recording.shutdown import shutdown

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping


class DraftingRecorder(Recorder):
    """A recorder for rows that are put together by several calls.

    A draft is in the spool like any row, and survives the end of the process; but it is not sent
    before it is kept. Drafts are for one thread at a time.

    Args:
        on_return: Called in the thread that sends with what the database knew of the run, if it was
            there before and its status is ours to set. It returns ``None``, or the ``kind``,
            ``message`` and ``data`` of an event that says so, of which is warned, too.
        arguments: See :class:`Recorder`.
        options: Likewise.

    Example:
        >>> db = getfixture("example_db")
        >>> with DraftingRecorder(db, "r1", spool_dir=getfixture("tmp_path")) as recorder:
        ...     recorder.draft({"loss": 0.5, "_step": 0})
        ...     recorder.draft({"loss": 0.5, "acc": 0.9, "_step": 0})
        ...     recorder.keep()
        ...     recorder.tell({"config": {"lr": 0.1}})
        >>> db.history.arrays("r1", "acc")["r1"]["acc"].values.tolist()
        [0.9]
        >>> db.runs.get("r1")["config_json"]
        '{"lr":0.1}'
    """

    def __init__(
        self,
        *arguments: Any,
        on_return: Callable[[Mapping[str, Any]], dict[str, Any] | None] | None = None,
        **options: Any,
    ) -> None:
        self._on_return = on_return
        super().__init__(*arguments, **options)

    def _begin(self) -> None:
        super()._begin()
        self._is_drafting = False
        self._draft: tuple[int, int] | None = None  # its bytes and cells

    @property
    def has_draft(self) -> bool:
        """Whether the newest row may still grow."""
        return self._draft is not None

    def draft(self, metrics: Mapping[str, Any]) -> None:
        """Log a row that may still grow; it takes the place of the draft that is there.

        Args:
            metrics: What :meth:`log` takes. What is logged next takes its place, too.
        """
        self._is_drafting = True
        try:
            self.log(metrics)
        finally:
            self._is_drafting = False

    def log_alike(self, metrics: dict[str, Any], *, is_draft: bool = False) -> bool:
        """Log a row if it has the metrics and the types of the last one, which saves looking.

        Args:
            metrics: The row, with its ``_step`` and ``_timestamp``.
            is_draft: Whether it may still grow.

        Returns:
            Whether it was logged.
        """
        with self._lock:
            shape = self._shape
            if (
                self._is_busy
                or not (self._is_open and shape.is_whole and shape.pack)
                or (*metrics,) != shape.keys
                or (*map(type, metrics.values()),) != shape.types
            ):
                return False
            self._is_busy, self._is_drafting = True, is_draft
            try:
                cells = shape.pack(*metrics.values())
                self._put((shape.number, cells, len(shape.keys)), metrics[STEP])
            except struct.error:  # an integer of more than 64 bits
                return False
            except sqlite3.Error as error:
                self._go_on_in_memory(error)
                return False
            finally:
                self._is_busy = self._is_drafting = False
        if self._spool.waiting_cells > MANY_CELLS:
            self.send_soon()
        if shutdown.is_pending:
            shutdown.catch_up()
        return True

    def keep(self) -> None:
        """Let the draft be a row as it is."""
        with self._lock:
            if self._draft is not None:
                (size, count), self._draft = self._draft, None
                self._spool.keep(size, count)

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Say what else is known of the run: its config, summary, tags and files.

        Args:
            facts: As :func:`training_db.recording.facts.tell` takes them.
        """
        try:
            self._note(FACTS, "", facts)
        except Exception as error:  # noqa: BLE001 - a training does not end for its log
            warn(f"what became known of run {self.run_id!r} was not recorded: {shown(error)}")

    def send_soon(self) -> None:
        """Have what is in the spool sent without waiting for the time to come."""
        if self._is_made and not self._is_closed and not self._flusher.is_poked:
            self._flusher.poke()

    def speak_for(self, who: str, **about: Any) -> None:
        """Say of whatever ends the training whose end it is, where one run has several.

        Args:
            who: What stands before the message of the event.
            about: What its data say.
        """
        self._speaks_for = who, about

    def ended_by(self, error: BaseException) -> str:
        """Put what ended the training on the timeline, and return the status that it makes."""
        return self._note_end(error).value

    def begin_to_end(self, number: signal.Signals, *, is_last: bool) -> None:
        """Keep the draft, and ask for everything to be sent."""
        self.keep()
        super().begin_to_end(number, is_last=is_last)

    def _ask_to_close(self, status: str | None, seconds: float | None) -> None:
        self.keep()
        super()._ask_to_close(status, seconds)

    def _return_to(self, run: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            return None if self._on_return is None else self._on_return(run)
        except Exception as error:  # noqa: BLE001 - the rows are sent, whatever was there before
            warn(f"that run {self.run_id!r} was there before was not noted: {shown(error)}")
            return None

    def _go_on_in_memory(self, error: Exception) -> None:
        self._draft = None  # the whole row is written anew, to the new spool
        super()._go_on_in_memory(error)

    def _put(self, packed: tuple[int, bytes, int], step: int) -> None:
        if self._draft is None and not self._is_drafting:
            super()._put(packed, step)
            return
        layout, cells, count = packed
        spool, self._last_step = self._spool, step
        if self._draft is None:
            if self._dropped is not None and self._dropped[2] == step:
                return  # the rest of a row that was dropped, and counted
            if not self._takes(spool, len(cells), step):
                return
        spool.draft(layout, cells)
        self._draft = len(cells), count
        if not self._is_drafting:
            self.keep()
