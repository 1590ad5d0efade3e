"""What things are called at W&B: ids, projects and tags that its server takes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from training_db.capture.captured import MLFLOW_PROJECT_TAG, TAG_PREFIX
from training_db.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_IN_IDS = re.compile(r"[:;,#?/'\\\x00-\x1f\x7f]")
_NOT_IN_PROJECTS = re.compile(r"[/\\#?%:\x00-\x1f\x7f]")
_LONGEST_ID = 128  # in bytes, for it becomes part of the names of files
_LONGEST_PROJECT = 128
_LONGEST_TAG = 64
_UNNAMED_PROJECT = "uncategorized"  # as the client writes where nobody said any
_PROJECT_TAGS = (f"{TAG_PREFIX}project", MLFLOW_PROJECT_TAG)


@dataclass
class Labels:
    """What the tags of a run say, by the field of W&B's run that it belongs to.

    Attributes:
        project: Its project.
        entity: Whose it is; empty for whoever uploads it.
        job_type: What it does in its group.
        sweep: The sweep it belongs to.
        tags: The words pinned to it.
        faults: What could not be kept as it is, in words.
    """

    project: str = _UNNAMED_PROJECT
    entity: str = ""
    job_type: str = ""
    sweep: str = ""
    tags: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def wandb_id(text: str) -> str:
    """Return the id that a run has at W&B, the same each time.

    Args:
        text: Its id here.

    Returns:
        The same text where W&B takes it; else one without the characters that it refuses, and
        with a digest, so that two that differ stay two.

    Example:
        >>> wandb_id("seed-7"), wandb_id("sweep/7")
        ('seed-7', 'sweep-7-9253ec73')
    """
    taken = _NOT_IN_IDS.sub("-", text).strip()
    if taken == text and len(text.encode()) <= _LONGEST_ID:
        return text
    return told_apart(taken, text)


def told_apart(taken: str, text: str) -> str:
    """Return an id at W&B with a digest of what it stands for."""
    short = taken.encode()[: _LONGEST_ID - 9].decode(errors="ignore").strip()
    return f"{short}-{_digest(text)}"


def check_project(name: str) -> str:
    """Return the name of a project, if W&B takes it.

    Raises:
        InvalidValue: It does not.
    """
    if not name or len(name) > _LONGEST_PROJECT or _NOT_IN_PROJECTS.search(name):
        raise InvalidValue(
            f"the project {name[:60]!r} is none that W&B takes; name it by 1 to "
            rf"{_LONGEST_PROJECT} characters, none of them / \ # ? % :"
        )
    return name


def labels(stored: Mapping[str, str | None]) -> Labels:
    """Sort the tags of a run as it is in the database.

    Args:
        stored: Its tags and their values.

    Returns:
        Words as W&B's tags, other tags as ``name:value``, and what ``wandb.project`` and its like
        say where it belongs.

    Example:
        >>> found = labels({"keep": None, "paper": "figure 2", "wandb.project": "chem"})
        >>> found.tags, found.project
        (['keep', 'paper:figure 2'], 'chem')
    """
    found = Labels()
    of_project = next((name for name in _PROJECT_TAGS if stored.get(name)), None)
    for name, value in stored.items():
        part = name.removeprefix(TAG_PREFIX)
        if value is not None and part != name and part in ("entity", "job_type", "sweep"):
            setattr(found, part, value)
        elif value and name == of_project:
            found.project = _NOT_IN_PROJECTS.sub("-", value)[:_LONGEST_PROJECT]
            if found.project != value:
                found.faults.append(f"the project {value!r} became {found.project!r}")
        else:
            text = name if value is None else f"{name}:{value}"
            tag = tag_of(text)
            if tag != text:
                found.faults.append(
                    f"the tag {text!r} became {tag!r}, for W&B takes {_LONGEST_TAG} characters"
                )
            found.tags.append(tag)
    return found


def tag_of(text: str) -> str:
    """Return a tag that W&B takes: a long one is cut, and has a digest of the rest."""
    if len(text) <= _LONGEST_TAG:
        return text
    digest = "#" + _digest(text)
    return text[: _LONGEST_TAG - len(digest)] + digest


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=4).hexdigest()
