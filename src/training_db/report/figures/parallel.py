"""Many settings of many runs at once: an axis a setting, a line a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.counts import counted
from training_db.errors import InvalidValue, UnknownName
from training_db.extras import load
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import BACKGROUND, COLOURS, MUTED, SHADES, TEXT, see_through
from training_db.report.ticks import log_ticks, round_ticks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEIGHT = 420
_MOST_WORDS = 30
_MOST_ROWS = 5_000
_MOST_UPRIGHT = 5  # names beside each other
_MOST_HOVERED = 24
_BENEATH = 0.12  # where an axis begins that has missing values beneath it
_TICKS = 5
_FEW = 12  # lines of a colour that may be bold
_DECADES = 3  # from so many on, an axis is logarithmic
_MISSING = "missing"


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where the values of a setting stand on its axis, from 0 to 1, and what the axis says."""

    heights: Any
    ticks: list[tuple[float, str]]
    is_there: Any


def parallel_coordinates(
    rows: Sequence[Mapping[str, Any]],
    dimensions: Sequence[str] | None = None,
    colour: str | None = None,
    *,
    labels: Sequence[object] | None = None,
    title: str | None = None,
    dark: bool = False,
) -> Any:
    """Draw runs as lines across their settings, in the colour of what came of them.

    Positive numbers over three decades and more stand on a logarithmic axis. What a run lacks, NaN
    and infinities stand at the lower end of the axis, as ``missing``.

    Args:
        rows: For each run what its settings are: numbers, texts, bools or ``None``.
        dimensions: Which settings; by default all in which the runs differ.
        colour: The one that colours the lines; it is the last axis too. Runs without it are grey.
        labels: What each run is called.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``. It is drawn with lines that pages can print; Plotly's own
        parallel coordinates need WebGL, and cannot be read on dark pages.

    Raises:
        UnknownName: ``colour`` or a dimension is in no row.
        InvalidValue: There are not as many labels as rows.
        MissingExtra: plotly is not installed.

    Example:
        >>> rows = [{"lr": 1e-5, "method": "mgda", "QED": 0.7}, {"lr": 0.1, "QED": 0.5}]
        >>> parallel_coordinates(rows, colour="QED").layout.meta["caption"]
        '2 runs across lr, method and QED, coloured by QED.'
    """
    names = _names(rows, dimensions, colour)
    if labels is not None and len(labels) != len(rows):
        raise InvalidValue(
            f"there are {len(labels)} labels for {len(rows)} runs; pass one for each"
        )
    if not rows or not names:
        return nothing("There are no runs with settings to compare.", title, dark=dark)
    shown = rows[:_MOST_ROWS]
    scales = [_scale([row.get(name) for row in shown]) for name in names]
    figure = load("plotly.graph_objects").Figure()
    hover = [
        _hover(row, names, None if labels is None else labels[place])
        for place, row in enumerate(shown)
    ]
    shades = _shades(scales[-1]) if colour is not None else np.zeros(len(shown), dtype=int)
    for shade in np.unique(shades).tolist():
        chosen = np.flatnonzero(shades == shade)
        line_colour = (
            COLOURS[0] if colour is None else SHADES[shade] if shade >= 0 else MUTED["light"]
        )
        figure.add_trace(_lines(scales, chosen, [hover[row] for row in chosen], line_colour))
    # All at once: each that plotly adds alone, it checks along with those that are there.
    figure.update_layout(
        shapes=[_upright(place) for place in range(len(names))],
        annotations=[
            note
            for place, (name, scale) in enumerate(zip(names, scales, strict=True))
            for note in _notes(place, name, scale, slanted=len(names) > _MOST_UPRIGHT)
        ],
    )
    figure.update_xaxes(visible=False, range=[-0.12, len(names) - 0.55], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.04, 1.04], fixedrange=True)
    margin = {"t": 110, "r": 120} if len(names) > _MOST_UPRIGHT else {"t": 44, "r": 16}
    figure.update_layout(hovermode="closest", margin=margin)
    return finished(figure, _sentence(rows, names, colour), title, dark=dark, height=_HEIGHT)


def _names(
    rows: Sequence[Mapping[str, Any]], dimensions: Sequence[str] | None, colour: str | None
) -> list[str]:
    there = list(dict.fromkeys(name for row in rows for name in row))
    if dimensions is None:
        differ = [name for name in there if len({repr(row.get(name)) for row in rows}) > 1]
        names = differ or there
    else:
        names = list(dict.fromkeys(dimensions))
    if colour is not None:
        names = [*(name for name in names if name != colour), colour]
    for name in names:
        if rows and name not in there:
            raise UnknownName("setting", name, there)
    return names


def _sentence(rows: Sequence[Any], names: Sequence[str], colour: str | None) -> str:
    count = min(len(rows), _MOST_ROWS)
    across = (
        ", ".join(names[:-1]) + f" and {names[-1]}"
        if 1 < len(names) <= 8
        else (names[0] if len(names) == 1 else counted(len(names), "setting"))
    )
    sentence = f"{counted(count, 'run')} across {across}"
    sentence += f", coloured by {colour}" if colour is not None else ""
    return sentence + (f"; {len(rows) - count:,} more are not drawn." if len(rows) > count else ".")


