"""``training-db analyze regression``, as pipelines call it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Answer, answered

if TYPE_CHECKING:
    from training_db import TrainingDB

pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""Both backends are asked by test_regressions.py; here is what a terminal shows."""
Cli = Callable[..., Answer]
_REGRESSION = ("analyze", "regression")


@pytest.fixture
def tracked(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Five good runs and three new ones, in a database that the environment names."""
    losses = {"g1": 0.5, "g2": 0.51, "g3": 0.49, "g4": 0.5, "g5": 0.5}
    losses |= {"fine": 0.505, "bad": 0.7, "nan": float("nan")}
    with db.transaction():
        for day, (run_id, loss) in enumerate(losses.items(), 1):
            db.runs.insert(run_id, status="completed", created_at=f"2026-01-{day:02}")
            db.history.append(run_id, {"loss": [2.0, loss]})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@pytest.mark.usefixtures("tracked")
def test_the_exit_code_is_1_where_a_run_is_worse(cli: Cli) -> None:
    fine = cli(*_REGRESSION, "loss", "fine")
    assert (fine.code, fine.err) == (0, "")
    assert fine.out.startswith("loss of fine is not worse: 0.505 against 0.5,")
    bad = cli(*_REGRESSION, "loss", "bad")
    assert (bad.code, bad.err) == (1, "")
    assert bad.out.startswith("loss of bad is worse: 0.7 against 0.500833, the ")
    assert bad.out.splitlines()[1:] == ["Baseline: fine, g5, g4 and 3 more."]
    newest = cli(*_REGRESSION, "loss")
    assert newest.code == 1
    assert "loss of nan is worse: it has no value, or NaN" in newest.out
    assert cli(*_REGRESSION, "loss", "--filter", "run_id != 'nan' and run_id != 'bad'").code == 0


@pytest.mark.usefixtures("tracked")
def test_the_filter_comes_third_as_with_other_commands(cli: Cli) -> None:
    arguments = (*_REGRESSION, "loss", "bad", "created_at < '2026-01-04'")
    found = answered(cli(*arguments, "--json", "--direction", "max"))
    assert (found["baseline_runs"], found["left_out"]) == (["g3", "g2", "g1"], [])
    twice = cli(*arguments, "--filter", "run_id = 'bad'")
    assert twice.code == 2
    assert "give the filter once" in twice.err


def test_of_a_run_that_runs_it_is_said_on_stderr_that_it_cannot_be_told_yet(
    cli: Cli, tracked: TrainingDB
) -> None:
    tracked.runs.update("bad", status="running")
    unclear = cli(*_REGRESSION, "loss", "bad")
    assert (unclear.code, unclear.out) == (0, "")
    assert "cannot be told yet: it is running, and is 0.7, against 0.500833, the" in unclear.err
    assert "Baseline: fine, g5, g4 and 3 more." in unclear.err
    assert cli(*_REGRESSION, "loss", "bad", "--strict").code == 1
    tracked.runs.update("fine", status="crashed")
    crashed = cli(*_REGRESSION, "loss", "fine", "--tolerance", "50%")
    assert (crashed.code, crashed.err) == (1, "")
    assert "is worse: it crashed, and is 0.505, against 0.5" in crashed.out


@pytest.mark.usefixtures("tracked")
def test_what_cannot_be_told_is_a_warning_and_a_failure_where_that_is_asked_for(cli: Cli) -> None:
    unclear = cli(*_REGRESSION, "loss", "g2")
    assert (unclear.code, unclear.out) == (0, "")
    assert "cannot be told: noise is told by 3 runs at least, and 1 are known (one" in unclear.err
    assert cli(*_REGRESSION, "loss", "g2", "--strict").code == 1
    assert cli(*_REGRESSION, "loss", "g3", "--min-runs", "2", "--strict").code == 0


def test_a_baseline_a_tolerance_and_a_direction_are_options(cli: Cli, tracked: TrainingDB) -> None:
    tracked.tags.add("g1", "baseline", "release")
    for baseline in ("release", "g1", "1"):
        arguments = (*_REGRESSION, "loss", "bad", "--baseline", baseline, "--tolerance")
        assert cli(*arguments, "50%").code == 0
        assert cli(*arguments, "0.1").code == 1
    assert cli(*_REGRESSION, "loss", "bad", "--direction", "max").code == 0
    assert cli(*_REGRESSION, "loss", "bad", "--statistic", "first").code == 0
    assert cli(*_REGRESSION, "loss", "bad", "--confidence", "0.9999999").code == 0
    missing = cli(*_REGRESSION, "loss", "bad", "--baseline", "nobody")
    assert missing.code == 1
    assert "there is no run 'nobody', and none of a baseline of that name" in missing.err


def test_good_runs_are_chosen_by_options(cli: Cli, tracked: TrainingDB) -> None:
    tracked.runs.update("bad", group_name="alone", host="gpu-1")
    assert "nothing to compare with" in cli(*_REGRESSION, "loss", "bad").err
    assert cli(*_REGRESSION, "loss", "bad", "--any-group").code == 1
    assert (
        "completed runs before it with the same host"
        in cli(*_REGRESSION, "loss", "bad", "--same", "host").err
    )
    few = answered(cli(*_REGRESSION, "loss", "fine", "--last", "4", "--json"))
    assert few["baseline_runs"] == ["g5", "g4", "g3", "g2"]
    twice = cli(*_REGRESSION, "loss", "bad", "--any-group", "--same", "host")
    assert twice.code == 2
    assert "either --same or --any-group" in twice.err


def test_programs_get_all_of_it_and_the_run_keeps_it(cli: Cli, tracked: TrainingDB) -> None:
    answer = cli(*_REGRESSION, "loss", "nan", "--json", "--save")
    assert (answer.code, answer.err) == (1, "")
    assert '"is_worse":true' in answer.out
    assert '"value":null' in answer.out
    assert [event["kind"] for event in tracked.events.list("nan")].count("analysis.regression") == 1
    unclear = cli(*_REGRESSION, "loss", "g1", "--json")
    assert '"is_worse":null' in unclear.out
    assert "cannot be told" in unclear.err
    assert cli(*_REGRESSION, "loss", "g1", "--tolerance", "wide").code == 2
