"""What is known of a run at a place where it was tracked before, in the words of our schema."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training_db.models.run import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from training_db.segments import Column

PARENT_TAG = "parent:"
"""What stands before the W&B id of the run that a run is a part of, among its tags."""


RUNTIME = "_runtime"
"""The column of how long the run had been at work, in seconds."""

TAG_PREFIX = "wandb."
"""What stands before the tags that say where at W&B a run belongs."""

MLFLOW_PROJECT_TAG = "mlflow.experiment"
"""The tag that says which experiment of MLflow a run belongs to."""


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Some rows of a history, by columns.

    Attributes:
        columns: For each metric its cells, whose row numbers lie within ``rows``.
        rows: The first row, and the one after the last.
    """

    columns: Mapping[str, Column]
    rows: tuple[int, int]


@dataclass(frozen=True, slots=True)
class CapturedEvent:
    """An entry for the timeline of a run.

    Attributes:
        key: What tells it from the other events of the run, however often it is captured.
        kind: What sort of event it is.
        message: What happened.
        data: What else is known of it: anything JSON can hold.
        happened_at: When, as far as it is known.
    """

    key: str
    kind: str
    message: str
    data: Any = None
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CapturedArtifact:
    """A file of a run, by reference.

    Attributes:
        type: What it is, such as ``"model"``, ``"file"`` or ``"table-file"``.
        path: Where it stands: a path or URL.
        metadata: What else is known of it: anything JSON can hold.
    """

    type: str
    path: str
    metadata: Any = None


@dataclass(slots=True)
class CapturedRun:
    """One run, as one source knows it.

    Attributes:
        source: Which source: ``"wandb-offline"``, ``"wandb"`` or ``"mlflow"``.
        source_id: The run's id there.
        writer: The writer of its history, the same each time it is captured.
        wandb_run_id: Its id at W&B, if it has one.
        url: Its page.
        entity: Whose it is.
        project: The project or experiment it belongs to.
        name: What people call it.
        notes: What they wrote about it.
        group: The group it belongs to.
        job_type: What it does in that group.
        sweep: The sweep it belongs to.
        parent: The id there of the run that it is a part of.
        tags: The words that are pinned to it.
        tag_values: Words with a value that are pinned to it.
        host: The machine it ran on.
        git_branch: The branch of its code.
        git_commit: The commit of its code.
        git_dirty: Whether the code had changes besides.
        started_at: When it began.
        ended_at: When it ended.
        runtime_seconds: How long it ran.
        exit_code: How its process ended; ``None`` where nothing says it.
        status: Where it stands.
        config: Its settings.
        summary: Its final metrics.
        metric_paths: For each metric that stands for a nested key the parts of that key.
        events: What happened to it.
        artifacts: Its files.
        details: Whatever else is known, such as the version of the client.
        is_worker: Whether it is one of several processes that wrote one run, and not the first.
        is_deleted: Whether it lies in the source's trash.
    """

    source: str
    source_id: str
    writer: int
    wandb_run_id: str | None = None
    url: str | None = None
    entity: str | None = None
    project: str | None = None
    name: str | None = None
    notes: str | None = None
    group: str | None = None
    job_type: str | None = None
    sweep: str | None = None
    parent: str | None = None
    tags: list[str] = field(default_factory=list)
    tag_values: dict[str, str] = field(default_factory=dict)
    host: str | None = None
    git_branch: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    runtime_seconds: float | None = None
    exit_code: int | None = None
    status: RunStatus = RunStatus.RUNNING
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    metric_paths: dict[str, list[str]] = field(default_factory=dict)
    events: list[CapturedEvent] = field(default_factory=list)
    artifacts: list[CapturedArtifact] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    is_worker: bool = False
    is_deleted: bool = False


def parent_of(tags: Iterable[str], config: Mapping[str, Any]) -> str | None:
    """Return the W&B id of the run that a run of W&B is a part of, if its tags tell it.

    Args:
        tags: Its tags, of which long ones are cut.
        config: Its config, where the whole id may stand.

    Example:
        >>> parent_of(["best", "parent:1a2b"], {}), parent_of([], {"parent_run_id": "1a2b"})
        ('1a2b', None)
    """
    for tag in tags:
        if tag.startswith(PARENT_TAG) and tag != PARENT_TAG:
            whole = config.get("parent_run_id")
            return whole if isinstance(whole, str) else tag.removeprefix(PARENT_TAG)
    return None


def place_tags(**about: str | None) -> dict[str, str]:
    """Return the tags that say where at W&B a run belongs.

    Args:
        about: Its ``project``, ``entity``, ``job_type`` and ``sweep``, as far as it has them.

    Example:
        >>> place_tags(project="qed", entity=None)
        {'wandb.project': 'qed'}
    """
    return {f"{TAG_PREFIX}{name}": value for name, value in about.items() if value}


def alert_message(title: str, text: str) -> str:
    """Return an alert in one line: the same from each source, so that it is known again.

    Example:
        >>> alert_message("loss", "it is NaN"), alert_message("loss", "")
        ('loss: it is NaN', 'loss')
    """
    return ": ".join(filter(None, (title, text)))
