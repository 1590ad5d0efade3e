"""The clock of the database, by which all who write to it agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, type_coerce

from training_db.models.types import Timestamp, utc_now
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection


def clock(connection: Connection) -> datetime:
    """Return what time it is by the clock of the database.

    Example:
        >>> db = getfixture("example_db")
        >>> with db.engine.connect() as connection:
        ...     clock(connection).tzname()
        'UTC'
    """
    return parse_timestamp(connection.scalar(select(type_coerce(utc_now(), Timestamp))))
