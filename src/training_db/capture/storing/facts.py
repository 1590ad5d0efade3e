"""What is stored of a captured run besides its rows: the run itself, tags, events and files."""

from __future__ import annotations

from collections import Counter
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from training_db.capture.storing.merging import Merge, told
from training_db.capture.storing.notes import note_key, write_note
from training_db.documents import encode
from training_db.errors import RunExists
from training_db.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from training_db.capture.captured import CapturedRun
    from training_db.capture.storing.notes import ImportNote
    from training_db.database import TrainingDB

_NOTED_DAMAGE = 20
_KEPT = ("already_here", "decision", "is_part")


def noted(
    captured: CapturedRun,
    known: Mapping[str, Any],
    file: str,
    rows: int,
    stored: Mapping[str, int],
    damage: Sequence[str],
    left_out: Mapping[str, int],
) -> dict[str, Any]:
    """Make the note about an import.

    Args:
        captured: What the source says, storable.
        known: The note that there is.
        file: The name of the source.
        rows: How many rows of it are stored.
        stored: For each metric how many cells of it are.
        damage: What is damaged in it, in words.
        left_out: What is not kept of it, by kind.

    Returns:
        The note. Its ``facts`` are a digest of everything that the source says.
    """
    values = sum(stored.values()) + sum((known.get("already_here") or {}).values())
    said: dict[str, Any] = {
        name: getattr(captured, name)
        for name in captured.__dataclass_fields__
        if name not in ("events", "artifacts")
    }
    said |= {
        "file": file, "rows": rows, "values": values, "damage": damage, "left_out": left_out,
        "events": [repr(one) for one in captured.events],
        "artifacts": [repr(one) for one in captured.artifacts],
    }  # fmt: skip
    return {
        **captured.details,
        "source": captured.source,
        "source_id": captured.source_id,
        "file": file,
        "started_at": shown(captured.started_at),
        "ended_at": shown(captured.ended_at),
        "status": captured.status.value,
        "exit_code": captured.exit_code,
        "runtime": captured.runtime_seconds,
        "rows": rows,
        "values": values,
        "stored": sum(stored.values()),
        "metric_paths": captured.metric_paths,
        "damage": list(damage[:_NOTED_DAMAGE]),
        "damage_count": len(damage),
        "left_out": dict(left_out),
        "is_worker": captured.is_worker,
        "told": told(captured),
        "facts": blake2b(encode(said, "run").encode(), digest_size=16).hexdigest(),
    } | {name: known[name] for name in _KEPT if name in known}


def store_facts(
    db: TrainingDB,
    run_id: str,
    captured: CapturedRun,
    note: dict[str, Any],
    notes: Mapping[int, ImportNote],
    *,
    has_recorders: bool,
) -> None:
    """Store all that a source says of a run besides its rows.

    Args:
        db: The database, in a transaction that holds the run.
        run_id: The run.
        captured: What the source says, storable.
        note: The note about the import. A part, which is only what a subprocess of the run logged
            at W&B, says nothing of the run itself.
        notes: What other imports of the run noted, and this one before.
        has_recorders: Whether somebody logged the run here, live.
    """
    if not note.get("is_part"):
        note |= _merge(db, run_id, captured, notes, has_recorders=has_recorders)
    _add_events(db, run_id, captured)
    _add_artifacts(db, run_id, captured)
    write_note(db, run_id, captured.writer, message_of(note), note)


def message_of(note: Mapping[str, Any]) -> str:
    """Return a note in words, for the timeline."""
    file = note.get("file") or note.get("source")
    if "rows" not in note:
        return f"the import from {file} began, and has not come to its end"
    return f"imported from {file}: {note['rows']:,} rows, {note['values']:,} values"


def shown(moment: datetime | None) -> str | None:
    """Return a moment as it stands in a note."""
    return None if moment is None else format_timestamp(moment)


def _merge(
    db: TrainingDB,
    run_id: str,
    captured: CapturedRun,
    notes: Mapping[int, ImportNote],
    *,
    has_recorders: bool,
) -> dict[str, Any]:
    """Change the run itself; return the documents of the source, where they are to be noted."""
    before = notes[captured.writer].data.get("told") if captured.writer in notes else None
    merge = Merge(
        db.runs.get(run_id),
        [one for one in notes.values() if not one.data.get("is_part")],
        captured,
        has_recorders=has_recorders,
        told=before or {},
    )
    alone = merge.documents_of_first()
    if alone is not None:
        first, data = alone
        write_note(db, run_id, first.writer, message_of(data), data)
    changes = merge.changes()
    if changes:
        _update(db, run_id, changes)
    tags = merge.tags(db.tags.of(run_id))
    if tags:
        db.tags.add_many(run_id, tags)
    return merge.documents()


def _update(db: TrainingDB, run_id: str, changes: dict[str, Any]) -> None:
    try:
        db.runs.update(run_id, is_lenient=True, **changes)
    except RunExists:  # the id at W&B is that of another run here
        changes.pop("wandb_run_id", None)
        db.runs.update(run_id, is_lenient=True, **changes)
    if "ended_at" in changes and changes["ended_at"] is None:
        db.runs.update(run_id, ended_at=None)  # which the status alone would set to this moment


def _add_events(db: TrainingDB, run_id: str, captured: CapturedRun) -> None:
    if not captured.events:
        return
    present = db.events.list(run_id, limit=None)
    known = {event["event_key"] for event in present} | {note_key(captured.writer)}
    own = {one.key for one in captured.events}
    # A recorder may have told of them too, under keys of its own.
    told = Counter(
        (event["kind"], event["message"]) for event in present if event["event_key"] not in own
    )
    for one in captured.events:
        if told[one.kind, one.message] > 0:
            told[one.kind, one.message] -= 1
        elif one.key not in known:
            db.events.add(
                run_id, one.kind, one.message, one.data, one.happened_at, event_key=one.key
            )


def _add_artifacts(db: TrainingDB, run_id: str, captured: CapturedRun) -> None:
    if not captured.artifacts:
        return
    there = {(one["artifact_type"], one["filepath"]) for one in db.artifacts.list(run_id)}
    for one in captured.artifacts:
        if (one.type, one.path) not in there:
            db.artifacts.add(run_id, one.type, one.path, one.metadata)
            there.add((one.type, one.path))
