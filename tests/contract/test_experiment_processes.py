"""ExperimentDB in several processes and threads at once, and how runs end when it is closed."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from statistics import median
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text, update

from tests import torture
from tests.contract.crowds import outputs_of
from tests.contract.test_processes import in_a_child
from training_db import ExperimentDB, TrainingDB, experiment_runs
from training_db.db.engine import writing
from training_db.errors import DatabaseUnavailable
from training_db.experiment_runs import MOST_RECORDERS
from training_db.models import training_runs
from training_db.recording.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = torture.on_one_backend

PROCESSES, RUNS = torture.rounds(6, 12), 3
RECORDERS = torture.rounds(8, MOST_RECORDERS)


@pytest.fixture
def tracker(migrated_url: str) -> Iterator[ExperimentDB]:
    with ExperimentDB(migrated_url) as experiment:
        yield experiment


def test_processes_make_one_database_and_no_two_runs_get_one_id(database_url: str) -> None:
    crowd = ([database_url, f"p{number}", str(RUNS)] for number in range(PROCESSES))
    ids: dict[int, str] = {}
    for name, output in enumerate(outputs_of("tests.contract.tracker", crowd)):
        ids |= {int(line): f"p{name}-{number}" for number, line in enumerate(output.split())}
    assert sorted(ids) == list(range(1, PROCESSES * RUNS + 1))
    with ExperimentDB(database_url) as tracker:
        table = tracker.compare_runs(ids)
        assert dict(zip(table["run_id"], table["run_name"], strict=True)) == ids
        assert table["best_val_loss"].tolist() == [run + 0.5 for run in ids]
        assert set(tracker.list_runs(None)["status"]) == {"completed"}


def test_threads_share_a_tracker_and_lose_nothing(tracker: ExperimentDB) -> None:
    def work(number: int) -> None:
        own = tracker.log_run(f"thread {number}")
        for step in range(200):
            tracker.log_metric(own, "loss", step, step=step)
            tracker.log_metric(shared, f"loss/{number}", step, step=step)

    shared = tracker.log_run("shared")
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tracker.list_runs(None)["run_id"]) == list(range(1, 10))
    table = tracker.get_metrics(shared)
    for number in range(8):
        part = table[table["metric_name"] == f"loss/{number}"]
        assert part["value"].tolist() == list(range(200))
    for run in range(2, 10):
        assert len(tracker.get_metrics(run)) == 200


@pytest.fixture
def few_recorders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a tracker have fewer recorders at once than usual, so that few runs are many."""
    monkeypatch.setattr(experiment_runs, "MOST_RECORDERS", RECORDERS)


@pytest.mark.usefixtures("few_recorders")
def test_many_runs_that_are_logged_in_turns_lose_nothing(tracker: ExperimentDB) -> None:
    runs = [tracker.log_run(f"r{number}") for number in range(RECORDERS + 4)]
    for step in range(4):
        for run in runs:
            tracker.log_metric(run, "loss", run * step, step=step)
    for run in runs:
        assert tracker.get_metrics(run)["value"].tolist() == [run * step for step in range(4)]
        assert tracker.get_run(run)["status"] == "running"


@pytest.mark.usefixtures("few_recorders")
def test_of_many_runs_only_those_that_logged_last_keep_a_thread_and_files(
    migrated_url: str,
) -> None:
    with ExperimentDB(migrated_url) as tracker:
        runs = [tracker.log_run(f"r{number}") for number in range(3 * RECORDERS)]
        for run in runs:
            tracker.log_metric(run, "loss", 1.0, step=7)
        threads = [one for one in threading.enumerate() if one.name == "training-db-recorder"]
        assert len(threads) <= RECORDERS
        assert set(tracker.list_runs(None)["status"]) == {"running"}
        tracker.log_metric(runs[0], "loss", 0.5)
        table = tracker.get_metrics(runs[0])
        assert table["step"].tolist() == [7, 8], "steps nobody gave go on where they were"
        assert table["value"].tolist() == [1.0, 0.5]
        tracker.update_run_status(runs[1], "failed")
    with ExperimentDB(migrated_url) as other:
        statuses = other.list_runs(None).set_index("run_id")["status"].to_dict()
        assert statuses == dict.fromkeys(runs, "completed") | {runs[1]: "failed"}
        assert all(len(other.get_metrics(run)) == 1 for run in runs[1:])


def test_steps_go_on_after_a_first_one_that_was_given(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0, step=5)
    tracker.update_run_status(run, "failed")
    tracker.log_metric(run, "loss", 0.5)
    assert tracker.get_metrics(run)["step"].tolist() == [5, 6]


def test_a_status_that_is_set_while_others_log_costs_no_value(tracker: ExperimentDB) -> None:
    def work() -> None:
        for step in range(2_000):
            tracker.log_metric(run, "loss", step, step=step)

    run = tracker.log_run("r")
    thread = threading.Thread(target=work)
    thread.start()
    for status in ("failed", "running", "completed", "running") * 3:
        tracker.update_run_status(run, status)
    thread.join()
    assert sorted(tracker.get_metrics(run)["value"]) == list(range(2_000))


