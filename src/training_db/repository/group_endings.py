"""How the runs of a group ended, and how long they took."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Double, and_, cast, func, or_, select, type_coerce

from training_db.errors import InvalidValue
from training_db.models import RunStatus, run_events, run_metrics, training_runs
from training_db.models.run import NEWEST_FIRST
from training_db.models.types import Timestamp, utc_now
from training_db.repository.base import Repository, as_dicts
from training_db.repository.filter_sql import condition
from training_db.repository.filters import as_filter
from training_db.repository.grouping import Attribute, identity
from training_db.repository.run_dict import is_stale
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

_RUN = training_runs.c
_SHOWN_OF_MESSAGE = 500
_BAD = (RunStatus.CRASHED.value, RunStatus.FAILED.value)
_ENDED = [status.value for status in RunStatus if status.ended]

Group = TypeVar("Group")


@dataclass(slots=True)
class Endings:
    """What is known of how the crashed and failed runs of a group ended.

    Attributes:
        value: What the group has in common.
        errors: The messages of their errors, and the numbers of the runs that had each.
        last_steps: The last step that each of them logged.
    """

    value: Any
    errors: dict[str, set[int]] = field(default_factory=dict)
    last_steps: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Lengths:
    """How long the runs of a group took.

    Attributes:
        value: What the group has in common.
        runs: How many there are.
        running: How many of them have not ended, but have begun.
        unknown: How many of them do not say how long they took.
        seconds: How long the others took in all.
    """

    value: Any
    runs: int = 0
    running: int = 0
    unknown: int = 0
    seconds: float = 0.0


class EndingQueries(Repository):
    """The part of ``db.statistics`` that tells how runs ended, and how long they took."""

    def endings(self, by: str | Sequence[str], filters: Any = None) -> list[Endings]:
        """Return errors and last steps of the runs that crashed or failed, by an attribute.

        Args:
            by: As for :meth:`~training_db.repository.group_queries.GroupQueries.counts`.
            filters: As for ``db.runs.query``.
        """
        attribute = Attribute(by)
        matching = attribute.of_runs(as_filter(filters), _RUN.number, _RUN.status)
        keys, is_bad = attribute.keys(matching), matching.c.status.in_(_BAD)
        message = func.substr(run_events.c.message, 1, _SHOWN_OF_MESSAGE).label("text")
        errors = (
            select(*keys, matching.c.number, message)
            .join_from(matching, run_events, run_events.c.run_number == matching.c.number)
            .where(is_bad, run_events.c.kind == "error")
            .distinct()
        )
        steps = (
            select(*keys, func.max(run_metrics.c.last_step))
            .join_from(matching, run_metrics, run_metrics.c.run_number == matching.c.number)
            .where(is_bad, run_metrics.c.last_step.is_not(None))
            .group_by(*keys, matching.c.number)
        )
        found: dict[Hashable, Endings] = {}
        of = partial(_group_of, found, Endings, attribute)
        with self._transactions(writes=False) as connection:
            for row in connection.execute(errors):
                of(row).errors.setdefault(row[-1], set()).add(row[-2])
            for row in connection.execute(steps):
                of(row).last_steps.append(row[-1])
        return list(found.values())

    def lengths(self, by: str | Sequence[str], filters: Any = None) -> list[Lengths]:
        """Return how long the runs that match took, by an attribute.

        A run that ended took what its duration says, or else the time from its start to its end.
        One that has begun and not ended counts until now, or until its last heartbeat where that
        has stopped.

        Args:
            by: As for :meth:`~training_db.repository.group_queries.GroupQueries.counts`.
            filters: As for ``db.runs.query``.
        """
        attribute = Attribute(by)
        times = (_RUN.started_at, _RUN.ended_at, _RUN.heartbeat_at)
        runs = attribute.of_runs(
            as_filter(filters),
            _RUN.status,
            _RUN.duration_seconds,
            *(type_coerce(one, Timestamp).label(one.name) for one in times),
        )
        keys = attribute.keys(runs)
        seconds = runs.c.duration_seconds
        is_told = and_(seconds >= 0, runs.c.status.in_(_ENDED))
        told = (
            select(*keys, func.count(), func.sum(cast(seconds, Double)))
            .where(is_told)
            .group_by(*keys)
        )
        rest = select(
            *keys,
            runs.c.status,
            *(runs.c[one.name] for one in times),
            type_coerce(utc_now(), Timestamp).label("clock"),
        ).where(or_(seconds.is_(None), seconds < 0, runs.c.status.not_in(_ENDED)))
        found: dict[Hashable, Lengths] = {}
        of = partial(_group_of, found, Lengths, attribute)
        with self._transactions(writes=False) as connection:
            for row in connection.execute(told):
                group = of(row)
                group.runs += row[-2]
                group.seconds += row[-1]
            for row in connection.execute(rest):
                _add(of(row), *row[-5:])
        return list(found.values())

    def without_blog_post(self, filters: Any = None) -> list[dict[str, Any]]:
        """Return the runs that match and have no blog post, newest first.

        Args:
            filters: As for ``db.runs.query``.

        Returns:
            For each run ``run_id``, ``number``, ``run_name``, ``status`` and ``ended_at``.
        """
        statement = (
            select(
                _RUN.run_id,
                _RUN.number,
                _RUN.run_name,
                _RUN.status,
                type_coerce(_RUN.ended_at, Timestamp).label("ended_at"),
            )
            .where(_RUN.blog_post_url.is_(None), condition(as_filter(filters)))
            .order_by(*NEWEST_FIRST)
        )
        with self._transactions(writes=False) as connection:
            return as_dicts(connection.execute(statement), dict)


def _add(
    group: Lengths,
    status: str,
    start: str | None,
    end: str | None,
    heartbeat: str | None,
    clock: str,
) -> None:
    """Add a run whose duration nobody wrote down."""
    group.runs += 1
    if status not in _ENDED:
        group.running += start is not None
        end = heartbeat if is_stale(heartbeat, clock) else clock
    seconds = _seconds(start, end)
    if seconds is None:
        group.unknown += 1
    else:
        group.seconds += seconds


def _seconds(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    try:
        seconds = (parse_timestamp(end) - parse_timestamp(start)).total_seconds()
    except InvalidValue:  # a row of somebody else
        return None
    return seconds if seconds >= 0 else None


def _group_of(
    found: dict[Hashable, Group], kind: Callable[[Any], Group], by: Attribute, row: Sequence[Any]
) -> Group:
    """Return the group that a row belongs to; a new one where it is the first."""
    value = by.value(row)
    return found.setdefault(identity(value), kind(value))
