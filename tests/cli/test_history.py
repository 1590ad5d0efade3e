"""The commands that show, search and delete history, on both backends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests import torture
from tests.cli.terminal import answered, lines, on_terminal
from training_db.segments import column

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

NAN = float("nan")


@pytest.fixture
def logged(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Two runs with a history, of which the first was started again at step 1."""
    db.runs.insert("r1", host="gpu-1")
    db.runs.insert("r2")
    first = {"_step": [0, 1, 2], "_timestamp": [1714979289.5, 1714979290.5, 1714979291.5],
             "loss": [3.0, 0.30000001192092896, NAN], "val": [None, 8.0, None],
             "phase": ["warm-up", None, {"name": "main"}]}  # fmt: skip
    again = {"_step": [1, 2, 3], "epoch": [0.25, 0.5, 0.75], "loss": [2.5, 1.25, 1234567.5]}
    for writer, rows in enumerate((first, again), 1):
        db.history.write("r1", writer, {name: column(some) for name, some in rows.items()}, (0, 3))
    db.history.append("r2", {"step": [5, 6], "loss": [9.0, float("inf")]})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@pytest.mark.usefixtures("logged")
def test_metrics_are_shown_one_row_a_step(cli: Cli) -> None:
    answer = cli("history", "show", "1", "loss", "phase", "loss")
    assert (answer.code, answer.err) == (0, "")
    assert lines(answer.out) == [
        ["step", "loss", "phase"], ["0", "3", "warm-up"], ["1", "2.5", "-"],
        ["2", "1.25", "{'name':", "'main'}"], ["3", "1234567.5", "-"],
    ]  # fmt: skip
    found = answered(cli("history", "show", "r1", "loss", "phase", "--json"))
    assert found[0] == {"step": 0, "metrics": {"loss": 3.0, "phase": "warm-up"}}
    assert found[1] == {"step": 1, "metrics": {"loss": 2.5}}
    assert found[2]["metrics"]["phase"] == {"name": "main"}


@pytest.mark.usefixtures("logged")
def test_repeated_steps_are_shown_once_or_all_of_them(cli: Cli) -> None:
    every = lines(cli("history", "show", "r1", "loss", "val", "--duplicates", "all").out)
    assert every[1:] == [
        ["0", "3", "-"], ["1", "0.3", "8"], ["2", "nan", "-"],
        ["1", "2.5", "-"], ["2", "1.25", "-"], ["3", "1234567.5", "-"],
    ]  # fmt: skip
    last = lines(cli("history", "show", "r1", "loss", "val").out)
    assert last[2] == ["1", "2.5", "8"]  # the restart logged no val at step 1


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("steps", "shown"),
    [("1:2", ["1", "2"]), ("2:", ["2", "3"]), (":1", ["0", "1"]), (":", ["0", "1", "2", "3"]),
     ("7:", [])],
)  # fmt: skip
def test_a_range_of_steps_has_both_its_ends(cli: Cli, steps: str, shown: list[str]) -> None:
    answer = cli("history", "show", "r1", "loss", "--steps", steps)
    assert [row[0] for row in lines(answer.out)[1:]] == shown
    assert ("no values" in answer.err) == (not shown)


@pytest.mark.usefixtures("logged")
def test_the_rows_at_the_end_are_shown_unless_all_are_asked_for(cli: Cli) -> None:
    cut = cli("history", "show", "r1", "loss", "--limit", "2")
    assert [row[0] for row in lines(cut.out)[1:]] == ["2", "3"]
    assert cut.err == "these are the last 2 of 4 rows: --all shows all\n"
    assert len(lines(cli("history", "show", "r1", "loss", "--limit", "2", "--all").out)) == 5


@pytest.mark.usefixtures("logged")
def test_another_axis_may_stand_in_front(cli: Cli) -> None:
    epochs = cli("history", "show", "r1", "loss", "--x", "epoch")
    assert lines(epochs.out) == [
        ["epoch", "loss"], ["0.25", "2.5"], ["0.5", "1.25"], ["0.75", "1234567.5"],
    ]  # fmt: skip
    times = cli("history", "show", "r1", "val", "--x", "timestamp")
    assert lines(times.out)[1:] == [["2024-05-06T07:08:10.500000Z", "8"]]
    raw = answered(cli("history", "show", "r1", "val", "--x", "timestamp", "--json"))
    assert raw == [{"timestamp": 1714979290.5, "metrics": {"val": 8.0}}]
    assert cli("history", "show", "r2", "loss", "--x", "epoch").out == ""


@pytest.mark.usefixtures("logged")
def test_a_metric_may_be_called_like_the_axis(cli: Cli) -> None:
    shown = lines(cli("history", "show", "r2", "step", "loss").out)
    assert shown == [["_step", "step", "loss"], ["5", "5", "9"], ["6", "6", "inf"]]


@pytest.mark.usefixtures("logged")
def test_times_of_others_are_shown_as_they_are(cli: Cli, logged: TrainingDB) -> None:
    logged.runs.insert("odd")
    logged.history.append("odd", {"_timestamp": [1e300], "loss": [1.0]})
    shown = lines(cli("history", "show", "odd", "loss", "--x", "timestamp").out)
    assert shown[1] == ["1e+300", "1"]


