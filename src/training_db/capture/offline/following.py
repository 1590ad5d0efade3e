"""Following W&B's logs while they grow, until the runs have ended."""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING, NamedTuple

from training_db.capture.offline.discovery import find_logs
from training_db.capture.offline.importing import SOURCE, LogImport
from training_db.capture.storing.outcome import ImportOutcome
from training_db.errors import DatabaseUnavailable, InvalidInput

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from training_db.database import TrainingDB

    Told = Callable[[ImportOutcome], None]
    Begun = Callable[[Path, int], None]

_SEARCH_SHARE = 20
"""So many times as long as a search for new logs takes is between two of them."""


def follow_wandb_logs(
    db: TrainingDB,
    *paths: str | os.PathLike[str],
    every: float = 2.0,
    until_ended: bool = True,
    told: Told | None = None,
    begun: Begun | None = None,
    warn: Callable[[str], None] = warnings.warn,
) -> list[ImportOutcome]:
    """Import W&B's logs, and go on with those of runs that are still going on.

    Folders are looked through for new logs too; large trees less often.

    Args:
        db: The database.
        paths: As for :func:`training_db.capture.import_wandb_logs`.
        every: Seconds between two looks.
        until_ended: Whether to stop once none of the runs goes on; else only Ctrl-C does.
        told: Called with what came of each log, when its run has ended; and when this is
            interrupted, of those that go on.
        begun: Called once with each log that is followed, and how many rows it had then.
        warn: Called once when the database cannot be reached any more.

    Returns:
        What came of each log.

    Raises:
        KeyboardInterrupt: Somebody pressed Ctrl-C. Everything so far is stored.
        MissingExtra: The package ``wandb`` is not installed.
        DatabaseError: The database cannot be written to. Once it could, it is waited for.
    """
    never = threading.Event()
    following = Following(db, paths, warn, begun)
    outcomes: list[ImportOutcome] = []

    def tell(some: Iterator[ImportOutcome]) -> None:
        for outcome in some:
            outcomes.append(outcome)
            if told is not None:
                told(outcome)

    try:
        while True:
            tell(following.look())
            if until_ended and not following.is_live:
                return outcomes
            never.wait(every)
    except KeyboardInterrupt:
        tell(following.so_far())
        raise


class Following:
    """Logs that are looked at again and again.

    Args:
        db: The database.
        paths: As for :func:`follow_wandb_logs`.
        warn: Likewise.
        begun: Likewise.
    """

    def __init__(
        self,
        db: TrainingDB,
        paths: tuple[str | os.PathLike[str], ...],
        warn: Callable[[str], None] = warnings.warn,
        begun: Begun | None = None,
    ) -> None:
        self._db, self._paths, self._warn, self._begun = db, paths, warn, begun
        self._told: set[Path] = set()
        self._live: dict[Path, _Followed] = {}
        self._done: dict[Path, _Place] = {}
        self._missing: set[str] = set()
        self._logs: list[Path] = []
        self._next_search = 0.0
        self._was_reached = False
        self._is_cut_off = False

    @property
    def is_live(self) -> bool:
        """Whether any of the runs goes on, as far as is known."""
        return bool(self._live) or self._is_cut_off

    def look(self) -> Iterator[ImportOutcome]:
        """Store what is new.

        Yields:
            What came of each log whose run has ended, or which cannot be read.
        """
        if not self._live or time.monotonic() >= self._next_search:
            yield from self._search()
        for path in dict.fromkeys([*self._live, *self._logs]):
            if self._done.get(path) == _place(path):
                continue
            try:
                yield from self._look_at(path)
            except DatabaseUnavailable as error:
                if not self._was_reached:
                    raise
                # What was read and not stored is read again.
                self._live.pop(path, None)
                if not self._is_cut_off:
                    self._warn(f"what is new waits, and is read again: {error}")
                self._is_cut_off = True
                return
            self._was_reached = True
        self._is_cut_off = False

    def _search(self) -> Iterator[ImportOutcome]:
        began = time.monotonic()
        found = find_logs(self._paths)
        ended = time.monotonic()
        # A tree of many thousand folders is not gone through all the time.
        self._next_search = ended + _SEARCH_SHARE * (ended - began)
        self._logs = found.logs
        for place, why in found.missing.items():
            if place not in self._missing and not self._live and not self._done:
                yield ImportOutcome(SOURCE, place, error=why)
            self._missing.add(place)

    def so_far(self) -> Iterator[ImportOutcome]:
        """Yield what came of the logs whose runs go on."""
        for one in self._live.values():
            yield one.log.outcome()

    def _look_at(self, path: Path) -> Iterator[ImportOutcome]:
        place = _place(path)
        known = self._live.get(path)
        one = known.log if known and not _is_other(place, known) else LogImport(self._db, path)
        try:
            was_live = one.is_live
            if not was_live or one.position != place.size:
                one.go_on()
            if was_live and not one.is_live:
                one.go_on()  # a client writes on for a moment after it said that the run ended
        except DatabaseUnavailable:  # which is an OSError too
            raise
        except (InvalidInput, OSError) as error:
            self._live.pop(path, None)
            self._done[path] = place
            yield one.failed(error)
            return
        if one.is_live:
            self._live[path] = _Followed(place.inode, one)
            one.note_sign_of_life()
            if self._begun is not None and path not in self._told:
                self._begun(path, one.rows)
            self._told.add(path)
            return
        self._live.pop(path, None)
        self._done[path] = place
        yield one.outcome()


class _Place(NamedTuple):
    inode: int
    size: int


_NOWHERE = _Place(-1, -1)


class _Followed(NamedTuple):
    inode: int
    log: LogImport


def _is_other(place: _Place, known: _Followed) -> bool:
    """Tell whether another file took the place of one that is followed."""
    is_same = place.inode == known.inode and place.size >= known.log.position
    return place != _NOWHERE and not is_same


def _place(path: Path) -> _Place:
    try:
        status = path.stat()
    except OSError:
        return _NOWHERE
    return _Place(status.st_ino, status.st_size)
