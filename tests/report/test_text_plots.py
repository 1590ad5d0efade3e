"""Plots of text show their points where they are, in the room that they have."""

from __future__ import annotations

import math
import re
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from training_db.errors import MissingExtra
from training_db.report.points import drawn
from training_db.report.terminal import COLOURS, Pen, pen, text_plot

STYLES = re.compile(r"\x1b\[[0-9;]*m")
PLAIN = Pen(None, "o")


def points(values: Any, x: Any = None, *, log: bool = False) -> Any:
    places = np.arange(len(values)) if x is None else np.asarray(x)
    return drawn(SimpleNamespace(x=places, values=values), log=log)


def canvas(text: str) -> list[str]:
    """Return the rows inside the frame, without the axis."""
    return [re.split("[┤│]", row)[1] for row in text.splitlines() if re.search("[┤│]", row)]


def test_a_rising_line_goes_from_the_lower_left_to_the_upper_right() -> None:
    rows = canvas(text_plot([(points(np.arange(50.0)), PLAIN)], 60, 12))
    assert rows[0].rstrip().endswith("o")
    assert rows[-1].startswith("o")
    firsts = [row.index("o") for row in rows]
    assert firsts == sorted(firsts, reverse=True)


@pytest.mark.parametrize(("width", "height"), [(24, 6), (60, 12), (200, 40)])
def test_a_plot_has_the_size_that_was_asked_for(width: int, height: int) -> None:
    rows = text_plot([(points(np.sin(np.arange(99.0))), PLAIN)], width, height).splitlines()
    assert len(rows) == height
    assert max(map(len, rows)) == width


def test_a_size_that_holds_no_plot_becomes_the_least_that_does() -> None:
    rows = text_plot([(points([1.0, 2.0]), PLAIN)], 1, 1).splitlines()
    assert (len(rows), max(map(len, rows))) == (6, 24)


def test_each_line_has_its_pen() -> None:
    pens = [pen(place, colours=False) for place in range(8)]
    assert len({one.mark for one in pens}) == 8
    assert "x" not in {one.mark for one in pens}
    assert all(one.colour is None for one in pens)
    coloured = [pen(place, colours=True) for place in range(len(COLOURS) * 8)]
    assert len(set(coloured)) == len(coloured)
    text = text_plot([(points([1.0, 1.0]), pens[1]), (points([2.0, 2.0]), pens[2])], 40, 8)
    assert canvas(text)[0].strip() == "+" * len(canvas(text)[0].strip())
    assert "o" in canvas(text)[-1]


def test_only_pens_with_colours_write_colours() -> None:
    line = points([1.0, 2.0, 3.0])
    assert "\x1b" not in text_plot([(line, PLAIN)], 40, 8)
    coloured = text_plot([(line, pen(1, colours=True))], 40, 8)
    assert f"\x1b[38;5;{COLOURS[1]}m" in coloured
    assert STYLES.sub("", coloured).splitlines()[-1].split() == ["0", "1", "2"]


def test_points_without_a_place_stand_at_the_edge() -> None:
    values = [1.0, math.nan, 2.0, math.inf, 1.0, -math.inf, 2.0]
    rows = canvas(text_plot([(points(values), PLAIN)], 60, 10))
    assert "^" in rows[0]
    assert rows[-1].index("x") < rows[-1].index("v")
    alone = canvas(text_plot([(points([math.nan, math.nan]), PLAIN)], 60, 10))
    assert alone[-1].count("x") == 2


def test_on_a_logarithmic_axis_a_decade_is_as_high_as_any_other() -> None:
    line = points(10.0 ** np.linspace(-3, 3, 61), log=True)
    text = text_plot([(line, PLAIN)], 60, 21, log=True)
    words = [row.split("┤")[0].strip() for row in text.splitlines() if "┤" in row]
    assert words == ["1000", "100", "10", "1", "0.1", "0.01", "0.001"]
    firsts = [row.index("o") for row in canvas(text)]
    steps = np.diff(firsts)
    assert steps.max() - steps.min() <= 2


def test_moments_stand_along_the_axis_of_time() -> None:
    text = text_plot([(points([1.0, 2.0], [1.7e9, 1.7e9 + 60]), PLAIN)], 60, 8, is_time=True)
    assert text.splitlines()[-1].split()[0] == "22:13:20"


def test_a_long_wave_is_drawn_as_a_wave() -> None:
    values = np.sin(np.linspace(0, 10 * math.pi, 50_000))
    rows = canvas(text_plot([(points(values), PLAIN)], 80, 12))
    assert [len(re.findall("o+", rows[place])) for place in (0, -1)] == [5, 5]


def test_peaks_of_a_long_line_are_seen() -> None:
    values = np.zeros(100_000)
    values[60_000] = 9.0
    assert "o" in canvas(text_plot([(points(values), PLAIN)], 60, 10))[0]


def test_no_points_give_no_plot() -> None:
    assert text_plot([], 60, 10) == ""
    assert text_plot([(points([]), PLAIN)], 60, 10) == ""


@pytest.mark.parametrize("values", [
    [1.0], [0.0], [3.0] * 5, [1e299, -1e299], [1e308, 1.0], [5e-324, 1e-320], [1e15, 1e15 + 1],
    [1e-300, 1e300], [math.nan, 1.0],
])  # fmt: skip
@pytest.mark.parametrize("log", [False, True])
def test_odd_values_break_no_plot(values: list[float], log: bool) -> None:
    for x in (None, [7] * len(values), [1e18 * place for place in range(len(values))]):
        line = points(values, x, log=log).smoothed(0.5)
        rows = text_plot([(line, PLAIN)], 50, 9, log=log, is_time=True).splitlines()
        assert len(rows) == 9


def test_a_plotext_that_is_not_there_or_does_not_load_is_said_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = points([1.0, 2.0])
    monkeypatch.setitem(sys.modules, "plotext", None)
    with pytest.raises(MissingExtra, match=r"pip install 'training-db\[analysis\]'"):
        text_plot([(line, PLAIN)], 40, 8)

    def broken(_name: str) -> None:
        raise ImportError("plotext cannot draw:\nits part does not load")

    monkeypatch.setattr("training_db.report.terminal.load", broken)
    with pytest.raises(MissingExtra, match="cannot draw: its part does not load"):
        text_plot([(line, PLAIN)], 40, 8)


def test_an_axis_has_more_than_one_number() -> None:
    text = text_plot([(points([0.236, 0.3, 0.58]), PLAIN)], 60, 9)
    assert len([row for row in text.splitlines() if "┤" in row]) >= 2
