"""``training-db analyze pareto``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.cli.terminal import Answer, answered, lines, on_terminal

if TYPE_CHECKING:
    from training_db import TrainingDB

Cli = Callable[..., Answer]
_PARETO = ("analyze", "pareto")


@pytest.fixture
def scored(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Five runs, of which one lacks a score, in a database that the environment names."""
    for run_id, scores in {
        "r1": {"QED": 0.5, "SA": 1.0}, "r2": {"QED": 0.8, "SA": 2.0}, "r3": {"QED": 0.9, "SA": 5.0},
        "r4": {"QED": 0.1, "SA": 9.0}, "r5": {"QED": 0.2},
    }.items():  # fmt: skip
        db.runs.insert(run_id, config={"objectives": ["QED_maximize", "SA_minimize"]})
        for name, score in scores.items():
            db.objectives.insert(run_id, name, raw_mean=score)
    db.scaffolds.insert("r1", {"a": {"QED": 0.9, "SA": 1}, "b": {"QED": 0.8, "SA": 2}, "c": {}})
    db.scaffolds.insert("r2", {"a": {"QED": 0.95, "SA": 0.5}})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@torture.on_one_backend
@pytest.mark.usefixtures("scored")
def test_the_front_is_listed_with_its_knee_and_volume(cli: Cli) -> None:
    answer = cli(*_PARETO, "QED:max", "SA:min")
    assert answer.code == 0
    assert lines(answer.out)[:4] == [
        ["pareto_rank", "run_id", "QED", "SA", "knee"],
        ["1", "r1", "0.5", "1", "-"],
        ["1", "r2", "0.8", "2", "knee"],
        ["1", "r3", "0.9", "5", "-"],
    ]
    assert "ranked       4, 3 of them on the front" in answer.out
    assert "maximize QED, minimize SA" in answer.out
    assert "reference    QED 0.02, SA 9.8" in answer.out
    assert "knee         r2" in answer.out
    assert answer.err == "without a rank, for lack of a finite score: run r5 (SA)\n"
    assert "The Pareto front of runs" in on_terminal(*_PARETO).out


@pytest.mark.usefixtures("scored")
def test_directions_are_said_or_stored_and_a_filter_may_stand_last(cli: Cli) -> None:
    def front(*arguments: str) -> list[str]:
        return [row["run_id"] for row in answered(cli(*_PARETO, *arguments, "--json"))["ranked"]]

    assert front() == ["r1", "r2", "r3", "r4"]
    assert front("SA") == ["r1", "r2", "r3", "r4"]
    assert front("QED:MIN") == ["r4", "r5", "r1", "r2", "r3"]
    assert front("QED", "SA:min", "objective.QED > 0.6") == ["r2", "r3"]
    assert front("QED", "--filter", "objective.QED > 0.6") == ["r3", "r2"]
    assert front("objective.QED > 0.6") == ["r2", "r3"]
    assert front("number:max", "objective.SA is missing") == ["r5"]


@pytest.mark.usefixtures("scored")
def test_more_ranks_and_fewer_rows_are_listed_on_request(cli: Cli) -> None:
    answer = cli(*_PARETO, "QED", "SA", "--max-rank", "2", "--limit", "3")
    assert [line[1] for line in lines(answer.out)[1:4]] == ["r1", "r2", "r3"]
    assert "1 more are not shown; --limit 4 shows all" in answer.err
    answer = cli(*_PARETO, "QED", "SA", "--max-rank", "2")
    assert lines(answer.out)[4][:2] == ["2", "r4"]


@pytest.mark.usefixtures("scored")
def test_json_has_everything(cli: Cli) -> None:
    found = answered(cli(*_PARETO, "QED:max", "SA:min", "--json"))
    assert found["objectives"] == {"QED": "maximize", "SA": "minimize"}
    assert found["ranked"][-1] == {
        "run_id": "r4", "pareto_rank": 2, "scores": {"QED": 0.1, "SA": 9.0},
    }  # fmt: skip
    assert found["knee"] == {"run_id": "r2"}
    assert found["missing"] == [{"run_id": "r5", "objectives": ["SA"]}]
    assert found["hypervolume"]["reference"] == pytest.approx([0.02, 9.8])