def _shades(scale: _Scale) -> Any:
    """Return for each row how far up the last axis it is, as a place in the shades; -1 for none."""
    there = scale.is_there
    heights = scale.heights[there]
    low, high = (heights.min(), heights.max()) if len(heights) else (0.0, 0.0)
    parts = (scale.heights - low) / ((high - low) or 1.0)
    return np.where(there, (parts * (len(SHADES) - 1)).round(), -1).astype(int)


def _lines(scales: list[_Scale], chosen: Any, hover: list[str], colour: str) -> Any:
    """Draw some rows as one trace: each row's points, and a gap."""
    width = len(scales) + 1
    x = np.tile([*map(float, range(len(scales))), np.nan], len(chosen))
    y = np.full((len(chosen), width), np.nan)
    for place, scale in enumerate(scales):
        y[:, place] = scale.heights[chosen]
    opacity = float(np.clip(6 / np.sqrt(max(1, len(chosen)) * 4), 0.15, 0.85))
    return load("plotly.graph_objects").Scatter(
        x=x, y=y.ravel(), mode="lines+markers",
        line={"color": colour, "width": 1.4 if len(chosen) > _FEW else 2.2},
        marker={"size": 4, "color": colour}, opacity=opacity, showlegend=False,
        customdata=[text for text in hover for _ in range(width)],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip


def _upright(place: int) -> dict[str, Any]:
    return {
        "type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper",
        "line": {"color": MUTED["light"], "width": 1}, "layer": "between",
    }  # fmt: skip


def _notes(place: int, name: str, scale: _Scale, *, slanted: bool) -> list[dict[str, Any]]:
    """Return the words of an axis: its name above it, and its ticks."""
    heading = {
        "x": place, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 10,
        "text": escaped(shortened([name], 22)[0]), "hovertext": wrapped(name), "font": {"size": 12},
        "textangle": -35 if slanted else 0, "xanchor": "left" if slanted else "center",
    }  # fmt: skip
    ticks = [
        {
            "x": place, "y": height, "xanchor": "left", "xshift": 7, "text": escaped(word),
            "borderpad": 2, "font": {"size": 11, "color": TEXT["light"]},
            "bgcolor": see_through(BACKGROUND["light"], 0.9),
        }
        for height, word in scale.ticks
    ]  # fmt: skip
    return [heading, *ticks]


def _hover(row: Mapping[str, Any], names: Sequence[str], label: object | None) -> str:
    lines = [] if label is None else [f"<b>{wrapped(label)}</b>"]
    for name in names[:_MOST_HOVERED]:
        cell = row.get(name)
        lines.append(f"{escaped(shortened([name])[0])}: {escaped(shortened([_word(cell)], 48)[0])}")
    return "<br>".join(lines)


def _scale(cells: list[Any]) -> _Scale:
    numbers = [_number(cell) for cell in cells]
    is_numeric = all(
        number is not None or cell is None for number, cell in zip(numbers, cells, strict=True)
    )
    if is_numeric and any(number is not None and math.isfinite(number) for number in numbers):
        return _numeric(np.array([math.nan if one is None else one for one in numbers]))
    return _worded([_word(cell) for cell in cells])


def _numeric(values: Any) -> _Scale:
    finite = np.isfinite(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    is_log = low > 0 and math.log10(high) - math.log10(low) >= _DECADES
    if is_log:
        values = np.log10(np.where(finite, values, 1))
        low, high = math.log10(low), math.log10(high)
    ticks = [(low, f"{10**low if is_log else low:.4g}")]
    if high > low:
        whole = not is_log and bool((values[finite] == np.floor(values[finite])).all())
        ticks = (
            log_ticks(low, high, _TICKS) if is_log else round_ticks(low, high, _TICKS, whole=whole)
        )
    # Halves, for the difference of two great numbers may be too great.
    span = high / 2 - low / 2
    beneath = 0.0 if finite.all() else _BENEATH

    def height(value: Any) -> Any:
        part = (value / 2 - low / 2) / span if span else 0.5 + 0 * value
        return beneath + part * (1 - beneath)

    marks = [(height(tick), word) for tick, word in ticks]
    missing = [] if finite.all() else [(0.0, _MISSING)]
    heights = np.where(finite, height(np.where(finite, values, low)), 0.0)
    return _Scale(heights, missing + marks, finite)


def _worded(words: list[str]) -> _Scale:
    kinds = sorted(set(words), key=lambda word: (word != _MISSING, word))
    most = max(1, len(kinds) - 1)
    places = {word: place / most if len(kinds) > 1 else 0.5 for place, word in enumerate(kinds)}
    stride = math.ceil(len(kinds) / _MOST_WORDS)
    shown = zip(places.values(), shortened(kinds, 16), strict=True)
    return _Scale(
        np.array([places[word] for word in words]),
        list(shown)[::stride],
        np.array([word != _MISSING for word in words]),
    )


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, (int, float, np.integer, np.floating)):
        return None
    try:
        return float(cell)
    except OverflowError:
        return math.inf


def _word(cell: Any) -> str:
    if cell is None:
        return _MISSING
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.6g}" if isinstance(cell, float) else str(cell)
