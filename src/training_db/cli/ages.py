"""Ages, as people write them: 30d, 12h, 10m."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parsed_age(text: str) -> timedelta:
    """Read an age.

    Args:
        text: A number, and one of s, m, h, d, w for seconds, minutes, hours, days, weeks.

    Raises:
        BadParameter: It is none.

    Example:
        >>> parsed_age("36h")
        datetime.timedelta(days=1, seconds=43200)
    """
    number, unit = text.strip()[:-1], text.strip()[-1:].lower()
    try:
        if unit in _UNITS and number.isascii():
            age = timedelta(**{_UNITS[unit]: float(number)})
            if age >= timedelta(0):
                return age
    except (ValueError, OverflowError):
        pass
    raise typer.BadParameter(
        f"{text!r} is no age; write it like 30d, 12h or 10m", param_hint="--older-than"
    )


OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="An age, such as 30d, 12h or 10m."),
]
