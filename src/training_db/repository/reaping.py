"""Runs that nothing was heard of for long, and that are taken for crashed until they beat again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, type_coerce, update

from training_db.documents import encode
from training_db.errors import InvalidValue
from training_db.models import RunStatus, run_events, training_runs
from training_db.models.types import Timestamp, utc_now
from training_db.repository.clock import clock
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

QUIET = timedelta(minutes=10)
"""Recorders beat four times a minute."""

SHOWN = ("run_id", "number", "status", "host", "heartbeat_at")

_RUN = training_runs.c
_IS_AWAITED = or_(*(_RUN.status == one.value for one in RunStatus if not one.ended))

PRESUMED = and_(_RUN.status == RunStatus.CRASHED.value, _RUN.ended_at == _RUN.heartbeat_at)
"""Crashed as far as anyone knows: the last that was heard of the run is all there is of its end."""


def is_presumed(run: Any) -> bool:
    """Tell the same of a run that was read.

    Example:
        >>> is_presumed({"status": "crashed", "ended_at": "t1", "heartbeat_at": "t1"})
        True
    """
    is_known = run["heartbeat_at"] is not None and run["ended_at"] == run["heartbeat_at"]
    return is_known and run["status"] == RunStatus.CRASHED


def silent_runs(connection: Connection, older_than: timedelta) -> list[dict[str, Any]]:
    """Return the runs that should be at work and have not beaten for so long, oldest number first.

    Args:
        connection: A connection inside a transaction.
        older_than: How long, by the clock of the database.

    Returns:
        For each its ``run_id``, ``number``, ``status``, ``host`` and ``heartbeat_at``. Runs in the
        trash, and runs that never beat, are none of them.

    Raises:
        InvalidValue: The time is negative, or too long.
    """
    limit = _before(clock(connection), older_than)
    shown = (
        _RUN.run_id, _RUN.number, _RUN.status, _RUN.host,
        type_coerce(_RUN.started_at, Timestamp).label("started_at"),
        type_coerce(_RUN.heartbeat_at, Timestamp).label("heartbeat_at"),
    )  # fmt: skip
    found = connection.execute(
        select(*shown)
        .where(_IS_AWAITED, _RUN.heartbeat_at < limit, _RUN.deleted_at.is_(None))
        .order_by(_RUN.number)
    )
    return [run for row in found if _moment((run := row._asdict())["heartbeat_at"]) is not None]


def mark_crashed(connection: Connection, run: dict[str, Any]) -> bool:
    """Take a silent run for crashed, at the time of its last heartbeat.

    Args:
        connection: A connection inside a transaction that writes.
        run: What :func:`silent_runs` returned.

    Returns:
        Whether it was still as it was found: a run that has beaten since is left at work, and one
        that was thrown away is left alone.
    """
    heartbeat, started = parse_timestamp(run["heartbeat_at"]), _moment(run["started_at"])
    changes: dict[str, Any] = {"status": RunStatus.CRASHED.value, "ended_at": _RUN.heartbeat_at}
    if started is not None:
        changes["duration_seconds"] = max(0, round((heartbeat - started).total_seconds()))
    unchanged = type_coerce(_RUN.heartbeat_at, Timestamp) == run["heartbeat_at"]
    statement = update(training_runs).where(
        _RUN.run_id == run["run_id"], _IS_AWAITED, unchanged, _RUN.deleted_at.is_(None)
    )
    if not connection.execute(statement.values(changes | {"updated_at_db": utc_now()})).rowcount:
        return False
    said = {"status": run["status"], "heartbeat_at": format_timestamp(heartbeat)}
    message = f"nothing was heard of the run since {said['heartbeat_at']}: taken for crashed"
    _note(connection, run["number"], "crash", message, said)
    return True


def beat(connection: Connection, run_id: str) -> bool:
    """Note that a run is alive; one that was taken for crashed is at work again.

    Args:
        connection: A connection inside a transaction that writes.
        run_id: The run.

    Returns:
        Whether there is such a run.
    """
    is_meant = _RUN.run_id == run_id
    beats = update(training_runs).where(is_meant)
    lives = beats.where(_RUN.status != RunStatus.CRASHED.value).values(heartbeat_at=utc_now())
    if connection.execute(lives).rowcount:
        return True
    returns = beats.where(PRESUMED).values(
        heartbeat_at=utc_now(),
        status=RunStatus.RUNNING.value,
        ended_at=None,
        duration_seconds=None,
    )
    if connection.execute(returns).rowcount:
        number = connection.scalar(select(_RUN.number).where(is_meant))
        message = "the run was taken for crashed, and has been heard of again"
        _note(connection, number, "return", message, None)
        return True
    return bool(connection.execute(beats.values(heartbeat_at=utc_now())).rowcount)


def _note(connection: Connection, number: Any, kind: str, message: str, data: Any) -> None:
    event = {"run_number": number, "kind": kind, "message": message}
    if data is not None:
        event["data_json"] = encode(data)
    connection.execute(insert(run_events).values(**event, happened_at=utc_now()))


def _before(present: datetime, older_than: timedelta) -> datetime:
    if not isinstance(older_than, timedelta) or older_than < timedelta(0):
        raise InvalidValue(f"older_than is {older_than!r}; pass a timedelta of 0 or more")
    try:
        return present - older_than
    except OverflowError:
        raise InvalidValue(f"older_than is {older_than!r}; that is before all times") from None


def _moment(value: Any) -> datetime | None:
    """Read a stored time; old text that is no time is as good as none."""
    try:
        return None if value is None else parse_timestamp(value)
    except InvalidValue:
        return None
