"""Numbers, times and counts as pages say them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from training_db.counts import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

NOTHING = "—"
_JOINERS = "\u200c\u200d"  # of emoji, and of letters in Persian and Hindi
_LONGEST_TEXT = 200
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def number(value: float | None) -> str:
    """Return a number with the digits that a reader has use for.

    Example:
        >>> number(0.123456), number(12000), number(1.0), number(float("-inf")), number(None)
        ('0.1235', '12,000', '1', '-Inf', '—')
    """
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        # Neither a float nor a page takes integers of a thousand digits.
        return f"{value:,}" if abs(value) < 10**15 else _text(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 10**6 else f"{value:.4g}"


def _text(value: int) -> str:
    digits = value.bit_length() * math.log10(2)
    return f"{'-' if value < 0 else ''}about 10^{digits:.0f}"


def share(value: float) -> str:
    """Return a part of one in percent.

    Example:
        >>> share(0.5), share(0.0625), share(float("nan"))
        ('50 %', '6.2 %', '—')
    """
    if not math.isfinite(value):
        return NOTHING
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"


def duration(seconds: float | None) -> str:
    """Return a time span in the two units that matter.

    Example:
        >>> duration(13), duration(3720), duration(200_000), duration(None)
        ('13 s', '1 h 2 min', '2 d 7 h', '—')
    """
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 else ""
    if whole < _MINUTE:
        return f"{sign}{whole} s"
    if whole < _HOUR:
        return f"{sign}{_pair(whole, _MINUTE, 'min', 1, 's')}"
    if whole < _DAY:
        return f"{sign}{_pair(whole, _HOUR, 'h', _MINUTE, 'min')}"
    return f"{sign}{_pair(whole, _DAY, 'd', _HOUR, 'h')}"


def _pair(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large:,} {large_name}" + (f" {rest} {small_name}" if rest else "")


def moment(timestamp: str | None) -> str:
    """Return a stored time to the minute.

    Example:
        >>> moment("2024-05-06T07:08:09.000000Z")
        '2024-05-06 07:08 UTC'
    """
    return NOTHING if timestamp is None else f"{minute(timestamp)} UTC"


def span(first: str, last: str) -> str:
    """Return from when to when, and what both have in common once.

    Example:
        >>> span("2024-05-06T07:08:09.000000Z", "2024-05-06T09:00:00.000000Z")
        '2024-05-06 07:08 to 09:00 UTC'
    """
    begin, end = str(minute(first)), str(minute(last))
    if begin == end:
        return f"{begin} UTC"
    is_one_day = begin.split()[0] == end.split()[0]
    return f"{begin} to {end.split()[1] if is_one_day else end} UTC"


def minute(timestamp: str | None) -> str | None:
    """Return a stored time to the minute, where it is said elsewhere that it is UTC."""
    return None if timestamp is None else timestamp[:16].replace("T", " ")


def along(total: int, counts: Sequence[int] | NDArray[np.int64], one: str = "") -> str:
    """Return how many there are of what a curve is averaged over, where it is not all along so.

    Example:
        >>> along(4, [4, 4]), along(4, [4, 3]), along(4, [2, 4, 1], "run")
        ('4', '4, 3 at the end', '4 runs, 2 at the start, 1 at the end')
    """
    said = [counted(total, one) if one else f"{total:,}"]
    for place, where in ((0, "start"), (-1, "end")):
        if counts[place] != total:
            said.append(f"{counts[place]:,} at the {where}")
    return ", ".join(said)


def listed(names: Sequence[str], most: int = 4) -> str:
    """Return names as a sentence has them, the first few and how many more.

    Example:
        >>> listed(["a", "b", "c"]), listed(list("abcdef")), listed(["a, 1", "a, 2", "b"])
        ('a, b and c', 'a, b, c and 3 more', 'a, 1; a, 2; and b')
    """
    shown = list(names if len(names) <= most else names[: most - 1])
    if len(shown) < len(names):
        shown.append(f"{len(names) - len(shown)} more")
    if len(shown) > 2 and any("," in name for name in shown):
        return f"{'; '.join(shown[:-1])}; and {shown[-1]}"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)


def group_name(group: object) -> str:
    """Return what a group of runs is called; those that have nothing there are one as well.

    Example:
        >>> group_name("mgda"), group_name(None), group_name(True)
        ('mgda', 'none', 'yes')
    """
    if group is None:
        return "none"
    if isinstance(group, bool):
        return "yes" if group else "no"
    return str(group)


def one_line(text: object) -> str:
    r"""Return text without what breaks a line or turns what follows around.

    Example:
        >>> one_line("a\nb"), one_line("\u202ea")
        ('a b', ' a')
    """
    return "".join(one if one.isprintable() or one in _JOINERS else " " for one in str(text))


def shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    """Return the beginning of a text that is longer than a page has room for.

    Example:
        >>> shortened("abcdefgh", 5)
        'abcd…'
    """
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
