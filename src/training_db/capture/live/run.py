"""A live W&B run on its way into the database: its rows, what is known of it, and how it ends."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import alert_message
from training_db.capture.key_names import KeyNames
from training_db.capture.live.facts import MirroredFacts, summary_of
from training_db.capture.live.files import MirroredFiles
from training_db.capture.live.rows import MirroredRows
from training_db.models.run import RunStatus
from training_db.recording import forks
from training_db.recording.complaints import shown, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from training_db.recording.drafting import DraftingRecorder

GATHER_SECONDS = 0.5
"""How long changes are gathered before they are told."""
REFRESH_SECONDS = 15.0
"""After which the summary is asked for, where only rows were logged."""
_SHARE = 50  # of the time: asking for the summary takes no more than the 50th part of it
_FORK_SECONDS = 2.0
EVENT = "mirror"


class LiveRun:
    """Listens to a live run, and hands on to a recorder what it hears.

    Nothing here raises.

    Args:
        run: The run of W&B.
        recorder: Where it goes.
        keeps_rows: Whether what is logged becomes rows.
        on_end: Called when the run has ended and the recorder is closed.

    Attributes:
        rows: The rows, if they are kept.
        has_ended: Whether the run has.
    """

    def __init__(
        self,
        run: Any,
        recorder: DraftingRecorder,
        *,
        keeps_rows: bool,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._run, self._recorder, self._on_end = run, recorder, on_end
        self._facts, self._names = MirroredFacts(run), KeyNames()
        self._change, self._end = threading.Event(), threading.Event()
        self._files = MirroredFiles(getattr(run._settings, "files_dir", ""), self.changed)
        self.rows: MirroredRows | None = None
        if keeps_rows:
            self.rows = MirroredRows(
                recorder,
                self._names,
                step=getattr(run, "_local_step", 0),
                start_time=run.start_time - getattr(run, "_start_runtime", 0),
                on_media=self._files.medium,
            )
        self._event: dict[str, Any] = {}
        self._last_row: dict[str, Any] = {}
        self._pid = os.getpid()
        self.has_ended = self._is_ending = self._has_complained = False
        self._asking = threading.RLock()
        self._is_held = False
        self._is_disabled = run._interface is None
        self._thread = threading.Thread(target=self._watch, name="training-db-mirror", daemon=True)

    def start(self) -> None:
        """Tell what is known by now, and what changes from now on."""
        with self._quietly():
            self.tell(asks=False)
        self._recorder.send_soon()
        forks.watch(self)
        atexit.register(self._at_exit)
        self._thread.start()

    def tell(self, *, asks: bool = True) -> None:
        """Tell what is new.

        Args:
            asks: Whether W&B is asked for the summary.
        """
        with self._asking:
            summary = self._summary() if asks else None
            if summary is not None and self._last_row:
                # The program ends, and W&B will end the row only then.
                summary |= {
                    key: value
                    for key, value in self._last_row.items()
                    if not isinstance(summary.get(key), dict)
                }
            facts = self._facts.news(summary)
            if files := self._files.news():
                facts["artifacts"] = files
            event = self._about()
            if event != self._event:
                self._event = facts["event"] = event
            if facts:
                self._recorder.tell(facts)

    def _summary(self) -> dict[str, Any] | None:
        try:
            return summary_of(self._run)
        except Exception as error:  # noqa: BLE001 - W&B's own process may be gone
            self._complain(error)
            return None

    # What is heard; see calls.py.

    def logged(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Keep what was logged."""
        try:
            if self.rows is not None:
                self.rows.add(data, step, commit)
        except Exception as error:  # noqa: BLE001 - a training does not end for its mirror
            self._complain(error)

    def changed(self) -> None:
        """Have what changed told soon."""
        self._change.set()

    def alerted(self, title: str, text: str, level: str) -> None:
        """Put an alert on the timeline."""
        data = {"title": title, "text": text, "level": level}
        self._recorder.event("alert", alert_message(title, text), data)

    def saved(self, paths: list[str]) -> None:
        """Note files of the run."""
        self._files.saved(paths)

    def logged_artifact(self, artifact: Any, aliases: Any) -> None:
        """Note an artifact."""
        self._files.artifact(artifact, aliases)

    def unheard(self, what: str) -> None:
        """Say what reaches W&B by another way."""
        self._recorder.event("mirror", f"{what} are not mirrored, but are in the log of W&B")
        warn(
            f"run {self._recorder.run_id!r}: {what} are not mirrored; `training-db import "
            "wandb-offline` takes them from the log of W&B when the run has ended"
        )

    def finishing(self, finish: Callable[[], Any]) -> Any:
        """Let W&B finish the run, and note before what it forgets then, and after how it ended."""
        if self._pid != os.getpid():
            result = finish()
            self._recorder.close()
            return result
        if self._is_ending or self.has_ended:
            return finish()
        error = sys.exc_info()[1]
        self._is_ending = True
        with self._quietly():
            if self.rows is not None:
                self.rows.keep()
            self.tell()
        try:
            return finish()
        finally:
            self._is_ending = False
            if getattr(self._run, "_is_finished", True):
                with self._quietly():
                    self._finished(_exit_code(self._run, finish), error)

    def _finished(
        self, exit_code: int, error: BaseException | None = None, *, asks: bool = True
    ) -> None:
        with self._asking:
            self._conclude(exit_code, asks=asks)
        status: str = RunStatus.COMPLETED if exit_code == 0 else RunStatus.FAILED
        if exit_code and error is not None:
            status = self._recorder.ended_by(error)
        self._recorder.close(status)
        self._be_over()

    def tearing_down(self) -> None:
        """Ask for the last while W&B still answers."""
        if self._pid != os.getpid() or self.has_ended:
            return
        with self._quietly():
            if self.rows is not None:
                self._last_row = self.rows.begun
            self.tell()

    def torn_down(self, exit_code: int) -> None:
        """Note that W&B is done with all runs of this process."""
        if self._pid != os.getpid():
            return
        with self._quietly():
            if self.has_ended:
                self._be_over()
            else:
                self._finished(exit_code, asks=False)

    def _be_over(self) -> None:
        end, self._on_end = self._on_end, None
        if end is not None:
            end()

    def _conclude(self, exit_code: int | None, *, asks: bool = True) -> None:
        """Tell the last that is to be known."""
        self.has_ended = True
        self._end.set()
        self._change.set()
        atexit.unregister(self._at_exit)
        if self.rows is not None:
            self.rows.keep()
        self._event = {}
        with self._quietly():
            self.tell(asks=asks)
        self._recorder.tell({"event": self._about(exit_code)})

    def _at_exit(self) -> None:
        """Tell the last, for the program ends and nobody finished the run."""
        if self._pid != os.getpid() or self.has_ended:
            return
        with self._quietly():
            hooks = getattr(sys.exit, "__self__", None)  # W&B has put its own in the place
            code = getattr(hooks, "exit_code", None)
            if self.rows is not None:
                self._last_row = self.rows.begun
            self._conclude(code)
            if code and getattr(hooks, "exception", None) is None:
                self._recorder.close(RunStatus.FAILED)

    def _about(self, exit_code: int | None = None) -> dict[str, Any]:
        import wandb

        settings = self._run._settings
        data: dict[str, Any] = {
            "source": "wandb",
            "client": wandb.__version__,
            "mode": "disabled" if self._is_disabled else getattr(settings, "mode", None),
            "metric_paths": self._names.paths,
        }
        if exit_code is not None:
            data["exit_code"] = exit_code
        writer = self._recorder.writer
        message = "mirrored while it ran" if self.rows is not None else "captured at its end"
        return {"kind": EVENT, "message": message, "data": data, "event_key": f"mirror:{writer}"}

    # The thread that asks and tells.

    def _watch(self) -> None:
        told = 0
        is_silent = self._is_disabled  # nothing says that its config or summary changed
        while not self._end.is_set():
            is_changed = self._change.wait(REFRESH_SECONDS)
            count = self.rows.count if self.rows is not None else 0
            if not (is_changed or is_silent) and count == told:
                continue
            self._end.wait(GATHER_SECONDS)
            if self._end.is_set():
                return
            self._change.clear()
            begun = monotonic()
            with self._quietly(), self._asking:
                if not (self._is_ending or self.has_ended):
                    self.tell()
            if is_changed:
                self._recorder.send_soon()
            told = count
            self._end.wait(_SHARE * (monotonic() - begun))

    # Forks; see recording/forks.py.

    def before_fork(self) -> None:
        """Let nobody be in the middle of asking W&B."""
        self._is_held = self._asking.acquire(timeout=_FORK_SECONDS)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        is_held, self._is_held = self._is_held, False
        if is_held:
            self._asking.release()

    def after_fork_in_child(self) -> None:
        """Leave what is told to the parent; the rows of this process are recorded."""
        self._asking, self._is_held = threading.RLock(), False
        if self.rows is not None:
            self.rows.after_fork_in_child()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a training does not end for its mirror
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            warn(
                f"something of run {self._recorder.run_id!r} was not mirrored: {shown(error)}; "
                "`training-db import wandb-offline` takes it from the log of W&B"
            )


def _exit_code(run: Any, finish: Any) -> int:
    """Return the exit code that W&B noted, or that it was told where it notes none."""
    code = getattr(run, "_exit_code", None)
    if code is None:
        code = finish.keywords.get("exit_code", next(iter(finish.args), None))
    return code if isinstance(code, int) else 0
