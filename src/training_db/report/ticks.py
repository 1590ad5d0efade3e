"""Round numbers along an axis, for plots that bring none of their own."""

from __future__ import annotations

import math
from datetime import UTC, datetime

_DAY = 86_400
_LEAST = 1e-300  # a step
_MOST = 12  # ticks, where fewer are too few
_FIRST, _LAST = -6.2e10, 2.5e11  # Unix seconds that a calendar has a date for


def round_ticks(
    low: float, high: float, count: int, *, whole: bool = False
) -> list[tuple[float, str]]:
    """Return about so many round numbers from one end of an axis to the other, and their words.

    The steps are 1, 2 or 5 times a power of ten, as in "Nice Numbers for Graph Labels" (Heckbert,
    Graphics Gems, 1990).

    Args:
        low: The lower end, finite.
        high: The upper end, finite and greater.
        count: How many ticks there is room for, at least 1.
        whole: Whether only whole numbers stand there, such as steps.

    Example:
        >>> round_ticks(0.013, 0.92, 5)
        [(0.2, '0.2'), (0.4, '0.4'), (0.6, '0.6'), (0.8, '0.8')]
    """
    rough = max(high / count - low / count, 1 if whole else _LEAST)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((one * power for one in (1, 2, 5) if one * power >= rough * 0.999), 10 * power)
    places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    if len(places) < 2 and count < _MOST:  # one number alone says nothing of an axis
        return round_ticks(low, high, 2 * count, whole=whole)
    digits = max(6, math.ceil(math.log10(max(abs(low), abs(high)) / step)) + 1)
    words = [f"{place * step:.{min(digits, 17)}g}" for place in places]
    return [(float(word), word) for word in words]


def log_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return powers of ten along an axis of logarithms, or round numbers where there is hardly one.

    Args:
        low: The logarithm, to the base of ten, of the lower end.
        high: That of the upper end.
        count: How many ticks there is room for.

    Example:
        >>> log_ticks(-3.2, 0.1, 4)
        [(-3, '0.001'), (-2, '0.01'), (-1, '0.1'), (0, '1')]
    """
    powers = range(math.ceil(low), math.floor(high) + 1)
    if len(powers) >= 2:
        stride = math.ceil(len(powers) / count)
        return [(power, f"{10.0**power:g}") for power in powers[::stride]]
    return [
        (math.log10(value), word)
        for value, word in round_ticks(10.0**low, 10.0**high, count)
        if value > 0
    ]


def time_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    """Return moments along an axis of Unix seconds, each with as much of its date as it takes.

    Args:
        low: The first moment.
        high: The last one.
        count: How many ticks there is room for.

    Example:
        >>> time_ticks(1714979289, 1714982889, 2)
        [(1714979289.0, '07:08:09'), (1714982889.0, '08:08:09')]
    """
    if not _FIRST < low <= high < _LAST:
        return round_ticks(low, high, count)
    form = (
        "%H:%M:%S" if high - low < _DAY else "%m-%d %H:%M" if high - low < 60 * _DAY else "%Y-%m-%d"
    )
    places = [low + (high - low) * place / max(1, count - 1) for place in range(count)]
    return [
        (place, datetime.fromtimestamp(place, UTC).strftime(form)) for place in map(float, places)
    ]
