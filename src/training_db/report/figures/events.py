"""What happened to runs, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.counts import counted
from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.report.figures.frame import finished, nothing
from training_db.report.labels import escaped, shortened, wrapped
from training_db.report.palette import line_style
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LANE = 34  # pixels
_MOST = 5_000
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "pentagon", "star")


def timeline(
    events: Iterable[Mapping[str, Any]], *, title: str | None = None, dark: bool = False
) -> Any:
    """Draw what happened, in a lane for each kind of event.

    Args:
        events: As ``db.events.list`` returns them: ``kind``, ``message`` and ``happened_at``. Those
            of several runs also have ``run_id``, and each run a colour.
        title: What stands above it.
        dark: Whether it stands on a dark page.

    Returns:
        A ``plotly.graph_objects.Figure``.

    Raises:
        MissingExtra: plotly is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("t1"), db.events.add("t1", "checkpoint", "saved")
        >>> timeline(db.events.list("t1")).data[0].y
        ('checkpoint',)
    """
    found = [(moment, event) for event in events for moment in [_moment(event)] if moment]
    if not found:
        return nothing("Nothing happened yet.", title, dark=dark)
    found.sort(key=lambda one: one[0])
    total, found = len(found), found[-_MOST:]
    kinds = list(dict.fromkeys(str(event["kind"]) for _, event in found))
    lanes = dict(zip(kinds, map(escaped, shortened(kinds, 28)), strict=True))
    runs = list(dict.fromkeys(event.get("run_id") for _, event in found))
    names = shortened(["" if run is None else run for run in runs])
    figure = load("plotly.graph_objects").Figure()
    for place, run in enumerate(runs):
        colour, _ = line_style(place)
        own = [(moment, event) for moment, event in found if event.get("run_id") == run]
        figure.add_trace(
            load("plotly.graph_objects").Scatter(
                x=[moment for moment, _ in own],
                y=[lanes[str(event["kind"])] for _, event in own],
                mode="markers", name=escaped(names[place]),
                marker={"color": colour, "size": 11, "opacity": 0.85,
                        "symbol": _SYMBOLS[place // 6 % len(_SYMBOLS)]},
                customdata=[_message(event) for _, event in own],
                hovertemplate="%{x|%Y-%m-%d %H:%M:%S}<br>%{customdata}"
                f"<extra>{'' if run is None else wrapped(run)}</extra>",
            )
        )  # fmt: skip
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[lanes[kind] for kind in kinds],
        autorange="reversed",
    )  # fmt: skip
    figure.update_layout(hovermode="closest")
    sentence = (
        f"{counted(total, 'event')} of {counted(len(kinds), 'kind')} from "
        f"{found[0][0]:%Y-%m-%d %H:%M} to {found[-1][0]:%Y-%m-%d %H:%M} (UTC)"
    )
    sentence += f"; the last {_MOST:,} are drawn." if total > _MOST else "."
    entries = names if len(runs) > 1 else []
    return finished(
        figure, sentence, title, dark=dark, height=90 + _LANE * len(kinds), entries=entries
    )


def _moment(event: Mapping[str, Any]) -> Any:
    try:
        return parse_timestamp(event["happened_at"])
    except (InvalidValue, KeyError):
        return None


def _message(event: Mapping[str, Any]) -> str:
    return f"{escaped(event['kind'])}: {wrapped(event.get('message') or '')}"
