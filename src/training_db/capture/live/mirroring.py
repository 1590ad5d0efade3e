"""mirror: a live W&B run recorded in the database, too."""

from __future__ import annotations

import shlex
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.live.calls import check, overhear
from training_db.capture.live.run import LiveRun
from training_db.database import TrainingDB
from training_db.db.session import primary_only
from training_db.errors import InvalidValue, TrainingDBError
from training_db.recording.complaints import shown, warn
from training_db.recording.drafting import DraftingRecorder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from sqlalchemy import URL

    Place = TrainingDB | str | os.PathLike[str] | URL

LOOK_SECONDS = 5.0
"""How long the database may take to say whether it knows the run; then the W&B id is the run id."""
_KEPT_AS = "_training_db_mirror"


class Mirror:
    """A W&B run that is recorded in the database while it trains.

    Attributes:
        run_id: The run in the database: the W&B id, unless a run was inserted with that W&B id.
        is_active: Whether anything is recorded; where it is not, a warning said why.
    """

    def __init__(
        self, run_id: str, recorder: DraftingRecorder | None = None, live: LiveRun | None = None
    ) -> None:
        self.run_id = run_id
        self._recorder, self._live = recorder, live

    @property
    def is_stored(self) -> bool:
        """Whether the run is recorded, or was until it ended."""
        return self._live is not None

    @property
    def is_active(self) -> bool:
        """Whether anything is recorded."""
        return self._live is not None and not self._live.has_ended

    @property
    def keeps_rows(self) -> bool:
        """Whether what is logged becomes rows."""
        return self._live is not None and self._live.rows is not None

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until the database has what is known of the run by now, but for a row that is open.

        Args:
            timeout: Seconds to wait.

        Returns:
            Whether it has.
        """
        if self._recorder is None or self._live is None:
            return False
        try:
            if self.is_active:
                self._live.tell()
        except Exception as error:  # noqa: BLE001 - a training does not end for its mirror
            warn(f"what is known of run {self.run_id!r} was not told: {shown(error)}")
        return self._recorder.flush(timeout)

    def __repr__(self) -> str:
        state = "active" if self.is_active else "inactive"
        return f"<Mirror of run {self.run_id!r}: {state}>"


def mirror(run: Any, db: Place | None = None, **options: Any) -> Mirror:
    """Record a live W&B run in the database, too: all that it is told from now on.

    W&B gets what it got before. Rows, config, summary, tags, name, notes, alerts, files and the
    exit code come to the database through a local spool, by threads; what was logged survives the
    end of the process, however it ends. Nothing here raises: what goes wrong becomes a warning.

    Args:
        run: What ``wandb.init()`` returned, of any mode.
        db: The database, or where it is; ``None`` for what the environment says.
        options: What :class:`training_db.recording.recorder.Recorder` takes, such as
            ``flush_seconds``.

    Returns:
        The mirror, the first one if there is one already. It ends with the run.

    Example:
        >>> import wandb
        >>> db, spool = getfixture("example_db"), getfixture("tmp_path")
        >>> run = wandb.init(mode="disabled", project="doc", config={"lr": 0.1})
        >>> with run:
        ...     mirrored = mirror(run, db, spool_dir=spool)
        ...     run.log({"loss": 0.5})
        >>> db.history.arrays(mirrored.run_id, "loss")[mirrored.run_id]["loss"].values.tolist()
        [0.5]
        >>> db.runs.get(mirrored.run_id)["status"]
        'completed'
    """
    return mirrored(run, db, keeps_rows=True, **options)


def mirrored(
    run: Any,
    db: Place | None,
    *,
    keeps_rows: bool,
    on_end: Callable[[TrainingDB, str], None] | None = None,
    **options: Any,
) -> Mirror:
    """Return the mirror of a run, made if it has none; :func:`mirror` says the rest.

    Args:
        run: The run.
        db: The database, or where it is.
        keeps_rows: Whether what is logged becomes rows.
        on_end: Called when the run has ended, with the database and the run's id there.
        options: Of the recorder.
    """
    try:
        _require_run(run)
        known = vars(run).get(_KEPT_AS)
        if isinstance(known, Mirror):
            return known
        made = _mirrored(run, db, keeps_rows=keeps_rows, on_end=on_end, **options)
    except Exception as error:  # noqa: BLE001 - a training does not end for its mirror
        is_known = isinstance(error, TrainingDBError)
        why = str(error) if is_known else f"{type(error).__name__}: {_shown_text(error)}"
        warn(f"the W&B run is not {'mirrored' if keeps_rows else 'captured'}: {why}")
        return Mirror(_id_of(run))
    vars(run)[_KEPT_AS] = made
    return made


def _mirrored(
    run: Any,
    db: Place | None,
    *,
    keeps_rows: bool,
    on_end: Callable[[TrainingDB, str], None] | None,
    **options: Any,
) -> Mirror:
    if getattr(run, "_is_finished", False):
        call = (
            "mirror(run) after wandb.init()" if keeps_rows else "capture_run(run) before finish()"
        )
        raise InvalidValue(
            f"run {run.id!r} is finished already; call {call}. "
            f"`training-db import wandb-offline {_folder_of(run)}` stores it from the log of W&B"
        )
    check(run)
    is_ours = not isinstance(db, TrainingDB)
    database = db if isinstance(db, TrainingDB) else TrainingDB(db)
    run_id = _run_id(database, run.id)
    # Of several processes that W&B lets log one run, one answers for how it ends.
    is_first = not getattr(run, "_is_attached", False)
    is_first &= bool(getattr(run._settings, "x_primary", True))
    recorder = DraftingRecorder(database, run_id, **({"sets_status": is_first} | options))

    def end() -> None:
        if on_end is not None:
            on_end(database, run_id)
        if is_ours:
            database.close()

    live = LiveRun(run, recorder, keeps_rows=keeps_rows, on_end=end)
    overhear(run, live)
    live.start()
    return Mirror(run_id, recorder, live)


def _run_id(db: TrainingDB, wandb_id: str) -> str:
    """Return the id of the run in the database, which may have been inserted under another one."""
    found: list[str] = []

    @primary_only()
    def look() -> None:
        try:
            found.extend(
                one["run_id"]
                for one in db.runs.with_wandb_id(wandb_id)
                if one["wandb_run_id"] == wandb_id
            )
        except Exception as error:  # noqa: BLE001 - the recorder tries on, and says so
            warn(f"the database did not say whether it knows run {wandb_id!r}: {shown(error)}")

    thread = threading.Thread(target=look, name="training-db-look", daemon=True)
    thread.start()
    thread.join(LOOK_SECONDS)
    return found[0] if found else wandb_id


def _require_run(run: Any) -> None:
    """Make sure that it is a live run, of whichever version of W&B.

    Raises:
        InvalidValue: It is none.
    """
    is_of_wandb = any(one.__module__.split(".")[0] == "wandb" for one in type(run).__mro__)
    if not (is_of_wandb and hasattr(run, "log") and hasattr(run, "finish")):
        raise InvalidValue(f"{shown(run)} is no live run of W&B; pass what wandb.init() returned")


def _folder_of(run: Any) -> str:
    """Return the folder where W&B keeps the log of a run, as a shell takes it."""
    folder = getattr(run._settings, "sync_dir", None)
    if folder and Path(folder).is_dir():
        return shlex.quote(str(folder))
    return "<folder of the run>"


def _id_of(run: Any) -> str:
    try:
        return str(run.id)
    except Exception:  # noqa: BLE001 - whatever it is
        return ""


def _shown_text(error: Exception) -> str:
    return shown(str(error))[1:-1]
