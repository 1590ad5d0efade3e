"""Which run of the database it is: one id may be several runs, and one run several files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import MLFLOW_PROJECT_TAG, TAG_PREFIX
from training_db.capture.storing.known_cells import is_same
from training_db.capture.storing.notes import ImportNote, import_notes
from training_db.recording.rows import metric_name
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from training_db.capture.captured import CapturedRun
    from training_db.database import TrainingDB

_NEAR_SECONDS = 300
"""A run that somebody linked to an id of W&B began about when W&B's did."""
_SHOWN = 3


@dataclass(frozen=True)
class Match:
    """Which run it is.

    Attributes:
        run_id: Its id.
        is_new: Whether the database has no such run yet.
        decision: What was decided, in words, where there was a choice.
        is_part: Whether what was captured is only what a subprocess of the run logged at W&B.
    """

    run_id: str
    is_new: bool
    decision: str | None = None
    is_part: bool = False


def project_tag(source: str) -> str:
    """Return the tag that says which project or experiment a run of a source belongs to."""
    return MLFLOW_PROJECT_TAG if source == "mlflow" else f"{TAG_PREFIX}project"


def match(db: TrainingDB, captured: CapturedRun) -> Match:
    """Find the run that was captured, or the id under which it becomes a new one.

    The same writer is the same run. So is one of the same id, if the projects are not known to
    differ and the configs are alike: at least half of the keys that both have are equal. What a
    subprocess of a pipeline logged at W&B is a part of the pipeline's run, where that was recorded.

    Args:
        db: The database.
        captured: What the source says.

    Example:
        >>> from training_db.capture.captured import CapturedRun
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("3ojed7lz", "3ojed7lz", {"lr": 0.1, "seed": 1})
        >>> again = CapturedRun("wandb-offline", "3ojed7lz", 11, "3ojed7lz")
        >>> match(db, again).run_id
        '3ojed7lz'
        >>> again.config = {"lr": 0.2, "seed": 2}
        >>> match(db, again).run_id
        '3ojed7lz-w11'
    """
    own = metric_name(captured.wandb_run_id or captured.source_id)
    taken: set[str] = set()
    known = []
    for run in _candidates(db, captured, own, taken):
        notes = import_notes(db, run["run_id"])
        if captured.writer in notes:
            return Match(run["run_id"], False, _of_trash(run))
        known.append((run, notes))
    whole = _pipeline(db, captured, own)
    if whole is not None:
        said = f"it is a part of run {whole['run_id']!r}, which was recorded here"
        return Match(whole["run_id"], False, _with_trash(said, whole), is_part=True)
    reasons: list[str] = []
    for run, notes in known:
        difference = _difference(db, run, notes, captured)
        if difference is None:
            return Match(run["run_id"], False, _joined(run, notes))
        reasons.append(f"the id {own!r} is that of another run too ({difference})")
    if own not in taken:
        return Match(own, True)
    reasons.append(f"the name {own!r} is that of another run")
    # Names are looked up no second time: what another import inserted meanwhile may be this run,
    # and is found when the insert fails.
    names = _other_names(own, captured)
    new = next((name for name in names if name not in taken), names[-1])
    return Match(new, True, f"{reasons[0]}; this one is {new!r}")


def parent_run(db: TrainingDB, captured: CapturedRun) -> str | None:
    """Return the run that the captured one is a part of, which may go by another id here.

    Args:
        db: The database.
        captured: What the source says.

    Example:
        >>> from training_db.capture.captured import CapturedRun
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("pipeline", "1a2b3c4d")
        >>> parent_run(db, CapturedRun("wandb-offline", "a", 11, "a", parent="1a2b3c4d"))
        'pipeline'
    """
    if captured.parent in (None, captured.wandb_run_id, captured.source_id):
        return None
    found = db.runs.with_wandb_id(captured.parent)
    return found[0]["run_id"] if found else captured.parent


