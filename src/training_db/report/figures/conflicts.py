"""Which objectives pull against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

_CELL, _HEIGHT = 44, 560  # pixels: of a cell, and of all of them at most
MOST_NUMBERED = 12  # objectives whose cells have room for a number


def conflict_heat_map(
    names: Sequence[str], matrix: Any, *, title: str | None = None, dark: bool = False
) -> Any:
    """Draw how the objectives go together: -1 where one gets better as the other gets worse.

    Args:
        names: The objectives, of which there are m.
        matrix: Of shape (m, m), from -1 to 1; NaN where it could not be told.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        InvalidValue: The matrix has another shape.
        MissingExtra: plotly is not installed.

    Example:
        >>> figure = conflict_heat_map(["QED", "SA"], [[1.0, -0.8], [-0.8, 1.0]])
        >>> figure.layout.meta["caption"]
        'QED and SA pull against each other (correlation -0.80).'
    """
    count = len(names)
    if count < 2:
        return nothing("There are no two objectives to compare.", title, dark=dark)
    values = np.array(matrix, dtype=np.float64)
    if values.shape != (count, count):
        raise InvalidValue(f"the matrix has the shape {values.shape} and there are {count} names")
    np.fill_diagonal(values, np.nan)  # each goes with itself
    short = [escaped(name) for name in shortened(names, 24)]
    whole = [wrapped(name) for name in names]
    figure = load("plotly.graph_objects").Figure()
    figure.add_trace(
        load("plotly.graph_objects").Heatmap(
            z=values, x=short, y=short, xgap=2, ygap=2, coloraxis="coloraxis",
            texttemplate="%{z:.2f}" if count <= MOST_NUMBERED else None,
            customdata=[[[one, other] for other in whole] for one in whole],
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>%{z:.3f}<extra></extra>",
            hoverongaps=False,
        )
    )  # fmt: skip
    figure.update_layout(
        coloraxis={"cmin": -1, "cmax": 1, "autocolorscale": True,
                   "colorbar": {"tickvals": [-1, 0, 1],
                                "ticktext": ["against", "apart", "together"]}}
    )  # fmt: skip
    figure.update_xaxes(showgrid=False, type="category", tickangle=-35)
    figure.update_yaxes(showgrid=False, type="category", autorange="reversed")
    return finished(
        figure, _sentence(names, values), title, dark=dark, height=150 + min(_CELL * count, _HEIGHT)
    )


def _sentence(names: Sequence[str], values: Any) -> str:
    above = [
        (float(values[row, column]), names[row], names[column])
        for row in range(len(names))
        for column in range(row + 1, len(names))
        if np.isfinite(values[row, column])
    ]
    against = [pair for pair in above if pair[0] < 0]
    if not above:
        return "Of no two objectives can be told whether they pull against each other."
    value, one, other = min(above)
    if len(above) == 1:
        verb = "pull" if against else "do not pull"
        return f"{one} and {other} {verb} against each other (correlation {value:.2f})."
    if not against:
        return f"In none of the {len(above)} pairs do objectives pull against each other."
    return (
        f"In {len(against)} of the {len(above)} pairs objectives pull against each other, "
        f"most of all {one} and {other} (correlation {value:.2f})."
    )
