"""The figures show what they were given, look alike, and take odd input."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training_db.analysis.fronts.pareto import pareto_ranks
from training_db.errors import InvalidValue, UnknownName
from training_db.report import figures
from training_db.report.palette import BACKGROUND, COLOURS, dark_colours, look
from training_db.repository.history_series import Series

HOSTILE = ["<script>alert(1)</script>", "</script>", "<b>bold</b>", "$x^2$", "%{y}", "a\nb",
           "x" * 400, '"quoted"', "&lt;", "\u202eright to left", "{{ 7 * 7 }}"]  # fmt: skip


def series(values: Any, x: Any = None) -> Series:
    return Series(np.arange(len(values)) if x is None else np.asarray(x), np.asarray(values))


def a_band(group: Any = "mgda", **changed: Any) -> SimpleNamespace:
    fields: dict[str, Any] = {
        "group": group, "steps": np.arange(3.0), "middle": np.array([3.0, 2.0, 1.0]),
        "low": np.array([2.0, 1.0, np.nan]), "high": np.array([4.0, 3.0, np.nan]),
        "runs": np.array([4, 4, 1]), "total": 4,
    }  # fmt: skip
    return SimpleNamespace(**fields | changed)


def an_event(kind: str = "checkpoint", **changed: Any) -> dict[str, Any]:
    event = {"kind": kind, "message": "saved", "happened_at": "2026-01-02T03:04:05.000000Z"}
    return event | changed


def one_of_each(name: str = "a", *, dark: bool = False, title: str | None = "Title") -> list[Any]:
    scores = np.random.default_rng(0).normal(size=(30, 3))
    given = {"dark": dark, "title": title}
    return [
        figures.curves({name: {name: series([2.0, math.nan, 1.0])}}, smooth=0.5, **given),
        figures.bands([a_band(name), a_band(None)], name, x=name, **given),
        figures.parallel_coordinates(
            [{name: 1, "m": name}, {name: 2}], colour=name, labels=[name, name], **given
        ),
        figures.pareto_front(
            scores[:, :2], pareto_ranks(scores[:, :2], ["max", "max"]), [name, "SA"],
            ["max", "max"], 0, labels=[name] * 30, **given
        ),
        figures.pareto_front(
            scores, pareto_ranks(scores, ["min"] * 3), [name, "SA", "QED"], ["min"] * 3, **given
        ),
        figures.importance([name, "b"], [0.2, 0.1], [0.1, 0.0], [0.3, 0.2], **given),
        figures.conflict_heat_map([name, "b"], [[1, -0.5], [-0.5, 1]], **given),
        figures.timeline([an_event(name, message=name, run_id=name), an_event()], **given),
    ]  # fmt: skip


def test_a_band_goes_around_its_curve_as_far_as_it_is_known() -> None:
    figure = figures.bands([a_band()], "loss", log=True)
    area, middle = figure.data
    assert area.x.tolist() == [0, 1, 1, 0]
    assert area.y.tolist() == [4, 3, 1, 2]
    assert middle.y.tolist() == [3, 2, 1]
    assert middle.customdata[:, 2].tolist() == [4, 4, 1]
    assert area.fillcolor.startswith(middle.line.color)
    assert (
        figures.caption(figure)
        == "loss over step, averaged over 1 group: mgda (4 runs, 1 at the end)."
    )


def test_a_group_has_its_colour_in_figures_that_others_are_not_in() -> None:
    alone = figures.bands([a_band("b")], among=["a", "b"])
    both = figures.bands([a_band("a"), a_band("b")])
    assert alone.data[1].line.color == both.data[3].line.color != both.data[1].line.color


def test_groups_are_called_by_what_they_have_in_common() -> None:
    figure = figures.bands([a_band(None), a_band(True), a_band(False), a_band(8)])
    assert [trace.name for trace in figure.data[1::2]] == ["none", "yes", "no", "8"]


def test_each_run_is_a_line_across_its_settings() -> None:
    rows = [{"lr": 1e-5, "method": "mgda", "QED": 0.5}, {"lr": 1e-1, "method": None, "QED": 0.9}]
    figure = figures.parallel_coordinates(rows, colour="QED", labels=["r1", "r2"])
    low, high = figure.data
    assert low.y[:3].tolist() == [0.0, 1.0, 0.0]
    assert high.y[:3].tolist() == [1.0, 0.0, 1.0]
    assert low.line.color != high.line.color
    assert low.customdata[0].startswith("<b>r1</b><br>lr: 1e-05<br>method: mgda")
    words = [note.text for note in figure.layout.annotations]
    assert {"lr", "method", "QED", "missing", "1e-05", "0.0001", "0.1"} <= set(words)


def test_what_is_missing_or_not_finite_lies_beneath_the_rest() -> None:
    rows = [{"beta": value} for value in (0.0, 1.0, None, math.nan, math.inf)]
    figure = figures.parallel_coordinates(rows, colour="beta")
    heights = [y for trace in figure.data for y in trace.y.tolist() if not math.isnan(y)]
    assert heights.count(0.0) == 3
    assert sorted(heights)[3:] == pytest.approx([0.12, 1.0])


def test_settings_that_are_the_same_everywhere_are_drawn_only_when_asked_for() -> None:
    rows = [{"seed": 0, "host": "vm", "QED": 0.1}, {"seed": 1, "host": "vm", "QED": 0.2}]
    words = [note.text for note in figures.parallel_coordinates(rows).layout.annotations]
    assert words[:3] == ["seed", "0", "1"]
    assert "host" not in words
    assert "across seed and host." in figures.caption(
        figures.parallel_coordinates(rows, ["seed", "host"])
    )
    assert "across host." in figures.caption(figures.parallel_coordinates([{"host": "vm"}]))


def test_an_unknown_setting_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownName, match="valid are: lr"):
        figures.parallel_coordinates([{"lr": 1}], ["beta"])
    with pytest.raises(UnknownName, match="valid are: lr"):
        figures.parallel_coordinates([{"lr": 1}], colour="QED")
    with pytest.raises(InvalidValue, match="1 labels for 2 runs"):
        figures.parallel_coordinates([{"lr": 1}, {"lr": 2}], labels=["r1"])


def test_many_settings_and_many_words_keep_to_their_room() -> None:
    rows = [{f"s{place}": f"word {row}" for place in range(12)} for row in range(90)]
    figure = figures.parallel_coordinates(rows)
    notes = figure.layout.annotations
    assert len(notes) == 12 * (1 + 30)
    assert notes[0].textangle == -35
    assert figures.caption(figure) == "90 runs across 12 settings."


def test_the_front_is_told_from_what_it_dominates() -> None:
    scores = [[0.9, 4.0], [0.5, 2.0], [0.4, 3.0], [math.nan, 0.0]]
    figure = figures.pareto_front(
        scores, [1, 1, 2, 0], ["QED", "SA"], ["maximize", "minimize"], 1, labels=list("abcd")
    )
    traces = {trace.name: trace for trace in figure.data if trace.name}
    assert traces["front"].x.tolist() == [0.9, 0.5]
    assert traces["dominated"].x.tolist() == [0.4]
    assert traces["knee"].customdata == ("b<br>",)
    assert figure.layout.xaxis.title.text == "QED → better"
    assert figure.layout.yaxis.title.text == "SA ← better"
    assert figures.caption(figure).endswith("2 of 3 points are on the front, its knee is b.")


@pytest.mark.parametrize("x", ["maximize", "minimize"])
@pytest.mark.parametrize("y", ["maximize", "minimize"])
def test_the_stairs_cover_what_the_front_dominates(x: str, y: str) -> None:
    signs = np.array([1 if way == "maximize" else -1 for way in (x, y)])
    front = np.array([[0.0, 3.0], [1.0, 2.0], [3.0, 0.0]]) * signs
    figure = figures.pareto_front(front, [1, 1, 1], ["a", "b"], [x, y])
    (stairs,) = [trace for trace in figure.data if trace.mode == "lines"]
    ends = np.stack([stairs.x, stairs.y], axis=-1)
    for start, stop in pairwise(ends):
        corner = [stop[0], start[1]] if stairs.line.shape == "hv" else [start[0], stop[1]]
        assert (corner * signs == np.minimum(start * signs, stop * signs)).all()


def test_more_objectives_are_shown_pair_by_pair_and_at_most_five() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 6))
    figure = figures.pareto_front(scores, [1] * 40, list("abcdef"), ["max"] * 6)
    assert len(figure.data) == 10
    assert "the first 5 objectives are drawn" in figures.caption(figure)
    alone = figures.pareto_front([[1.0], [2.0]], [2, 1], ["a"], ["max"])
    assert [trace.name for trace in alone.data] == ["dominated", "front"]


def test_of_very_many_points_some_are_drawn_and_the_rest_is_said() -> None:
    scores = np.random.default_rng(0).normal(size=(30_000, 2))
    ranks = np.where(np.arange(30_000) < 3_000, 1, 2)
    figure = figures.pareto_front(scores, ranks, ["a", "b"], ["max", "max"])
    assert sum(len(trace.x) for trace in figure.data if trace.mode == "markers") == 4_000
    assert "26,000 more points are not drawn" in figures.caption(figure)


def test_scores_that_do_not_fit_their_names_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"shape \(1, 2\) for 1 objectives"):
        figures.pareto_front([[1.0, 2.0]], [1], ["a"], ["max"])
    with pytest.raises(InvalidValue, match="each of 1 rows"):
        figures.pareto_front([[1.0, 2.0]], [1, 2], ["a", "b"], ["max", "max"])
    with pytest.raises(UnknownName, match="unknown direction 'up'"):
        figures.pareto_front([[1.0, 2.0]], [1], ["a", "b"], ["max", "up"])


def test_the_most_important_setting_is_on_top_with_its_interval() -> None:
    figure = figures.importance(
        ["seed", "lr", "lost"], [0.01, 0.4, math.nan], [0.0, 0.3, 0], [0.02, 0.6, 0],
        others=[math.nan, -0.5, 0],
    )  # fmt: skip
    (bars,) = figure.data
    assert bars.y == ("seed", "lr")
    assert bars.error_x.array == pytest.approx([0.01, 0.2])
    assert bars.error_x.arrayminus == pytest.approx([0.01, 0.1])
    assert bars.customdata[1][1] == " (0.3 to 0.6)<br>partial rank correlation -0.5"
    assert figures.caption(figure) == (
        "Importance of 2 settings; the greatest: lr (0.4), seed (0.01)."
    )


def test_only_the_greatest_of_many_settings_are_drawn() -> None:
    figure = figures.importance([f"s{place}" for place in range(50)], list(range(50)), limit=3)
    assert figure.data[0].y == ("s47", "s48", "s49")
    assert "of 50 settings, the 3 greatest are shown" in figures.caption(figure)
    with pytest.raises(InvalidValue, match="2 names"):
        figures.importance(["a", "b"], [1.0])


def test_the_heat_map_says_which_objectives_are_against_each_other() -> None:
    matrix = [[1, -0.8, math.nan], [-0.8, 1, 0.3], [math.nan, 0.3, 1]]
    figure = figures.conflict_heat_map(["QED", "SA", "logP"], matrix)
    assert figure.data[0].z[0][1] == -0.8
    assert np.isnan(np.diag(figure.data[0].z)).all()
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    assert figures.caption(figure).startswith(
        "In 1 of the 2 pairs objectives pull against each other, most of all QED and SA"
    )
    calm = figures.conflict_heat_map(["a", "b"], [[1, 0.5], [0.5, 1]])
    assert figures.caption(calm) == ("a and b do not pull against each other (correlation 0.50).")
    untold = figures.conflict_heat_map(["a", "b"], [[1, math.nan], [math.nan, 1]])
    assert figures.caption(untold).startswith("Of no two objectives can be told")
    apart = figures.conflict_heat_map(["a", "b", "c"], np.ones((3, 3)))
    assert figures.caption(apart).startswith("In none of the 3 pairs")
    assert matrix[0][0] == 1
    many = figures.conflict_heat_map([f"o{place}" for place in range(60)], np.zeros((60, 60)))
    assert many.layout.height < 800
    assert many.data[0].texttemplate is None
    with pytest.raises(InvalidValue, match=r"\(1, 1\)"):
        figures.conflict_heat_map(["a", "b"], [[1]])


def test_events_stand_in_the_lane_of_their_kind_and_in_the_colour_of_their_run() -> None:
    figure = figures.timeline(
        [
            an_event("ended", happened_at="2026-01-03", run_id="r1"),
            an_event("started", happened_at="2026-01-01", run_id="r1", message=None),
            an_event("started", happened_at="2026-01-02", run_id="r2"),
            an_event("lost", happened_at="yesterday"),
        ]
    )
    assert [(trace.name, trace.y) for trace in figure.data] == [
        ("r1", ("started", "ended")), ("r2", ("started",))
    ]  # fmt: skip
    assert figure.layout.yaxis.categoryarray == ("started", "ended")
    assert figures.caption(figure) == (
        "3 events of 2 kinds from 2026-01-01 00:00 to 2026-01-03 00:00 (UTC)."
    )


def test_of_very_many_events_the_last_are_drawn() -> None:
    figure = figures.timeline([an_event(happened_at=1.7e9 + place) for place in range(5_100)])
    assert len(figure.data[0].x) == 5_000
    assert "5,100 events of 1 kind" in figures.caption(figure)


@pytest.mark.parametrize("empty", [
    figures.curves({}), figures.curves({"r": {}}), figures.curves({"r": {"loss": series([])}}),
    figures.bands([]), figures.bands([a_band(steps=[])]), figures.parallel_coordinates([]),
    figures.parallel_coordinates([{}]), figures.pareto_front([], [], ["a", "b"], ["max", "max"]),
    figures.pareto_front([[math.nan, 1.0]], [0], ["a", "b"], ["max", "max"]),
    figures.importance([], []), figures.importance(["a"], [math.nan]),
    figures.conflict_heat_map([], []), figures.conflict_heat_map(["a"], [[1.0]]),
    figures.timeline([]),
])  # fmt: skip
def test_an_empty_figure_says_why(empty: Any) -> None:
    (note,) = empty.layout.annotations
    assert note.text == figures.caption(empty)
    assert note.text.startswith(("There", "Nothing"))
    assert not empty.data


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_as_they_are_whatever_they_hold(name: str) -> None:
    for figure in one_of_each(name, title=name):
        text = figure.to_json()
        assert "<script" not in text
        assert "</script" not in text
        shown = [figure.layout.title.text, *(note.text for note in figure.layout.annotations)]
        shown += [trace.name for trace in figure.data]
        for one in filter(None, shown):
            assert not set(one.replace("<br>", "")) & set("<$%\n\u202e"), one


def test_every_figure_has_a_caption_a_title_and_the_one_look() -> None:
    for figure in one_of_each(title="A title"):
        assert figures.caption(figure).endswith(".")
        assert figure.layout.title.text == "A title"
        assert figure.layout.template == look()
        assert figure.layout.height >= 100
        assert figure.layout.width is None
    for figure in one_of_each(title=None):
        assert figure.layout.title.text is None


def test_a_dark_figure_has_no_colour_of_a_light_one() -> None:
    for figure in one_of_each(dark=True):
        assert figure.layout.template == look(dark=True)
        figure.layout.template = None
        text = json.dumps(json.loads(figure.to_json())).lower()
        only_light = set(dark_colours()) - set(dark_colours().values())
        assert [colour for colour in only_light if colour in text] == []
    light, dark = figures.timeline([an_event()]), figures.timeline([an_event()], dark=True)
    assert light.data[0].marker.color == COLOURS[0]
    assert dark.data[0].marker.color == dark_colours()[COLOURS[0]]
    raw = figures.curves({"r": {"loss": series([1.0, 2.0])}}, smooth=0.5, dark=True).data[0]
    assert raw.line.color == f"{dark_colours()[COLOURS[0]]}47"


def test_a_light_figure_stays_as_it_is_when_a_dark_one_is_made_of_it() -> None:
    light = figures.curves({"r": {"loss": series([1.0, 2.0])}})
    before = light.to_json()
    dark = figures.darkened(light)
    assert light.to_json() == before
    assert dark.layout.template.layout.paper_bgcolor == BACKGROUND["dark"]
    assert figures.caption(dark) == figures.caption(light)
    assert dark.data[0].y.tolist() == [1.0, 2.0]


def test_a_figure_of_others_has_no_caption() -> None:
    import plotly.graph_objects

    assert figures.caption(plotly.graph_objects.Figure()) == ""


def test_the_odd_numbers_that_runs_log_break_no_figure() -> None:
    odd = [1e308, -1e308, 5e-324, 0.0, math.nan, math.inf, True, 10**400, "text", None]
    values = np.array(odd, dtype=object)
    for x in (np.arange(10), np.zeros(10), np.full(10, 1e308), np.arange(10)[::-1]):
        for axis in ("step", "timestamp"):
            one = {"r": {"loss": Series(x, values)}}
            figures.curves(one, log=True, smooth=0.5, x=axis).to_json()
            figures.curves(one, x=axis).to_json()
    for one in odd:
        for other in (1e308, None):
            figures.parallel_coordinates([{"a": one, "b": 1}, {"a": other}], colour="a").to_json()
    figures.importance(["a", "b"], [1e308, -1e308], [-math.inf, 0], [math.inf, 0]).to_json()
    figures.bands([a_band(middle=[math.inf, 1e308, math.nan])], log=True).to_json()
