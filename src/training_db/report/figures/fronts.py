"""Which runs or scaffolds are best by several objectives at once, and what that costs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.direction import direction_word
from training_db.counts import counted
from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import BACKGROUND, COLOURS, MUTED, TEXT
from training_db.report.wording import listed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST_OBJECTIVES = 5
_MOST_DOMINATED = 2_000
_MOST_FRONT = 2_000
_HEIGHT = 440
_CELL = 230


@dataclass(frozen=True, slots=True)
class _Cloud:
    """What is drawn: the points of each kind, and where the better side of each axis is."""

    scores: NDArray[np.float64]
    labels: list[str]
    front: NDArray[np.int64]
    dominated: NDArray[np.int64]
    knee: int | None
    signs: list[int]


def pareto_front(
    scores: Any,
    ranks: Any,
    names: Sequence[str],
    directions: Sequence[str],
    knee: int | None = None,
    *,
    labels: Sequence[object] | None = None,
    title: str | None = None,
    dark: bool = False,
) -> Any:
    """Draw scores by two objectives, or by each pair of more, and the front among them.

    Args:
        scores: Of shape (n, m).
        ranks: The Pareto rank of each row, of shape (n,); rank 1 is the front. Rows with a score
            that is not finite are left out.
        names: The m objectives.
        directions: For each ``"maximize"`` or ``"minimize"``, or ``"max"`` or ``"min"``.
        knee: The row of the knee point.
        labels: What each row is called.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``. Of the rows that others dominate some thousands are
        drawn, evenly taken; of more than five objectives the first five.

    Raises:
        InvalidValue: The lengths don't fit each other.
        UnknownName: A direction that does not exist.
        MissingExtra: plotly is not installed.

    Example:
        >>> scores = [[0.9, 4.0], [0.5, 2.0], [0.4, 3.0]]
        >>> figure = pareto_front(scores, [1, 1, 2], ["QED", "SA"], ["max", "min"])
        >>> figure.layout.meta["caption"]
        'QED (maximize) and SA (minimize): 2 of 3 points are on the front.'
    """
    table = np.asarray(scores, dtype=np.float64)
    order: NDArray[Any] = np.asarray(ranks)
    if table.size == 0:
        return nothing("There is nothing that has all of the scores.", title, dark=dark)
    _check(table, order, names, directions, labels)
    words = [direction_word(direction) for direction in directions]
    whole: NDArray[np.bool_] = np.all(np.isfinite(table), axis=1)
    if not whole.any():
        return nothing("There is nothing that has all of the scores.", title, dark=dark)
    cloud = _Cloud(
        scores=table,
        labels=[str(label) for label in labels] if labels is not None else [],
        front=_some(np.flatnonzero(whole & (order == 1)), _MOST_FRONT),
        dominated=_some(np.flatnonzero(whole & (order != 1)), _MOST_DOMINATED),
        knee=knee if knee is not None and whole[knee] else None,
        signs=[1 if word == "maximize" else -1 for word in words],
    )
    drawn = min(len(names), MOST_OBJECTIVES)
    figure = _pairs(cloud, names, drawn) if drawn != 2 else _one(cloud, names)
    on_front = int((whole & (order == 1)).sum())
    asked = listed(
        [f"{name} ({word})" for name, word in zip(names, words, strict=True)], len(names)
    )
    sentence = f"{asked}: {on_front:,} of {counted(int(whole.sum()), 'point')} are on the front"
    if cloud.knee is not None and cloud.labels:
        sentence += f", its knee is {cloud.labels[cloud.knee]}"
    left = int(whole.sum()) - len(cloud.front) - len(cloud.dominated)
    sentence += f"; {left:,} more points are not drawn" if left else ""
    sentence += f"; the first {drawn} objectives are drawn" if drawn < len(names) else ""
    height = _HEIGHT if drawn <= 2 else 80 + _CELL * (drawn - 1)
    entries = [str(trace.name) for trace in figure.data if trace.showlegend is not False]
    return finished(figure, f"{sentence}.", title, dark=dark, height=height, entries=entries)


def _check(
    table: NDArray[np.float64],
    ranks: NDArray[Any],
    names: Sequence[str],
    directions: Sequence[str],
    labels: Sequence[object] | None,
) -> None:
    if table.ndim != 2 or table.shape[1] != len(names) or len(names) != len(directions):
        raise InvalidValue(
            f"the scores have the shape {table.shape} for {len(names)} objectives and "
            f"{len(directions)} directions; pass a column and a direction for each"
        )
    if ranks.shape != (len(table),) or (labels is not None and len(labels) != len(table)):
        raise InvalidValue(f"pass a rank, and a label if any, for each of {len(table)} rows")


def _some(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    if len(places) <= most:
        return places
    return places[np.linspace(0, len(places) - 1, most).astype(np.int64)]


def _one(cloud: _Cloud, names: Sequence[str]) -> Any:
    figure = load("plotly.graph_objects").Figure()
    for trace in _traces(cloud, 0, 1, names, is_first=True, stairs=True):
        figure.add_trace(trace)
    for axis, sign, name in zip(("xaxis", "yaxis"), cloud.signs, names, strict=True):
        figure.update_layout({axis: {"title_text": _axis_title(name, sign)}})
    return figure


def _pairs(cloud: _Cloud, names: Sequence[str], drawn: int) -> Any:
    size = max(1, drawn - 1)
    figure = load("plotly.subplots").make_subplots(
        rows=size, cols=size, shared_xaxes=True, shared_yaxes=True,
        horizontal_spacing=0.03, vertical_spacing=0.03,
        specs=[[{} if column <= row else None for column in range(size)] for row in range(size)],
    )  # fmt: skip
    for row in range(size):
        for column in range(row + 1):
            x, y = (column, row + 1) if drawn > 1 else (0, 0)
            is_first = row == column == 0
            for trace in _traces(cloud, x, y, names, is_first=is_first, stairs=False):
                figure.add_trace(trace, row=row + 1, col=column + 1)
            if row == size - 1:
                title = _axis_title(names[x], cloud.signs[x], 18)
                figure.update_xaxes(title_text=title, row=row + 1, col=column + 1)
            if column == 0:
                title = _axis_title(names[y], cloud.signs[y], 14)
                figure.update_yaxes(title_text=title, row=row + 1, col=column + 1)
    return figure


def _traces(
    cloud: _Cloud, x: int, y: int, names: Sequence[str], *, is_first: bool, stairs: bool
) -> list[Any]:
    scatter = load("plotly.graph_objects").Scatter
    axes = [escaped(short) for short in shortened([names[x], names[y]])]
    hover = f"%{{customdata}}{axes[0]} %{{x:.5~g}}<br>{axes[1]} %{{y:.5~g}}<extra></extra>"

    def points(places: NDArray[np.int64], name: str, marker: dict[str, Any]) -> Any:
        return scatter(
            x=cloud.scores[places, x], y=cloud.scores[places, y], mode="markers", name=name,
            legendgroup=name, showlegend=is_first, marker=marker, hovertemplate=hover,
            customdata=[
                f"{wrapped(cloud.labels[place])}<br>" if cloud.labels else "" for place in places
            ],
        )  # fmt: skip

    found = []
    if len(cloud.dominated):
        faint = {"color": MUTED["light"], "size": 6, "opacity": 0.45}
        found.append(points(cloud.dominated, "dominated", faint))
    if stairs and len(cloud.front):
        found.append(_stairs(scatter, cloud, x, y))
    ring = {"width": 1, "color": BACKGROUND["light"]}
    found.append(points(cloud.front, "front", {"color": COLOURS[0], "size": 9, "line": ring}))
    if cloud.knee is not None:
        star = {"color": COLOURS[1], "size": 15, "symbol": "star",
                "line": {"width": 1, "color": TEXT["light"]}}  # fmt: skip
        found.append(points(np.array([cloud.knee]), "knee", star))
    return found


def _stairs(scatter: Any, cloud: _Cloud, x: int, y: int) -> Any:
    """Draw the edge of what the front covers: a step at each of its points."""
    front = cloud.scores[cloud.front][:, [x, y]]
    front = front[np.lexsort((front[:, 1], front[:, 0]))]
    # Going on in x where more is better, only what the next point reaches in y is reached too.
    shape = "vh" if cloud.signs[x] > 0 else "hv"
    return scatter(
        x=front[:, 0], y=front[:, 1], mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": COLOURS[0], "width": 1.2, "shape": shape},
    )  # fmt: skip


def _axis_title(name: str, sign: int, longest: int = 40) -> str:
    (short,) = shortened([name], longest)
    return f"{escaped(short)} {'→ better' if sign > 0 else '← better'}"
