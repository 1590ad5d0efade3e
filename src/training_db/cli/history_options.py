"""The arguments and options that the commands of history share."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Any

import typer

from training_db.timestamps import format_timestamp, parse_timestamp


class Axis(StrEnum):
    """What the values of a metric stand over."""

    STEP = "step"
    EPOCH = "epoch"
    TIMESTAMP = "timestamp"


class Duplicates(StrEnum):
    """Which values count where a step came several times."""

    LAST = "last"
    ALL = "all"


MetricArguments = Annotated[
    list[str] | None,
    typer.Argument(metavar="METRIC", help="These metrics.", show_default=False),
]
StepsOption = Annotated[
    str | None,
    typer.Option(
        "--steps", metavar="A:B", help="From step A to step B; each may be left out, as in 1000:."
    ),
]
AxisOption = Annotated[Axis, typer.Option("--x", help="What stands in the first column.")]
DuplicatesOption = Annotated[
    Duplicates,
    typer.Option(help="Where a restart repeated steps: the last value of each, or all."),
]


def parsed_steps(text: str | None) -> tuple[float, float] | None:
    """Read a range of steps.

    Args:
        text: ``A:B``, of which each may be missing; ``None`` for all steps.

    Returns:
        Both ends, inclusive.

    Example:
        >>> parsed_steps("100:")
        (100, inf)
    """
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        low = int(first) if first.strip() else -math.inf
        high = int(last) if last.strip() else math.inf
    except ValueError:
        colon = ""
    if not colon:
        raise typer.BadParameter(
            f"{text!r} is no range of steps; write it like 100:200", param_hint="--steps"
        )
    return low, high


def shown_value(value: Any) -> Any:
    """Return a value of a history as a table shows it: six digits, and long numbers whole.

    Example:
        >>> shown_value(0.30000001192092896), shown_value(1714979289.5)
        ('0.3', '1714979289.5')
    """
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return f"{value:.6g}" if abs(value) < _LONG else repr(value)


_LONG = 1e6


def shown_place(place: Any, axis: Axis) -> Any:
    """Return a place on an axis as a table shows it: moments as ISO 8601.

    Example:
        >>> shown_place(1714979289.5, Axis.TIMESTAMP)
        '2024-05-06T07:08:09.500000Z'
    """
    if axis is not Axis.TIMESTAMP:
        return shown_value(place)
    from training_db.errors import InvalidValue

    try:
        return format_timestamp(parse_timestamp(place))
    except InvalidValue:  # logged by others, in a unit of their own
        return shown_value(place)
