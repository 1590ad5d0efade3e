"""What is noted on the timeline of a run about each file or server that it was imported from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from training_db.database import TrainingDB

KIND = "import"
_PREFIX = "import:"


def note_key(writer: int) -> str:
    """Return the key of the event that tells of an import."""
    return f"{_PREFIX}{writer}"


@dataclass(frozen=True)
class ImportNote:
    """What one import noted.

    Attributes:
        writer: The writer of its rows.
        data: Everything that stands there.
    """

    writer: int
    data: dict[str, Any]

    @property
    def source(self) -> str:
        """Where it came from."""
        return str(self.data.get("source", ""))

    @property
    def file(self) -> str:
        """The name of the file, or of the run at its server."""
        return str(self.data.get("file") or self.source)

    @property
    def started_at(self) -> datetime | None:
        """When that part of the run began."""
        try:
            return parse_timestamp(self.data["started_at"])
        except (KeyError, InvalidValue):
            return None

    @property
    def already_here(self) -> dict[str, int]:
        """For each metric the cells that were not stored, for another source had brought them."""
        found: dict[str, int] = self.data.get("already_here") or {}
        return found

    @property
    def is_whole(self) -> bool:
        """Whether the import came to its end."""
        return "facts" in self.data


def import_notes(db: TrainingDB, run_id: str) -> dict[int, ImportNote]:
    """Return what is noted about the imports of a run, by writer.

    Args:
        db: The database.
        run_id: The run.
    """
    notes = {}
    for event in db.events.list(run_id, kind=KIND, limit=None):
        key = event["event_key"] or ""
        digits = key.removeprefix(_PREFIX)
        if key.startswith(_PREFIX) and digits.isdecimal():
            data = json.loads(event["data_json"] or "{}")
            notes[int(digits)] = ImportNote(int(digits), data if isinstance(data, dict) else {})
    return notes


def write_note(
    db: TrainingDB, run_id: str, writer: int, message: str, data: dict[str, Any]
) -> None:
    """Note an import, or what became known of it since.

    Args:
        db: The database.
        run_id: The run.
        writer: The writer of its rows.
        message: In words, for the timeline.
        data: Everything that is to be known of it.
    """
    db.events.add(run_id, KIND, message, data, event_key=note_key(writer))
