"""ExperimentDB: runs, their metrics and artifacts by integer ids, on the same tables."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.unit.test_imports import packages_after
from training_db import ExperimentDB, TrainingDB
from training_db.db.migrations import upgrade
from training_db.errors import (
    InvalidValue,
    MetricNotFound,
    MissingExtra,
    NotFound,
    RunNotFound,
    SchemaOutdated,
    UnknownName,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def tracker(migrated_url: str) -> Iterator[ExperimentDB]:
    with ExperimentDB(migrated_url) as experiment:
        yield experiment


def test_a_database_that_is_not_there_yet_is_made(database_url: str) -> None:
    with ExperimentDB(database_url) as tracker:
        assert tracker.log_run("first") == 1
    with ExperimentDB(database_url) as tracker:
        assert tracker.get_run(1)["run_name"] == "first"


def test_a_path_is_a_sqlite_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ExperimentDB("new folder/experiments.db") as tracker:
        tracker.log_metric(tracker.log_run("r"), "loss", 0.5)
    with TrainingDB(tmp_path / "new folder" / "experiments.db") as db:
        assert db.runs.count() == 1


def test_without_a_place_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_PATH", str(tmp_path / "named.db"))
    with ExperimentDB() as tracker:
        tracker.log_run("r")
    assert (tmp_path / "named.db").exists()


def test_a_database_in_memory_works_as_one_on_disk() -> None:
    with ExperimentDB(":memory:") as tracker:
        run = tracker.log_run("r")
        tracker.log_metric(run, "loss", 0.5)
        assert tracker.get_metrics(run)["value"].tolist() == [0.5]


def test_a_tracker_names_its_place_without_the_password() -> None:
    tracker = ExperimentDB(":memory:")
    assert repr(tracker) == "ExperimentDB('sqlite://')"
    tracker.close()


def test_an_older_database_is_left_alone_and_the_command_that_upgrades_it_is_named(
    database_url: str,
) -> None:
    upgrade(database_url, "v2.1")
    with pytest.raises(SchemaOutdated, match="training-db upgrade"):
        ExperimentDB(database_url)


def test_runs_are_numbered_from_one_and_shared_with_everything_else(tracker: ExperimentDB) -> None:
    with TrainingDB(tracker.db.url) as db:
        assert tracker.log_run("a") == 1
        db.runs.insert("of-the-library", run_name="b")
        assert tracker.log_run("c") == 3
        assert tracker.get_run(2)["text_id"] == "of-the-library"
        assert db.runs.by_number(3)["run_name"] == "c"


def test_a_run_holds_what_it_was_logged_with(tracker: ExperimentDB) -> None:
    config = {"training": {"learning_rate": 3e-4}, "layers": [64, 64]}
    run = tracker.get_run(tracker.log_run("baseline", config, notes="first try"))
    assert (run["run_id"], run["run_name"], run["notes"]) == (1, "baseline", "first try")
    assert (run["status"], run["ended_at"]) == ("running", None)
    assert run["started_at"] is not None
    assert run["config"] == config
    assert json.loads(run["config_json"]) == config
    assert run["learning_rate"] == 3e-4
    json.dumps(run)


@pytest.mark.parametrize("config", [None, {}, Namespace(lr=0.1), '{"lr": 0.1}'])
def test_a_config_is_what_a_config_is_elsewhere(tracker: ExperimentDB, config: Any) -> None:
    run = tracker.get_run(tracker.log_run("r", config))
    assert run["config"] == (config if config in (None, {}) else {"lr": 0.1})


@pytest.mark.parametrize("name", [None, 7, "", "\x00"])
def test_a_run_without_a_usable_name_is_refused(tracker: ExperimentDB, name: Any) -> None:
    with pytest.raises(ValueError, match="run_name"):
        tracker.log_run(name)
    assert len(tracker.list_runs()) == 0


def test_a_status_ends_a_run(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.update_run_status(run, "failed")
    assert tracker.get_run(run)["status"] == "failed"
    assert tracker.get_run(run)["ended_at"] is not None


def test_what_is_logged_after_the_end_is_kept_and_the_status_stays(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 0.5)
    tracker.update_run_status(run, "failed")
    tracker.log_metric(run, "test_accuracy", 0.9)
    assert tracker.get_metrics(run)["metric_name"].tolist() == ["loss", "test_accuracy"]
    assert tracker.get_run(run)["status"] == "failed"
    tracker.close()
    assert tracker.get_run(run)["status"] == "failed"


def test_an_unknown_status_is_a_value_error_that_lists_the_known_ones(
    tracker: ExperimentDB,
) -> None:
    run = tracker.log_run("r")
    with pytest.raises(UnknownName, match="completed") as caught:
        tracker.update_run_status(run, "done")
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, KeyError)
    assert tracker.get_run(run)["status"] == "running"


CALLS: dict[str, Callable[[ExperimentDB, Any], Any]] = {
    "log_metric": lambda tracker, run: tracker.log_metric(run, "loss", 0.5),
    "log_artifact": lambda tracker, run: tracker.log_artifact(run, "model", "m.pt"),
    "update_run_status": lambda tracker, run: tracker.update_run_status(run, "completed"),
    "get_run": lambda tracker, run: tracker.get_run(run),
    "get_metrics": lambda tracker, run: tracker.get_metrics(run),
    "compare_runs": lambda tracker, run: tracker.compare_runs([run]),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_missing_run_is_a_key_error(tracker: ExperimentDB, call: str) -> None:
    tracker.log_run("there")
    for run in (99, 0, -1, 2**70):
        with pytest.raises(RunNotFound, match=str(run)) as caught:
            CALLS[call](tracker, run)
        assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize("call", CALLS)
def test_a_run_id_that_is_no_integer_is_a_value_error(tracker: ExperimentDB, call: str) -> None:
    tracker.log_metric(tracker.log_run("there"), "loss", 0.5)
    for run in (None, "1", 1.0, True):
        with pytest.raises(InvalidValue, match="log_run"):
            CALLS[call](tracker, run)


@pytest.mark.parametrize("call", CALLS)
def test_a_numpy_integer_is_a_run_id(tracker: ExperimentDB, call: str) -> None:
    CALLS[call](tracker, np.int64(tracker.log_run("there")))


def test_artifacts_go_where_all_artifacts_are(tracker: ExperimentDB, tmp_path: Path) -> None:
    run = tracker.log_run("r")
    tracker.log_artifact(run, "model", tmp_path / "model.pt", {"epoch": 3})
    tracker.log_artifact(run, "plot", "plot.png")
    found = tracker.db.artifacts.list(tracker.get_run(run)["text_id"])
    assert {one["artifact_type"] for one in found} == {"model", "plot"}
    model = next(one for one in found if one["artifact_type"] == "model")
    assert model["filepath"] == str(tmp_path / "model.pt")
    assert json.loads(model["metadata_json"]) == {"epoch": 3}


def test_runs_are_listed_newest_first(tracker: ExperimentDB) -> None:
    for name in ("a", "b", "c"):
        tracker.log_run(name)
    listed = tracker.list_runs()
    assert listed["run_id"].tolist() == [3, 2, 1]
    assert listed["run_name"].tolist() == ["c", "b", "a"]
    assert str(listed["created_at"].dtype).endswith("UTC]")
    assert tracker.list_runs(limit=2)["run_id"].tolist() == [3, 2]
    assert tracker.list_runs(limit=None)["run_id"].tolist() == [3, 2, 1]


def test_no_runs_are_an_empty_table_with_the_same_columns(tracker: ExperimentDB) -> None:
    empty = tracker.list_runs()
    tracker.log_run("a")
    assert len(empty) == 0
    assert empty.columns.tolist() == tracker.list_runs().columns.tolist()
    assert empty["created_at"].dtype == tracker.list_runs()["created_at"].dtype


@pytest.mark.parametrize("limit", [-1, 1.5, "10", True])
def test_a_limit_is_a_whole_number(tracker: ExperimentDB, limit: Any) -> None:
    with pytest.raises(ValueError, match="limit"):
        tracker.list_runs(limit)


def test_runs_in_the_trash_are_not_listed_and_never_the_best(tracker: ExperimentDB) -> None:
    kept, deleted = tracker.log_run("kept"), tracker.log_run("deleted")
    tracker.log_metric(kept, "val_loss", 0.5)
    tracker.log_metric(deleted, "val_loss", 0.1)
    tracker.get_metrics(deleted)  # what is still to be written is written
    tracker.db.runs.delete(tracker.get_run(deleted)["text_id"])
    assert tracker.list_runs()["run_id"].tolist() == [kept]
    assert tracker.get_best_run("val_loss")["run_id"] == kept
    assert tracker.get_run(deleted)["run_name"] == "deleted"


def test_the_best_run_is_the_one_with_the_lowest_or_the_highest_value_it_ever_had(
    tracker: ExperimentDB,
) -> None:
    for name, values in {"a": [0.9, 0.2, 0.6], "b": [0.5, 0.4, 0.3], "c": [0.1, 0.95]}.items():
        run = tracker.log_run(name)
        for step, value in enumerate(values):
            tracker.log_metric(run, "accuracy", value, step=step)
    lowest, highest = tracker.get_best_run("accuracy"), tracker.get_best_run("accuracy", mode="max")
    assert (lowest["run_name"], lowest["best_value"], lowest["best_step"]) == ("c", 0.1, 0)
    assert (highest["run_name"], highest["best_value"], highest["best_step"]) == ("c", 0.95, 1)
    assert lowest["metric_name"] == "accuracy"
    assert lowest["status"] == "running"


def test_nan_and_infinity_are_never_the_best(tracker: ExperimentDB) -> None:
    for name, values in {"nan": ["nan", 3.0], "inf": ["-inf", "inf", 2.5], "ok": [2.0]}.items():
        run = tracker.log_run(name)
        for value in values:
            tracker.log_metric(run, "loss", float(value))
    assert tracker.get_best_run("loss")["run_name"] == "ok"
    assert tracker.get_best_run("loss", "max")["run_name"] == "nan"


def test_a_metric_without_a_finite_value_has_no_best_run(tracker: ExperimentDB) -> None:
    tracker.log_metric(tracker.log_run("a"), "loss", float("nan"))
    tracker.log_metric(tracker.log_run("b"), "loss", "none")
    with pytest.raises(NotFound, match="no run has a finite value of 'loss'"):
        tracker.get_best_run("loss")


def test_an_unknown_metric_is_a_key_error_that_lists_the_known_ones(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "val_loss", 0.5)
    with pytest.raises(MetricNotFound, match="val_loss"):
        tracker.get_best_run("val_los")
    with pytest.raises(MetricNotFound, match="val_loss") as caught:
        tracker.get_metrics(run, "val_los")
    assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize("mode", ["minimum", "MIN", "", None, 1])
def test_an_unknown_mode_is_a_value_error_that_lists_the_known_ones(
    tracker: ExperimentDB, mode: Any
) -> None:
    tracker.log_metric(tracker.log_run("r"), "loss", 0.5)
    with pytest.raises(UnknownName, match="min, max") as caught:
        tracker.get_best_run("loss", mode)
    assert isinstance(caught.value, ValueError)


TABLES: dict[str, Callable[[ExperimentDB], Any]] = {
    "get_metrics": lambda tracker: tracker.get_metrics(1),
    "compare_runs": lambda tracker: tracker.compare_runs([1]),
    "list_runs": lambda tracker: tracker.list_runs(),
}


@pytest.mark.parametrize("table", TABLES)
def test_tables_without_pandas_name_the_extra_that_brings_it(
    tracker: ExperimentDB, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker.log_metric(tracker.log_run("r"), "loss", 0.5)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match=r"pip install 'training-db\[analysis\]'"):
        TABLES[table](tracker)
    assert tracker.get_best_run("loss")["best_value"] == 0.5


def test_the_tracker_loads_no_pandas_before_a_table_is_asked_for(tmp_path: Path) -> None:
    code = (
        "from training_db import ExperimentDB\n"
        f"with ExperimentDB({str(tmp_path / 'e.db')!r}) as tracker:\n"
        "    tracker.log_metric(tracker.log_run('r'), 'loss', 0.5)\n"
        "    assert tracker.get_best_run('loss')['best_value'] == 0.5"
    )
    assert not packages_after(code) & {"pandas", "wandb", "pyarrow", "psycopg"}