@pytest.mark.usefixtures("logged")
def test_without_metrics_each_is_summed_up(cli: Cli) -> None:
    answer = cli("history", "show", "r1")
    rows = {row[0]: row for row in lines(answer.out)}
    assert rows["metric"][:5] == ["metric", "kind", "count", "last", "min"]
    assert rows["loss"][1:5] == ["number", "6", "1.235e+06", "0.3"]
    assert rows["loss"][-1] == "1"  # the NaN
    assert rows["phase"][1:3] == ["other", "2"]
    found = answered(cli("history", "show", "r1", "--json"))
    assert {one["metric"]: one["count"] for one in found}["phase"] == 2
    listed = cli("history", "keys", "r1")
    assert lines(listed.out)[0] == ["metric", "kind", "count"]
    assert ["epoch", "number", "3"] in lines(listed.out)
    assert answered(cli("history", "keys", "r1", "--json"))[0].keys() == {"metric", "kind", "count"}


@pytest.mark.usefixtures("logged")
def test_a_run_without_a_history_says_so(cli: Cli, logged: TrainingDB) -> None:
    logged.runs.insert("bare")
    assert cli("history", "keys", "bare").err == "bare has no history\n"
    assert cli("history", "show", "bare", "loss").code == 1
    assert answered(cli("history", "show", "bare", "--json")) == []


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--above", "5"], [["r1", "1", "3"], ["r2", "1", "5"]]),
        (["--below", "1"], [["r1", "1", "1"]]),
        (["--non-finite"], [["r1", "1", "2"], ["r2", "1", "6"]]),
        (["--non-finite", "--limit", "1"], [["r1", "1", "2"]]),
        (["--above", "5", "host = 'gpu-1'"], [["r1", "1", "3"]]),
    ],
    ids=lambda value: " ".join(value) if value and isinstance(value[0], str) else "",
)
def test_runs_are_found_by_what_a_metric_ever_was(
    cli: Cli, options: list[str], expected: list[list[str]]
) -> None:
    rows = lines(cli("history", "search", "loss", *options).out)
    assert rows[0] == ["run_id", "count", "step", "value"]
    assert [row[:3] for row in rows[1:]] == expected
    found = answered(cli("history", "search", "loss", *options, "--json"))
    assert [one["run_id"] for one in found] == [row[0] for row in expected]


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["search", "loss"], 2, "--above"),
        (["search", "los", "--above", "1"], 1, "did you mean 'loss'"),
        (["search", "loss", "--above", "high"], 2, "--above"),
        (["show", "nobody", "loss"], 1, "no run 'nobody'"),
        (["show", "r1", "los"], 1, "did you mean 'loss'"),
        (["show", "r1", "loss", "--steps", "1-2"], 2, "100:200"),
        (["show", "r1", "loss", "--steps", "a:b"], 2, "a:b"),
        (["show", "r1", "--steps", "1:2"], 2, "METRIC"),
        (["show", "r1", "loss", "--x", "colour"], 2, "timestamp"),
        (["keys", "9"], 1, "no run '9'"),
        (["delete", "r1"], 2, "--yes"),
        (["delete", "r1", "los", "--yes"], 1, "did you mean 'loss'"),
    ],
)
def test_what_cannot_be_answered_is_said(
    cli: Cli, arguments: list[str], code: int, named: str
) -> None:
    answer = cli("history", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert named in answer.err
    assert "Traceback" not in answer.err


def test_metrics_are_deleted_for_good(cli: Cli, logged: TrainingDB) -> None:
    answer = cli("history", "delete", "r1", "val", "phase", "--yes")
    assert (answer.code, answer.out) == (0, "deleted 3 values of r1\n")
    left = {one["metric"] for one in logged.history.keys("r1")}
    assert left == {"_step", "_timestamp", "epoch", "loss"}
    gone = answered(cli("history", "delete", "r1", "--yes", "--json"))
    assert gone == {"run_id": "r1", "metrics": None, "deleted": 18}
    assert logged.history.keys("r1") == []
    assert logged.runs.get("r1")["host"] == "gpu-1"


@torture.on_one_backend
@pytest.mark.parametrize("typed", ["n\n", "y\n"], ids=["no", "yes"])
def test_on_a_terminal_deleting_a_history_asks_first(logged: TrainingDB, typed: str) -> None:
    answer = on_terminal("history", "delete", "r1", "loss", typed=typed)
    assert "Delete loss of the history of r1 for good?" in answer.err
    is_gone = all(one["metric"] != "loss" for one in logged.history.keys("r1"))
    assert is_gone == (typed == "y\n")
    assert answer.code == (0 if is_gone else 1)


def test_what_was_logged_controls_no_terminal(cli: Cli, logged: TrainingDB) -> None:
    logged.runs.insert("bad\x1b[31m")
    logged.history.append("bad\x1b[31m", {"l\x1b[31moss": ["a\x9bb\n"], "n": [np.float32(1)]})
    for arguments in (["show", "3"], ["show", "3", "l\x1b[31moss"], ["keys", "3"], ["tail", "3"],
                      ["delete", "3", "--yes"]):  # fmt: skip
        answer = cli("history", *arguments)
        assert answer.code == 0
        shown = answer.out + answer.err
        assert not {one for one in shown if not one.isprintable()} - {"\n"}
