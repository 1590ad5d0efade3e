"""The colours can be told apart by everyone, and stand out from their page."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from training_db.report.palette import (
    BACKGROUND,
    COLOURS,
    DASHES,
    MUTED,
    SHADES,
    TEXT,
    dark_colours,
    line_style,
    look,
    see_through,
)

# "A Physiologically-based Model for Simulation of Color Vision Deficiency" (Machado et al., 2009),
# at its full severity.
SIGHTS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
PALETTES = {"light": COLOURS, "dark": tuple(dark_colours()[one] for one in COLOURS)}


def linear(colour: str) -> np.ndarray:
    parts = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """By WCAG 2."""
    low, high = sorted(float(linear(each) @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
    xyz = np.array(to_xyz) @ rgb.clip(0, 1) / [0.95047, 1, 1.08883]
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("mode", PALETTES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_colours_look_alike_however_one_sees_colours(mode: str, sight: str) -> None:
    seen = [lab(np.array(SIGHTS[sight]) @ linear(colour)) for colour in PALETTES[mode]]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15


@pytest.mark.parametrize("mode", PALETTES)
def test_lines_stand_out_from_the_page_and_words_do_so_more(mode: str) -> None:
    assert min(contrast(one, BACKGROUND[mode]) for one in PALETTES[mode]) >= 3
    assert contrast(MUTED[mode], BACKGROUND[mode]) >= 4.5
    assert contrast(TEXT[mode], BACKGROUND[mode]) >= 7


def test_shades_stand_out_from_the_page_in_both_modes() -> None:
    for light in SHADES:
        assert contrast(light, BACKGROUND["light"]) > 2.3
        assert contrast(dark_colours()[light], BACKGROUND["dark"]) > 2.3


def test_each_light_colour_has_a_dark_one_of_its_own() -> None:
    assert len(set(dark_colours().values())) >= len(set(COLOURS) | set(BACKGROUND))
    assert len({dark_colours()[one] for one in COLOURS}) == len(COLOURS)
    assert look().layout.colorway == COLOURS
    assert look(dark=True).layout.colorway == PALETTES["dark"]


def test_thirty_six_lines_have_a_style_each_and_then_they_repeat() -> None:
    count = len(COLOURS) * len(DASHES)
    assert len({line_style(place) for place in range(count)}) == count
    assert line_style(count) == line_style(0)


def test_a_look_sends_nothing_to_a_server() -> None:
    for dark in (False, True):
        assert "sendChartToCloud" in look(dark).layout.modebar.remove


def test_what_is_seen_through_keeps_its_colour() -> None:
    assert see_through("#0b4fb8", 1) == "#0b4fb8ff"
    assert see_through("#0b4fb8", 0) == "#0b4fb800"
