"""What stands in a database while it is being filled by a copy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, Table, Text, inspect, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

TABLE = "training_db_copy"
_MARKERS = Table(
    TABLE,
    MetaData(),
    Column("source", Text, nullable=False),
    Column("later", Text, nullable=False),
)


@dataclass(frozen=True)
class Marker:
    """A copy that is not complete.

    Attributes:
        source: From where, without the password.
        later: The statements that put back the indexes and foreign keys that were taken off.
    """

    source: str
    later: tuple[str, ...]


def unfinished_copy(connection: Connection) -> Marker | None:
    """Return the copy that a database was to become, if that was stopped.

    Args:
        connection: Where to look.
    """
    if not inspect(connection).has_table(TABLE):
        return None
    row = connection.execute(select(_MARKERS)).first()
    if row is None:
        return None
    return Marker(row.source, tuple(json.loads(row.later)))


def mark(connection: Connection, source: str, later: Sequence[str]) -> None:
    """Note that a copy begins, in the transaction that takes off the indexes."""
    _MARKERS.create(connection)
    connection.execute(_MARKERS.insert().values(source=source, later=json.dumps(list(later))))


def put_back(connection: Connection) -> None:
    """Note that indexes and foreign keys are back."""
    connection.execute(_MARKERS.update().values(later="[]"))


def unmark(connection: Connection) -> None:
    """Take the note away: the copy is complete."""
    _MARKERS.drop(connection)
