"""The life of a context: begun, finished, or ended by whatever ends the process."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.context import values as values_of
from training_db.capture.context.wandb_side import WandBSide
from training_db.capture.export.names import tag_of, wandb_id
from training_db.documents import decode
from training_db.models.run import RunStatus
from training_db.recording.complaints import Complaints, warn
from training_db.recording.shutdown import shutdown

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

    from sqlalchemy import URL

    from training_db.database import TrainingDB
    from training_db.recording.drafting import DraftingRecorder

_SIGNAL_SECONDS = 2.0  # of those that a signal has; the others are the recorder's
_INTERRUPTED, _FAILED = 255, 1
_SIGNALLED = 128
_ENDED = {one.value for one in RunStatus if one.ended}


class Life:
    """What a context consists of, and what becomes of it.

    Args:
        run_id: The run of the database.
        mode: ``online``, ``offline`` or ``disabled``.
        parent: Of a subprocess, what the file of its parent says of W&B.
    """

    db: TrainingDB
    recorder: DraftingRecorder
    _wandb: WandBSide

    def __init__(self, run_id: str, mode: str, parent: Mapping[str, Any] | None = None) -> None:
        self.run_id, self.mode = run_id, mode
        self.parent = parent
        self._lock = threading.RLock()
        self._process = self._home = os.getpid()
        self._is_over = True  # until it has begun
        self._complaints = Complaints(self._note_complaint)
        self._owns_db = False
        self._latest: dict[str, Any] = {}  # of each metric of the history
        self._steps: dict[str, int] = {}  # of each stage
        self._finishing: threading.Thread | None = None

    @property
    def is_child(self) -> bool:
        """Whether the run is another process's, and its status not ours to set."""
        return self.parent is not None

    @property
    def is_disabled(self) -> bool:
        """Whether nothing is logged anywhere."""
        return self.mode == "disabled"

    def begin(
        self, db: TrainingDB | str | os.PathLike[str] | URL | None, options: dict[str, Any]
    ) -> None:
        """Begin to log.

        Args:
            db: The database, or where it is.
            options: What ``wandb.init`` takes.

        Raises:
            InvalidValue: A run id that cannot be stored.
            ConfigurationError: A database URL that cannot work.
        """
        # Not at the top: it loads numpy, which a disabled context has no use for.
        from training_db.database import TrainingDB
        from training_db.recording.drafting import DraftingRecorder

        self._owns_db = not isinstance(db, TrainingDB)
        self.db = db if isinstance(db, TrainingDB) else TrainingDB(db)
        self._wandb = WandBSide(options, self._complaints, self._note_wandb)
        shutdown.watch(self)  # before the recorder: what is said at the end is for it to send
        try:
            self.recorder = DraftingRecorder(
                self.db,
                self.run_id,
                sets_status=not self.is_child,
                on_return=partial(_further_attempt, config=options.get("config")),
            )
        except BaseException:
            shutdown.forget(self)
            raise
        self._is_over = False

    def start_wandb(self, job_type: str | None = None) -> None:
        """Start the run of W&B."""
        self._wandb.start(job_type)

    def tell(self, **facts: Any) -> None:
        """Say what became known of the run; see :func:`training_db.recording.facts.tell`."""
        self.recorder.tell(values_of.plain(facts))  # one that JSON cannot hold would cost them all
        self.recorder.send_soon()

    def wandb_facts(self) -> dict[str, Any]:
        """Return what the runs of subprocesses have to know to be linked to ours."""
        if self.parent is not None:
            return dict(self.parent)  # those of a subprocess's subprocess, too
        run, options = self.run, self._wandb.options
        return {
            "id": options["id"],
            "entity": getattr(run, "entity", None) or options.get("entity"),
            "project": getattr(run, "project", None) or options.get("project"),
            "name": options.get("name"),
            "group": options["group"],
            "settings": values_of.without_secrets(options.get("settings")),
            "dir": str(options.get("dir") or "") if run is None else str(run.settings.root_dir),
        }

    @property
    def run(self) -> Any:
        """The run of W&B; ``None`` where there is none."""
        return None if self.is_disabled or self._is_over else self._wandb.start()

    def media_folder(self) -> Path:
        """Return where images are kept that W&B does not keep."""
        return (
            Path(self._wandb.options.get("dir") or ".").absolute() / "media" / wandb_id(self.run_id)
        )

    def enter(self) -> None:
        """Be ready in a process that was forked: whoever held the lock is not in it."""
        if self._process != os.getpid():
            self._process, self._lock = os.getpid(), threading.RLock()

    def end(self, exit_code: int | None, error: BaseException | None) -> None:
        """Send everything, and say how it ended.

        Args:
            exit_code: The code, where there is no exception.
            error: The exception that ended it.
        """
        if self.is_disabled or self._is_over:
            return
        try:
            self._end(exit_code or 0 if error is None else exit_code_of(error), error)
        except Exception as fault:  # noqa: BLE001 - a training does not end for its log
            warn(f"the context of run {self.run_id!r} was not finished well: {fault!r}")
        if shutdown.is_pending:
            shutdown.catch_up()

    def _end(self, exit_code: int, error: BaseException | None) -> None:
        self.enter()
        with self._lock:
            self._note_outcome()
            if exit_code and (error is None or isinstance(error, SystemExit)):
                self.recorder.event(
                    "error", f"{self._who()} ended with exit code {exit_code}",
                    {"exit_code": exit_code} | self._about_stage(),
                )  # fmt: skip
            self._sign()
            self._complaints.sum_up()
            self._is_over = True
        shutdown.forget(self)
        if error is not None and not isinstance(error, SystemExit):
            self.recorder.__exit__(type(error), error, error.__traceback__)
        else:
            self.recorder.close(RunStatus.FAILED if exit_code else RunStatus.COMPLETED)
        self._wandb.finish(exit_code)
        if self._owns_db and self._home == os.getpid():  # else the connections are the parent's
            self.db.close()

    def _note_outcome(self) -> None:
        """Put the last value of each metric into the summary, as W&B does by itself."""
        summary, self._latest = self._latest, {}
        if summary:
            self.tell(summary=summary)

    def _note_complaint(self, kind: str, message: str, data: dict[str, Any]) -> None:
        if not self._is_over:
            self.recorder.event(kind, message, data)

    def _note_wandb(self, run: Any) -> None:
        """Note where the run of W&B is."""
        if self.is_child:
            options = self._wandb.options
            # Offline W&B warns when it is asked for a URL.
            url = None if options["mode"] == "offline" else run.url
            about = {"id": run.id, "job_type": options.get("job_type"), "url": url}
            self.recorder.event("wandb", f"{self._who()} logs to W&B as run {run.id}", about)
            return
        # Not at the top, for numpy's sake. W&B knows what its environment and settings say, too.
        from training_db.capture.live.facts import MirroredFacts

        news = MirroredFacts(run).news() | {"fields": {"wandb_run_id": run.id}}
        news.pop("config", None)  # the one that we have still tells NaN from null
        for tag in self._wandb.options.get("tags") or ():
            news.get("tags", {}).pop(tag_of(tag), None)  # of which we have the whole
        self.tell(**news)

    def _who(self) -> str:
        stage = self._wandb.options.get("job_type") if self.is_child else None
        what = f"stage {stage!r}" if stage else "a subprocess" if self.is_child else "the pipeline"
        return f"{what} (process {os.getpid()})"

    def _about_stage(self) -> dict[str, Any]:
        return {"job_type": self._wandb.options.get("job_type")} if self.is_child else {}

    def _sign(self) -> None:
        """Have the recorder say which subprocess it was that an error ends."""
        if self.is_child:
            self.recorder.speak_for(self._who(), **self._about_stage())

    # What ends the process; see recording/shutdown.py.

    def is_busy_here(self) -> bool:
        """Tell whether this thread is in the middle of something that a signal interrupted."""
        return bool(self._lock._is_owned())  # type: ignore[attr-defined]

    def begin_to_end(self, number: signal.Signals, *, is_last: bool) -> None:
        """Note what is to be noted; the history and the status are the recorder's."""
        if self._is_over:
            return
        self._note_outcome()
        if self.is_child:
            self.recorder.event("error", f"{self._who()} was told to end by {number.name}")
        if is_last:
            # W&B would write no exit record. In a thread, for the signal may have interrupted W&B.
            self._finishing = threading.Thread(
                target=self._wandb.finish, args=(_SIGNALLED + number,), daemon=True
            )
            self._finishing.start()

    def wait_to_end(self, seconds: float, *, is_last: bool) -> None:
        """Wait for that."""
        del is_last
        if self._finishing is not None:
            self._finishing.join(min(seconds, _SIGNAL_SECONDS))

    def begin_to_close(self, error: BaseException | None) -> None:
        """Note what is to be noted, for the program is over; W&B ends its run by itself."""
        del error  # the recorder notes it
        if self._is_over:
            return
        self._note_outcome()
        self._sign()
        self._is_over = True

    def wait_to_close(self) -> None:
        """Nothing is left to wait for."""


def _further_attempt(run: Mapping[str, Any], config: Any) -> dict[str, Any] | None:
    """Return the event of a run that had ended and goes on; what it had stays beside what comes."""
    status, ended_at, text = (run.get(key) for key in ("status", "ended_at", "config_json"))
    if status not in _ENDED:
        return None
    ended = f"{status} at {ended_at}" if ended_at else status
    message = (
        f"a further attempt began of a run that was there and {ended}; its history keeps both. "
        "A run of its own needs another run_id, or none"
    )
    data = {
        "status": status,
        "ended_at": ended_at,
        "config": config,
        "config_before": decode(text) if text else None,
    }
    return {"kind": "wandb", "message": message, "data": data}


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of a program that ends by an exception, as W&B counts it.

    Example:
        >>> exit_code_of(ValueError()), exit_code_of(SystemExit(3)), exit_code_of(SystemExit())
        (1, 3, 0)
    """
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else _FAILED if error.code else 0
    return _FAILED
