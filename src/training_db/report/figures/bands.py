"""Averaged curves of groups of runs, each with its band."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.counts import counted
from training_db.extras import load
from training_db.report.figures.curves import PANEL
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import line_style, see_through
from training_db.report.wording import along, group_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_AT_ONCE = 8
_HEIGHT = 1.5  # panels


def bands(
    groups: Iterable[Any],
    metric: str = "",
    *,
    among: Sequence[object] = (),
    log: bool = False,
    x: str = "step",
    title: str | None = None,
    dark: bool = False,
) -> Any:
    """Draw the averaged curve of each group of runs, and the band around it.

    Args:
        groups: For each group ``group`` (``None`` for the runs without one), ``steps``, ``middle``,
            ``low``, ``high`` and ``runs`` (how many, at each step), all of shape (n,), as
            ``db.analysis.bands`` returns them.
        metric: What is averaged.
        among: The groups of several figures, in the order in which they get their colours: where
            not all have each group, a group has one colour in all of them.
        log: Whether the values stand on a logarithmic axis.
        x: What they stand over.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        MissingExtra: plotly is not installed.

    Example:
        >>> from types import SimpleNamespace
        >>> band = SimpleNamespace(group="mgda", steps=[0, 1], middle=[2.0, 1.0], low=[1.5, 0.5],
        ...                        high=[2.5, 1.5], runs=[3, 3])
        >>> [trace.name for trace in bands([band], "loss").data]
        ['mgda', 'mgda']
    """
    drawn = [group for group in groups if len(group.steps)]
    if not drawn:
        return nothing("There are no curves to average.", title, dark=dark)
    figure = load("plotly.graph_objects").Figure()
    words = [group_name(group.group) for group in drawn]
    names = shortened(words)
    order = list(dict.fromkeys([*map(group_name, among), *words]))
    for group, word, name in zip(drawn, words, names, strict=True):
        _add(figure, group, word, name, order.index(word), log=log)
    figure.update_xaxes(title_text=escaped(x), unifiedhovertitle_text=f"{escaped(x)} %{{x:.6~g}}")
    figure.update_yaxes(title_text=escaped(shortened([metric], 48)[0]) if metric else None)
    if log:
        figure.update_yaxes(type="log", exponentformat="power")
    figure.update_layout(hovermode="x unified" if len(drawn) <= _MOST_AT_ONCE else "closest")
    sentence = (
        f"{metric or 'The mean'} over {x}, averaged over {counted(len(drawn), 'group')}: "
        + (
            ", ".join(
                f"{word} ({along(int(np.max(group.runs)), group.runs, 'run')})"
                for word, group in list(zip(words, drawn, strict=True))[:8]
            )
            + (" and others." if len(drawn) > 8 else ".")
        )
    )
    return finished(figure, sentence, title, dark=dark, height=int(PANEL * _HEIGHT), entries=names)


def _add(figure: Any, group: Any, word: str, name: str, place: int, *, log: bool) -> None:
    graph_objects = load("plotly.graph_objects")
    colour, dash = line_style(place)
    steps = np.asarray(group.steps, dtype=np.float64)
    centre, low, high = (
        _drawable(values, log=log) for values in (group.middle, group.low, group.high)
    )
    # A band is one outline; where it has a gap, the outline is of what is there.
    kept = np.isfinite(low) & np.isfinite(high)
    common = {"legendgroup": word, "name": escaped(name)}
    figure.add_trace(
        graph_objects.Scatter(
            x=np.concatenate([steps[kept], steps[kept][::-1]]),
            y=np.concatenate([high[kept], low[kept][::-1]]),
            mode="lines", line={"width": 0, "color": colour}, fill="toself",
            fillcolor=see_through(colour, 0.18), hoverinfo="skip", showlegend=False, **common,
        )
    )  # fmt: skip
    figure.add_trace(
        graph_objects.Scatter(
            x=steps, y=centre, mode="lines" if len(steps) > 1 else "markers",
            line={"color": colour, "dash": dash, "width": 2.2}, marker={"color": colour},
            customdata=np.stack([low, high, np.asarray(group.runs, dtype=np.float64)], axis=-1),
            hovertemplate="%{y:.6~g} (%{customdata[0]:.4~g} to %{customdata[1]:.4~g}, "
            f"runs: %{{customdata[2]:d}})<extra>{wrapped(word)}</extra>",
            **common,
        )
    )  # fmt: skip


def _drawable(values: Any, *, log: bool) -> Any:
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(array) & ((array > 0) | (not log)), array, np.nan)
