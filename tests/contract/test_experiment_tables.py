"""The tables of ExperimentDB: the metrics of a run as they were logged, and runs side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from training_db import ExperimentDB
from training_db.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = [
    "run_id", "run_name", "final_train_loss", "final_val_loss", "best_val_loss", "best_epoch",
    "total_epochs",
]  # fmt: skip


@pytest.fixture
def tracker(migrated_url: str) -> Iterator[ExperimentDB]:
    with ExperimentDB(migrated_url) as experiment:
        yield experiment


def compared(tracker: ExperimentDB, run: int) -> dict[str, Any]:
    """Return the row of one run, with None for what is not known."""
    (row,) = tracker.compare_runs([run]).to_dict("records")
    return {name: None if pd.isna(value) else value for name, value in row.items()}


def test_metrics_come_back_as_they_were_logged(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    before = pd.Timestamp.now("UTC")
    tracker.log_metric(run, "train_loss", 0.5, step=0, epoch=0)
    tracker.log_metric(run, "val_loss", 0.6, step=0, epoch=0)
    tracker.log_metric(run, "train_loss", 0.4, step=10, epoch=1)
    table = tracker.get_metrics(run)
    assert table.columns.tolist() == ["metric_name", "value", "step", "epoch", "timestamp"]
    assert table["metric_name"].tolist() == ["train_loss", "val_loss", "train_loss"]
    assert table["value"].tolist() == [0.5, 0.6, 0.4]
    assert table["step"].tolist() == [0, 0, 10]
    assert table["epoch"].tolist() == [0, 0, 1]
    assert table["value"].dtype == np.float64
    assert str(table["timestamp"].dtype).endswith("UTC]")
    assert table["timestamp"].is_monotonic_increasing
    assert table["timestamp"].between(before.floor("ms"), pd.Timestamp.now("UTC")).all()


def test_one_metric_is_the_same_table_with_the_others_left_out(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for step in range(5):
        tracker.log_metric(run, "a", float(step), step=step)
        tracker.log_metric(run, "b", -float(step), step=step)
    table = tracker.get_metrics(run)
    part = tracker.get_metrics(run, "b")
    pd.testing.assert_frame_equal(
        part, table[table["metric_name"] == "b"].reset_index(drop=True), check_dtype=False
    )


def test_a_run_that_logged_nothing_has_an_empty_table_of_the_same_kind(
    tracker: ExperimentDB,
) -> None:
    nothing, something = tracker.log_run("nothing"), tracker.log_run("something")
    tracker.log_metric(something, "loss", 0.5, step=0, epoch=0)
    table = tracker.get_metrics(nothing)
    assert len(table) == 0
    assert table.dtypes.to_dict() == tracker.get_metrics(something).dtypes.to_dict()


def test_calls_without_a_step_are_counted_and_an_epoch_that_was_not_said_is_missing(
    tracker: ExperimentDB,
) -> None:
    run = tracker.log_run("r")
    for value in (3.0, 2.0, 1.0):
        tracker.log_metric(run, "loss", value)
    table = tracker.get_metrics(run)
    assert table["step"].is_monotonic_increasing
    assert table["step"].is_unique
    assert table["epoch"].isna().all()


def test_repeated_and_falling_steps_are_all_kept_in_the_order_logged(
    tracker: ExperimentDB,
) -> None:
    run = tracker.log_run("r")
    for step, value in ((5, 0.1), (3, 0.2), (5, 0.3), (0, 0.4)):
        tracker.log_metric(run, "loss", value, step=step)
    table = tracker.get_metrics(run, "loss")
    assert table["step"].tolist() == [5, 3, 5, 0]
    assert table["value"].tolist() == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.bool_(True), 1.0),
        (np.float64("nan"), math.nan),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        ("diverged", "diverged"),
        (2**60 + 1, 2**60 + 1),
    ],
)
def test_odd_values_come_back(tracker: ExperimentDB, given: Any, stored: Any) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", given, step=0)
    (value,) = tracker.get_metrics(run)["value"].tolist()
    assert value == stored or (math.isnan(value) and math.isnan(stored))


def test_metrics_of_several_kinds_stand_in_one_column(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "lr", 0.5, step=0)
    tracker.log_metric(run, "batch", 7, step=0)
    tracker.log_metric(run, "is_best", True, step=0)
    table = tracker.get_metrics(run)
    assert table["value"].dtype == np.float64
    assert table["value"].tolist() == [0.5, 7.0, 1.0]
    tracker.log_metric(run, "phase", "test", step=1)
    assert tracker.get_metrics(run)["value"].tolist() == [0.5, 7, True, "test"]


def test_text_among_numbers_stays_text_and_is_no_loss(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for step, value in enumerate([0.5, "diverged", 0.25]):
        tracker.log_metric(run, "val_loss", value, step=step)
    assert tracker.get_metrics(run)["value"].tolist() == [0.5, "diverged", 0.25]
    assert compared(tracker, run)["best_val_loss"] == 0.25


def test_what_another_tracker_logged_is_seen_too(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "val_loss", 0.5, step=0, epoch=0)
    tracker.get_metrics(run)
    with ExperimentDB(tracker.db.url) as other:
        other.log_metric(run, "val_loss", 0.25, step=1, epoch=1)
        assert other.get_metrics(run)["value"].tolist() == [0.5, 0.25]
    assert tracker.get_metrics(run)["value"].tolist() == [0.5, 0.25]
    assert compared(tracker, run)["best_epoch"] == 1
    assert tracker.get_run(run)["status"] == "running", "only who began a run ends it by closing"


def test_the_history_of_a_run_of_the_library_is_a_table_too(tracker: ExperimentDB) -> None:
    tracker.db.runs.insert("of-the-library")
    tracker.db.runs.update_status(
        "of-the-library",
        "completed",
        history_json={"epoch": [1, 2, 3], "eval/loss": [0.5, 0.3, 0.4], "note": ["a", None, "c"]},
    )
    table = tracker.get_metrics(1, "eval/loss")
    assert table["step"].tolist() == [0, 1, 2]
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["timestamp"].isna().all()
    assert tracker.get_metrics(1, "note")["value"].tolist() == ["a", "c"]
    row = compared(tracker, 1)
    assert (row["final_val_loss"], row["best_val_loss"], row["best_epoch"]) == (0.4, 0.3, 2)
    assert row["total_epochs"] == 3, "they were counted from 1"


def test_runs_stand_side_by_side_in_the_order_asked_for(tracker: ExperimentDB) -> None:
    for name, losses in {"a": [0.5, 0.3, 0.4], "b": [0.9, 0.8, 0.7]}.items():
        run = tracker.log_run(name)
        for epoch, loss in enumerate(losses):
            tracker.log_metric(run, "train_loss", loss / 2, step=epoch * 100, epoch=epoch)
            tracker.log_metric(run, "val_loss", loss, step=epoch * 100, epoch=epoch)
    silent = tracker.log_run("silent")
    table = tracker.compare_runs([2, silent, 1, 2])
    assert table.columns.tolist() == COLUMNS
    assert table["run_id"].tolist() == [2, 3, 1, 2]
    assert table["run_name"].tolist() == ["b", "silent", "a", "b"]
    assert table["final_train_loss"].dropna().tolist() == [0.35, 0.2, 0.35]
    assert table["best_val_loss"].dropna().tolist() == [0.7, 0.3, 0.7]
    assert table["best_epoch"].dropna().tolist() == [2, 1, 2]
    assert table["total_epochs"].dropna().tolist() == [3, 3, 3]
    assert table.iloc[1].isna().tolist() == [False, False, True, True, True, True, True]


def test_no_runs_are_compared_to_an_empty_table(tracker: ExperimentDB) -> None:
    assert tracker.compare_runs([]).columns.tolist() == COLUMNS
    assert len(tracker.compare_runs([])) == 0


def test_one_number_in_the_place_of_the_ids_is_refused(tracker: ExperimentDB) -> None:
    with pytest.raises(InvalidValue, match=r"\[1\]"):
        tracker.compare_runs(tracker.log_run("r"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["train_loss", "train/loss", "training/loss", "Loss/train", "loss"]
)
def test_the_training_loss_goes_by_many_names(tracker: ExperimentDB, name: str) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, name, 0.5)
    assert compared(tracker, run)["final_train_loss"] == 0.5


@pytest.mark.parametrize(
    "name",
    [
        "val_loss", "val/loss", "validation_loss", "validation/loss", "valid_loss", "eval/loss",
        "eval_loss", "Loss/val",
    ],
)  # fmt: skip
def test_the_validation_loss_goes_by_many_names(tracker: ExperimentDB, name: str) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, name, 0.5)
    assert compared(tracker, run)["best_val_loss"] == 0.5


def test_a_loss_of_its_own_name_goes_before_one_that_may_be_any(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0)
    tracker.log_metric(run, "train/loss", 0.5)
    tracker.log_metric(run, "test_loss", 0.1)
    row = compared(tracker, run)
    assert row["final_train_loss"] == 0.5
    assert row["best_val_loss"] is None, "a test is no validation"


def test_nan_never_is_the_best_loss_but_may_be_the_last(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for epoch, loss in enumerate([0.5, 0.4, math.nan, -math.inf, math.nan]):
        tracker.log_metric(run, "val_loss", loss, step=epoch, epoch=epoch)
    row = compared(tracker, run)
    assert (row["best_val_loss"], row["best_epoch"], row["total_epochs"]) == (0.4, 1, 5)
    assert row["final_val_loss"] is None


def test_a_loss_that_never_was_finite_has_no_best_epoch(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "val_loss", math.nan, step=0, epoch=0)
    row = compared(tracker, run)
    assert (row["best_val_loss"], row["best_epoch"], row["total_epochs"]) == (None, None, 1)


def test_without_epochs_the_best_step_stands_for_the_best_epoch(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for step, loss in ((0, 0.5), (100, 0.3), (200, 0.4)):
        tracker.log_metric(run, "val_loss", loss, step=step)
    row = compared(tracker, run)
    assert (row["best_epoch"], row["total_epochs"]) == (100, None)


def test_the_final_loss_is_that_of_the_highest_step(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for step, loss in ((0, 0.5), (20, 0.1), (10, 0.4), (20, 0.2)):
        tracker.log_metric(run, "train_loss", loss, step=step)
    assert compared(tracker, run)["final_train_loss"] == 0.2


def test_a_loss_logged_without_its_epoch_has_the_one_of_its_step(tracker: ExperimentDB) -> None:
    early, late = tracker.log_run("early"), tracker.log_run("late")
    for run, first in ((early, 5), (late, 0)):
        for step, loss in ((0, 0.5), (12, 0.3), (20, 0.4)):
            tracker.log_metric(run, "val_loss", loss, step=step)
        for step in range(first, 21):
            tracker.log_metric(run, "train_loss", 0.1, step=step, epoch=1 + step // 10)
    assert compared(tracker, late)["best_epoch"] == 2
    tracker.log_metric(early, "val_loss", 0.1, step=0)
    assert compared(tracker, early)["best_epoch"] is None, "no epoch had begun"
    assert compared(tracker, early)["total_epochs"] == 3


def test_the_best_loss_may_be_of_an_earlier_writer(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "val_loss", 0.1, step=0, epoch=0)
    tracker.update_run_status(run, "failed")  # what is logged after it is by another writer
    tracker.log_metric(run, "val_loss", 0.2, step=1, epoch=1)
    tracker.update_run_status(run, "failed")
    tracker.log_metric(run, "train_loss", 1, step=2, epoch=2)
    row = compared(tracker, run)
    assert (row["best_val_loss"], row["best_epoch"], row["total_epochs"]) == (0.1, 0, 3)
    assert row["final_val_loss"] == 0.2
    assert tracker.get_metrics(run, "train_loss")["value"].tolist() == [1]
    assert tracker.get_metrics(run)["value"].tolist() == [0.1, 0.2, 1]


def test_fractions_of_epochs_are_kept(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    for step, loss in enumerate([0.5, 0.3, 0.4]):
        tracker.log_metric(run, "eval_loss", loss, step=step, epoch=step / 2)
    row = compared(tracker, run)
    assert (row["best_epoch"], row["total_epochs"]) == (0.5, 1)
    assert tracker.get_metrics(run)["epoch"].tolist() == [0.0, 0.5, 1.0]


def test_a_comparison_takes_as_many_questions_for_fifty_runs_as_for_one(
    tracker: ExperimentDB, recorded: Any
) -> None:
    runs = [tracker.log_run(f"r{number}") for number in range(50)]
    for run in runs:
        tracker.log_metric(run, "val_loss", float(run), step=run, epoch=run)
        tracker.update_run_status(run, "completed")
    with recorded(tracker.db) as for_one:
        tracker.compare_runs(runs[:1])
    with recorded(tracker.db) as for_all:
        assert tracker.compare_runs(runs)["best_epoch"].tolist() == runs
    assert len(for_all) == len(for_one)
