"""Rows out as a DataFrame."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import pytest

from training_db.errors import MissingExtra

if TYPE_CHECKING:
    from training_db import TrainingDB


def test_a_frame_has_the_runs_below_each_other_and_the_metrics_side_by_side(
    db: TrainingDB,
) -> None:
    for run in ("r1", "r2", "r3"):
        db.runs.insert(run)
    db.history.append("r1", {"_step": [0, 10], "loss": [2.0, 1.0], "note": [None, "x"]})
    db.history.append("r2", {"_step": [5], "loss": [math.inf]})
    frame = db.history.frame(["r1", "r2", "r3"], ["loss", "note"])
    assert list(frame.columns) == ["run_id", "step", "loss", "note"]
    assert frame["run_id"].tolist() == ["r1", "r1", "r2"]
    assert frame["step"].tolist() == [0, 10, 5]
    assert frame["loss"].tolist() == [2.0, 1.0, math.inf]
    assert frame["note"].tolist()[1] == "x"
    assert frame["note"].isna().tolist() == [True, False, True]


def test_a_frame_of_a_run_without_history_has_its_columns_and_no_row(db: TrainingDB) -> None:
    db.runs.insert("r1")
    assert list(db.history.frame("r1").columns) == ["run_id", "step"]
    assert len(db.history.frame("r1", x="epoch")) == 0


def test_a_frame_keeps_repeated_steps_when_asked_for_all(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"_step": [0, 1], "loss": [4.0, 3.0], "acc": [0.1, 0.2]})
    db.history.append("r1", {"_step": [1, 2], "loss": [2.0, 1.0], "acc": [0.3, None]})
    last = db.history.frame("r1", ["loss", "acc"])
    assert last["step"].tolist() == [0, 1, 2]
    assert last["loss"].tolist() == [4.0, 2.0, 1.0]
    both = db.history.frame("r1", ["loss", "acc"], duplicates="all")
    found = both.sort_values(["step", "loss"], ascending=[True, False])
    assert found["step"].tolist() == [0, 1, 1, 2]
    assert found["loss"].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert found["acc"].tolist()[:3] == [0.1, 0.2, 0.3]


def test_a_frame_over_epochs_has_all_rows_of_each_epoch(db: TrainingDB) -> None:
    db.runs.insert("r1")
    history = {"epoch": [0, 0, 1, 1], "loss": [4.0, 3.0, 2.0, 1.0], "acc": [None, 0.1, None, 0.2]}
    db.history.append("r1", history)
    frame = db.history.frame("r1", ["loss", "acc"], x="epoch")
    assert frame["epoch"].tolist() == [0.0, 0.0, 1.0, 1.0]
    assert frame["loss"].tolist() == [4.0, 3.0, 2.0, 1.0]
    assert frame["acc"].dropna().tolist() == [0.1, 0.2]


def test_a_frame_keeps_long_integers_also_where_some_are_missing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"n": [2**53 + 1, 2**53 + 3], "m": [2**53 + 1, None]})
    frame = db.history.frame("r1")
    assert frame["n"].tolist() == [2**53 + 1, 2**53 + 3]
    assert int(frame["m"][0]) == 2**53 + 1
    assert frame["m"].isna().tolist() == [False, True]


def test_a_frame_takes_a_metric_named_like_its_axis(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.history.append("r1", {"step": [10, 20], "loss": [1.0, 2.0]})
    frame = db.history.frame("r1")
    assert frame["step"].tolist() == [10, 20]
    assert frame["loss"].tolist() == [1.0, 2.0]


def test_a_frame_drops_no_metric_for_its_own_columns(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": name} for name in ("r1", "r2"))
    db.history.append("r1", {"_step": [1, 2], "step": [100, 200], "run_id": [7, 8]})
    db.history.append("r2", {"loss": [0.5]})
    frame = db.history.frame(["r1", "r2"], ["step", "run_id", "loss"])
    assert list(frame.columns) == ["_run_id", "_step", "step", "run_id", "loss"]
    assert frame["_run_id"].tolist() == ["r1", "r1", "r2"]
    assert frame["_step"].tolist() == [1, 2, 0]
    assert frame["step"].tolist()[:2] == [100, 200]
    assert frame["run_id"].tolist()[:2] == [7, 8]


def test_a_frame_without_pandas_names_the_extra_and_arrays_go_on(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    db.runs.insert("r1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    db.history.append("r1", {"loss": [1.0]})
    with pytest.raises(MissingExtra, match=r"training-db\[analysis\]"):
        db.history.frame("r1")
    assert db.history.arrays("r1")["r1"]["loss"].values.tolist() == [1.0]
    assert db.history.downsample("r1", n=2).series["r1"]["loss"].values.tolist() == [1.0]
