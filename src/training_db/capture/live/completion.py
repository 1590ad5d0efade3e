"""capture_run: the last line of a training script before ``run.finish()``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.live.mirroring import mirrored
from training_db.recording.complaints import shown, warn

if TYPE_CHECKING:
    from training_db.capture.live.mirroring import Place
    from training_db.database import TrainingDB


def capture_run(run: Any, db: Place | None = None, **options: Any) -> str:
    """Have a W&B run stored whole when it ends; call it once before ``run.finish()``.

    Config, summary and tags are stored at once and again at the end. The history comes from the
    log that W&B keeps on disk, when W&B has closed it: after ``finish()``, or when the process
    ends without it. A run that is mirrored has its history already, and nothing more is done.
    Nothing here raises: what goes wrong becomes a warning that says how to catch up. If the process
    is killed before, ``training-db import wandb-offline`` completes the run.

    Args:
        run: What ``wandb.init()`` returned. Of a run of mode ``disabled`` W&B keeps no history:
            config and summary are stored, and a warning says so.
        db: The database, or where it is; ``None`` for what the environment says.
        options: What :class:`training_db.recording.recorder.Recorder` takes.

    Returns:
        The run's id in the database; empty where nothing of it is stored, as a warning then says.

    Example:
        >>> import warnings, wandb
        >>> db = getfixture("example_db")
        >>> run = wandb.init(mode="disabled", config={"lr": 0.1})
        >>> run.log({"loss": 0.5})
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     run_id = capture_run(run, db, spool_dir=getfixture("tmp_path"))
        >>> run.finish()
        >>> found = db.runs.get(run_id)
        >>> found["config_json"], found["final_loss"], found["status"]
        ('{"lr":0.1}', 0.5, 'completed')
    """
    made = mirrored(run, db, keeps_rows=False, on_end=partial(_complete, run), **options)
    if made.is_active and not made.keeps_rows and run.disabled:
        warn(
            f"W&B is disabled and keeps no history of run {made.run_id!r}: its config and summary "
            "are stored. training_db.capture.mirror(run), called after wandb.init(), records the "
            "history too"
        )
    return made.run_id if made.is_stored else ""


def _complete(run: Any, db: TrainingDB, run_id: str) -> None:
    """Import the log of a run, which W&B has closed."""
    if run.disabled:
        return
    log = Path(run._settings.sync_file)
    faults = []
    try:
        from training_db.capture.offline.importing import import_wandb_logs

        for outcome in import_wandb_logs(db, log):
            if outcome.error:
                faults.append(str(outcome.error))
            elif outcome.counts is not None and not outcome.counts.is_equal:
                unlike = [one.key for one in outcome.counts.differences]
                faults.append(f"the counts of {len(unlike)} metrics differ, such as {unlike[0]!r}")
    except Exception as error:  # noqa: BLE001 - a training does not end for this
        faults.append(shown(error))
    if faults:
        warn(
            f"the history of run {run_id!r} is not complete: {'; '.join(faults)}. "
            f"`training-db import wandb-offline {log}` completes it"
        )
