"""Training curves: a panel a metric, a line a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from training_db.counts import counted
from training_db.errors import UnknownName
from training_db.extras import load
from training_db.history_rules import AXES
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import line_style, see_through
from training_db.report.points import ABOVE, BELOW, NAN, NOT_ON_LOG, drawn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from training_db.report.points import Drawn

PANEL = 260
"""The height of a panel, in pixels."""

MOST_PANELS = 40
_MOST_OUTSIDE = 200  # marks a line and reason: more are a bar
_MOST_AT_ONCE = 8  # lines whose values fit one hover label
_EDGES = {NAN: ("x", 0.03), ABOVE: ("triangle-up", 0.97),
          BELOW: ("triangle-down", 0.03), NOT_ON_LOG: ("triangle-down-open", 0.03)}  # fmt: skip
_FEW_STEPS = 10
_LAST_DATE = 2.5e11  # Unix seconds, the year 9891


class _Line(NamedTuple):
    run: str
    name: str
    colour: str
    dash: str
    points: Drawn


def curves(
    series: Mapping[str, Mapping[str, Any]],
    log: bool = False,
    smooth: float = 0.0,
    x: str = "step",
    *,
    points: int = 2000,
    title: str | None = None,
    dark: bool = False,
) -> Any:
    """Draw training curves: a panel for each metric, a line for each run.

    A smoothed line is drawn over its values (:func:`training_db.report.points.smoothed`). NaN and
    infinities, and what is not above 0 on a logarithmic axis, stand at the edge of the panel: a
    cross is NaN, a triangle points to where the value would be.

    Args:
        series: For each run and metric its series, as ``db.history.arrays`` returns them. A run
            without any keeps its colour for itself, so that figures of the same runs go together.
        log: Whether the values stand on a logarithmic axis.
        smooth: How much to smooth, from 0 (not) to below 1.
        x: What the series stand over: ``"step"``, ``"epoch"`` or ``"timestamp"``.
        points: About so many points a line are drawn, the extremes among them.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        InvalidValue: ``smooth`` is out of its range, or a series has a wrong shape.
        UnknownName: There is no such axis.
        MissingExtra: plotly is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("c1"), db.history.append("c1", {"loss": [2.0, 1.0, 0.5]})
        >>> figure = curves(db.history.arrays("c1"), log=True)
        >>> figure.data[0].name, figure.data[0].y.tolist()
        ('c1', [2.0, 1.0, 0.5])
    """
    if x not in AXES:
        raise UnknownName("axis", x, AXES)
    runs = [run for run, metrics in series.items() if metrics]
    metrics = list(dict.fromkeys(metric for run in runs for metric in series[run]))
    lines = {metric: _lines(series, metric, log) for metric in metrics[:MOST_PANELS]}
    if not any(len(one.points.places) for some in lines.values() for one in some):
        return nothing("There are no points to draw.", title, dark=dark)
    figure = load("plotly.subplots").make_subplots(
        rows=len(lines), shared_xaxes=True, vertical_spacing=0.28 / len(lines),
        specs=[[{"secondary_y": True}]] * len(lines),
    )  # fmt: skip
    is_time = x == "timestamp" and all(
        np.abs(one.points.places).max(initial=0) < _LAST_DATE
        for some in lines.values()
        for one in some
    )
    named: set[str] = set()
    for row, (metric, some) in enumerate(lines.items(), 1):
        for line in some:
            _add_line(figure, row, line, smooth, points, is_time=is_time, named=named)
        _arrange(figure, row, some, log=log)
        if title != metric:
            _name_panel(figure, row, metric)
    figure.update_xaxes(title_text=_axis_name(x), row=len(lines))
    figure.update_xaxes(unifiedhovertitle_text=f"{_axis_name(x)} %{{x}}")
    places = np.concatenate([one.points.places for some in lines.values() for one in some])
    if x == "step" and np.ptp(places) < _FEW_STEPS:
        figure.update_xaxes(dtick=1)  # there is no half step
    figure.update_xaxes(domain=[0, 1])  # the axis of the edges needs no room beside the panel
    figure.update_layout(
        hovermode="x unified" if len(runs) <= _MOST_AT_ONCE else "closest",
        margin={"t": 34},
    )
    entries = shortened(runs) if len(runs) > 1 else []
    sentence = _sentence(lines, runs, metrics, x, log=log, smooth=smooth)
    return finished(
        figure, sentence, title, dark=dark, height=60 + PANEL * len(lines), entries=entries
    )


def _lines(series: Mapping[str, Mapping[str, Any]], metric: str, log: bool) -> list[_Line]:
    return [
        _Line(run, name, *line_style(place), drawn(series[run][metric], log=log))
        for place, (run, name) in enumerate(zip(series, shortened(series), strict=True))
        if metric in series[run]
    ]


def _add_line(
    figure: Any,
    row: int,
    line: _Line,
    smooth: float,
    points: int,
    *,
    is_time: bool,
    named: set[str],
) -> None:
    graph_objects = load("plotly.graph_objects")
    whole = line.points.smoothed(smooth)
    shown = whole.thinned(points)
    common = {"legendgroup": line.run, "name": escaped(line.name)}
    if smooth:
        raw = line.points.thinned(points)
        figure.add_trace(
            graph_objects.Scatter(
                x=_places(raw.x, is_time), y=raw.values, mode="lines", hoverinfo="skip",
                line={"color": see_through(line.colour, 0.28), "width": 1}, showlegend=False,
                **common,
            ),
            row=row, col=1,
        )  # fmt: skip
    is_alone = len(shown) == 1
    figure.add_trace(
        graph_objects.Scatter(
            x=_places(shown.x, is_time), y=shown.values,
            mode="markers" if is_alone else "lines",
            line={"color": line.colour, "dash": line.dash, "width": 1.8},
            marker={"color": line.colour, "size": 7},
            hovertemplate=f"%{{y:.6~g}}<extra>{wrapped(line.run)}</extra>",
            showlegend=line.run not in named, **common,
        ),
        row=row, col=1,
    )  # fmt: skip
    named.add(line.run)
    for reason, x in line.points.outside.items():
        symbol, height = _EDGES[reason]
        kept = x[np.unique(np.linspace(0, len(x) - 1, _MOST_OUTSIDE).astype(int))]
        figure.add_trace(
            graph_objects.Scatter(
                x=_places(kept, is_time), y=np.full(len(kept), height), mode="markers",
                marker={"color": line.colour, "size": 9, "symbol": symbol},
                hovertemplate=f"{reason}<extra>{wrapped(line.run)}</extra>",
                showlegend=False, **common,
            ),
            row=row, col=1, secondary_y=True,
        )  # fmt: skip


def _arrange(figure: Any, row: int, lines: list[_Line], *, log: bool) -> None:
    # What has no place on the axis stands on another one, whose edges stay where they are.
    edges = {"range": [0, 1], "fixedrange": True, "visible": False, "showgrid": False}
    figure.update_yaxes(row=row, col=1, secondary_y=True, **edges)
    own: dict[str, Any] = (
        {"type": "log", "exponentformat": "power"} if log else {"range": _around_one(lines)}
    )
    if not any(len(line.points) for line in lines):
        own |= {"showticklabels": False, "showgrid": False}  # there is no value to read off
    figure.update_yaxes(row=row, col=1, secondary_y=False, **own)


def _name_panel(figure: Any, row: int, metric: str) -> None:
    axis = figure.get_subplot(row, 1).yaxis
    (short,) = shortened([metric], 60)
    figure.add_annotation(
        text=escaped(short), hovertext=wrapped(metric), x=0, xref="paper", xanchor="left",
        y=axis.domain[1], yref="paper", yanchor="bottom", yshift=6, showarrow=False,
        font={"size": 13},
    )  # fmt: skip


def _around_one(lines: list[_Line]) -> list[float] | None:
    """Return a range around the one value that all lines have; Plotly's own goes 1 up and down."""
    ends = [end for line in lines if len(line.points) for end in _ends(line.points.values)]
    if not ends or min(ends) < max(ends):
        return None
    room = abs(ends[0]) / 2 or 1.0
    return [ends[0] - room, ends[0] + room]


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _axis_name(x: str) -> str:
    return "time" if x == "timestamp" else x


def _places(x: NDArray[np.float64], is_time: bool) -> NDArray[Any]:
    return (x * 1000).astype(np.int64).astype("datetime64[ms]") if is_time else x


def _sentence(
    lines: Mapping[str, list[_Line]],
    runs: list[str],
    metrics: list[str],
    x: str,
    *,
    log: bool,
    smooth: float,
) -> str:
    shown = ", ".join(list(lines)[:3]) + (" and others" if len(lines) > 3 else "")
    parts = [f"{shown} of {counted(len(runs), 'run')} over {_axis_name(x)}"]
    if log:
        parts.append("on a logarithmic axis")
    if smooth:
        parts.append(f"smoothed by {smooth:g} over the values")
    outside: dict[str, int] = {}
    for line in (line for some in lines.values() for line in some):
        for reason, where in line.points.outside.items():
            outside[reason] = outside.get(reason, 0) + len(where)
    parts += [f"{counted(count, 'point')} {reason}" for reason, count in outside.items()]
    if len(metrics) > len(lines):
        parts.append(f"{len(metrics) - len(lines)} more metrics are not drawn")
    return f"Curves of {'; '.join(parts)}."
