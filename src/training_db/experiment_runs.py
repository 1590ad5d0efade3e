"""The runs that a tracker logs: which of them it began, and the recorder of each."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from training_db.db.session import primary_only
from training_db.errors import DatabaseError, DatabaseUnavailable
from training_db.models.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from training_db.database import TrainingDB
    from training_db.experiment_recorder import TrackerRecorder

MOST_RECORDERS = 32
"""Recorders that are open at once: each has a thread and two files, of which a process has few."""

_all: WeakSet[TrackedRuns] = WeakSet()


class TrackedRuns:
    """The runs of one tracker, by their numbers.

    A recorder is made when a run first logs something. It gives signs of life from then on, and
    says how the run ended should the process end without us. Of more than :data:`MOST_RECORDERS`
    runs, those that logged last have one; the others get a new one when they log again.

    Args:
        db: The database.
        next_step: Returns the step after the highest one that a run has.
    """

    def __init__(self, db: TrainingDB, next_step: Callable[[int], int]) -> None:
        self._db, self._next_step = db, next_step
        self._lock = threading.RLock()
        self._recorders: OrderedDict[int, TrackerRecorder] = OrderedDict()  # last used last
        self._next_steps: dict[int, int] = {}  # of runs whose recorder was put aside
        self._text_ids: dict[int, str] = {}
        self._new: set[int] = set()  # begun here, and nothing logged yet
        self._begun: set[int] = set()  # begun here, and nobody has said how they ended
        self._over: set[int] = set()  # begun here, and somebody has
        _all.add(self)

    def text_id(self, number: int) -> str:
        """Return the id that the library knows a run by.

        Raises:
            RunNotFound: There is no such run.
        """
        if number not in self._text_ids:
            with primary_only():  # another process may have begun it just now
                self._text_ids[number] = self._db.runs.by_number(number)["run_id"]
        return self._text_ids[number]

    def begin(self, number: int, text_id: str) -> None:
        """Take in a run that was begun here."""
        with self._lock:
            self._text_ids[number] = text_id
            self._new.add(number)
            self._begun.add(number)

    def log(self, number: int, metric: str, value: Any, step: Any, epoch: Any) -> None:
        """Log one value.

        Raises:
            RunNotFound: There is no such run.
        """
        # A recorder keeps nothing after it is closed, so it is closed only when nobody logs.
        with self._lock:
            recorder = self._recorders.get(number)
            if recorder is None:
                recorder = self._open(number)
                first = self._first_step(number, is_asked=step is None)
                step = first if step is None else step
            self._recorders.move_to_end(number)
            recorder.log({metric: value}, step=step, epoch=epoch)

    def set_status(self, number: int, status: str) -> None:
        """Send what was logged to a run, and set its status."""
        text_id, has_ended = self.text_id(number), RunStatus(status).ended
        with self._lock:
            before, after = (self._begun, self._over) if has_ended else (self._over, self._begun)
            # A recorder that is made after the end of a run does not say how the run goes on.
            is_outdated = has_ended or number in self._over
            recorder = self._recorders.pop(number, None) if is_outdated else None
            if number in before:
                before.remove(number)
                after.add(number)
        if recorder is not None:
            recorder.close(status if has_ended else RunStatus.COMPLETED)
        self.flush([number])
        self._db.runs.update_status(text_id, status)

    def flush(self, numbers: Iterable[int] | None = None) -> None:
        """Send what was logged to some runs, or to all.

        Raises:
            DatabaseUnavailable: It cannot be sent now.
        """
        for number in list(self._recorders) if numbers is None else numbers:
            with self._lock:  # one that is being put aside has sent everything after this
                recorder = self._recorders.get(number)
            if recorder is not None and not recorder.flush():
                raise DatabaseUnavailable(
                    f"what was logged to run {number} has not reached the database yet; it waits "
                    "in the spool, which `training-db spool status` shows"
                )

    def close(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        """Close the recorders, and say how the runs that were begun here ended.

        Args:
            kind: The class of the exception that ended them; ``None`` if none did.
            error: The exception.
            trace: Where it came from.
        """
        with self._lock:
            recorders, self._recorders = self._recorders, OrderedDict()
            self._next_steps.clear()
            begun, self._begun = self._begun, set()
        for number, recorder in recorders.items():
            if number in begun:
                recorder.__exit__(kind, error, trace)
            else:
                recorder.close()
        for number in sorted(begun - recorders.keys()):
            # Whatever has no recorder now gets one, which says how it ended as for the others.
            self._recorder(number, sets_status=True).__exit__(kind, error, trace)

    def start_over_in_child(self) -> None:
        """Leave the runs to the parent that began them, in a child that was forked."""
        self._lock = threading.RLock()  # a thread of the parent may have held it
        self._recorders, self._next_steps = OrderedDict(), {}
        self._new, self._begun, self._over = set(), set(), set()

    def _open(self, number: int) -> TrackerRecorder:
        """Open the recorder of a run; those that are too many then are put aside."""
        self.text_id(number)  # first, for there may be no such run
        while len(self._recorders) >= MOST_RECORDERS:
            oldest, recorder = self._recorders.popitem(last=False)
            self._next_steps[oldest] = recorder.put_aside()
        recorder = self._recorder(number, sets_status=number in self._begun)
        self._recorders[number] = recorder
        return recorder

    def _recorder(self, number: int, *, sets_status: bool) -> TrackerRecorder:
        from training_db.experiment_recorder import TrackerRecorder

        return TrackerRecorder(self._db, self.text_id(number), sets_status=sets_status)

    @primary_only()
    def _first_step(self, number: int, *, is_asked: bool) -> int:
        """Return the step to go on from where nobody gives one; 0 where nobody asks."""
        is_new, known = number in self._new, self._next_steps.pop(number, None)
        self._new.discard(number)
        if known is not None or is_new or not is_asked:
            return known or 0
        with suppress(DatabaseError):  # a training does not end for the want of a number
            return self._next_step(number)
        return 0


def _after_fork() -> None:
    for runs in list(_all):
        runs.start_over_in_child()


os.register_at_fork(after_in_child=_after_fork)
