"""What stands on the pages of a run and of a comparison, on both backends where it may differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.report.page_parts import column, figures, section, sentences, tables, tile
from tests.report.trained import insert_run, insert_runs
from training_db.report import findings
from training_db.report.document import Link, Name, Point, Points
from training_db.report.html import cell_text
from training_db.report.pages.chosen_metrics import Chosen
from training_db.report.pages.comparison import comparison_page
from training_db.report.pages.project import project_page
from training_db.report.pages.run import run_page

if TYPE_CHECKING:
    from training_db import TrainingDB


def test_a_run_has_its_curves_objectives_scaffolds_and_settings(db: TrainingDB) -> None:
    insert_run(db, "r1", 3)
    db.events.add("r1", "checkpoint", "saved step 100")
    db.artifacts.add("r1", "model", "/models/r1.pt")
    db.runs.update("r1", notes="the good one", wandb_url="https://wandb.example/r1")
    db.tags.add("r1", "baseline", "main")
    page = run_page(db, "r1")
    assert (page.title, page.status and page.status.text) == ("run 3", "completed")
    assert [one.title for one in page.sections] == [
        "Findings", "Curves", "Objectives", "Scaffolds", "Events", "Everything else",
    ]  # fmt: skip
    assert (tile(page, "Took"), tile(page, "Metrics")) == ("1 h", "7 840 values")
    assert Link("W&B", "https://wandb.example/r1") in page.facts
    assert "baseline: main" in page.facts
    assert list(figures(section(page, "Curves"))) == ["loss", "grad_norm", "lr"]
    objectives = section(page, "Objectives")
    assert column(tables(objectives)["What the objectives came to"], "Raw mean") == ["0.8", "2.2"]
    assert list(figures(objectives)["Objectives, normalised"].curves) == ["QED", "SA"]
    ranked = tables(section(page, "Scaffolds"))["Scaffolds by Pareto rank"]
    assert list(zip(column(ranked, "Scaffold"), column(ranked, "Rank"), strict=True)) == [
        ("c1ccccc1", "1"), ("C1CC1", "2"),
    ]  # fmt: skip
    assert column(tables(section(page, "Events"))["Events"], "In words") == ["saved step 100"]
    rest = tables(section(page, "Everything else"))
    assert (
        dict(zip(column(rest["Config"], "Name"), column(rest["Config"], "Value"), strict=True))[
            "lr"
        ]
        == "0.0001"
    )
    assert [row[1] for row in rest["Artifacts"].rows] == [Name("/models/r1.pt")]
    assert "the good one" in sentences(section(page, "Everything else"))


def test_a_run_says_what_was_found_in_its_curves(lite: TrainingDB) -> None:
    insert_run(lite, "r1")
    values = np.r_[np.linspace(1.0, 0.1, 60), [math.nan] * 3, np.full(40, 0.1)]
    lite.runs.insert("r2")
    lite.history.append("r2", {"loss": values})
    page = run_page(lite, "r2")
    found = section(page, "Findings").blocks[0]
    assert isinstance(found, Points)
    assert found.points[0].severity == "error"
    assert "loss" in found.points[0].sentence
    assert tile(page, "Not finite") == "3 of all values"
    assert figures(section(page, "Curves"))["loss"].sentence.startswith("3 values not finite. ")


def test_a_run_of_which_nothing_is_known_has_a_page_that_says_so(db: TrainingDB) -> None:
    db.runs.insert("bare")
    page = run_page(db, "bare")
    assert page.title == "bare"
    assert "Nothing stands out" in sentences(section(page, "Findings"))
    assert sentences(section(page, "Curves")) == "Nothing was logged that could be drawn."
    assert [one.title for one in page.sections] == ["Findings", "Curves", "Everything else"]


def test_values_that_are_no_numbers_are_not_drawn(lite: TrainingDB) -> None:
    lite.runs.insert("r1")
    lite.history.append("r1", {"phase": ["warm", "cold"] * 5, "loss": [None, 1.0] * 5})
    page = run_page(lite, "r1")
    assert list(figures(section(page, "Curves"))) == ["loss"]
    metrics = tables(section(page, "Everything else"))["All 2 metrics"]
    assert [cell_text(row[0]) for row in metrics.rows] == ["loss", "phase"]


def test_a_constant_or_wholly_lost_curve_is_drawn_all_the_same(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"loss": [math.nan, math.inf], "reward": [1e308, 1e308], "x": [1.0]})
    drawn = figures(section(run_page(db, "r1"), "Curves"))
    assert drawn["loss"].sentence == "2 values not finite."
    assert "1e+308" in drawn["reward"].sentence
    assert drawn["x"].sentence == "One value: 1 at step 0."


def test_scaffolds_without_scores_are_counted_and_not_ranked(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.objectives.insert("r1", "QED", direction="maximize")
    db.scaffolds.insert("r1", [{"scaffold_id": "C"}])
    assert "1 scaffold" in sentences(section(run_page(db, "r1"), "Scaffolds"))


def test_a_comparison_shows_who_is_best_and_where_runs_differ(db: TrainingDB) -> None:
    run_ids = insert_runs(db, 4)
    page = comparison_page(db, run_ids)
    assert page.title == "4 runs compared"
    assert "highest QED in run 3 (0.8)" in sentences(section(page, "Findings"))
    assert column(tables(section(page, "Runs"))["Runs"], "QED") == ["0.5", "0.6", "0.7", "0.8"]
    assert list(figures(section(page, "Curves"))) == ["loss", "grad_norm", "lr", "QED", "SA"]
    best = tables(section(page, "Best runs"))["Runs by Pareto rank"]
    assert column(best, "Run")[0] == "run 3"
    settings = tables(section(page, "Differences"))["Settings that differ"]
    assert column(settings, "Name") == ["lr", "seed"]
    assert column(settings, "run 0") == ["0.1", "0"]


def test_what_several_runs_share_is_said_once(lite: TrainingDB) -> None:
    page = comparison_page(lite, insert_runs(lite, 4))
    said = sentences(section(page, "Findings"))
    assert said.count("in loss:") == len({line.split(":")[0] for line in said.splitlines()
                                          if "in loss" in line.split(":")[0]})  # fmt: skip
    assert "4 of 4 runs share this" in said


def test_two_runs_are_named_in_the_title_and_equal_names_are_told_apart(lite: TrainingDB) -> None:
    lite.runs.insert("a", run_name="same")
    lite.runs.insert("b", run_name="same")
    page = comparison_page(lite, ["b", "a"])
    assert page.title == "same (2) · same (1)"
    assert sentences(section(page, "Curves")).startswith("None of these runs logged anything")
    assert sentences(section(page, "Best runs")) == "These runs have no objectives."


def test_runs_without_a_full_set_of_scores_are_not_ranked(db: TrainingDB) -> None:
    for run_id, name in (("a", "QED"), ("b", "SA")):
        db.runs.insert(run_id)
        db.objectives.insert(run_id, name, direction="maximize", raw_mean=0.5)
    page = comparison_page(db, ["a", "b"])
    assert sentences(section(page, "Best runs")) == (
        "No run has all of its objectives, so none is ranked."
    )


def test_objectives_whose_direction_nobody_knows_give_a_sentence(lite: TrainingDB) -> None:
    for run_id in ("a", "b"):
        lite.runs.insert(run_id)
        lite.objectives.insert(run_id, "QED", raw_mean=0.5)
    said = sentences(section(comparison_page(lite, ["a", "b"]), "Best runs"))
    assert said.startswith("The runs could not be ranked by their objectives: ")


@pytest.mark.parametrize(
    ("metrics", "drawn"),
    [
        (["loss/QED", "train/loss", "grad_norm/layer1", "grad_norm", "opt/lr"],
         ["train/loss", "grad_norm", "opt/lr"]),
        (["_runtime", "system/cpu", "weights_std", "val/accuracy", "accuracy", "a/b/c"],
         ["accuracy", "val/accuracy"]),
        (["objectives/QED/raw_mean", "val/speed", "entropy"], ["entropy"]),
    ],
    ids=["a loss and its like", "no loss", "objectives"],
)  # fmt: skip
def test_the_metrics_that_say_most_are_drawn(metrics: list[str], drawn: list[str]) -> None:
    chosen = Chosen.of(None, [], metrics)  # type: ignore[arg-type]
    assert list(chosen.metrics) == drawn


def test_noise_is_smoothed_in_comparisons_and_schedules_are_not() -> None:
    from training_db.report.pages.curves import figure_of
    from training_db.repository.history_series import Series

    def drawn(values: Any) -> int:
        lines = {name: Series(np.arange(len(values)), np.asarray(values)) for name in "ab"}
        return len(figure_of("m", lines).figure.data)

    assert drawn(np.random.default_rng(0).normal(size=200)) == 4  # two of them are pale
    assert drawn(np.linspace(0, 1, 200)) == 2
    assert drawn(np.random.default_rng(0).normal(size=20)) == 2


def test_what_is_gravest_is_read_first_and_the_rest_on_demand() -> None:
    points = [Point("info", str(place)) for place in range(20)] + [Point("error", "broken")]
    first, rest = findings.shown(points, "")
    assert [first.points[0].sentence, len(first.points)] == ["broken", 12]
    assert (rest.folded, len(rest.points)) == ("9 more findings", 9)
    assert [len(one.points) for one in findings.shown(points[:13], "")] == [13]


def test_a_front_of_several_runs_has_a_compromise(lite: TrainingDB) -> None:
    for run_id, (quality, cost) in {"a": (0.0, 0.0), "b": (0.9, 0.1), "c": (1.0, 1.0)}.items():
        lite.runs.insert(run_id)
        lite.objectives.insert(run_id, "QED", direction="maximize", raw_mean=quality)
        lite.objectives.insert(run_id, "SA", direction="minimize", raw_mean=cost)
    said = sentences(section(comparison_page(lite, ["a", "b", "c"]), "Findings"))
    assert "3 of 3 runs are on the Pareto front of QED and SA: a, b and c." in said
    assert "The best compromise of them is b." in said


def test_a_run_that_broke_is_marked_wherever_it_is_called_best(lite: TrainingDB) -> None:
    front = {"a": (0.0, 0.0), "b": (0.9, 0.1), "c": (1.0, 1.0), "d": (0.5, 5.0)}
    for run_id, (quality, cost) in front.items():
        lite.runs.insert(run_id, status="failed" if run_id == "c" else "completed")
        lite.objectives.insert(run_id, "QED", direction="maximize", raw_mean=quality)
        lite.objectives.insert(run_id, "SA", direction="minimize", raw_mean=cost)
    lite.history.append("b", {"loss": np.r_[np.linspace(1.0, 0.1, 60), [math.nan] * 9]})
    away = np.r_[np.geomspace(1.0, 0.1, 60), np.geomspace(0.1, 1e6, 60)]
    lite.history.append("d", {"loss": away})
    for page in (comparison_page(lite, list("abcd")), project_page(lite)):
        said = sentences(section(page, "Findings"))
        assert "The best compromise of them is b (NaN in its loss)." in said
        assert "highest QED in c (1; failed)" in said
        best = section(page, "Best runs")
        assert sorted(column(tables(best)["Runs by Pareto rank"], "Run")) == [
            "a", "b (NaN in its loss)", "c (failed)", "d (its loss diverged)",
        ]  # fmt: skip
        assert "b (NaN in its loss)" in figures(best)["Scores, and the Pareto front"].sentence


def test_how_much_a_front_covers_is_said_where_it_means_something(lite: TrainingDB) -> None:
    def note(run_ids: str) -> str:
        page = comparison_page(lite, list(run_ids))
        return tables(section(page, "Best runs"))["Runs by Pareto rank"].note

    scores = {"a": (0.0, 0.0), "b": (0.5, 0.1), "c": (1.0, 1.0), "d": (0.4, 0.2), "e": (0.3, 0.3)}
    for run_id, (quality, cost) in scores.items():
        lite.runs.insert(run_id)
        lite.objectives.insert(run_id, "QED", direction="maximize", raw_mean=quality)
        lite.objectives.insert(run_id, "SA", direction="minimize", raw_mean=cost)
    assert note("abc").endswith(
        "of the space between the best scores and a reference beyond the worst (QED -0.1, SA 1.1)."
    )
    assert "hypervolume" not in note("abc")
    assert "covers" not in note("ab")  # two runs alone
    assert "covers" not in note("bde")  # a front of one


def test_one_objective_alone_has_a_best_run_and_no_front(lite: TrainingDB) -> None:
    for run_id, cost in {"a": 2.0, "b": 1.0}.items():
        lite.runs.insert(run_id)
        lite.objectives.insert(run_id, "SA", direction="minimize", raw_mean=cost)
    page = comparison_page(lite, ["a", "b"])
    said = sentences(section(page, "Findings"))
    assert "lowest SA in b (1)" in said
    assert "front" not in said
    assert figures(section(page, "Best runs")) == {}


def test_scaffolds_that_nobody_says_how_to_rank_give_a_sentence(lite: TrainingDB) -> None:
    lite.runs.insert("r1", git_commit="0123456789abcdef", git_dirty=True)
    lite.scaffolds.insert("r1", [{"scaffold_id": "C", "scores": {"mystery": 1.0}}])
    page = run_page(lite, "r1")
    assert sentences(section(page, "Scaffolds")).startswith("The 1 scaffold could not be ranked")
    assert "commit 0123456789a…, changed" in page.facts


def test_a_comparison_says_which_curves_it_has_no_room_for(
    lite: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.report.pages.comparison.MOST_FIGURES", 4)
    page = comparison_page(lite, insert_runs(lite, 2))
    assert sentences(section(page, "Curves")) == "1 more curve not drawn: SA."


def test_a_ranking_by_some_of_many_objectives_says_so(
    lite: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.report.pages.objectives.MOST_OBJECTIVES", 1)
    page = comparison_page(lite, insert_runs(lite, 2))
    assert sentences(section(page, "Best runs")) == (
        "They are ranked by 1 of their 2 objectives, those that most runs have scores of."
    )
    (ranked,) = tables(section(page, "Best runs")).values()
    assert ranked.caption == "Runs by QED"
    assert ranked.note == ""


def test_of_many_findings_of_a_run_the_rest_is_read_on_demand(
    lite: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    lite.runs.insert("r1")
    monkeypatch.setattr(findings, "of_run", lambda *_: [Point("info", "x")] * 300)
    first, rest = section(run_page(lite, "r1"), "Findings").blocks
    assert isinstance(first, Points)
    assert isinstance(rest, Points)
    assert (len(first.points), rest.folded) == (12, "288 more findings")


def test_what_a_summary_repeats_of_the_metrics_is_said_once(lite: TrainingDB) -> None:
    for place, run_id in enumerate(insert_runs(lite, 2)):
        lite.runs.update(run_id, summary={"loss": 0.5 + place, "note": f"n{place}"})
        lite.runs.update(run_id, config={f"s{number}": place for number in range(61)})
    found = tables(section(comparison_page(lite, ["r0", "r1"]), "Differences"))
    summary = found["Summary, besides the metrics, where it differs (1)"]
    assert column(summary, "Name") == ["note"]
    (metrics,) = (one for name, one in found.items() if name.startswith("Last values of metrics"))
    assert "loss" in column(metrics, "Name")
    assert found["Settings that differ (61)"].folded


def test_a_long_curve_leaves_its_ends_and_extremes_on_a_page_of_text(lite: TrainingDB) -> None:
    values = np.zeros(50_000)
    values[[0, 777, -1]] = 1.0, 9.0, 2.0
    lite.runs.insert("r1")
    lite.history.append("r1", {"loss": values} | {f"layer{n}/norm": [1.0, 2.0] for n in range(40)})
    page = run_page(lite, "r1")
    (kept,) = figures(section(page, "Curves"))["loss"].curves.values()
    assert len(kept) < 1000
    assert (kept[0], kept.max(), kept[-1]) == (1.0, 9.0, 2.0)
    metrics = tables(section(page, "Everything else"))["All 41 metrics"]
    curves = [row[list(metrics.columns).index("Curve")] for row in metrics.rows]
    assert all(curves)
    assert len(curves) == 41
