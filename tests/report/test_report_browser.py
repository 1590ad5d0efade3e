"""Reports in a browser: the figures are drawn, in light and dark, and nothing is asked for."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.report.chromium import Chromium, Visit
from tests.report.trained import HOSTILE, insert_run
from training_db import TrainingDB
from training_db.report.report import write_report

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    found = Chromium.find(tmp_path_factory.mktemp("chromium"))
    if found is None:
        pytest.skip("there is no chromium here to look at pages with")
    return found


@pytest.fixture(scope="module")
def page(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs, one with names that would run if they could."""
    folder = tmp_path_factory.mktemp("report")
    with TrainingDB(shutil.copy(migrated_file, folder / "training.db")) as db:
        insert_run(db, "r1", run_name=HOSTILE, config={HOSTILE: HOSTILE})
        insert_run(db, "r2", 1, run_name="x" * 300, host="y" * 300)
        db.objectives.insert("r2", "z" * 300, direction="maximize", raw_mean=0.5)
        db.history.append("r1", {HOSTILE: [1.0, float("nan"), 2.0]})
        write_report(db, folder / "report.html")
    return folder / "report.html"


@pytest.fixture(scope="module")
def light(chromium: Chromium, page: Path) -> Visit:
    return chromium.visit(page)


def test_the_figures_are_drawn_and_no_name_runs(light: Visit) -> None:
    plots = light.dom.count("data-plot=")
    assert plots > 4
    assert len(re.findall(r'<svg class="main-svg"[^>]*>', light.dom)) >= plots
    assert "window.broken" in light.dom
    assert "<script>window.broken" not in light.dom
    assert "<img" not in light.dom


def test_a_dark_page_has_dark_figures(chromium: Chromium, page: Path, light: Visit) -> None:
    dark = chromium.visit(page, dark=True).dom
    of_light, of_dark = "rgb(11, 79, 184)", "rgb(47, 139, 245)"  # the first line, in both looks
    assert (of_light in light.dom, of_light in dark) == (True, False)
    assert (of_dark in light.dom, of_dark in dark) == (False, True)


def test_a_page_asks_for_nothing(light: Visit) -> None:
    assert light.requests == []


def test_what_a_page_asks_for_would_be_seen(chromium: Chromium, tmp_path: Path) -> None:
    leaking = tmp_path / "leaking.html"
    leaking.write_text('<img src="http://192.0.2.1/a.png">', encoding="utf-8")
    assert chromium.visit(leaking).requests == ["http://192.0.2.1/a.png"]


def test_a_page_is_as_wide_as_a_telephone(chromium: Chromium, page: Path, tmp_path: Path) -> None:
    # Chromium's own windows are at least 500 pixels wide.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f"""<iframe src="{page.as_uri()}" style="width:390px;height:800px"></iframe>
        <script>addEventListener("load", () => {{
          const inner = document.querySelector("iframe").contentDocument;
          document.title = inner ? inner.documentElement.scrollWidth : "hidden";
        }})</script>""",
        encoding="utf-8",
    )
    shown = chromium.visit(frame, "--allow-file-access-from-files").dom
    assert re.search(r"<title>(.*?)</title>", shown)[1] == "390"  # type: ignore[index]
