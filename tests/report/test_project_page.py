"""What stands on the page of a project, on both backends where it may differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.report.page_parts import column, figures, section, sentences, tables, tile
from tests.report.trained import insert_run, insert_runs
from training_db.analysis.comparison.crashes import Crashes, CrashGroup
from training_db.analysis.comparison.groups import Group, Groups
from training_db.analysis.comparison.rank_tests import DIFFERS
from training_db.report.document import Table
from training_db.report.figures import caption
from training_db.report.html import cell_text
from training_db.report.pages.comparison import comparison_page
from training_db.report.pages.crashes import crash_blocks, crash_points
from training_db.report.pages.methods import band_figures, groups_table
from training_db.report.pages.project import project_page
from training_db.report.pages.settings import sensitivities, setting_points
from training_db.report.pages.tables import runs_table

if TYPE_CHECKING:
    from training_db import TrainingDB
    from training_db.report.document import Section


@pytest.fixture
def project(db: TrainingDB) -> TrainingDB:
    """A project in which the learning rate decides, and runs on one host crash."""
    insert_runs(db, 20)
    for number in range(8):
        db.runs.insert(
            f"c{number}", status="crashed", host="gpu-9", gradient_method="mgda",
            created_at="2023-01-01",
        )  # fmt: skip
        db.events.add(f"c{number}", "error", "CUDA out of memory")
    db.runs.update("r0", blog_post_url="https://blog.example/r0")
    return db


def test_a_project_shows_methods_best_runs_what_matters_and_crashes(project: TrainingDB) -> None:
    page = project_page(project, title="Molecules")
    assert page.title == "Molecules"
    assert (tile(page, "Runs"), tile(page, "Completed")) == ("28", "20 71 %")
    assert tile(page, "Crashed or failed") == "8 29 %"
    said = sentences(section(page, "Findings"))
    assert "host gpu-9 crashes or fails more often than the others, by more than noise" in said
    assert "What matters for" in said
    assert "27 runs of 28 have no blog post." in said
    methods = tables(section(page, "Methods"))["Runs by gradient method"]
    assert dict(zip(column(methods, "Method"), column(methods, "Runs"), strict=True)) == {
        "mgda": "18", "pcgrad": "10",
    }  # fmt: skip
    assert list(figures(section(page, "Methods")))[:2] == ["loss", "grad_norm"]
    matters = section(page, "What matters")
    (settings,) = [one for name, one in tables(matters).items() if "QED" in name]
    assert cell_text(settings.rows[0][0]) == "lr"
    assert cell_text(settings.rows[0][-1]) == "yes"
    assert "Settings that differ, run by run" in figures(matters)
    crashed = tables(section(page, "Crashes"))["Crashed and failed runs by host"]
    assert column(crashed, "Most common error") == ["CUDA out of memory"]
    assert len(tables(section(page, "Runs"))["Runs"].rows) == 28


def test_a_project_is_of_the_runs_that_match(lite: TrainingDB) -> None:
    insert_runs(lite, 6)
    lite.runs.insert("c0", status="crashed", host="gpu-9")
    page = project_page(lite, "host = 'gpu-0'")
    assert tile(page, "Runs") == "3"
    assert sentences(section(page, "Crashes")) == "No run crashed or failed."
    assert "cannot be told" in sentences(section(page, "What matters"))


def test_a_project_without_objectives_says_so(lite: TrainingDB) -> None:
    lite.runs.insert("a")
    page = project_page(lite)
    assert sentences(section(page, "What matters")) == (
        "There is no objective that settings could matter for."
    )
    assert sentences(section(page, "Best runs")) == "These runs have no objectives."


def test_a_long_list_of_runs_is_cut_and_says_so(
    lite: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.report.pages.project._LISTED", 2)
    for number in range(4):
        lite.runs.insert(f"r{number}")
    runs = tables(section(project_page(lite), "Runs"))["Runs"]
    assert (len(runs.rows), runs.note) == (2, "The newest 2 of 4 runs.")


def test_methods_that_differ_by_more_than_noise_are_named(lite: TrainingDB) -> None:
    for number in range(24):
        method = ("mgda", "pcgrad", None)[number % 3]
        lite.runs.insert(f"r{number}", gradient_method=method)
        better = 0.5 if method == "mgda" else 0.0
        lite.objectives.insert(
            f"r{number}", "QED", direction="maximize", raw_mean=better + number / 100
        )
        if number < 2:
            lite.objectives.insert(f"r{number}", "SA", direction="minimize", raw_mean=1.0)
    page = project_page(lite)
    said = sentences(section(page, "Findings"))
    assert "QED by method: " in said
    assert "more than noise" in said
    assert "There are too few runs to tell whether the methods differ in SA." in said
    methods = tables(section(page, "Methods"))["Runs by gradient method"]
    assert sorted(column(methods, "Method")) == ["mgda", "none", "pcgrad"]


def test_many_groups_and_objectives_are_cut_and_counted() -> None:
    one = Group(None, 1, 1, 1, 1.0, 0.2, 1.0, None, {})
    table = groups_table(Groups("gradient_method", 0.95, (one,) * 31, {}))
    assert (len(table.rows), table.note) == (30, "The largest 30 of 31 groups.")
    assert cell_text(table.rows[0][3]) == "—"
    run = {
        "run_id": "r", "number": 1, "status": "completed", "stale": False, "host": None,
        "gradient_method": None, "started_at": None, "created_at": None, "final_loss": None,
        "duration_seconds": None,
    }  # fmt: skip
    scores = {"r": {f"o{place}": 1.0 for place in range(8)}}
    runs = runs_table([run], {"r": "r"}, scores)
    assert list(runs.columns) == ["Run", "No.", "Status", *(f"o{place}" for place in range(6))]
    assert runs.note == "2 more objectives not shown."


def test_a_crash_without_a_known_error_is_told_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    group = CrashGroup(None, 9, 9, 9, 0, 1.0, None, None, 0.01, DIFFERS, None, 0, None)
    other = CrashGroup("gpu-1", 9, 9, 0, 0, 0.0, 0.0, 0.3, 0.01, DIFFERS, None, 0, None)
    crashes = Crashes(0.95, {"host": (group, other)})
    assert [point.sentence for point in crash_points(crashes)] == [
        "9 of 18 runs that ended crashed or failed (50 %).",
        (
            "host none crashes or fails more often than the others, by more than noise: "
            "9 of 9 runs (100 %)."
        ),
    ]
    (table,) = crash_blocks(crashes)
    assert isinstance(table, Table)
    assert list(table.columns) == ["host", "Ended", "Crashed", "Failed", "Rate"]
    assert len(table.rows) == 1
    assert table.note == ""
    monkeypatch.setattr("training_db.report.pages.crashes._MOST_GROUPS", 1)
    (table,) = crash_blocks(Crashes(0.95, {"host": (group, group, group)}))
    assert isinstance(table, Table)
    assert (len(table.rows), table.note) == (
        1,
        "2 more groups with crashed or failed runs not shown.",
    )


def test_a_target_that_cannot_be_asked_about_says_why(lite: TrainingDB) -> None:
    lite.runs.insert("r1")
    (found,) = sensitivities(lite, ["nothing of the sort"], None)
    assert not found.can_tell
    assert "nothing of the sort" in found.sentence
    assert setting_points([found])[0].sentence == found.sentence


def test_metrics_that_no_run_has_are_left_out_of_the_bands(db: TrainingDB) -> None:
    insert_run(db, "r1")
    drawn = band_figures(db, None, {"loss": "Loss", "nobody's": "x"})
    assert [(one.title, one.sentence) for one in drawn] == [
        ("Loss", "The median of the runs, and their middle half; runs: mgda (1).")
    ]


def test_one_run_that_diverged_does_not_flatten_the_bands_of_the_others(lite: TrainingDB) -> None:
    for number in range(4):
        curve = np.linspace(1.0, 0.5, 50)
        if number == 3:
            curve[25:] = np.geomspace(1.0, 1e6, 25)
        lite.runs.insert(f"r{number}", gradient_method="mgda")
        lite.history.append(f"r{number}", {"loss": curve})
    page = project_page(lite)
    together = comparison_page(lite, [f"r{number}" for number in range(4)])
    for one, title in ((page, "Methods"), (together, "Curves")):
        assert figures(section(one, title))["loss"].figure.layout.yaxis.type == "log"


def test_bands_say_where_fewer_runs_are_averaged(lite: TrainingDB) -> None:
    for number in range(4):
        lite.runs.insert(f"r{number}", gradient_method="sum")
        lite.history.append(f"r{number}", {"loss": [1.0, 0.8, 0.6, 0.5][: 2 if number else 4]})
    (drawn,) = band_figures(lite, None, {"loss": "Loss"})
    assert drawn.sentence.endswith("runs: sum (4, 1 at the end).")
    assert "sum (4 runs, 1 at the end)" in caption(drawn.figure)


def test_what_runs_took_is_nothing_only_where_none_has_a_duration(lite: TrainingDB) -> None:
    lite.runs.insert("a")
    assert tile(project_page(lite), "Took in all") == "—"
    lite.runs.insert("b", duration_seconds=0.0)
    page = project_page(lite)
    assert tile(page, "Took in all") == tile(comparison_page(lite, ["a", "b"]), "Took in all")
    assert tile(page, "Took in all") == "0 s"
    assert column(tables(section(page, "Runs"))["Runs"], "Took") == ["0 s", "—"]


def test_what_is_looked_at_in_some_runs_only_says_in_which(
    lite: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_runs(lite, 8)
    whole = project_page(lite)
    assert "newest" not in "".join(sentences(one) for one in whole.sections)
    monkeypatch.setattr("training_db.report.pages.project._LOOKED_AT", 5)
    monkeypatch.setattr("training_db.report.pages.project._AVERAGED", 2)
    monkeypatch.setattr("training_db.report.pages.project._CURVES", 3)
    monkeypatch.setattr("training_db.report.pages.methods._MOST_DRAWN", 1)
    page = project_page(lite)
    assert "Looked at one by one were the curves of the newest 5 of 8 runs." in sentences(
        section(page, "Findings")
    )
    methods = section(page, "Methods")
    assert "Averaged are the curves of the newest 2 of 8 runs." in sentences(methods)
    assert "2 more curves not drawn: QED and SA." in sentences(methods)
    assert figures(methods)["loss"].sentence.endswith("(1). 1 more group not drawn.")
    lines = figures(section(page, "What matters"))["Settings that differ, run by run"]
    assert lines.sentence.endswith("They are among the newest 5 of 8 runs.")


def test_scores_that_are_not_finite_are_not_called_missing_objectives(db: TrainingDB) -> None:
    for run_id in ("a", "b"):
        db.runs.insert(run_id, gradient_method="mgda")
        db.history.append(run_id, {"loss": [math.nan] * 20})
        db.objectives.insert(run_id, "QED", direction="maximize", raw_mean=math.nan)
    page = project_page(db)
    assert sentences(section(page, "Best runs")) == (
        "These runs have no finite scores of their objectives."
    )
    assert figures(section(page, "Methods")) == {}


def test_a_run_and_a_method_have_one_colour_on_a_page(lite: TrainingDB) -> None:
    insert_runs(lite, 2)
    lite.history.append("r1", {"accuracy": [0.1, 0.5, 0.9]})

    def colours(one: Section) -> list[tuple[str, set[str]]]:
        drawn = [figures(one)[title].figure.data for title in ("loss", "accuracy")]
        return [(name, {t.line.color for t in part if t.name == name and t.line.width > 1})
                for name in ("run 1", "pcgrad") for part in drawn
                if any(t.name == name for t in part)]  # fmt: skip

    for page, title in ((comparison_page(lite, ["r0", "r1"]), "Curves"),
                        (project_page(lite), "Methods")):  # fmt: skip
        (_, of_loss), (_, of_accuracy) = colours(section(page, title))
        assert of_loss == of_accuracy
        assert len(of_loss) == 1
