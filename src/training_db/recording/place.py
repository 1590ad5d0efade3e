"""Where spools are, and which database each belongs to."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Protocol

from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from sqlalchemy import URL

    from training_db.segments import Column

SUFFIX = ".spool"
CORRUPT = ".corrupt"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80


class Runs(Protocol):
    """What is needed of ``db.runs``."""

    def ensure(self, run_id: str) -> bool:
        """Insert the run unless it is there."""

    def beat(self, run_id: str) -> None:
        """Note that it is alive."""

    def find(self, run_id: str) -> Mapping[str, Any] | None:
        """Return it, or ``None``."""

    def update(self, run_id: str, **fields: Any) -> None:
        """Change some columns of it."""

    def update_status(self, run_id: str, status: str, **fields: Any) -> None:
        """Set where it stands."""


class Tags(Protocol):
    """What is needed of ``db.tags``."""

    def add(self, run_id: str, name: str, value: str | None = None) -> None:
        """Pin a tag to a run."""

    def remove(self, run_id: str, name: str) -> bool:
        """Take a tag off a run."""


class Artifacts(Protocol):
    """What is needed of ``db.artifacts``."""

    def add(self, run_id: str, artifact_type: str, filepath: str, metadata: Any = None) -> int:
        """Note where a file of a run stands."""

    def list(self, run_id: str, artifact_type: str | None = None) -> list[dict[str, Any]]:
        """Return the files of a run."""


class Events(Protocol):
    """What is needed of ``db.events``."""

    def add(
        self,
        run_id: str,
        kind: str,
        message: str,
        data: Any = None,
        happened_at: datetime | str | float | None = None,
        event_key: str | None = None,
    ) -> None:
        """Add an event, once a key."""


class History(Protocol):
    """What is needed of ``db.history``."""

    def write(
        self, run_id: str, writer: int, columns: Mapping[str, Column], rows: tuple[int, int]
    ) -> int:
        """Write rows that are not there yet, and return the writer's next row."""

    def compact(self, run_id: str, writer: int | None = None) -> None:
        """Bring its newest rows into their last form."""

    def tidy(self) -> None:
        """Make the space free again that they took before."""


class Database(Protocol):
    """What a recorder needs of :class:`training_db.TrainingDB`."""

    url: URL

    @property
    def runs(self) -> Runs:
        """Its runs."""

    @property
    def events(self) -> Events:
        """Their events."""

    @property
    def history(self) -> History:
        """Their history."""

    @property
    def tags(self) -> Tags:
        """Their tags."""

    @property
    def artifacts(self) -> Artifacts:
        """Their files."""

    def transaction(self) -> AbstractContextManager[Any]:
        """Let all inside happen, or nothing."""


def place_of(url: URL) -> str:
    """Name a database in a way that each login to it shares.

    Args:
        url: Where it is, resolved.

    Returns:
        The URL without user, password and options; of a SQLite file its real path; empty for a
        database in memory, which nobody else can reach.

    Example:
        >>> from training_db.settings import resolve_url
        >>> place_of(resolve_url("postgresql://ann:secret@db.example.org/runs?sslmode=require"))
        'postgresql://db.example.org:5432/runs'
    """
    if url.get_backend_name() == "sqlite":
        path = sqlite_path(url)
        return "" if path is None else f"sqlite:///{os.path.realpath(path)}"
    host = url.host or url.query.get("host") or ""
    return f"postgresql://{host}:{url.port or 5432}/{url.database or ''}"


def spool_name(run_id: str, writer: int) -> str:
    """Return the file name of a spool.

    Example:
        >>> spool_name("seed 1/lr=0.1", 42)
        'seed_1_lr_0.1-42.spool'
    """
    return f"{_prefix(run_id)}{writer}{SUFFIX}"


def ready_folder(folder: Path) -> Path:
    """Return the folder, made if it is not there, for the eyes of its owner only.

    Raises:
        OSError: It cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def spools_in(folder: Path, run_id: str | None = None) -> list[Path]:
    """Return the spools in a folder, oldest writer first.

    Args:
        folder: The folder; it need not be there.
        run_id: Only those that may be of this run: names are shortened.
    """
    prefix = "" if run_id is None else _prefix(run_id)
    found = [path for path in folder.glob(f"*{SUFFIX}") if path.name.startswith(prefix)]
    return sorted(found, key=lambda path: (_writer(path), path.name))


def _prefix(run_id: str) -> str:
    return f"{_UNSAFE.sub('_', run_id)[:_LONGEST_NAME]}-"


def _writer(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0
