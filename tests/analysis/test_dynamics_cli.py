"""``training-db analyze``: plateaus, instabilities, explosions, convergence, conflicts, a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.cli.terminal import Answer, answered, lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db import TrainingDB

    Cli = Callable[..., Answer]

pytestmark = pytest.mark.usefixtures("trained")

CHANCE = np.random.default_rng(0)
FALLS = np.exp(-np.arange(200) / 20) + 0.01 * CHANCE.standard_normal(200)
NORMS = np.exp(0.1 * CHANCE.standard_normal(200))
NORMS[150] = 500.0
UP = np.linspace(0.2, 0.8, 200)


@pytest.fixture
def trained(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Runs that went well, badly, and hardly at all; the environment names the database."""
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    broken = FALLS.copy()
    broken[120], broken[180:183] = 5.0, math.nan
    curves = {
        "fine": {"loss": FALLS, "objective/QED_maximize": UP, "objective/SA_minimize": -UP},
        "broken": {"loss": broken, "grad_norm": NORMS,
                   "objective/QED_maximize": UP, "objective/SA_minimize": UP},
        "begun": {"loss": FALLS[:3]},
    }  # fmt: skip
    for run_id, history in curves.items():
        db.runs.insert(run_id, status="failed" if run_id == "broken" else "completed")
        db.history.append(run_id, {name: values.tolist() for name, values in history.items()})
    return db


def test_plateaus_are_listed_and_runs_of_too_few_values_named(cli: Cli) -> None:
    answer = cli("analyze", "plateau", "loss")
    assert answer.code == 0
    heading, fine, broken = lines(answer.out)
    assert heading == ["run_id", "step", "level", "confidence"]
    assert (fine[0], broken[0]) == ("fine", "broken")
    assert 50 <= int(fine[1]) <= 110
    assert answer.err == "begun was not looked at: 3 finite values, 8 are needed\n"


def test_a_run_without_a_plateau_is_listed_without_one(cli: Cli, trained: TrainingDB) -> None:
    trained.history.append("fine", {"falling": UP[::-1].tolist()})
    assert lines(cli("analyze", "plateau", "falling").out)[1] == ["fine", "-", "-", "-"]


def test_instabilities_are_listed(cli: Cli) -> None:
    answer = cli("analyze", "instability", "loss", "status = 'failed'", "--direction", "min")
    assert answer.err == ""
    heading, row = lines(answer.out)
    assert dict(zip(heading, row, strict=True)) == {
        "run_id": "broken", "spikes": "1", "spike_step": "120", "non_finite": "3",
        "first_non_finite": "180", "diverged_since": "-",
    }  # fmt: skip


def test_explosions_are_listed(cli: Cli) -> None:
    heading, row = lines(cli("analyze", "explosions", "grad_norm").out)
    shown = dict(zip(heading, row, strict=True))
    assert (shown["explosions"], shown["worst_step"], shown["worst_value"]) == ("1", "150", "500")
    assert float(shown["times_the_usual"]) == pytest.approx(500, rel=0.1)


def test_convergence_is_listed(cli: Cli) -> None:
    heading, row = lines(cli("analyze", "convergence", "loss", "--run", "1").out)
    shown = dict(zip(heading, row, strict=True))
    assert shown["run_id"] == "fine"
    assert int(shown["step_50"]) == pytest.approx(20 * math.log(2), abs=3)
    assert shown["settled"] == "yes"


def test_conflicts_are_listed_for_the_objectives_asked_for(cli: Cli) -> None:
    answer = cli("analyze", "conflicts")
    heading, row = lines(answer.out)
    shown = dict(zip(heading, row, strict=True))
    assert (shown["run_id"], shown["better"], shown["worse"]) == ("broken", "QED", "SA")
    assert (shown["since"], shown["until"], shown["correlation"]) == ("0", "199", "-1")
    assert "begun was not looked at: no objective has a curve" in answer.err
    chosen = cli("analyze", "conflicts", "--run", "broken", "--objective", "QED",
                 "--objective", "SA", "--json")  # fmt: skip
    assert [one["name"] for one in answered(chosen)[0]["objectives"]] == ["QED", "SA"]
    none = cli("analyze", "conflicts", "--run", "fine")
    assert (none.code, none.out) == (0, "")
    assert none.err == "no two objectives part ways\n"


