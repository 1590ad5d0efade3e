"""The timeline of a run: what happened to it, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, literal, select, tuple_

from training_db.db.engine import upsert
from training_db.errors import InvalidValue
from training_db.models import run_events
from training_db.models.types import LARGEST
from training_db.repository.base import (
    Repository,
    as_dicts,
    page_size,
    run_number,
    shown_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from sqlalchemy import Tuple

_EVENT = run_events.c
_SHOWN = select(*shown_columns(run_events, without=["run_number"]))


class EventRepository(Repository):
    """The events of a database's runs, as ``db.events``."""

    def add(
        self,
        run_id: str,
        kind: str,
        message: str,
        data: Any = None,
        happened_at: datetime | str | float | None = None,
        event_key: str | None = None,
    ) -> None:
        """Put an event on the timeline of a run.

        Args:
            run_id: The run.
            kind: What sort of event it is, such as ``"error"``.
            message: What happened, for people to read.
            data: What else is to be known of it: anything JSON can hold.
            happened_at: When; now, if nothing is said.
            event_key: A key under which the run has it once, however often it is sent.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> db.events.add("r1", "checkpoint", "saved", {"step": 100})
            >>> [(event["message"], event["data_json"]) for event in db.events.list("r1")]
            [('saved', '{"step":100}')]
        """
        from training_db.records import EventFields, checked

        row = checked(EventFields, {"kind": kind, "message": message})
        given = {"data_json": data, "happened_at": happened_at, "event_key": event_key}
        row |= checked(EventFields, {name: one for name, one in given.items() if one is not None})
        with self._transactions(writes=True) as connection:
            row["run_number"] = run_number(connection, run_id)
            if event_key is None:
                connection.execute(insert(run_events), row)
            else:
                upsert(connection, run_events, ("run_number", "event_key"), [row])

    def list(
        self,
        run_id: str,
        kind: str | None = None,
        limit: int | None = 100,
        after: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return the events of a run, in the order in which they happened.

        Args:
            run_id: The run.
            kind: Of this kind only.
            limit: At most so many; ``None`` for all.
            after: The ``id`` of an event: only those that come after it in the timeline.

        Returns:
            For each event ``id``, ``happened_at``, ``kind``, ``message``, ``data_json`` (JSON
            text or ``None``) and ``event_key``.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: The run has no event with the id ``after``.
        """
        place = (_EVENT.happened_at, _EVENT.id)
        statement = _SHOWN.order_by(*place).limit(page_size(limit, "limit"))
        if kind is not None:
            statement = statement.where(_EVENT.kind == kind)
        with self._transactions(writes=False) as connection:
            number = run_number(connection, run_id)
            if after is not None:
                known = isinstance(after, int) and 0 <= after <= LARGEST
                of_run = select(*place).where(_EVENT.run_number == number, _EVENT.id == after)
                last = connection.execute(of_run).one_or_none() if known else None
                if last is None:
                    raise InvalidValue(f"run {run_id!r} has no event {after!r} to go on after")
                statement = statement.where(tuple_(*place) > _bound(last))
            return as_dicts(connection.execute(statement.where(_EVENT.run_number == number)), dict)


def _bound(place: Iterable[Any]) -> Tuple:
    columns = (_EVENT.happened_at, _EVENT.id)
    return tuple_(*(literal(value, one.type) for value, one in zip(place, columns, strict=True)))
