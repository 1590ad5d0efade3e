"""Training curves: a panel a metric, a line a run, and no point that goes unseen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from training_db.errors import InvalidValue, UnknownName
from training_db.report import figures
from training_db.report.palette import line_style
from training_db.repository.history_series import Series


def series(values: Any, x: Any = None) -> Series:
    return Series(np.arange(len(values)) if x is None else np.asarray(x), np.asarray(values))


def test_a_curve_is_drawn_for_each_run_and_a_panel_for_each_metric() -> None:
    figure = figures.curves(
        {
            "r1": {"loss": series([2.0, 1.0]), "lr": series([0.1, 0.2])},
            "r2": {"loss": series([3.0, 2.5])},
        }
    )
    drawn = [(trace.name, trace.yaxis, trace.y.tolist()) for trace in figure.data]
    assert drawn == [("r1", "y", [2.0, 1.0]), ("r2", "y", [3.0, 2.5]), ("r1", "y3", [0.1, 0.2])]
    assert [trace.showlegend for trace in figure.data] == [True, True, False]
    assert figure.data[0].line.color == figure.data[2].line.color != figure.data[1].line.color
    assert [note.text for note in figure.layout.annotations] == ["loss", "lr"]


def test_a_run_has_its_colour_in_figures_of_what_others_have_not() -> None:
    figure = figures.curves({"r1": {}, "r2": {"loss": series([3.0, 2.5])}})
    assert [(trace.name, trace.line.color) for trace in figure.data] == [("r2", line_style(1)[0])]
    assert "1 run " in figures.caption(figure)


def test_a_smoothed_curve_lies_over_its_values() -> None:
    figure = figures.curves({"r1": {"loss": series([4.0, 4.0, 1.0])}}, smooth=0.5)
    raw, smooth = figure.data
    assert raw.y.tolist() == [4.0, 4.0, 1.0]
    assert smooth.y.round(3).tolist() == [4.0, 4.0, 2.286]
    assert raw.line.color.startswith(smooth.line.color)
    assert (raw.showlegend, raw.hoverinfo) == (False, "skip")


def test_points_without_a_place_stand_at_the_edge_and_are_counted() -> None:
    values = [1.0, math.nan, math.inf, -math.inf, -1.0, 2.0]
    figure = figures.curves({"r1": {"loss": series(values)}}, log=True)
    edges = {trace.hovertemplate.split("<")[0]: trace for trace in figure.data[1:]}
    assert {reason: trace.x.tolist() for reason, trace in edges.items()} == {
        "NaN": [1.0], "+Inf": [2.0], "-Inf": [3.0], "0 or less": [4.0]
    }  # fmt: skip
    assert {trace.yaxis for trace in edges.values()} == {"y2"}
    assert figure.layout.yaxis2.range == (0, 1)
    assert figure.layout.yaxis.type == "log"
    assert edges["+Inf"].y[0] > 0.9
    assert max(edges[reason].y[0] for reason in ("NaN", "-Inf", "0 or less")) < 0.1
    assert "1 point NaN; 1 point +Inf; 1 point -Inf; 1 point 0 or less" in figures.caption(figure)


def test_a_curve_that_is_never_finite_is_still_seen() -> None:
    figure = figures.curves({"r1": {"loss": series([math.nan, math.nan])}})
    assert [len(trace.x) for trace in figure.data] == [0, 2]
    assert figure.layout.yaxis.showticklabels is False
    assert "2 points NaN" in figures.caption(figure)


def test_a_long_curve_keeps_its_peaks() -> None:
    values = np.zeros(200_000)
    values[[77_777, 150_000]] = 5.0, -3.0
    figure = figures.curves({"r1": {"loss": series(values)}}, points=500)
    assert len(figure.data[0].y) <= 500
    assert {5.0, -3.0} <= set(figure.data[0].y.tolist())


def test_many_non_finite_points_become_few_marks() -> None:
    figure = figures.curves({"r1": {"loss": series(np.full(100_000, np.nan))}})
    assert len(figure.data[1].x) == 200
    assert "100,000 points NaN" in figures.caption(figure)


def test_one_point_alone_is_a_dot_on_an_axis_of_its_size() -> None:
    figure = figures.curves({"r1": {"lr": series([1e-4])}})
    assert figure.data[0].mode == "markers"
    assert figure.layout.yaxis.range == pytest.approx((0.5e-4, 1.5e-4))


def test_timestamps_are_dates_unless_no_calendar_has_them() -> None:
    figure = figures.curves({"r": {"loss": series([1.0], [1.7e9])}}, x="timestamp")
    assert str(figure.data[0].x[0]).startswith("2023-11-14T22:13:20")
    assert figure.layout.xaxis.title.text == "time"
    figure = figures.curves({"r": {"loss": series([1.0, math.nan], [0.0, 1e18])}}, x="timestamp")
    assert figure.data[0].x.tolist() == [0.0]


def test_a_few_steps_have_no_half_steps_between_them() -> None:
    assert figures.curves({"r": {"loss": series([1.0, 2.0])}}).layout.xaxis.dtick == 1
    assert figures.curves({"r": {"loss": series(np.ones(50))}}).layout.xaxis.dtick is None
    assert figures.curves({"r": {"loss": series([1.0])}}, x="epoch").layout.xaxis.dtick is None


def test_twenty_runs_can_be_told_apart() -> None:
    figure = figures.curves({f"run-{place}": {"loss": series([1.0, 2.0])} for place in range(20)})
    styles = {(trace.line.color, trace.line.dash) for trace in figure.data}
    assert styles == {line_style(place) for place in range(20)}
    assert len(styles) == 20
    assert figure.layout.hovermode == "closest"


def test_more_metrics_than_panels_are_said_to_be_left_out() -> None:
    figure = figures.curves({"r": {f"m{place}": series([1.0]) for place in range(45)}})
    assert len(figure.layout.annotations) == 40
    assert "5 more metrics are not drawn" in figures.caption(figure)


def test_a_panel_is_not_named_twice() -> None:
    assert not figures.curves({"r": {"loss": series([1.0])}}, title="loss").layout.annotations


def test_an_axis_or_a_smoothing_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match="step, epoch, timestamp"):
        figures.curves({"r": {"loss": series([1.0])}}, x="day")
    with pytest.raises(InvalidValue, match="below 1"):
        figures.curves({"r": {"loss": series([1.0])}}, smooth=1.0)


def test_what_is_no_number_is_not_drawn() -> None:
    values = np.array(["a", 1.0, None, 2], dtype=object)
    figure = figures.curves({"r": {"note": Series(np.arange(4), values)}})
    assert (figure.data[0].x.tolist(), figure.data[0].y.tolist()) == ([1.0, 3.0], [1.0, 2.0])
