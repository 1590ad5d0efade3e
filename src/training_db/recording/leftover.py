"""What recorders of processes that are gone have left in their spools: shown, sent and dropped."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training_db.db.session import primary_only
from training_db.errors import InvalidValue
from training_db.recording.complaints import warn
from training_db.recording.place import CORRUPT, SUFFIX, place_of, spools_in
from training_db.recording.sending import send
from training_db.recording.spool import (
    Spool,
    SpoolCorrupt,
    SpoolInUse,
    SpoolUnreadable,
    is_damage,
    unlink,
)
from training_db.repository.reaping import is_presumed
from training_db.settings import spool_settings
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from training_db.recording.place import Database

_CELLS = 500_000  # cells sent at once: whoever sends them has other things to do in between


@dataclass(frozen=True)
class SpoolState:
    """A spool, as it is or as it was when it was sent or dropped.

    Attributes:
        file: Where it is.
        state: ``"in use"`` by a process that is alive, ``"waiting"`` to be sent, ``"sent"``,
            ``"dropped"``, ``"unreadable"`` or ``"corrupt"``. One that was sent is kept for as long
            as the run may still turn out to have crashed.
        run_id: The run, where it is known.
        place: The database, where it is known, without user and password.
        rows: Rows that the database did not have, where they can be counted.
        events: Events likewise.
        bytes: The size of the file.
        started_at: When its writer began, in ISO 8601.
        reason: What is wrong with it.
    """

    file: Path
    state: str
    run_id: str | None = None
    place: str | None = None
    rows: int | None = None
    events: int | None = None
    bytes: int = 0
    started_at: str | None = None
    reason: str | None = None


def status(folder: str | os.PathLike[str] | None = None) -> list[SpoolState]:
    """Return the spools there are, oldest first.

    Args:
        folder: Where to look; ``None`` for where recorders put them.

    Example:
        >>> status(getfixture("tmp_path"))
        []
    """
    found = []
    for path in _all_in(_folder(folder)):
        with suppress(FileNotFoundError):
            found.append(_state(path))
    return found


@primary_only()
def sync(
    db: Database, folder: str | os.PathLike[str] | None = None, run_id: str | None = None
) -> list[SpoolState]:
    """Send what recorders that are gone have left for this database.

    A run whose recorder was closed gets the status that it was closed with. One that was cut off
    becomes ``crashed``, where nobody else has been heard of for a while.

    Args:
        db: The database.
        folder: Where to look; ``None`` for where recorders put their spools.
        run_id: Of this run only.

    Returns:
        What was sent, and what was found and left, as ``state`` and ``reason`` say.

    Raises:
        TrainingDBError: The database did not take it; what is not sent stays.

    Example:
        >>> sync(getfixture("example_db"), getfixture("tmp_path"))
        []
    """
    return [one for one in sending(db, _folder(folder), run_id) if one is not None]


def drop(
    folder: str | os.PathLike[str] | None = None,
    *,
    files: list[Path] | None = None,
    run_id: str | None = None,
) -> list[SpoolState]:
    """Delete spools that nobody uses, with all that was not sent.

    Args:
        folder: Where to look; ``None`` for where recorders put them.
        files: Of these files only.
        run_id: Of this run only.

    Returns:
        What was dropped, and what could not be, as ``state`` and ``reason`` say.

    Raises:
        InvalidValue: One of the files is no spool in this folder.
    """
    place = _folder(folder)
    there = _all_in(place)
    wanted = there if files is None else [Path(one).absolute() for one in files]
    for path in wanted:
        if path not in there:
            raise InvalidValue(
                f"{path} is no spool in {place}; `training-db spool status` lists them"
            )
    dropped = []
    for path in wanted:
        with suppress(FileNotFoundError):
            one = _state(path)
            if run_id is not None and one.run_id != run_id:
                continue
            if one.state != "in use":
                unlink(path)
                one = SpoolState(**(one.__dict__ | {"state": "dropped"}))
            dropped.append(one)
    return dropped


def sending(
    db: Database,
    folder: Path,
    run_id: str | None = None,
    own_run: str | None = None,
) -> Generator[SpoolState | None]:
    """Send what is left, a step at a time.

    Args:
        db: The database.
        folder: Where to look.
        run_id: Of this run only.
        own_run: The run that the caller writes: it is alive.

    Yields:
        ``None`` after a batch, and the spool when it is done with.
    """
    place = place_of(db.url)
    for path in spools_in(folder, run_id):
        try:
            spool = Spool.open(path)
        except FileNotFoundError:
            continue
        except SpoolInUse:
            yield _unopened(path, "in use")
            continue
        except SpoolCorrupt as error:
            yield _unopened(_set_aside(path, str(error)), "corrupt", str(error))
            continue
        except SpoolUnreadable as error:
            yield _unopened(path, "unreadable", str(error))
            continue
        is_done = was_empty = False
        try:
            before = _opened(path, spool)
            if spool.meta["place"] != place or run_id not in (None, before.run_id):
                continue
            was_empty = spool.is_empty
            yield from _send_all(db, spool)
            is_done = _end(db, spool, own_run)
            if not is_done and not was_empty:
                spool.shrink()
        except (sqlite3.DatabaseError, SpoolCorrupt) as error:
            spool.close()
            if is_damage(error):
                reason = f"{path}: {error}"
                yield _unopened(_set_aside(path, reason), "corrupt", reason)
            else:
                yield _unopened(path, "unreadable", str(error))
            continue
        finally:
            spool.close(delete=is_done)
        if was_empty and not is_done:  # it was sent before, and nothing is new
            yield None
            continue
        yield SpoolState(**(before.__dict__ | {"state": "sent"}))


def _send_all(db: Database, spool: Spool) -> Iterator[None]:
    if spool.is_empty:
        return
    run_id = str(spool.meta["run_id"])
    with db.transaction():
        db.runs.ensure(run_id)
        run = db.runs.find(run_id)
        if spool.meta.get("sets_status") == "yes" and run and run["status"] == "launched":
            # Its writer was gone before it could say so; what it logged is a sign of life.
            db.runs.update_status(run_id, "running", started_at=spool.meta["started_at"])
            if not spool.meta.get("closing"):
                db.runs.beat(run_id)
    while not spool.is_empty:
        send(db, run_id, spool, spool.next_row, lambda: None, _CELLS)
        yield None


def _end(db: Database, spool: Spool, own_run: str | None) -> bool:
    """Give the run the status that its writer can no longer give it; tell whether it is known.

    It is not as long as the run beats: somebody else may write it, or its writer was killed just
    now. Whoever comes later sees which of them it was.
    """
    run_id = str(spool.meta["run_id"])
    run = db.runs.find(run_id)
    if run is None or run_id == own_run or spool.meta.get("sets_status") != "yes":
        return True
    if run["status"] not in ("launched", "running") and not is_presumed(run):
        return True
    if spool.meta.get("closing"):
        is_at_work = not run["stale"] and not is_presumed(run)
        if is_at_work and _was_heard_since(run["heartbeat_at"], spool):
            return False
        closed_at = spool.meta.get("closed_at")
        db.runs.update_status(run_id, str(spool.meta["closing"]), ended_at=closed_at)
    elif run["stale"] and not is_presumed(run):
        host, process = spool.meta.get("host"), spool.meta.get("pid")
        with db.transaction():
            db.events.add(
                run_id,
                "crash",
                f"process {process} on {host} ended without closing its recorder, and nothing has "
                "been heard of the run since",
                {"writer": spool.writer, "host": host, "pid": process},
                happened_at=now(),
                event_key=f"{spool.writer}:end",
            )
            db.runs.update_status(run_id, "crashed", ended_at=run["heartbeat_at"])
    elif run["heartbeat_at"] is not None and not is_presumed(run):
        return False
    return True


def _was_heard_since(heartbeat: str | None, spool: Spool) -> bool:
    """Tell whether the run went on after the writer of a spool had closed it."""
    last = spool.meta.get("given_up_at") or spool.meta.get("closed_at")
    if heartbeat is None:
        return False
    return last is None or parse_timestamp(heartbeat) > parse_timestamp(last)


def _state(path: Path) -> SpoolState:
    if path.name.endswith(CORRUPT):
        return _unopened(path, "corrupt")
    try:
        spool = Spool.open(path)
    except SpoolInUse:
        return _unopened(path, "in use")
    except SpoolUnreadable as error:
        return _unopened(
            path, "corrupt" if isinstance(error, SpoolCorrupt) else "unreadable", str(error)
        )
    try:
        return _opened(path, spool)
    finally:
        spool.close()


def _opened(path: Path, spool: Spool) -> SpoolState:
    return SpoolState(
        file=path,
        state="sent" if spool.is_empty else "waiting",
        run_id=spool.meta["run_id"],
        place=spool.meta["place"],
        rows=spool.waiting_rows,
        events=spool.next_event - spool.first_event,
        bytes=_size(path),
        started_at=spool.meta.get("started_at"),
    )


def _unopened(path: Path, state: str, reason: str | None = None) -> SpoolState:
    return SpoolState(file=path, state=state, bytes=_size(path), reason=reason)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0


def _set_aside(path: Path, error: str) -> Path:
    """Rename a damaged spool, so that it is looked at by people only."""
    aside = path.with_name(path.name + CORRUPT)
    try:
        path.rename(aside)
        wal = path.with_name(path.name + "-wal")
        if wal.exists():
            wal.rename(aside.with_name(aside.name + "-wal"))
    except OSError as reason:
        warn(f"{error}; it could not be renamed either: {reason}")
        return path
    warn(f"{error}; it is now {aside}, and `training-db spool drop` deletes it")
    return aside


def _all_in(folder: Path) -> list[Path]:
    return [*spools_in(folder), *sorted(folder.glob(f"*{SUFFIX}{CORRUPT}"))]


def _folder(folder: str | os.PathLike[str] | None) -> Path:
    return spool_settings()[0] if folder is None else Path(folder).expanduser().absolute()
