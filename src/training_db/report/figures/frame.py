"""What every figure shares: its look, its title, its caption, and what it says when it is empty."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from training_db.extras import load
from training_db.report.labels import wrapped
from training_db.report.palette import dark_colours, look

if TYPE_CHECKING:
    from collections.abc import Iterable

_LEGEND_ROW = 21  # pixels
_NARROW = 640


def caption(figure: Any) -> str:
    """Return the sentence that says what a figure shows, for those who don't see it.

    Args:
        figure: A figure of :mod:`training_db.report.figures`.

    Example:
        >>> from training_db.report.figures import timeline
        >>> caption(timeline([]))
        'Nothing happened yet.'
    """
    meta = figure.layout.meta
    return str(meta["caption"]) if isinstance(meta, dict) and "caption" in meta else ""


def darkened(figure: Any) -> Any:
    """Return a light figure as it looks on a dark page.

    Args:
        figure: A figure of :mod:`training_db.report.figures` that was made with ``dark=False``.

    Example:
        >>> from training_db.report.figures import timeline
        >>> darkened(timeline([])).layout.template.layout.paper_bgcolor
        '#14181f'
    """
    colours = dict(dark_colours())
    layout = figure.layout.to_plotly_json()
    layout.pop("template", None)
    changed = load("plotly.graph_objects").Figure(
        data=[_recoloured(trace.to_plotly_json(), colours) for trace in figure.data],
        layout=_recoloured(layout, colours),
    )
    changed.layout.template = look(dark=True)
    return changed


def finished(
    figure: Any, sentence: str, title: str | None, *, dark: bool, height: int, entries: Any = ()
) -> Any:
    """Give a figure its look, title, caption and height.

    Args:
        figure: The figure, in the colours of light ones.
        sentence: Its caption.
        title: What stands above it; ``None`` for nothing.
        dark: Whether it stands on a dark page.
        height: The height of its panels, in pixels.
        entries: The names in its legend, for which there is room besides.
    """
    rows = _legend_rows(entries)
    figure.update_layout(
        template=look(),
        height=height + rows * _LEGEND_ROW + (56 if title else 0),
        meta={"caption": sentence},
        showlegend=rows > 0,
    )
    if title:
        figure.update_layout(
            title={"text": wrapped(title), "automargin": True, "yref": "container",
                   "y": 1, "yanchor": "top", "pad": {"t": 12, "b": 26, "l": 16}},
        )  # fmt: skip
    return darkened(figure) if dark else figure


def nothing(sentence: str, title: str | None, *, dark: bool) -> Any:
    """Return a figure that says in a sentence why there is nothing to see."""
    figure = load("plotly.graph_objects").Figure()
    figure.update_layout(xaxis={"visible": False}, yaxis={"visible": False})
    figure.add_annotation(text=wrapped(sentence), x=0.5, y=0.5, xref="paper", yref="paper")
    return finished(figure, sentence, title, dark=dark, height=140)


def _legend_rows(entries: Iterable[str]) -> int:
    widths = [60 + 7 * len(name) for name in entries]
    if not widths:
        return 0
    across = max(1, _NARROW // max(widths))
    return math.ceil(len(widths) / across) + 1


def _recoloured(part: Any, colours: dict[str, str]) -> Any:
    if isinstance(part, str):
        found = colours.get(part[:7]) if part.startswith("#") and len(part) in (7, 9) else None
        return part if found is None else found + part[7:]
    if isinstance(part, dict):
        return {name: _recoloured(value, colours) for name, value in part.items()}
    if isinstance(part, (list, tuple)):
        return [_recoloured(value, colours) for value in part]
    return part