def test_scaffolds_are_ranked_and_stored_only_when_asked(scored: TrainingDB, cli: Cli) -> None:
    answer = cli(*_PARETO, "--scaffolds")
    assert [line[:3] for line in lines(answer.out)] == [
        ["run_id", "pareto_rank", "scaffold_id"], ["r1", "1", "a"], ["r2", "1", "a"],
    ]  # fmt: skip
    assert "scaffold c of run r1 (QED, SA)" in answer.err
    assert scored.scaffolds.query(max_pareto_rank=9) == []

    answer = cli(*_PARETO, "--scaffolds", "--save")
    assert "stored: 3 of 4 scaffolds changed rank" in answer.out
    assert [row["pareto_rank"] for row in scored.scaffolds.query("r1")] == [1, 2, None]

    together = answered(cli(*_PARETO, "--scaffolds", "--scope", "all", "--json"))
    assert [row["run_id"] for row in together["fronts"][0]["ranked"]] == ["r2", "r1", "r1"]
    assert (together["scope"], together["saved"]) == ("all", None)


def test_the_scaffolds_of_one_run_are_those_of_its_id_or_number(
    scored: TrainingDB, cli: Cli
) -> None:
    answer = cli(*_PARETO, "QED:min", "SA:min", "--run", "1", "--save")
    assert [line[:3] for line in lines(answer.out)[1:3]] == [["r1", "1", "a"], ["r1", "1", "b"]]
    assert "ranked       2, 2 of them on the front" in answer.out
    assert [row["pareto_rank"] for row in scored.scaffolds.query("r2")] == [None]
    assert cli(*_PARETO, "--run", "r9").code == 1


def test_what_could_not_be_ranked_is_said(scored: TrainingDB, cli: Cli) -> None:
    scored.runs.insert("silent")
    scored.scaffolds.insert("silent", {"a": {"QED": 1}})
    answer = cli(*_PARETO, "--scaffolds")
    assert "not looked at: the scaffolds of silent; it has stored no direction" in answer.err
    for number in range(9):
        scored.runs.insert(f"empty{number}")
    answer = cli(*_PARETO, "QED:max")
    assert "run silent (QED), empty0 (QED)" in answer.err
    assert answer.err.endswith("and 5 more\n")
    answer = cli(*_PARETO, "QED:max", "status = 'failed'")
    assert "no run that matches has a rank" in answer.err
    assert "knee         none" in answer.out


def test_a_volume_that_is_approximated_says_so(scored: TrainingDB, cli: Cli) -> None:
    names = [f"o{number}" for number in range(12)]
    for place, name in enumerate(names):
        for run_id, score in (("r1", place), ("r2", -place)):
            scored.objectives.insert(run_id, name, raw_mean=score + (place == 0))
    scored.objectives.insert("r2", "o0", raw_mean=9)
    answer = cli(*_PARETO, *(f"{name}:max" for name in names))
    assert "(approximated)" in answer.out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["QEDD:max"], 2, "unknown objective or metric 'QEDD' (did you mean 'QED'?)"),
        (["QED:up"], 2, "'up' is no direction; it is max or min: say QED:max or QED:min"),
        (["metric.x:up"], 2, "it is max or min: say metric.x:max or metric.x:min"),
        (["FOO:up", "--scaffolds"], 2, "'up' is no direction"),
        (["duration_seconds"], 2, "say duration_seconds:max or duration_seconds:min"),
        (
            ["--filter", "run_id = 'r9'"],
            2,
            "; name objectives and directions: say QED:max or QED:min",
        ),
        ([":max"], 2, "unknown objective or metric ':max'"),
        (["metric.loss:min"], 1, "there is no metric 'loss'"),
        (["QED:max", "status = failed"], 2, "texts stand in quotes"),
        (["QED:max", "--statistic", "median"], 2, "unknown statistic 'median'"),
        (["QED:max", "--save"], 2, "add --scaffolds"),
        (["QED:max", "status = 'failed'", "--filter", "status = 'failed'"], 2, "once"),
        (["QED:max", "QED:min"], 2, "'QED' is named twice"),
        (["--run", "1", "status = 'failed'"], 2, "not both"),
        (["FOO:max", "--scaffolds"], 2, "valid are: QED, SA"),
        (["--scaffolds", "--scope", "each"], 2, "each"),
    ],
    ids=str,
)
@pytest.mark.usefixtures("scored")
def test_what_cannot_be_asked_is_said(
    cli: Cli, arguments: list[str], code: int, message: str
) -> None:
    answer = cli(*_PARETO, *arguments)
    assert answer.code == code
    assert message in " ".join(answer.err.replace("│", " ").split())
