"""What a migration did, and what a check found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Progress = Callable[[str, int, int], object]
"""Takes a label, how much is done and how much there is."""

Note = Callable[[str], object]
"""Takes one line that the user should read."""


@dataclass
class Report:
    """What a migration did.

    Attributes:
        from_version: The version before; ``None`` where there was no schema, or none we made.
        to_version: The version after; ``None`` where everything was dropped.
        backup: The copy of the SQLite file that was taken first.
        notes: What happened on the way, one line each: counts, what was left as it is, what went.
    """

    from_version: str | None
    to_version: str | None
    backup: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether the schema has another version now than before."""
        return self.from_version != self.to_version


@dataclass
class Findings:
    """What a check found.

    Attributes:
        version: The version the database says it has.
        faults: What has to be mended, one line each, each with its remedy.
        notes: What is unusual and does no harm, such as columns that somebody added.
    """

    version: str | None
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.faults