def test_a_run_is_told_of_in_sentences(cli: Cli) -> None:
    answer = cli("analyze", "run", "broken")
    assert answer.code == 0
    severities = [row[0] for row in lines(answer.out)[1:]]
    assert severities[0] == "error"
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert "loss was NaN at 3 steps, first at step 180." in answer.out
    found = answered(cli("analyze", "run", "2", "--json"))
    assert [one["severity"] for one in found] == severities
    assert cli("analyze", "run", "begun").err == "there is nothing to say of begun\n"


@pytest.mark.parametrize("command", ["plateau", "instability", "convergence"])
def test_json_tells_of_every_run(cli: Cli, command: str) -> None:
    found = answered(cli("analyze", command, "loss", "--json"))
    assert [one["run_id"] for one in found] == ["fine", "broken", "begun"]
    assert {"run_id", "metric", "found", "skipped"} == set(found[0])


def test_answers_are_kept_when_asked(cli: Cli, trained: TrainingDB) -> None:
    cli("analyze", "plateau", "loss")
    assert trained.events.list("fine") == []
    for command in (["plateau", "loss"], ["instability", "loss"], ["convergence", "loss"],
                    ["conflicts"]):  # fmt: skip
        assert cli("analyze", *command, "--save").code == 0
    assert cli("analyze", "explosions", "grad_norm", "--save").code == 0
    assert len(trained.events.list("fine")) == 4
    assert len(trained.events.list("broken")) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["plateau"], 2, "METRIC"),
        (["plateau", "los"], 1, "did you mean 'loss'"),
        (["plateau", "loss", "--run", "nobody"], 1, "no run 'nobody'"),
        (["plateau", "loss", "status = 'failed'", "--run", "fine"], 2, "not both"),
        (["conflicts", "status = 'failed'", "--run", "fine"], 2, "not both"),
        (["instability", "loss", "--direction", "up"], 2, "--direction"),
        (["conflicts", "--objective", "TPSA"], 2, "valid are: QED, SA"),
        (["run", "nobody"], 1, "no run 'nobody'"),
        (["convergence", "loss", "status ="], 2, "status"),
    ],
)
def test_what_cannot_be_ends_with_its_reason(
    cli: Cli, arguments: list[str], code: int, named: str
) -> None:
    answer = cli("analyze", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert named in answer.err
    assert "Traceback" not in answer.err


def test_of_many_that_were_not_looked_at_some_are_named(trained: TrainingDB, cli: Cli) -> None:
    for number in range(12):
        trained.runs.insert(f"new{number}")
        trained.history.append(f"new{number}", {"fresh": [1.0]})
    said = cli("analyze", "plateau", "fresh").err.splitlines()
    assert said[0] == "no run has enough values of it"
    assert said[1] == "new0 was not looked at: 1 finite value, 8 are needed"
    assert (len(said), said[-1]) == (12, "2 more were not looked at; --json says why")


def test_nothing_found_is_said_beside_an_empty_output(cli: Cli) -> None:
    answer = cli("analyze", "plateau", "loss", "host = 'nowhere'")
    assert (answer.code, answer.out, answer.err) == (0, "", "no run matches\n")
    answer = cli("analyze", "plateau", "grad_norm", "run_id = 'fine'")
    assert (answer.code, answer.out, answer.err) == (0, "", "no run that matches has it\n")
    answer = cli("analyze", "plateau", "loss", "run_id = 'begun'")
    assert answer.err.startswith("no run has enough values of it\n")
    assert cli("analyze", "conflicts", "host = 'nowhere'").err == "no run matches\n"
