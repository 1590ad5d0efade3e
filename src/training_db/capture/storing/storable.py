"""What other tools recorded, made storable: what no database holds is replaced, and said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from training_db.documents import DEEPEST, LONGEST_INTEGER, REPLACED, encode, is_storable, sound
from training_db.errors import InvalidValue
from training_db.extraction import config_objectives, storable_objectives, summary_objectives
from training_db.models.types import LONGEST_INDEXED
from training_db.recording.rows import metric_name

if TYPE_CHECKING:
    from training_db.capture.captured import CapturedArtifact, CapturedEvent, CapturedRun

_DEEPEST = DEEPEST - 20  # a document may become part of another one
_TEXTS = ("url", "notes", "name", "git_branch", "git_commit")
_INDEXED = (
    "entity", "project", "group", "job_type", "sweep", "parent", "host",
)  # fmt: skip


def storable_run(captured: CapturedRun, damage: list[str]) -> CapturedRun:
    r"""Return a captured run of which both backends hold every part.

    Args:
        captured: What the source says.
        damage: Takes a sentence for whatever had to be changed.

    Example:
        >>> from training_db.capture.captured import CapturedRun
        >>> damage = []
        >>> run = CapturedRun("wandb-offline", "a", 1, notes=chr(0), tags=["x", ""], group="")
        >>> run = storable_run(run, damage)
        >>> ascii(run.notes), run.tags, run.group, len(damage)
        ("'\\ufffd'", ['x'], None, 2)
    """
    texts: dict[str, Any] = {
        name: storable_text(getattr(captured, name), f"the {name}", damage) for name in _TEXTS
    }
    texts |= {
        name: storable_name(getattr(captured, name), f"the {name}", damage) for name in _INDEXED
    }
    objectives = config_objectives(captured.config) | summary_objectives(captured.summary)
    kept = storable_objectives(objectives)
    damage.extend(
        f"the name of the objective {name[:40]!r} cannot be stored; only the documents have it"
        for name in objectives
        if name not in kept
    )
    texts["wandb_run_id"] = storable_name(captured.wandb_run_id, "the id", [])
    return replace(
        captured,
        **texts,
        source_id=storable_name(captured.source_id, "the id", damage) or "(empty)",
        tags=_tags(captured.tags, damage),
        tag_values=_tag_values(captured.tag_values, damage),
        config=storable_document(captured.config, "config", damage),
        summary=storable_document(captured.summary, "summary", damage),
        details=storable_document(captured.details, "details", damage),
        metric_paths=storable_document(captured.metric_paths, "metric paths", damage),
        events=[_event(one, damage) for one in captured.events],
        artifacts=[_artifact(one, damage) for one in captured.artifacts],
    )


def storable_text(value: str | None, what: str, damage: list[str]) -> str | None:
    """Return a text that both backends hold; ``None`` for an empty one."""
    if not value:
        return None
    if is_storable(value):
        return value
    verb = "hold" if what.endswith("s") else "holds"
    damage.append(f"{what} {verb} characters that cannot be stored; each became U+FFFD")
    return sound(value)


def storable_name(value: str | None, what: str, damage: list[str]) -> str | None:
    """Return a text that is short enough for an index; ``None`` for an empty one."""
    text = storable_text(value, what, damage)
    if text is None or len(text.encode()) <= LONGEST_INDEXED:
        return text
    damage.append(f"{what} {text[:40]!r}... is longer than {LONGEST_INDEXED} bytes; it was cut")
    return metric_name(text)


def storable_document(document: Any, what: str, damage: list[str]) -> Any:
    """Return a document that can be written as JSON which both backends hold."""
    try:
        encode(document, what)
    except InvalidValue as error:
        damage.append(f"{error}; it is stored as text")
        return _plain(document, 0)
    return document


def _plain(value: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return _text(value)
    if isinstance(value, dict):
        found: dict[str, Any] = {}
        for key, item in value.items():
            name = _text(key)
            while name in found:
                name += REPLACED
            found[name] = _plain(item, depth + 1)
        return found
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    try:
        encode(value)
    except InvalidValue:
        return _text(value)
    return value


def _text(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > LONGEST_INTEGER:
        return hex(value)  # Python writes no longer ones in digits
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        text = f"(a {type(value).__name__}, nested too deep)"
    return sound(text)


def _tags(tags: list[str], damage: list[str]) -> list[str]:
    found = []
    for tag in tags:
        name = storable_name(str(tag), "the tag", damage)
        if name is None:
            damage.append("a tag is empty; it was left out")
        else:
            found.append(name)
    return list(dict.fromkeys(found))


def _tag_values(tags: dict[str, str], damage: list[str]) -> dict[str, str]:
    found = {}
    for tag, value in tags.items():
        name = storable_name(str(tag), "the tag", damage)
        text = storable_name(str(value), f"the tag {tag!r}", damage)
        if name is None or text is None:
            damage.append(f"the tag {tag!r} is empty; it was left out")
        else:
            found[name] = text
    return found


def _event(event: CapturedEvent, damage: list[str]) -> CapturedEvent:
    return replace(
        event,
        key=metric_name(event.key),
        kind=storable_name(event.kind, "the kind of an event", damage) or "event",
        message=storable_text(event.message, "the message of an event", damage) or "",
        data=storable_document(event.data, "event", damage),
    )


def _artifact(artifact: CapturedArtifact, damage: list[str]) -> CapturedArtifact:
    return replace(
        artifact,
        type=storable_name(artifact.type, "the type of an artifact", damage) or "file",
        path=storable_text(artifact.path, "the path of an artifact", damage) or "(empty)",
        metadata=storable_document(artifact.metadata, "artifact", damage),
    )
