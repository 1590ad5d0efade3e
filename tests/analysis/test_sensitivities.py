"""Which settings matter for what the runs of a database came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from training_db.errors import UnknownName

if TYPE_CHECKING:
    from training_db import TrainingDB


on_sqlite = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""For what does not hang on how runs are read."""


@pytest.fixture
def tuned(db: TrainingDB) -> TrainingDB:
    """24 runs of which the rate makes the score, two without a score and one in the trash."""
    random = np.random.default_rng(8)
    with db.transaction():
        for number in range(24):
            rate, width = random.normal(size=2).tolist()
            db.runs.insert(f"r{number}", config={"lr": rate, "width": width, "kind": "a"})
            db.objectives.insert(f"r{number}", "QED", raw_mean=rate)
            db.history.append(f"r{number}", {"loss": [9.0, rate]})
        db.runs.insert("nan", config={"lr": 1.0})
        db.objectives.insert("nan", "QED", raw_mean=float("nan"))
        db.runs.insert("none", config={"lr": 1.0})
        db.runs.insert("trash", config={"lr": 5.0})
        db.objectives.insert("trash", "QED", raw_mean=-5.0)
    db.runs.delete("trash")
    return db


def test_runs_without_a_finite_value_are_counted(tuned: TrainingDB) -> None:
    found = tuned.analysis.sensitivity("QED", seeds=2)
    assert (found.target, found.runs, found.without_value) == ("QED", 24, 2)
    matters = [(one.name, one.matters) for one in found.importances]
    assert matters == [("lr", True), ("width", False)]
    assert found.left_out == (("kind", "it is a in all runs"),)


@on_sqlite
def test_a_metric_may_be_the_target(tuned: TrainingDB) -> None:
    found = tuned.analysis.sensitivity("loss", settings=["lr"], statistic="min", seeds=2)
    assert (found.target, found.runs, found.can_tell) == ("loss (min)", 24, True)


def test_a_filter_and_names_say_what_is_looked_at(tuned: TrainingDB) -> None:
    assert tuned.analysis.sensitivity("QED", "config.lr > 0", seeds=2).runs < 24
    only = tuned.analysis.sensitivity("QED", settings=["width"], seeds=2)
    assert [one.name for one in only.importances] == ["width"]
    assert not only.can_tell
    none = tuned.analysis.sensitivity("QED", "host = 'nowhere'")
    assert (none.runs, none.can_tell) == (0, False)


@on_sqlite
def test_of_very_many_runs_some_are_drawn(
    tuned: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.analysis.sensitivity.sensitivities._MOST", 20)
    found = tuned.analysis.sensitivity("QED", seeds=2)
    assert (found.runs, found.not_drawn) == (20, 4)


@on_sqlite
def test_what_no_run_has_is_an_error_that_names_what_there_is(tuned: TrainingDB) -> None:
    with pytest.raises(UnknownName, match=r"unknown objective or metric 'qed'.*QED.*loss"):
        tuned.analysis.sensitivity("qed")
    with pytest.raises(UnknownName, match="unknown setting 'depth'"):
        tuned.analysis.sensitivity("QED", settings=["depth"])