def test_a_forked_child_logs_too_and_leaves_the_runs_of_its_parent_running(
    tracker: ExperimentDB,
) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0, step=0)

    def work() -> bool:
        tracker.log_metric(run, "loss", 2.0, step=1)
        tracker.close()
        return True

    assert in_a_child(work) == 0
    assert tracker.get_run(run)["status"] == "running"
    assert sorted(tracker.get_metrics(run)["value"]) == [1.0, 2.0]


def test_what_was_begun_here_is_completed_when_the_tracker_is_closed(migrated_url: str) -> None:
    tracker = ExperimentDB(migrated_url)
    logged, silent, failed = (tracker.log_run(name) for name in ("logged", "silent", "failed"))
    tracker.log_metric(logged, "loss", 0.5)
    tracker.update_run_status(failed, "failed")
    tracker.close()
    with ExperimentDB(migrated_url) as other:
        statuses = [other.get_run(run)["status"] for run in (logged, silent, failed)]
    assert statuses == ["completed", "completed", "failed"]


def test_what_was_begun_in_a_block_that_raised_has_failed(migrated_url: str) -> None:
    with pytest.raises(ZeroDivisionError), ExperimentDB(migrated_url) as tracker:
        logged, silent, done = (tracker.log_run(name) for name in ("logged", "silent", "done"))
        tracker.log_metric(logged, "loss", 0.5)
        tracker.update_run_status(done, "completed")
        _ = 1 / 0
    with ExperimentDB(migrated_url) as other:
        runs = [other.get_run(run) for run in (logged, silent, done)]
        assert [run["status"] for run in runs] == ["failed", "failed", "completed"]
        for run in runs[:2]:
            (event,) = [
                one
                for one in other.db.events.list(run["text_id"])
                if "ZeroDivisionError" in one["message"]
            ]
            assert "division by zero" in event["message"]


def test_a_status_that_was_taken_back_counts_as_none(migrated_url: str) -> None:
    with ExperimentDB(migrated_url) as tracker:
        run = tracker.log_run("r")
        tracker.update_run_status(run, "failed")
        tracker.update_run_status(run, "running")
    with ExperimentDB(migrated_url) as other:
        assert other.get_run(run)["status"] == "completed"


def test_a_run_that_goes_on_after_its_end_ends_again(migrated_url: str) -> None:
    with ExperimentDB(migrated_url) as tracker:
        run = tracker.log_run("r")
        tracker.log_metric(run, "loss", 1.0)
        tracker.update_run_status(run, "failed")
        tracker.log_metric(run, "loss", 0.5)
        tracker.update_run_status(run, "running")
        tracker.log_metric(run, "loss", 0.25)
    with ExperimentDB(migrated_url) as other:
        assert other.get_run(run)["status"] == "completed"
        table = other.get_metrics(run)
        assert table["value"].tolist() == [1.0, 0.5, 0.25]
        assert table["step"].tolist() == [0, 1, 2], "steps nobody gave go on where they ended"


def test_a_closed_tracker_goes_on_when_it_is_used_again(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0)
    tracker.close()
    tracker.close()
    tracker.log_metric(run, "loss", 0.5)
    assert tracker.get_metrics(run)["value"].tolist() == [1.0, 0.5]


@contextmanager
def held(db: TrainingDB) -> Iterator[None]:
    """Keep everyone else from writing."""
    with writing(db.engine).connect() as connection, connection.begin():
        connection.execute(update(training_runs).values(notes="held"))
        yield


def test_what_cannot_be_sent_now_is_said_and_not_lost(
    tracker: ExperimentDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0)
    tracker.flush()
    with monkeypatch.context() as patience, TrainingDB(tracker.db.url) as other, held(other):
        patience.setattr(Recorder.flush, "__defaults__", (0.2,))
        tracker.log_metric(run, "loss", 0.5)
        with pytest.raises(DatabaseUnavailable, match="training-db spool status"):
            tracker.get_metrics(run)
    assert tracker.get_metrics(run)["value"].tolist() == [1.0, 0.5]


def test_logging_goes_on_where_the_database_does_not_answer(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.log_metric(run, "loss", 1.0)
    tracker.update_run_status(run, "failed")
    with tracker.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE run_metrics RENAME TO gone"))
    tracker.log_metric(run, "loss", 0.5)
    with tracker.db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO run_metrics"))
    assert tracker.get_metrics(run)["value"].tolist() == [1.0, 0.5]


def test_log_metric_takes_as_long_as_the_recorder_it_is(tracker: ExperimentDB) -> None:
    run = tracker.log_run("r")
    tracker.db.runs.insert("beside")
    with tracker.db.recorder("beside") as recorder:
        by_recorder, by_tracker = [], []
        for step in range(5_000):
            start = time.perf_counter_ns()
            recorder.log({"loss": 0.5}, step=step)
            between = time.perf_counter_ns()
            tracker.log_metric(run, "loss", 0.5, step=step)
            by_recorder.append(between - start)
            by_tracker.append(time.perf_counter_ns() - between)
    assert median(by_tracker) < 1.5 * median(by_recorder) + 5_000
    assert len(tracker.get_metrics(run)) == 5_000
