"""Which settings matter: how much each does, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.counts import counted
from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import COLOURS, MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

_BAR = 30  # pixels


def importance(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float] | None = None,
    high: Sequence[float] | None = None,
    *,
    others: Sequence[float] | None = None,
    limit: int = 20,
    title: str | None = None,
    dark: bool = False,
) -> Any:
    """Draw how much each setting matters, the most important on top.

    Args:
        names: The settings.
        values: How much each matters.
        low: Where the interval of each begins.
        high: Where it ends.
        others: What stands beside each in its hover, its partial rank correlation.
        limit: At most so many settings.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        InvalidValue: The lengths differ.
        MissingExtra: plotly is not installed.

    Example:
        >>> importance(["seed", "lr"], [0.01, 0.4], [0.0, 0.3], [0.02, 0.5]).data[0].y
        ('seed', 'lr')
    """
    columns = [np.asarray(values, dtype=np.float64)]
    columns += [
        np.full(len(columns[0]), np.nan) if one is None else np.asarray(one, dtype=np.float64)
        for one in (low, high, others)
    ]
    if any(len(column) != len(names) for column in columns):
        raise InvalidValue(f"there are {len(names)} names and not as many figures of each")
    table = np.stack(columns, axis=-1)
    order = [
        place for place in np.argsort(-table[:, 0], kind="stable") if np.isfinite(table[place, 0])
    ]
    if not order:
        return nothing("There is no setting whose weight could be told.", title, dark=dark)
    shown = order[:limit][::-1]
    table = table[shown]
    whole = [names[place] for place in shown]
    short = shortened(whole)
    figure = load("plotly.graph_objects").Figure()
    spread = np.isfinite(table[:, 1]) & np.isfinite(table[:, 2])
    figure.add_trace(
        load("plotly.graph_objects").Bar(
            x=table[:, 0], y=[escaped(name) for name in short], orientation="h",
            marker={"color": COLOURS[0]}, width=0.62,
            error_x={
                "type": "data", "symmetric": False, "color": MUTED["light"], "thickness": 1.6,
                "width": 5,
                "array": np.where(spread, table[:, 2] - table[:, 0], 0).clip(0),
                "arrayminus": np.where(spread, table[:, 0] - table[:, 1], 0).clip(0),
            },
            customdata=[
                [wrapped(name), _beside(*row)]
                for name, row in zip(whole, table.tolist(), strict=True)
            ],
            hovertemplate="%{customdata[0]}<br>%{x:.4~g}%{customdata[1]}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_yaxes(showgrid=False, tickfont={"size": 12}, type="category")
    figure.update_xaxes(title_text="importance", zeroline=True, zerolinecolor=MUTED["light"])
    best = ", ".join(
        f"{name} ({value:.3g})"
        for name, value in zip(whole[::-1][:3], table[::-1, 0], strict=False)
    )
    sentence = f"Importance of {counted(len(order), 'setting')}"
    sentence += f", the {limit} greatest are shown" if len(order) > limit else ""
    return finished(
        figure,
        f"{sentence}; the greatest: {best}.",
        title,
        dark=dark,
        height=70 + _BAR * len(shown),
    )


def _beside(_value: float, low: float, high: float, other: float) -> str:
    parts = f" ({low:.4g} to {high:.4g})" if np.isfinite(low) and np.isfinite(high) else ""
    return parts + (f"<br>partial rank correlation {other:.3g}" if np.isfinite(other) else "")
