"""Training curves as text, for a terminal or a file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.errors import MissingExtra
from training_db.extras import load
from training_db.report.points import ABOVE, BELOW, NAN, NOT_ON_LOG
from training_db.report.ticks import log_ticks, round_ticks, time_ticks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training_db.report.points import Drawn

NARROWEST, LOWEST = 24, 6
"""The least columns and rows of a plot."""

COLOURS = (33, 172, 35, 133, 160, 37)
"""Colours that stand out on dark and on light terminals, by their number among the 256."""

_MARKS = ("braille", "o", "+", "*", "#", "@", "%", "=")
_LEAST = 5e-324
_EDGES = {NAN: ("x", 0), ABOVE: ("^", 1), BELOW: ("v", 0), NOT_ON_LOG: ("v", 0)}


@dataclass(frozen=True, slots=True)
class Pen:
    """How a line of a plot is drawn.

    Attributes:
        colour: A colour among the 256 of terminals; ``None`` where there are no colours.
        mark: What stands in its cells: ``"braille"`` for fine dots, or a character.
    """

    colour: int | None
    mark: str

    @property
    def sample(self) -> str:
        """A bit of the line, for a legend."""
        return "⠒⠒" if self.mark == "braille" else self.mark * 2


def pen(place: int, *, colours: bool) -> Pen:
    """Return how a line is drawn that it can be told from the others.

    Args:
        place: The line's place among the lines of its plot, from 0.
        colours: Whether there are colours.

    Example:
        >>> pen(0, colours=True), pen(1, colours=False)
        (Pen(colour=33, mark='braille'), Pen(colour=None, mark='o'))
    """
    if not colours:
        return Pen(None, _MARKS[place % len(_MARKS)])
    return Pen(COLOURS[place % len(COLOURS)], _MARKS[place // len(COLOURS) % len(_MARKS)])


def text_plot(
    lines: Sequence[tuple[Drawn, Pen]],
    width: int,
    height: int,
    *,
    log: bool = False,
    is_time: bool = False,
) -> str:
    """Draw lines as text.

    Points without a place on the axis stand at its edge: ``x`` for NaN, ``^`` for +Inf, ``v`` for
    -Inf and for what is not above 0 on a logarithmic axis.

    Args:
        lines: The points of each, as :func:`training_db.report.points.drawn` returns them, and how
            it is drawn.
        width: Columns of the plot, its axis among them.
        height: Rows of it.
        log: Whether the values stand on a logarithmic axis.
        is_time: Whether ``x`` is Unix seconds.

    Returns:
        Its rows, with the colours of a terminal where a pen has one. Nothing where there are no
        points at all.

    Raises:
        MissingExtra: plotext is not installed.

    Example:
        >>> from types import SimpleNamespace
        >>> from training_db.report.points import drawn
        >>> points = drawn(SimpleNamespace(x=[0, 1, 2], values=[0.0, 1.0, 0.0]))
        >>> print(text_plot([(points, Pen(None, "o"))], 24, 7))
           ┌───────────────────┐
          1┤        ooo        │
           │     oooo oooo     │
        0.5┤ ooooo       ooooo │
          0┤oo               oo│
           └┬────────┬────────┬┘
            0        1        2
    """
    plotext = _plotext()
    x = [one.places for one, _ in lines]
    if not any(map(len, x)):
        return ""
    width, height = max(width, NARROWEST), max(height, LOWEST)
    shown = [(one.thinned(4 * width), pen) for one, pen in lines]
    values = [_on_axis(one.values, log) for one, _ in shown]
    y_range = _room(values, log=log)
    x_range = _room(x)
    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(width, height)
    figure.theme("colorless")  # the terminal's own background and text
    for (one, pen), heights in zip(shown, values, strict=True):
        _add(figure, one.x, heights, _mark(plotext, pen.mark, pen), lines=True)
        for reason, where in one.outside.items():
            mark, edge = _EDGES[reason]
            _add(figure, where[:: max(1, len(where) // width)], None, _mark(plotext, mark, pen),
                 edge=y_range[edge])  # fmt: skip
    across = max(2, width // 16)
    whole = all((part == np.floor(part)).all() for part in x)
    ticks = round_ticks(*x_range, across, whole=whole)
    _set_ticks(figure, "x", x_range, time_ticks(*x_range, across) if is_time else ticks)
    ticks = (log_ticks if log else round_ticks)(*y_range, max(3, height // 3))
    _set_ticks(figure, "y", y_range, ticks)
    has_colours = any(pen.colour is not None for _, pen in lines)
    text = str(figure.build().string(not has_colours))
    figure.clear()
    return "\n".join(row.rstrip() for row in text.rstrip("\n").split("\n"))


def _plotext() -> Any:
    try:
        return load("plotext")
    except MissingExtra:
        raise
    except ImportError as error:  # its compiled part is not there, or does not load
        raise MissingExtra(" ".join(str(error).split())) from None


def _on_axis(values: Any, log: bool) -> Any:
    return np.log10(values.clip(_LEAST)) if log else values  # an average may come down to 0


def _room(parts: Sequence[Any], *, log: bool = False) -> tuple[float, float]:
    some = [part for part in parts if len(part)]
    low = min((float(part.min()) for part in some), default=0.0)
    high = max((float(part.max()) for part in some), default=1.0)
    if low < high:
        return low, high
    room = 0.5 if log or not low else max(abs(low) / 2, math.ulp(low) * 1e3)
    return low - room, high + room


def _mark(plotext: Any, mark: str, pen: Pen) -> Any:
    return plotext.marker(mark, None if pen.colour is None else plotext.pixel(pen.colour))


def _add(figure: Any, x: Any, y: Any, mark: Any, *, lines: bool = False, edge: float = 0.0) -> None:
    if not len(x):
        return
    heights = [edge] * len(x) if y is None else y.tolist()
    signal = figure.signal(x.tolist(), heights, marker=mark)
    signal.lines(lines)
    signal.density("full")
    figure.draw(signal)


def _set_ticks(
    figure: Any, axis: str, ends: tuple[float, float], ticks: Sequence[tuple[float, str]]
) -> None:
    ruler = figure.ruler(axis)
    ruler.lim(*ends)
    ruler.ticks([place for place, _ in ticks], [word for _, word in ticks])
