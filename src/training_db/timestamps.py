"""Timestamps: any form that people write, read as aware UTC; one form written back.

The form is ISO 8601 with six digits and ``Z``. It has a fixed width, so that text order is time
order and SQLite can sort and compare it as it stands.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from training_db.errors import InvalidValue


def now() -> datetime:
    """Return the present moment, aware and in UTC."""
    return datetime.now(UTC)


def parse_timestamp(value: object, name: str = "timestamp") -> datetime:
    """Read a moment in time.

    Args:
        value: A ``datetime`` or ``date``, a text in ISO 8601 (with ``T`` or a blank, ``Z``, an
            offset or neither, any number of fractional digits), or seconds since 1970 as a number.
            What has no offset is taken as UTC.
        name: What the value is, for the error.

    Returns:
        The moment, aware, in UTC.

    Raises:
        InvalidValue: The value is none of these.

    Example:
        >>> parse_timestamp("2024-05-06 07:08:09+02:00").isoformat()
        '2024-05-06T05:08:09+00:00'
        >>> format_timestamp(parse_timestamp(1714979289.5))
        '2024-05-06T07:08:09.500000Z'
    """
    try:
        moment = _read(value)
        if moment is not None:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass  # as an unknown type: what it is not, is said below
    raise InvalidValue(
        f"{name} {value!r} is no timestamp; write it like '2024-05-06T07:08:09Z', "
        "or pass a datetime or seconds since 1970"
    )


def _read(value: object) -> datetime | None:
    match value:
        case datetime():
            return value
        case date():
            return datetime.combine(value, time())
        case str():
            return datetime.fromisoformat(value.strip())
        case bool():
            return None
        case int() | float():  # fromtimestamp raises for what is not finite
            return datetime.fromtimestamp(value, UTC)
    return None


def format_timestamp(moment: datetime) -> str:
    """Write an aware moment in the one form that is stored and shown.

    Args:
        moment: An aware ``datetime``.

    Returns:
        27 characters, such as ``"2024-05-06T07:08:09.000000Z"``.

    Example:
        >>> format_timestamp(datetime(2024, 5, 6, tzinfo=UTC))
        '2024-05-06T00:00:00.000000Z'
    """
    # Not by strftime, whose %Y drops the leading zeros of early years on some platforms.
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
