"""The colours of every figure and page, in light and dark, and the look that they share.

Six colours, for lines that people who see colours otherwise can tell apart too: their least
distance (CIEDE2000, simulated by Machado et al., "A Physiologically-based Model for Simulation of
Color Vision Deficiency", 2009) is that of the palette of Okabe and Ito ("Color Universal Design",
2008), whose hues they have. Unlike theirs each stands out from its background at least 3 to 1, as
WCAG 2.2 (1.4.11) asks of graphics. Where there are more lines, dashes tell them apart.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAIRS = (
    ("#0b4fb8", "#2f8bf5"),  # blue
    ("#ce801a", "#fda70b"),  # orange
    ("#2f7d4f", "#3fe0a5"),  # green
    ("#803876", "#b583ac"),  # purple
    ("#1a9dcf", "#b0dcfe"),  # sky
    ("#9c2f0c", "#e05252"),  # brick
)
COLOURS = tuple(light for light, _ in _PAIRS)
"""The colours of a light figure, in the order in which they are used."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""How lines are drawn, one after the other as the colours run out."""

BACKGROUND = MappingProxyType({"light": "#ffffff", "dark": "#14181f"})
TEXT = MappingProxyType({"light": "#1c2430", "dark": "#e7ebf0"})
MUTED = MappingProxyType({"light": "#5b6675", "dark": "#9fabba"})
GRID = MappingProxyType({"light": "#e3e7ed", "dark": "#2b323d"})

FONT = (
    '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", '
    '"Helvetica Neue", Arial, sans-serif'
)

_VIRIDIS = ("#440154", "#482878", "#3e4989", "#31688e", "#26828e",
            "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725")  # fmt: skip
SHADES = _VIRIDIS[:7]
"""The colours of a light figure from little to much: those of Viridis that stand out of white."""

_SEQUENTIAL = {"light": SHADES, "dark": _VIRIDIS[3:]}
_DIVERGING = {
    "light": ("#9c2f0c", "#dd9a80", "#f1f3f6", "#86a9dd", "#0b4fb8"),
    "dark": ("#f0762f", "#8f4a26", "#2b323d", "#2a5d9b", "#4ea0ff"),
}


def line_style(place: int) -> tuple[str, str]:
    """Return the colour, of a light figure, and the dash of a line.

    Args:
        place: The line's place among the lines of its figure, from 0.

    Example:
        >>> line_style(0), line_style(len(COLOURS))
        (('#0b4fb8', 'solid'), ('#0b4fb8', 'dash'))
    """
    return COLOURS[place % len(COLOURS)], DASHES[place // len(COLOURS) % len(DASHES)]


def see_through(colour: str, share: float) -> str:
    """Return a colour that lets through what is beneath it.

    Args:
        colour: As ``#rrggbb``.
        share: How much of it there is, from 0 to 1.

    Example:
        >>> see_through("#0b4fb8", 0.2)
        '#0b4fb833'
    """
    return f"{colour}{round(share * 255):02x}"


def dark_colours() -> Mapping[str, str]:
    """Return for each colour of a light figure that of a dark one, both as ``#rrggbb``.

    A figure may hold a colour with two more digits, for what it lets through; they stay.

    Example:
        >>> dark_colours()["#0b4fb8"]
        '#2f8bf5'
    """
    roles = (BACKGROUND, TEXT, MUTED, GRID)
    shades = zip(_SEQUENTIAL["light"], _SEQUENTIAL["dark"], strict=True)
    return dict(_PAIRS) | dict(shades) | {role["light"]: role["dark"] for role in roles}


def look(dark: bool = False) -> Any:
    """Return the look of the figures: their fonts, margins, grid, colours and hover.

    Args:
        dark: Whether they stand on a dark page.

    Returns:
        A ``plotly.graph_objects.layout.Template``.

    Raises:
        MissingExtra: plotly is not installed.

    Example:
        >>> look(dark=True).layout.paper_bgcolor
        '#14181f'
    """
    mode = "dark" if dark else "light"
    colours = COLOURS if not dark else tuple(dark for _, dark in _PAIRS)
    axis = {
        "gridcolor": GRID[mode],
        "linecolor": MUTED[mode],
        "tickcolor": MUTED[mode],
        "zeroline": False,
        "showline": False,
        "exponentformat": "power",
        "ticks": "",
        "automargin": True,
        "tickfont": {"size": 12, "color": MUTED[mode]},
        "title": {"font": {"size": 13, "color": TEXT[mode]}, "standoff": 10},
    }
    layout = {
        "font": {"family": FONT, "size": 13, "color": TEXT[mode]},
        "title": {"font": {"size": 16}, "x": 0, "xref": "container", "xanchor": "left"},
        "paper_bgcolor": BACKGROUND[mode],
        "plot_bgcolor": BACKGROUND[mode],
        "colorway": colours,
        "margin": {"l": 16, "r": 16, "t": 16, "b": 16, "pad": 0},
        "xaxis": axis,
        "yaxis": axis | {"ticklabelstandoff": 6},
        "legend": _legend(mode),
        "hoverlabel": {
            "bgcolor": BACKGROUND[mode],
            "bordercolor": MUTED[mode],
            "font": {"family": FONT, "size": 12, "color": TEXT[mode]},
            "align": "left",
            "namelength": -1,
        },
        "hoverdistance": 40,
        "modebar": {
            "bgcolor": "rgba(0,0,0,0)",
            "color": MUTED[mode],
            "activecolor": TEXT[mode],
            # One of them would send the figure, and so the runs in it, to a server of Plotly.
            "remove": ["sendChartToCloud", "lasso2d", "select2d", "autoScale2d"],
        },
        "colorscale": {
            "sequential": _scale(_SEQUENTIAL[mode]),
            "sequentialminus": _scale(_SEQUENTIAL[mode][::-1]),
            "diverging": _scale(_DIVERGING[mode]),
        },
        "coloraxis": {
            "colorbar": {
                "outlinewidth": 0,
                "thickness": 12,
                "ticks": "",
                "tickfont": {"size": 12, "color": MUTED[mode]},
            }
        },
        "annotationdefaults": {"font": {"color": TEXT[mode]}, "showarrow": False},
    }
    return load("plotly.graph_objects").layout.Template(layout=layout)


def _legend(mode: str) -> dict[str, Any]:
    return {
        "orientation": "h",
        "x": 0, "xanchor": "left",
        "y": 0, "yanchor": "bottom", "yref": "container",
        "bgcolor": "rgba(0,0,0,0)",
        "font": {"size": 12, "color": TEXT[mode]},
        "title": {"text": ""},
    }  # fmt: skip


def _scale(colours: tuple[str, ...]) -> list[list[Any]]:
    return [[place / (len(colours) - 1), colour] for place, colour in enumerate(colours)]
