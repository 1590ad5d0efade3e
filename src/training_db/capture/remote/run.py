"""What W&B's API says of a run, in the words of our schema."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import RUNTIME, CapturedArtifact, CapturedRun, parent_of
from training_db.capture.offline.machine import without_person, without_user
from training_db.capture.remote.rows import as_logged
from training_db.errors import InvalidValue
from training_db.models.run import RunStatus
from training_db.repository.writers import known_writer
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wandb.apis.public import Run

SOURCE = "wandb"

_STATES = {
    "finished": RunStatus.COMPLETED,
    "failed": RunStatus.FAILED,
    "killed": RunStatus.FAILED,
    "crashed": RunStatus.CRASHED,
    "preempted": RunStatus.CRASHED,
    "preempting": RunStatus.RUNNING,
    "running": RunStatus.RUNNING,
    "pending": RunStatus.LAUNCHED,
}
_OPEN = (RunStatus.RUNNING, RunStatus.LAUNCHED)
_OWN = "_wandb"
_NEVER = datetime.fromtimestamp(0, UTC)
# Not the user's name, mail address and folders, which stand beside them.
_KEPT_OF_METADATA = (
    "os", "python", "program", "codePath", "args", "gpu", "gpu_count", "gpu_type", "cpu_count",
    "cpu_count_logical", "cudaVersion", "slurm", "docker",
)  # fmt: skip


def captured(run: Run) -> CapturedRun:
    """Return what the API says of a run, but for its history, files and artifacts.

    Args:
        run: The run, loaded in full.
    """
    started = _moment(getattr(run, "created_at", None))
    state = str(run.state)
    status = _STATES.get(state, RunStatus.RUNNING)
    summary = {key: as_logged(value) for key, value in run.summary_metrics.items() if key != _OWN}
    runtime = _runtime(run.summary_metrics)
    heard = _moment(getattr(run, "heartbeat_at", None))
    own = run.rawconfig.get(_OWN)
    about = own if isinstance(own, dict) else {}
    details = {
        "state": state,
        "description": getattr(run, "description", None),
        "client": about.get("cli_version"),
        "wandb": without_person(about),
        "system_metrics": run.system_metrics,
        "line_count": getattr(run, "history_line_count", None),
        "heartbeat_at": heard and format_timestamp(heard),
    }
    config = {key: value for key, value in run.config.items() if key != _OWN}
    tags = list(getattr(run, "tags", None) or ())
    return CapturedRun(
        source=SOURCE,
        source_id=f"{run.entity}/{run.project}/{run.id}",
        writer=known_writer(round((started or _NEVER).timestamp() * 1000), f"{SOURCE} {run.id}"),
        wandb_run_id=run.id,
        url=run.url,
        entity=run.entity,
        project=run.project,
        name=run.name,
        notes=getattr(run, "notes", None),
        group=getattr(run, "group", None),
        job_type=getattr(run, "job_type", None),
        sweep=run.sweep_name,
        parent=parent_of(tags, config),
        tags=tags,
        git_commit=getattr(run, "commit", None),
        started_at=started,
        ended_at=None if status in _OPEN else _end(started, runtime, heard),
        runtime_seconds=runtime,
        status=status,
        config=config,
        summary=summary,
        details={key: value for key, value in details.items() if value not in (None, {})},
    )


def _runtime(summary: Mapping[str, Any]) -> float | None:
    own = summary.get(_OWN)
    seconds = own.get("runtime") if isinstance(own, dict) else None
    seconds = summary.get(RUNTIME) if seconds is None else seconds
    return float(seconds) if isinstance(seconds, (int, float)) else None


def _end(
    started: datetime | None, runtime: float | None, heard: datetime | None
) -> datetime | None:
    if started is None or runtime is None:
        return heard
    end = started + timedelta(seconds=runtime)
    # A run that was resumed has stood still in between, which its runtime leaves out.
    return end if heard is None else max(end, heard)


def _moment(value: object) -> datetime | None:
    try:
        return parse_timestamp(value)
    except InvalidValue:
        return None


def metadata_of(run: Run) -> Iterator[dict[str, Any]]:
    """Load a run's ``wandb-metadata.json``, if it has one."""
    metadata: object = run.metadata
    if isinstance(metadata, dict):
        yield metadata


def add_metadata(captured: CapturedRun, metadata: Mapping[str, Any]) -> None:
    """Add what a ``wandb-metadata.json`` says: the host, the code, the machine."""
    captured.host = metadata.get("host") or captured.host
    git = metadata.get("git")
    if isinstance(git, dict):
        captured.git_commit = git.get("commit") or captured.git_commit
        captured.git_branch = git.get("branch") or captured.git_branch
        if isinstance(git.get("remote"), str):
            captured.details["git_remote"] = without_user(git["remote"])
    known = {key: metadata[key] for key in _KEPT_OF_METADATA if metadata.get(key)}
    if known:
        captured.details["machine"] = without_person(known)


def add_artifacts(captured: CapturedRun, found: Iterable[CapturedArtifact]) -> None:
    """Add files and artifacts, and what they tell of the code."""
    captured.artifacts += found
    if f"{captured.url}/files/diff.patch" in {one.path for one in captured.artifacts}:
        captured.git_dirty = True


def files_of(run: Run) -> Iterator[CapturedArtifact]:
    """List the files of a run by the addresses of their pages; those to load them from expire."""
    for file in run.files(per_page=500):
        known = {"size": file.size, "mimetype": file.mimetype, "md5": file.md5}
        kind = "media" if file.name.startswith("media/") else "file"
        path = f"{run.url}/files/{file.name}"
        yield CapturedArtifact(kind, path, {"name": file.name, **known})


def artifacts_of(run: Run) -> Iterator[CapturedArtifact]:
    """List the artifacts that a run logged, and those that it used, by reference."""
    for role, found in (("output", run.logged_artifacts()), ("input", run.used_artifacts())):
        for artifact in found:
            known = {
                "role": role,
                "aliases": artifact.aliases,
                "size": artifact.size,
                "digest": artifact.digest,
                "description": artifact.description,
                "created_at": artifact.created_at,
                "metadata": artifact.metadata,
            }
            yield CapturedArtifact(
                artifact.type,
                f"wandb-artifact://{artifact.qualified_name}",
                {key: value for key, value in known.items() if value not in (None, {}, [])},
            )


def forget_folders(runs: Iterable[Run]) -> None:
    """Remove the empty folders that the client makes for runs that are merely looked at."""
    for run in runs:
        place = Path(run.dir)
        for folder in (place, *place.parents[:2]):
            with suppress(OSError):  # there is something in it, from somebody else
                folder.rmdir()
