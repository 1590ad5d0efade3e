"""What becomes known of a run while it goes on, and is none of its history: config, summary, tags.

Facts go through the spool as its events do. So they survive the end of the process, and come to the
database in their order and once, however long it is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.documents import decode
from training_db.errors import Conflict, InvalidInput, NotFound
from training_db.recording.complaints import warn
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_db.recording.place import Database

FACTS = "training_db.facts"
"""The kind of an event that is none, but facts."""

_REFUSALS = (InvalidInput, Conflict, NotFound)
_DOCUMENTS = {"config": "config_json", "summary": "final_metrics_json"}


def tell(db: Database, run_id: str, facts: Mapping[str, Any]) -> None:
    """Write facts of a run into the database; once more changes nothing.

    Args:
        db: The database; the caller has begun a transaction.
        run_id: The run, which is there.
        facts: ``fields``, columns that are set; ``defaults``, columns that are set where they are
            empty; ``config`` and ``summary``, whose keys are added to those that are there;
            ``unsummarized``, keys that the summary has no longer; ``started_at``, which counts if
            it is earlier than what is known; ``tags`` by name, and ``untagged``, a list of names;
            ``artifacts``, each with ``type``, ``path`` and ``metadata``; ``event``, with a key.

    What the database does not take costs that one fact, and a warning.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", config={"seed": 1})
        >>> tell(db, "r1", {"config": {"lr": 0.1}, "tags": {"keep": None}})
        >>> db.runs.get("r1")["config_json"], db.tags.of("r1")
        ('{"seed":1,"lr":0.1}', {'keep': None})
    """
    if not facts.keys().isdisjoint(_OF_THE_RUN):
        db.runs.update(run_id)  # takes the lock of the row: other processes add keys, too
        _change(db, run_id, _changes(db.runs.find(run_id) or {}, facts))
    for name in facts.get("untagged", ()):
        _try(db, run_id, f"tag {name!r} of", db.tags.remove, name)
    for name, value in facts.get("tags", {}).items():
        _try(db, run_id, f"tag {name!r} of", db.tags.add, name, value)
    if facts.get("artifacts"):
        known = {(one["artifact_type"], one["filepath"]) for one in db.artifacts.list(run_id)}
        for one in facts["artifacts"]:
            if (one["type"], one["path"]) not in known:
                given = one["type"], one["path"], one.get("metadata")
                _try(db, run_id, f"file {one['path']!r} of", db.artifacts.add, *given)
    if facts.get("event"):
        _try(db, run_id, "an event of", db.events.add, **facts["event"])


_OF_THE_RUN = {"fields", "defaults", "config", "summary", "unsummarized", "started_at"}


def _changes(run: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns and documents that are to be set."""
    wanted = dict(facts.get("fields", {}))
    wanted |= {
        name: value for name, value in facts.get("defaults", {}).items() if run.get(name) is None
    }
    started, known = facts.get("started_at"), run.get("started_at")
    if started and (known is None or parse_timestamp(started) < parse_timestamp(known)):
        wanted["started_at"] = started
    changes = {name: value for name, value in wanted.items() if run.get(name) != value}
    for name, column in _DOCUMENTS.items():
        gone = facts.get("unsummarized", ()) if name == "summary" else ()
        if name in facts or gone:
            text = run.get(column)
            before = decode(text) if text else {}
            whole = (before if isinstance(before, dict) else {}) | facts.get(name, {})
            changes[name] = {key: value for key, value in whole.items() if key not in gone}
    return changes


def _change(db: Database, run_id: str, changes: Mapping[str, Any]) -> None:
    if not changes:
        return
    try:
        with db.transaction():
            db.runs.update(run_id, **changes)
    except _REFUSALS:  # one of them: the others are set one by one
        for name, value in changes.items():
            _try(db, run_id, f"the {name} of", db.runs.update, **{name: value})


def _try(db: Database, run_id: str, what: str, change: Any, *args: Any, **fields: Any) -> None:
    try:
        with db.transaction():
            change(run_id, *args, **fields)
    except _REFUSALS as error:
        warn(f"{what} run {run_id!r} was not stored: {error}")
