"""The commands that compare runs and keep them in order, on both backends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests import torture
from tests.cli.terminal import answered, lines, on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

pytestmark = pytest.mark.usefixtures("filled")


@pytest.fixture
def logged(filled: TrainingDB) -> TrainingDB:
    """The same runs, all of which have a history now."""
    filled.history.append("r1", {"_step": [10, 20], "acc": [0.5, float("nan")]})
    filled.history.append("r2", {"_step": [10, 20, 30], "acc": [0.9, 0.7, float("inf")]})
    filled.history.append("r3", {"_step": [10], "acc": [0.6]})
    return filled


def test_a_run_is_named_by_its_number_too(cli: Cli, filled: TrainingDB) -> None:
    for run_id in ("r1", "r3"):
        number = str(filled.runs.number(run_id))
        assert cli("runs", "show", number).out == cli("runs", "show", run_id).out
        assert ["number", number] in lines(cli("runs", "show", run_id).out)
    assert lines(cli("runs", "list").out)[1][:2] == [str(filled.runs.number("r3")), "r3"]


def test_a_run_of_which_nothing_was_heard_is_shown_as_stale(cli: Cli, filled: TrainingDB) -> None:
    filled.runs.update_status("r3", "running")
    filled.runs.beat("r3")
    assert "stale" not in cli("runs", "list").out
    with filled.engine.begin() as connection:
        connection.execute(text("UPDATE training_runs SET heartbeat_at = '2024-01-03 00:00:00'"))
    listed = cli("runs", "list").out
    assert listed.count("running (stale)") == 1
    assert listed.count("(stale)") == 1  # r1 and r2 have ended
    shown = cli("runs", "show", "r3").out
    assert "running (stale)" in shown
    assert [run["stale"] for run in answered(cli("runs", "list", "--json"))] == [True, False, False]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [("r1", "0.5", "10"), ("r3", "0.6", "10"), ("r2", "0.7", "20")]),
        (["--mode", "max"], [("r2", "0.9", "10"), ("r3", "0.6", "10"), ("r1", "0.5", "10")]),
        (["--statistic", "first"], [("r1", "0.5", "10"), ("r3", "0.6", "10"), ("r2", "0.9", "10")]),
        (["--statistic", "last"], [("r3", "0.6", "10")]),  # the others ended in NaN and infinity
        (["--limit", "1"], [("r1", "0.5", "10")]),
        (["status = 'failed'"], [("r2", "0.7", "20")]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_the_best_runs_come_first(
    cli: Cli, options: list[str], expected: list[tuple[str, str, str]]
) -> None:
    rows = lines(cli("runs", "best", "acc", *options).out)[1:]
    assert [(row[1], row[-2], row[-1]) for row in rows] == expected
    found = answered(cli("runs", "best", "acc", *options, "--json"))
    assert [one["run_id"] for one in found] == [row[0] for row in expected]


@pytest.mark.usefixtures("logged")
def test_nothing_is_best_where_nothing_matches(cli: Cli) -> None:
    answer = cli("runs", "best", "acc", "host = 'nowhere'")
    assert (answer.code, answer.out) == (0, "")
    assert "finite" in answer.err
    unknown = cli("runs", "best", "ac")
    assert (unknown.code, unknown.out) == (1, "")
    assert "did you mean 'acc'" in unknown.err
    assert cli("runs", "best", "acc", "--mode", "median").code == 2


@pytest.mark.usefixtures("logged")
def test_runs_are_compared_side_by_side(cli: Cli) -> None:
    found = answered(cli("runs", "compare", "r1", "3", "--json"))
    assert found["runs"] == ["r1", "r3"]
    rows = {(row["section"], row["name"]): row["values"] for row in found["rows"]}
    assert rows["run", "status"] == ["completed", "launched"]
    assert rows["config", "optimizer.lr"] == [0.1, None]
    assert rows["summary", "loss"] == [0.25, None]
    assert rows["objective", "QED.raw_mean"] == [0.7, None]
    assert rows["metric", "acc"] == [{"$float": "NaN"}, 0.6]
    assert ("run", "group_name") not in rows  # neither has one
    table = cli("runs", "compare", "r1", "r3").out
    assert lines(table)[0] == ["section", "name", "1:", "r1", "2:", "r3"]
    assert ["config", "optimizer.lr", "0.1", "-"] in lines(table)
    assert "group_name" not in table
    assert ["run", "group_name", "-", "-"] in lines(cli("runs", "compare", "r1", "r3", "--all").out)


def test_a_run_that_went_silent_has_a_status_of_its_own_name(cli: Cli, filled: TrainingDB) -> None:
    filled.runs.insert("silent", status="running")
    with filled.engine.begin() as connection:
        connection.execute(
            text("UPDATE training_runs SET heartbeat_at = '2020-01-01' WHERE run_id = 'silent'")
        )
    found = answered(cli("runs", "compare", "r1", "silent", "--json"))
    rows = {(row["section"], row["name"]): row["values"] for row in found["rows"]}
    assert rows["run", "status"] == ["completed", "running"]
    assert rows["run", "stale"] == [False, True]


def test_runs_that_are_alike_differ_in_nothing(cli: Cli, filled: TrainingDB) -> None:
    for run_id in ("twin-1", "twin-2"):
        filled.runs.insert(run_id, config={"a": {"b": float("nan")}, "on": True, "n": 1})
    answer = cli("runs", "compare", "twin-1", "twin-2")
    assert (answer.code, answer.out, answer.err) == (0, "", "they differ in nothing\n")
    filled.runs.insert("other", config={"a": {"b": 0.5}, "on": 1, "n": 1.0})
    shown = [row[1] for row in lines(cli("runs", "compare", "twin-1", "other").out)]
    assert shown == ["name", "a.b", "on"]


@pytest.mark.parametrize("runs", [["r1"], ["r1", "r1"]], ids=" ".join)
def test_a_comparison_takes_two_runs(cli: Cli, runs: list[str]) -> None:
    answer = cli("runs", "compare", *runs)
    assert answer.code == 2
    assert "two different runs" in answer.err


def test_a_run_is_tagged_and_its_tags_are_taken_off(cli: Cli, filled: TrainingDB) -> None:
    assert cli("runs", "tag", "r1").err == "r1 has no tags\n"
    answer = cli("runs", "tag", "r1", "keep", "paper=figure 2", "odd=a=b")
    assert lines(answer.out) == [
        ["tag", "value"], ["keep", "-"], ["odd", "a=b"], ["paper", "figure", "2"],
    ]  # fmt: skip
    assert filled.tags.of("r1") == {"keep": None, "odd": "a=b", "paper": "figure 2"}
    assert answered(cli("runs", "list", "tag.paper = 'figure 2'", "--json"))[0]["run_id"] == "r1"
    gone = cli("runs", "tag", "r1", "--remove", "odd", "absent", "--json")
    assert json.loads(gone.out) == {"run_id": "r1", "tags": {"keep": None, "paper": "figure 2"}}
    assert gone.err == "r1 has no tag 'absent'\n"
    shown = cli("runs", "show", "r1").out
    assert ["paper", "figure", "2"] in lines(shown)


def test_tags_are_all_set_or_none_is(cli: Cli, filled: TrainingDB) -> None:
    assert cli("runs", "tag", "r1", "good", "=nameless").code == 2
    assert filled.tags.of("r1") == {}
    assert cli("runs", "tag", "r1", "--remove").code == 2
    assert cli("runs", "tag", "nobody", "good").code == 1


def test_deleted_runs_are_in_the_trash_until_they_are_restored(
    cli: Cli, filled: TrainingDB
) -> None:
    answer = cli("runs", "delete", "r1", "r2", "r1")
    first, second = (str(filled.runs.number(one)) for one in ("r1", "r2"))
    assert answer.out.splitlines() == [
        "moved 2 runs to the trash", f"to bring back: training-db runs restore {first} {second}",
    ]  # fmt: skip
    assert [row[1] for row in lines(cli("runs", "list").out)[1:]] == ["r3"]
    assert [row[1] for row in lines(cli("runs", "list", "--deleted").out)[1:]] == ["r2", "r1"]
    trash = answered(cli("runs", "list", "--deleted", "status = 'failed'", "--json"))
    assert [run["run_id"] for run in trash] == ["r2"]
    assert "deleted_at" in cli("runs", "show", "r1").out
    assert "(1 were there)" in cli("runs", "delete", "r2", "r3").out
    restored = cli("runs", "restore", first, "r2", "r3")
    assert restored.out == "restored 3 runs\n"
    assert "restored 0 runs (1 were not in the trash)" in cli("runs", "restore", "r1").out
    assert cli("runs", "list", "--deleted").out == ""
    assert answered(cli("runs", "delete", "r3", "--yes", "--json")) == {"deleted": ["r3"]}
    assert answered(cli("runs", "restore", "r3", "--json")) == {"restored": ["r3"]}


@pytest.mark.parametrize("command", ["delete", "restore"])
def test_a_run_that_is_not_there_stops_all(cli: Cli, filled: TrainingDB, command: str) -> None:
    answer = cli("runs", command, "r1", "nobody")
    assert (answer.code, answer.out) == (1, "")
    assert "'nobody'" in answer.err
    assert filled.runs.get("r1")["deleted_at"] is None


@torture.on_one_backend
@pytest.mark.parametrize(
    ("typed", "options", "is_moved"),
    [("n\n", [], False), ("y\n", [], True), ("", ["--yes"], True)],
    ids=["no", "yes", "--yes"],
)
def test_on_a_terminal_deleting_asks_first(
    filled: TrainingDB, typed: str, options: list[str], is_moved: bool
) -> None:
    answer = on_terminal("runs", "delete", "r1", *options, typed=typed)
    assert answer.code == (0 if is_moved else 1)
    assert ("Move 1 run to the trash: r1?" in answer.err) == (not options)
    assert (filled.runs.get("r1")["deleted_at"] is not None) == is_moved


def test_a_run_is_shown_with_its_history_events_artifacts_and_notes(
    cli: Cli, logged: TrainingDB
) -> None:
    logged.runs.update("r2", notes="first line\nsecond line", git_commit="c0ffee", git_dirty=True)
    for step in range(7):
        logged.events.add("r2", "checkpoint", f"saved {step}", {"step": step})
    logged.events.add("r1", "note", "the only one")
    few = cli("runs", "show", "r1").out
    assert "the only one" in few
    assert "older events" not in few
    logged.artifacts.add("r2", "checkpoint", "s3://bucket/1.pt")
    logged.artifacts.add("r2", "checkpoint", "s3://bucket/2.pt")
    logged.history.append("r2", {f"m{number:02}": [1.0] for number in range(30)})
    shown = cli("runs", "show", "r2").out
    for expected in ("c0ffee", "Notes\n  first line\n  second line\n", "saved 6", "saved 2",
                     "2 older events", "12 more metrics"):  # fmt: skip
        assert expected in shown
    assert "saved 1" not in shown
    assert ["checkpoint", "2"] in lines(shown)
    assert ["acc", "3", "inf", "0.7", "20", "0.9", "10"] in lines(shown)
    assert "m29" not in shown
    whole = cli("runs", "show", "r2", "--metrics").out
    assert "m29" in whole
    assert "more metrics" not in whole
    run = answered(cli("runs", "show", "r2", "--json"))
    assert len(run["events"]) == 7
    assert len(run["metrics"]) == 32
    assert [one["filepath"] for one in run["artifacts"]][-1] == "s3://bucket/2.pt"
    assert run["tags"] == {}
