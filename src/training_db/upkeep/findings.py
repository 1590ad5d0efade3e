"""What a check of a database says: how grave it is, what it is, and the command that mends it."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from training_db.settings import sqlite_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import URL, Engine


class Severity(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    NOTE = "note"
    WARNING = "warning"
    FAULT = "fault"

    @property
    def needs_care(self) -> bool:
        """Whether somebody has to do something."""
        return self in (Severity.WARNING, Severity.FAULT)


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        check: Which check found it, such as ``"orphans"``.
        severity: How grave it is: ``fault`` where data or answers are wrong or cannot be had,
            ``warning`` where they will be, ``note`` where nothing has to be done.
        what: What it is, in a sentence.
        which: The rows, runs, files or indexes that it is about; not all where they are many.
        mend: The command that mends it; ``None`` where there is nothing to mend.
    """

    check: str
    severity: Severity
    what: str
    which: tuple[str, ...] = ()
    mend: str | None = None


@dataclass(frozen=True)
class Case:
    """The database that is looked at.

    Attributes:
        url: Where it is, resolved.
        engine: Looks, and changes nothing.
        place: What commands need to find it; empty where the environment says it.
        is_thorough: Whether to read everything, however long that takes.
        spools: The folder of the spools of this machine.
    """

    url: URL
    engine: Engine
    place: str
    is_thorough: bool
    spools: Path

    @property
    def path(self) -> Path | None:
        """The file; ``None`` of a server."""
        return sqlite_path(self.url)

    def command(self, *words: str) -> str:
        """Return a command of ours on this database, as a shell takes it."""
        place = ["--url", self.place] if self.place else []
        return shlex.join(["training-db", *words, *place])

    def sql(self, *statements: str) -> str:
        """Return a command that runs statements on the server."""
        asked = [word for one in statements for word in ("-c", one)]
        return shlex.join(["psql", place_for_commands(self.url), *asked])


def place_for_commands(url: URL) -> str:
    """Return what ``--url`` takes for a database, without passwords.

    Example:
        >>> from training_db.settings import resolve_url
        >>> place_for_commands(resolve_url("postgresql://ann:secret@db/runs"))
        'postgresql://ann@db/runs'
    """
    path = sqlite_path(url)
    if path is not None:
        return str(path)
    shown = {
        name: value
        for name, value in url.query.items()
        if "password" not in name and not name.startswith("training_db_")
    }
    plain = url.set(drivername=url.get_backend_name(), query=shown)
    # Who has no password there has one in the environment, or in a file for it.
    return plain._replace(password=None).render_as_string(hide_password=False)


def some(names: Sequence[str], most: int = 10) -> tuple[str, ...]:
    """Return the first of many names, and how many more there are.

    Example:
        >>> some(["r1", "r2", "r3"], 2)
        ('r1', 'r2', 'and 1 more')
    """
    rest = len(names) - most
    return (*names[:most], f"and {rest} more") if rest > 0 else tuple(names)
