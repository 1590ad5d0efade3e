"""Names as figures show them: escaped, and no longer than there is room for."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from training_db.report.wording import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 32
_LINE = 60
_LINES = 8
# Plotly reads a few tags, entities, LaTeX between dollars and %{...} in what it is to show.
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "%": "&#37;"})


def escaped(text: object) -> str:
    """Return text that a figure shows as it is, whatever markup it seems to hold.

    Example:
        >>> escaped("<b>a</b> & 5 %")
        '&lt;b&gt;a&lt;/b&gt; &amp; 5 &#37;'
    """
    return _named(text).translate(_ESCAPES)


def shortened(texts: Iterable[object], longest: int = _LONGEST) -> list[str]:
    """Return short names that still tell apart what they name, not yet escaped.

    The middle goes, for names that people give differ at their ends.

    Args:
        texts: The names.
        longest: How many characters there is room for.

    Example:
        >>> shortened(["molecules-with-a-long-name-1", "molecules-with-a-long-name-2"], 13)
        ['molecu…name-1', 'molecu…name-2']
        >>> shortened(["abcdefghij", "abcXXXXhij"], 7)
        ['abc…hij', 'abc…hij (2)']
    """
    seen: dict[str, int] = {}
    names = []
    for text in texts:
        name = _without_middle(_named(text), longest)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return names


def wrapped(text: object) -> str:
    """Return escaped text in lines that fit a hover label.

    Example:
        >>> wrapped("short")
        'short'
        >>> wrapped("x" * 70).count("<br>")
        1
    """
    whole = _named(text)
    parts = textwrap.wrap(whole, _LINE) or [whole]
    if len(parts) > _LINES:
        parts = [*parts[:_LINES], "…"]
    return "<br>".join(map(escaped, parts))


def _without_middle(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    start = longest // 2
    return f"{text[:start]}…{text[len(text) - (longest - start - 1) :]}"


def _named(text: object) -> str:
    return one_line(text) or "-"
