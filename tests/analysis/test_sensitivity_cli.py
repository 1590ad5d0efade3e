"""``training-db analyze sensitivity``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.cli.terminal import Answer, answered, lines

if TYPE_CHECKING:
    from training_db import TrainingDB

pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""Both backends are asked by test_sensitivities.py; here is what a terminal shows."""
Cli = Callable[..., Answer]
_SENSITIVITY = ("analyze", "sensitivity")


@pytest.fixture
def tuned(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """24 runs of which the rate makes the score, and one without, in the environment's database."""
    random = np.random.default_rng(8)
    with db.transaction():
        for number in range(24):
            rate, width = random.normal(size=2).tolist()
            config = {
                "lr": rate,
                "lr2": 2 * rate,
                "width": width,
                "kind": "a",
                "folder": f"/{number}",
            }
            db.runs.insert(f"r{number}", config=config)
            db.objectives.insert(f"r{number}", "QED", raw_mean=rate, normalized_mean=width)
        db.runs.insert("none", config={"lr": 1.0})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@pytest.mark.usefixtures("tuned")
def test_settings_are_listed_the_most_important_first(cli: Cli) -> None:
    answer = cli(*_SENSITIVITY, "QED", "--seeds", "2")
    assert (answer.code, answer.err) == (0, "")
    heading, first, second, *rest = lines(answer.out)
    assert heading[:4] == ["setting", "kind", "importance", "interval"]
    assert (first[:2], second[:2]) == (["lr", "numeric"], ["width", "numeric"])
    assert first[-4:] == ["yes", "+1.00", "lr2", "-"]
    assert second[-4] == "no"
    assert "What matters for QED is lr (" in answer.out
    assert "Runs left out, for want of a finite value: 1." in answer.out
    assert "Settings left out: 2; --json says why." in answer.out
    assert rest


@pytest.mark.usefixtures("tuned")
def test_what_is_looked_at_is_chosen(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    by_width = cli(*_SENSITIVITY, "QED", "--statistic", "normalized_mean", "--limit", "1")
    assert "What matters for QED (normalized_mean) is width (" in by_width.out
    assert lines(by_width.out)[1][0] == "width"
    assert "More settings: 1; --limit shows them." in by_width.out
    monkeypatch.setattr("training_db.analysis.sensitivity.sensitivities._MOST", 20)
    only = cli(*_SENSITIVITY, "QED", "--setting", "width", "--seeds", "2", "--seed", "3")
    assert "cannot be told" in only.out
    assert "Runs left out, for 20 were drawn: 4." in only.out


@pytest.mark.usefixtures("tuned")
def test_few_runs_are_said_to_be_few(cli: Cli) -> None:
    for how in ([], ["--filter"]):
        answer = cli(*_SENSITIVITY, "QED", *how, "config.lr > 1")
        assert answer.code == 0
        assert answer.out.startswith("Which settings matter for QED cannot be")
        assert "and 16 are needed" in answer.out


@pytest.mark.usefixtures("tuned")
def test_programs_get_all_of_it(cli: Cli) -> None:
    found = answered(cli(*_SENSITIVITY, "QED", "--json", "--seeds", "2"))
    assert [one["name"] for one in found["importances"]] == ["lr", "width"]
    assert found["importances"][0]["same_as"] == ["lr2"]
    assert dict(found["left_out"]).keys() == {"kind", "folder"}
    assert found["can_tell"] is True


@pytest.mark.usefixtures("tuned")
def test_a_target_that_is_none_is_bad_usage(cli: Cli) -> None:
    answer = cli(*_SENSITIVITY, "QEDD")
    assert answer.code == 2
    assert "unknown objective or metric 'QEDD' (did you mean 'QED'?)" in answer.err
