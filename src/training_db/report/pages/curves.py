"""The curves that pages show, of one run and of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.counts import counted
from training_db.report.document import Figure, Text
from training_db.report.figures import caption, curves
from training_db.report.labels import shortened
from training_db.report.wording import listed, number
from training_db.repository.downsampling import min_max
from training_db.repository.history_series import Series
from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.database import TrainingDB

MOST_FIGURES = 10
_MOST_NAMED = 8
_POINTS = 600  # a line; a figure on a page is some 600 pixels wide
_LONG = 100  # steps
_SMOOTH = 0.8
_TURNS = 0.3
_GAIN = 30.0  # a curve that spans so many times its least value is read on a logarithmic axis


def figure_of(
    metric: str, lines: Mapping[str, Series], title: str = "", among: Iterable[str] = ()
) -> Figure:
    """Return one metric of one or several runs as a figure of a page.

    Several long and noisy curves are smoothed; the values stand pale behind.

    Args:
        metric: The metric.
        lines: For each run, by what it is called, its values.
        title: What stands above it, where the page is about several runs; else the metric does.
        among: What the runs of the page are called, of which each has one colour in all figures.
    """
    log = spans_decades(one.values for one in lines.values())
    is_crowded = len(lines) > 1 and any(map(_is_noisy, lines.values()))
    drawn = curves(
        {name: {metric: lines[name]} if name in lines else {} for name in among or lines},
        log=log, smooth=_SMOOTH if is_crowded else 0.0, points=_POINTS,
    )  # fmt: skip
    drawn.layout.annotations = [  # the metric stands above, where it can wrap
        one for one in drawn.layout.annotations if one.hovertext is None
    ]
    drawn.update_layout(margin={"t": 8})
    return Figure(
        title or metric,
        drawn,
        _read(lines, is_named=bool(title)) if len(lines) == 1 else caption(drawn),
        _small(lines),
    )


def together(title: str, lines: Mapping[str, Series]) -> Figure:
    """Return several curves of one run that share an axis, such as its normalised objectives."""
    drawn = curves({name: {title: one} for name, one in lines.items()}, points=_POINTS)
    drawn.layout.annotations = ()
    drawn.update_layout(margin={"t": 8})
    return Figure(title, drawn, "", _small(lines))


def not_drawn(titles: Sequence[str]) -> list[Text]:
    """Say which curves there was no room for; nothing where there are none."""
    if not titles:
        return []
    names = listed(shortened(titles), _MOST_NAMED)
    return [Text(f"{counted(len(titles), 'more curve')} not drawn: {names}.")]


def series_of(
    db: TrainingDB, labels: Mapping[str, str], metrics: Iterable[str]
) -> dict[str, dict[str, Series]]:
    """Return for each metric its series in each run that has numbers of it, by the runs' labels.

    Args:
        db: The database.
        labels: For each run what it is called.
        metrics: The metrics, of which some run has each.
    """
    wanted = list(metrics)
    if not wanted:
        return {}
    histories = db.history.arrays(labels, wanted)
    found: dict[str, dict[str, Series]] = {metric: {} for metric in wanted}
    for run_id, history in histories.items():
        for metric, one in history.items():
            if not np.isnan(numbers(one.values)).all() or one.values.dtype != object:
                found[metric][labels[run_id]] = one
    return {metric: lines for metric, lines in found.items() if lines}


def small(one: Series) -> Series:
    """Return a series with its ends and extremes alone, for a curve as small as a word."""
    if not len(one):
        return one
    kept = np.union1d([0, len(one) - 1], min_max(one, _POINTS))
    return Series(one.x[kept], one.values[kept])


def _small(lines: Mapping[str, Series]) -> dict[str, NDArray[Any]]:
    return {name: small(one).values for name, one in lines.items()}


def spans_decades(curves: Iterable[NDArray[Any]]) -> bool:
    """Tell whether curves are read on a logarithmic axis.

    They are where all values are positive, and nine tenths of them span a factor of 30, or the
    greatest is as much above the median.

    Args:
        curves: The values of each.

    Example:
        >>> spans_decades([np.geomspace(1, 1e-3)]), spans_decades([np.linspace(0.01, 1)])
        (True, False)
    """
    parts = [numbers(np.asarray(one)) for one in curves]
    values = np.concatenate(parts) if parts else np.empty(0)
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0:
        return False
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    # Products may be more than a float holds; quotients of what is positive are not, but for 0.
    return bool(high / _GAIN >= low or values.max() / _GAIN >= middle)


def _is_noisy(one: Series) -> bool:
    """Tell whether a long curve turns so often that its noise would cover other curves.

    Two of three points of pure noise are turning points (Bienaymé, 1874), and hardly any of a
    schedule.
    """
    values = numbers(one.values)
    values = values[np.isfinite(values)]
    if len(values) < _LONG:
        return False
    rises = values[1:] > values[:-1]
    return bool((rises[1:] != rises[:-1]).mean() > _TURNS)


def _read(lines: Mapping[str, Series], *, is_named: bool) -> str:
    """Say in words what one curve does."""
    ((name, one),) = lines.items()
    about = f"{name}: " if is_named else ""
    values = numbers(one.values)
    finite = np.flatnonzero(np.isfinite(values))
    lost = len(values) - len(finite)
    text = about + (f"{counted(lost, 'value')} not finite. " if lost else "")
    if not len(finite):
        return text.strip()
    first, last = (_at(one, values, place) for place in (finite[0], finite[-1]))
    if len(finite) == 1:
        return f"{text}One value: {first}."
    low, high = (
        _at(one, values, finite[place])
        for place in (values[finite].argmin(), values[finite].argmax())
    )
    return f"{text}From {first} to {last}; lowest {low}, highest {high}."


def _at(one: Series, values: Any, place: int) -> str:
    return f"{number(float(values[place]))} at step {number(one.x[place].item())}"
