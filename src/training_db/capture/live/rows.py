"""The rows of a live W&B run, put together of its log() calls as W&B does it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from types import NoneType
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import RUNTIME
from training_db.capture.key_names import MEDIA_TYPE, KeyNames, leaves
from training_db.recording.rows import CODES, STEP, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db.recording.drafting import DraftingRecorder

_SCALARS = frozenset({*CODES, str, NoneType})
_MOST_SHAPES = 1_000


class MirroredRows:
    """Makes rows of calls of log(), with their steps, and hands them to a recorder.

    Without a step a call ends the row; ``commit=False``, or a step, lets the next calls add to it,
    until one ends it or names a higher step. W&B drops what is logged at a lower step; here it
    becomes a row of its own. What was logged is in the spool when :meth:`add` returns.

    Args:
        recorder: Where the rows go.
        names: The names of the metrics.
        step: The step of the next row.
        start_time: When the run began, in Unix seconds, less what it ran before.
        on_media: Told of each medium: its key's name, its step, and what W&B stores for it.

    Attributes:
        lock: Held while a row is added; hold it to give rows the order of something else.

    Example:
        >>> from training_db.recording.drafting import DraftingRecorder
        >>> db = getfixture("example_db")
        >>> with DraftingRecorder(db, "r1", spool_dir=getfixture("tmp_path")) as recorder:
        ...     rows = MirroredRows(recorder, KeyNames())
        ...     rows.add({"loss": 0.5}, commit=False)
        ...     rows.add({"acc": 0.9})
        ...     rows.add({"loss": 0.4, "eval": {"acc": 0.8}}, step=10)
        >>> found = db.history.arrays("r1", ["loss", "acc", "eval.acc", "_step"])["r1"]
        >>> {name: cells.values.tolist() for name, cells in found.items()}
        {'loss': [0.5, 0.4], 'acc': [0.9], 'eval.acc': [0.8], '_step': [0, 10]}
    """

    def __init__(
        self,
        recorder: DraftingRecorder,
        names: KeyNames,
        step: int = 0,
        start_time: float = 0.0,
        on_media: Callable[[str, int, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._recorder, self._names = recorder, names
        self._step, self._start_time = step, start_time
        self._on_media = on_media
        self._row: dict[str, Any] = {}
        self._plain_shapes: set[tuple[str, ...]] = set()
        self._is_busy = False
        self._later: list[tuple[Mapping[str, Any], int | None, bool | None]] = []
        self.lock = threading.RLock()
        self.count = 0
        """Calls so far."""

    def add(
        self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None
    ) -> None:
        """Take what was logged in one call.

        Args:
            data: The values as W&B stores them; the mapping belongs to this from now on.
            step: The step that was named.
            commit: Whether the row ends with this, if anything was said of that.
        """
        with self.lock:
            if self._is_busy:  # a signal's handler logs, in the middle of this
                self._later.append((data, step, commit))
                return
            self._is_busy = True
            try:
                self._add(data, step, commit)
                while self._later:
                    self._add(*self._later.pop(0))
            finally:
                self._is_busy = False

    @property
    def begun(self) -> dict[str, Any]:
        """The row that others can be added to: its values by the names of plain keys."""
        paths = self._names.paths
        return {name: value for name, value in self._row.items() if name not in paths}

    def keep(self) -> None:
        """End the row that others could have been added to."""
        with self.lock:
            self._recorder.keep()
            self._row = {}

    def after_fork_in_child(self) -> None:
        """Leave the row that was begun to the parent, who ends it."""
        self.lock = threading.RLock()
        self._row, self._later, self._is_busy = {}, [], False

    def _add(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        self.count += 1
        recorder = self._recorder
        if self._row and not recorder.has_draft:
            self._row = {}  # a signal ended it; what comes now is a row of its own
        if step is not None and step != self._step:
            step = int(step)
            if step < self._step:
                self._add_below(data, step)
                return
            self.keep()
            self._step = step
        is_last = commit or (commit is None and step is None)
        if not self._row and type(data) is dict:
            row = self._stamped(data, self._step)
            is_logged = recorder.log_alike(row, is_draft=not is_last)
        else:
            is_logged = False
        if not is_logged:
            row = self._row | self._ready(data, self._step)
            if is_last:
                recorder.log(row)
            else:
                recorder.draft(row)
        if is_last:
            self._row = {}
            self._step += 1
        else:
            self._row = row

    def _add_below(self, data: Mapping[str, Any], step: int) -> None:
        row, self._row = self._row, {}
        self._recorder.log(self._ready(data, step))  # in the place of the draft
        if row:
            self._recorder.draft(row)
            self._row = row

    def _ready(self, data: Mapping[str, Any], step: int) -> dict[str, Any]:
        """Return the row under the names of its metrics, with the step, the time and the runtime.

        What is logged like the row before needs nothing of this but the last.
        """
        if _SCALARS.issuperset(map(type, data.values())) and self._is_plain((*data,)):
            return self._stamped(dict(data), step)
        return self._stamped(self._named(data, step), step)

    def _stamped(self, row: dict[str, Any], step: int) -> dict[str, Any]:
        now = time.time()
        stamp = row.get(TIMESTAMP)
        if type(stamp) is not float:
            row[TIMESTAMP] = float(stamp) if type(stamp) is int else now
        row[RUNTIME] = now - self._start_time
        row[STEP] = step
        return row

    def _is_plain(self, keys: tuple[str, ...]) -> bool:
        """Tell whether these keys are the names of their metrics."""
        if keys in self._plain_shapes:
            return True
        if any(self._names.name((str(key),)) != key for key in keys):
            return False
        if len(self._plain_shapes) < _MOST_SHAPES:
            self._plain_shapes.add(keys)
        return True

    def _named(self, data: Mapping[str, Any], step: int) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for path, value in leaves(data):
            name = self._names.name(path)
            if type(value) in _SCALARS:
                row[name] = value
                continue
            row[name] = stored = _as_stored(value)
            if self._on_media and isinstance(stored, dict) and MEDIA_TYPE in stored:
                self._on_media(name, step, stored)
        return row


def _as_stored(value: Any) -> Any:
    """Return what W&B stores for a value, which may belong to somebody else, as a copy."""
    try:
        from wandb.util import json_dumps_safer_history

        return json.loads(json_dumps_safer_history(value))
    except (ImportError, TypeError, ValueError, OverflowError, RecursionError):
        return value  # the recorder says what it cannot store of it


def without_wandb(value: Any) -> Any:
    """Return a value with the media in it as W&B stores them, as far as a disabled run can tell.

    Args:
        value: What was passed to log() of a run that W&B does nothing for.
    """
    if isinstance(value, Mapping):
        return {str(key): without_wandb(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_wandb(inner) for inner in value]
    kind = getattr(value, "_log_type", None)
    if kind is None or not hasattr(value, "to_json"):
        return value
    try:
        return value.to_json(None)
    except Exception:  # noqa: BLE001 - what has a file needs a run that keeps files
        return {MEDIA_TYPE: kind}
