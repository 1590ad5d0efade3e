"""What PostgreSQL cannot hold as it is, kept exactly in an event of the run."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from training_db.db.engine.streams import BAD_TEXT

KIND = "copy.original"
ALL = "*"


@dataclass(frozen=True)
class Original:
    """The values of a row as they were.

    Attributes:
        table: Its table.
        checksum: What the row comes to in its stated form; with it, the row is found again.
        values: The columns that have another form now, as they were; all of a row that is no more
            than this event.
        is_whole: Whether that is so.
    """

    table: str
    checksum: str
    values: dict[str, Any]
    is_whole: bool = False

    @property
    def event_key(self) -> str:
        """What tells the event from the others of the run."""
        return f"{KIND}:{self.table}:{self.checksum}"

    @property
    def message(self) -> str:
        """What the event says."""
        what = "a row" if self.is_whole else ", ".join(sorted(self.values))
        return f"{what} of {self.table} as it was before it was copied to PostgreSQL"

    def as_json(self) -> str:
        """Return the data of the event."""
        document = {
            "table": self.table,
            "checksum": self.checksum,
            "whole": self.is_whole,
            "values": {name: _packed(value) for name, value in self.values.items()},
        }
        return json.dumps(document)

    @classmethod
    def from_json(cls, text: str) -> Original | None:
        """Read the data of an event; ``None`` where somebody else wrote it."""
        try:
            document = json.loads(text)
            values = {name: _unpacked(value) for name, value in document["values"].items()}
            return cls(document["table"], document["checksum"], values, document["whole"])
        except (ValueError, LookupError, TypeError, AttributeError):
            return None


def _packed(value: Any) -> Any:
    match value:
        case str():
            return {"text": b64encode(value.encode(errors=BAD_TEXT)).decode()}
        case bytes():
            return {"bytes": b64encode(value).decode()}
        case float():
            return {"float": value.hex()}
    return value


def _unpacked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, packed),) = value.items()
    if kind == "float":
        return float.fromhex(packed)
    data = b64decode(packed, validate=True)
    return data if kind == "bytes" else data.decode("utf-8", BAD_TEXT)
