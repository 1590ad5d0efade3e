"""The commands that list and show, on both backends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]

pytestmark = pytest.mark.usefixtures("filled")


def strict(text: str) -> Any:
    def reject(name: str) -> None:
        raise AssertionError(f"{name} is no strict JSON")

    return json.loads(text, parse_constant=reject)


def listed(text: str) -> list[str]:
    """Return the ids of the runs that a table lists, which stand behind their numbers."""
    return [line.split()[1] for line in text.splitlines()[1:]]


def test_runs_are_listed_newest_first(cli: Cli) -> None:
    answer = cli("runs", "list")
    assert (answer.code, answer.err) == (0, "")
    assert listed(answer.out) == ["r3", "r2", "r1"]
    heading, _, nan_row, first = answer.out.splitlines()
    assert "final_loss" in heading
    assert "nan" in nan_row
    for shown in ("completed", "mgda", "gpu-1", "2024-01-01 07:08", "3600", "0.25"):
        assert shown in first


def test_a_listing_has_the_names_of_runs_that_have_one(cli: Cli) -> None:
    assert "run_name" not in cli("runs", "list").out
    with TrainingDB() as db:
        db.runs.update("r2", run_name="the second")
    assert "the second" in cli("runs", "list").out
    assert "run_name" not in cli("runs", "list", "run_id = 'r1'").out


@pytest.mark.parametrize("how", [[], ["--filter"]], ids=["argument", "option"])
@pytest.mark.parametrize(
    ("text", "runs"),
    [("status = 'failed'", ["r2"]), ("objective.QED > 0.6 and config.optimizer.lr = 0.1", ["r1"])],
)
def test_a_filter_is_the_argument_or_an_option(
    cli: Cli, how: list[str], text: str, runs: list[str]
) -> None:
    assert listed(cli("runs", "list", *how, text).out) == runs
    assert cli("stats", *how, text, "--json").code == 0
    assert cli("objectives", *how, text, "--json").code == 0


def test_a_filter_is_given_once(cli: Cli) -> None:
    answer = cli("runs", "list", "status = 'failed'", "--filter", "status = 'failed'")
    assert answer.code == 2
    assert "once" in answer.err


def test_a_listing_is_ordered_cut_and_has_the_columns_that_are_asked_for(cli: Cli) -> None:
    answer = cli(
        "runs", "list", "--order-by", "run_id ASC", "--limit", "2", "--columns", "run_id, host"
    )
    assert answer.out.splitlines() == ["run_id  host", "r1      gpu-1", "r2      -"]
    shown = cli("runs", "list", "--columns", "run_id,history_json", "status = 'completed'")
    assert '{"loss":[2.0,0.25]}' in shown.out


def test_pages_of_json_follow_each_other(cli: Cli) -> None:
    first = cli("runs", "list", "--json", "--limit", "2")
    assert [run["run_id"] for run in strict(first.out)] == ["r3", "r2"]
    cursor = first.err.strip().partition("there are more; go on with: --after ")[2]
    second = cli("runs", "list", "--json", "--limit", "2", "--after", cursor)
    assert [run["run_id"] for run in strict(second.out)] == ["r1"]
    assert second.err == ""
    assert "history_json" not in strict(second.out)[0]


def test_nothing_found_is_said_beside_an_empty_output(cli: Cli) -> None:
    for command in (["runs", "list"], ["objectives"]):
        answer = cli(*command, "host = 'nowhere'")
        assert (answer.code, answer.out) == (0, "")
        assert "matches" in answer.err
    assert strict(cli("runs", "list", "host = 'nowhere'", "--json").out) == []


def test_a_run_is_shown_with_all_that_belongs_to_it(cli: Cli) -> None:
    answer = cli("runs", "show", "r1")
    assert answer.code == 0
    for shown in ("Run r1", "wandb_run_id", "gpu-1", "QED", "optimizer.lr", "0.1", "loss",
                  "1 scaffolds"):  # fmt: skip
        assert shown in answer.out
    assert "config_json" not in answer.out
    bare = cli("runs", "show", "r2")
    assert "Config" not in bare.out
    assert "0 scaffolds" in bare.out


def test_a_run_as_json_is_whole(cli: Cli) -> None:
    run = strict(cli("runs", "show", "r1", "--json").out)
    assert json.loads(run["config_json"])["optimizer"] == {"lr": 0.1}
    assert json.loads(run["history_json"]) == {"loss": [2.0, 0.25]}
    assert [one["objective_name"] for one in run["objectives"]] == ["QED"]
    assert [one["scaffold_id"] for one in run["scaffolds"]] == ["c1ccccc1"]
    assert strict(cli("runs", "show", "r2", "--json").out)["final_loss"] == {"$float": "NaN"}


@pytest.mark.parametrize("theirs", ["{broken", "[1, 2]", "5"])
def test_a_run_whose_config_is_no_object_is_shown(
    cli: Cli, filled: TrainingDB, theirs: str
) -> None:
    from sqlalchemy import text

    with filled.engine.begin() as connection:
        connection.execute(text("UPDATE training_runs SET config_json = :text"), {"text": theirs})
        connection.execute(text("UPDATE run_scaffolds SET scores_json = :text"), {"text": theirs})
    answer = cli("runs", "show", "r1")
    assert answer.code == 0
    assert theirs in answer.out
    assert "c1ccccc1" in cli("scaffolds").out


def test_objectives_are_listed(cli: Cli) -> None:
    answer = cli("objectives")
    assert answer.out.splitlines()[1].split()[:3] == ["r1", "QED", "maximize"]
    assert strict(cli("objectives", "--json", "--name", "QED").out)[0]["raw_mean"] == 0.7
    assert strict(cli("objectives", "--json", "--name", "SA").out) == []


def test_scaffolds_are_listed_with_a_column_for_each_score(cli: Cli) -> None:
    heading, row = cli("scaffolds", "--run", "r1").out.splitlines()
    assert heading.split()[-1] == "QED"
    assert row.split() == ["r1", "c1ccccc1", "1", "-", "0.44"]
    assert cli("scaffolds", "--run", "1").out == cli("scaffolds", "--run", "r1").out
    assert strict(cli("scaffolds", "--json", "--scaffold", "c1ccccc1").out)[0]["run_id"] == "r1"
    assert strict(cli("scaffolds", "--json", "--max-pareto-rank", "1").out)


def test_stats_count_the_runs_and_compare_the_methods(cli: Cli) -> None:
    answer = cli("stats")
    assert answer.code == 0
    for shown in ("completed", "failed", "launched", "mgda", "pcgrad", "success_rate", "QED"):
        assert shown in answer.out
    figures = strict(cli("stats", "--json").out)
    assert figures["total_runs"] == 3
    assert figures["by_host"] == {"gpu-1": 1, "null": 2}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["runs", "list", "--order-by", "colour"], "created_at"),
        (["runs", "list", "--columns", "colour"], "created_at"),
        (["runs", "list", "--columns", ","], "--columns"),
        (["runs", "list", "colour = 1"], "gradient_method"),
        (["runs", "list", "status = failed"], "in quotes"),
        (["runs", "list", "--after", "nonsense"], "cursor"),
        (["runs", "list", "--limit", "0"], "--limit"),
        (["runs", "list", "--nonsense"], "nonsense"),
        (["runs", "list", "--url", "mysql://db/runs"], "mysql"),
        (["runs", "frobnicate"], "frobnicate"),
        (["frobnicate"], "frobnicate"),
        (["runs", "show"], "RUN"),
        (["objectives", "status = 'done'"], "completed"),
    ],
)
def test_bad_usage_ends_with_2_and_says_why(cli: Cli, arguments: list[str], named: str) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert answer.out == ""
    assert named in answer.err
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["runs", "show", "nobody"], "there is no run 'nobody'"),
        (["scaffolds", "--run", "nobody"], "there is no run 'nobody'"),
        (["runs", "list", "--url", "sqlite:////no/such/folder/x.db"], "training-db upgrade"),
        (["stats", "--url", "postgresql://ann:s3cr3t@127.0.0.1:1/runs"], "cannot be used"),
    ],
)
def test_work_that_fails_ends_with_1_and_one_line(
    cli: Cli, arguments: list[str], named: str
) -> None:
    answer = cli(*arguments)
    assert answer.code == 1
    assert answer.out == ""
    assert named in answer.err
    assert answer.err.startswith("training-db: ")
    assert len(answer.err.splitlines()) == 1
    assert "s3cr3t" not in answer.err


@pytest.mark.parametrize("name", ["a\x1b[31mb", "a\nb", "a\rb", "a\x9bb"])
def test_what_a_caller_types_controls_no_terminal_through_an_error(cli: Cli, name: str) -> None:
    for command in (["show", name], ["list", "--columns", name], ["list", f"{name} = 1"],
                    ["list", f"host = {name}"], ["list", "--order-by", name]):  # fmt: skip
        answer = cli("runs", *command)
        assert answer.code in (1, 2)
        assert not {one for one in answer.err if not one.isprintable()} - {"\n"}


def test_the_version_is_shown(cli: Cli) -> None:
    from training_db import __version__

    assert cli("--version").out == f"training-db {__version__}\n"