def _pipeline(db: TrainingDB, captured: CapturedRun, own: str) -> dict[str, Any] | None:
    """Return the run of a pipeline that tells of a subprocess which logs under the id at W&B."""
    parent = captured.parent
    if parent is None or captured.wandb_run_id is None:
        return None
    named = db.runs.find(metric_name(parent))
    for run in [*db.runs.with_wandb_id(metric_name(parent)), *([named] if named else [])]:
        for event in db.events.list(run["run_id"], kind="wandb", limit=None):
            about = json.loads(event["data_json"] or "{}")
            if isinstance(about, dict) and about.get("id") == own:
                return run
    return None


def _candidates(
    db: TrainingDB, captured: CapturedRun, own: str, taken: set[str]
) -> Iterator[dict[str, Any]]:
    """Yield the runs that it may be, the one that goes by the very id first; note taken names."""
    of_id = [] if captured.wandb_run_id is None else db.runs.with_wandb_id(own)
    found = {run["run_id"] for run in of_id}
    taken |= found | {run["wandb_run_id"] for run in of_id}
    yield from sorted(of_id, key=lambda run: run["wandb_run_id"] != own)
    for name in (own, *_other_names(own, captured)):
        run = None if name in found else db.runs.find(name)
        if run is not None:
            taken.add(name)
            # A run of the same name, that is known to be another one at W&B, is another one.
            if (run["wandb_run_id"] or own) in (own, name):
                yield run
        if not taken:
            return  # so that no other name was ever given


def _other_names(own: str, captured: CapturedRun) -> list[str]:
    by_writer = f"w{captured.writer}"
    if captured.started_at is None:
        return [metric_name(f"{own}-{by_writer}")]
    begun = f"{captured.started_at:%Y%m%d_%H%M%S}"
    return [metric_name(f"{own}-{begun}"), metric_name(f"{own}-{begun}-{by_writer}")]


def _difference(
    db: TrainingDB,
    run: Mapping[str, Any],
    notes: Mapping[int, ImportNote],
    captured: CapturedRun,
) -> str | None:
    """Say why a run is another one; ``None`` where it may be the same."""
    tags = db.tags.of(run["run_id"])
    for tag, here in (
        (project_tag(captured.source), captured.project),
        (f"{TAG_PREFIX}entity", captured.entity if captured.source != "mlflow" else None),
    ):
        there = tags.get(tag)
        if here and there and metric_name(here) != there:
            return f"{tag} {there!r}, and not {here!r}"
    if not notes and _is_near(run["started_at"], captured.started_at):
        return None  # recorded here, and linked to the id, while W&B recorded it too
    return _config_difference(run["config_json"], captured.config, is_linked=not notes)


def _config_difference(
    stored: str | None, captured: Mapping[str, Any], *, is_linked: bool
) -> str | None:
    known = json.loads(stored) if stored else {}
    if not isinstance(known, dict) or not known or not captured:
        return None
    shared = [key for key in captured if key in known]
    if not shared:
        return None if is_linked else "no key of the config in common"
    differing = [key for key in shared if not _is_alike(known[key], captured[key])]
    if 2 * len(differing) <= len(shared):
        return None
    names = ", ".join(differing[:_SHOWN]) + (", ..." if len(differing) > _SHOWN else "")
    return f"{len(differing)} of {len(shared)} keys of the config differ: {names}"


def _is_alike(one: Any, other: Any) -> bool:
    return is_same(one, other) or (one is None and other != other)  # W&B writes null for NaN


def _is_near(started: str | None, captured: datetime | None) -> bool:
    if started is None or captured is None:
        return False
    apart = parse_timestamp(started) - captured
    return abs(apart.total_seconds()) <= _NEAR_SECONDS


def _joined(run: Mapping[str, Any], notes: Mapping[int, ImportNote]) -> str:
    if notes:
        files = ", ".join(sorted({note.file for note in notes.values()}))
        said = f"it is a part of run {run['run_id']!r}, as {files} is, which was imported before"
    else:
        said = f"it is run {run['run_id']!r}, which was recorded here"
    return _with_trash(said, run)


def _with_trash(said: str, run: Mapping[str, Any]) -> str:
    return "; ".join(filter(None, (said, _of_trash(run))))


def _of_trash(run: Mapping[str, Any]) -> str | None:
    return None if run["deleted_at"] is None else "the run is in the trash, and stays there"
