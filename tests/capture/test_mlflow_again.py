"""Imported again, a run of MLflow gets what is new, and keeps what was said of it here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.mlflow_databases import START, MLflow, cells, noted, only
from training_db.capture import import_mlflow
from training_db.capture.captured import RowBatch
from training_db.capture.mlflow.facts import captured_run, experiments_of
from training_db.capture.mlflow.points import read_points
from training_db.capture.mlflow.source import MLflowDatabase
from training_db.capture.storing.run_store import RunStore
from training_db.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    from training_db import TrainingDB
    from training_db.capture.captured import CapturedRun


def test_a_run_that_went_on_gets_what_is_new(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run(status="RUNNING", end_time=None)
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 1_000))
    assert only(import_mlflow(db, mlflow.url)).new_rows == 2
    mlflow.metric(run, "loss", (0.5, 2, 2_000))
    mlflow.metric(run, "lr", (0.1, 2, 2_000))
    mlflow.execute(f"UPDATE runs SET status = 'FAILED', end_time = {START + 9_000}")
    outcome = only(import_mlflow(db, mlflow.url))
    assert (outcome.new_rows, outcome.rows, outcome.is_good) == (1, 3, True)
    assert outcome.decision is None
    assert db.runs.get(run)["status"] == "failed"
    assert [value for _, value in cells(db, run)["loss"]] == [2.0, 1.0, 0.5]


@pytest.mark.parametrize(
    "late", [(9.0, 5, -10), (9.0, 1, 1_000), (9.0, 0, 500)], ids=["earlier", "shared", "between"]
)
def test_a_point_that_came_late_stands_where_it_belongs(
    db: TrainingDB, mlflow: MLflow, late: tuple[float, int, int]
) -> None:
    run = mlflow.run(status="RUNNING", end_time=None)
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 1_000))
    import_mlflow(db, mlflow.url)
    db.history.append(run, {"mine": [1.0, 2.0]})
    mlflow.metric(run, "late", late)
    outcome = only(import_mlflow(db, mlflow.url))
    assert outcome.is_good
    assert outcome.decision is not None
    assert "anew" in outcome.decision
    assert db.history.counts(run)["mine"] == 2
    replaced = cells(db, run)
    for writer in db.history.writers(run):
        db.history.forget_writer(run, writer)
    db.history.append(run, {"mine": [1.0, 2.0]})
    assert only(import_mlflow(db, mlflow.url)).is_good
    assert cells(db, run) == replaced
    total = {one["metric"]: one["count"] for one in db.metrics.of(run)}
    assert (total["loss"], total["late"], total["mine"]) == (2, 1, 2)
    assert only(import_mlflow(db, mlflow.url)).decision is None


@pytest.mark.parametrize("rows", [0, 40])
def test_an_import_that_was_killed_half_way_is_completed(
    db: TrainingDB, mlflow: MLflow, rows: int
) -> None:
    run = mlflow.run(params={"lr": "0.1"})
    mlflow.metric(run, "loss", *((float(n), n, n) for n in range(100)))
    with MLflowDatabase(mlflow.url) as source, source.snapshot() as snapshot:
        points = read_points(source, snapshot, run)
        (row,) = snapshot.rows("runs")
        captured = captured_run(snapshot, row, experiments_of(snapshot)[0], points)
    (whole,) = points.batches()
    part = {name: column.part(0, rows) for name, column in whole.columns.items()}
    RunStore(db, captured).write(RowBatch(part, (0, rows)))
    outcome = only(import_mlflow(db, mlflow.url))
    assert (outcome.is_good, outcome.rows) == (True, 100)
    assert cells(db, run)["loss"] == [(n, float(n)) for n in range(100)]
    assert json.loads(db.runs.get(run)["config_json"]) == {"lr": 0.1}


def test_metrics_that_somebody_deleted_here_come_back(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run()
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 10))
    mlflow.metric(run, "lr", (0.1, 1, 10))
    import_mlflow(db, mlflow.url)
    db.history.delete(run, "loss")
    assert only(import_mlflow(db, mlflow.url)).is_good
    assert db.history.counts(run)["loss"] == 2


def test_points_that_somebody_logged_here_too_are_not_stored_anew_each_time(
    db: TrainingDB, mlflow: MLflow
) -> None:
    run = mlflow.run(status="RUNNING", end_time=None)
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 10))
    import_mlflow(db, mlflow.url)
    db.history.append(run, {"_step": [0, 1], "loss": [2.0, 1.0]})
    mlflow.metric(run, "early", (3.0, 0, -5))
    assert only(import_mlflow(db, mlflow.url)).already_here > 0
    outcome = only(import_mlflow(db, mlflow.url))
    assert (outcome.is_good, outcome.new_rows, outcome.decision) == (True, 0, None)


def test_a_source_that_lost_points_takes_none_away_here(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run()
    mlflow.metric(run, "loss", (2.0, 0, 0), (1.0, 1, 10))
    import_mlflow(db, mlflow.url)
    mlflow.execute("DELETE FROM metrics WHERE step = 0")
    outcome = only(import_mlflow(db, mlflow.url))
    assert not outcome.is_good
    assert outcome.decision is not None
    assert "left as it is" in outcome.decision
    assert db.history.counts(run)["loss"] == 2


def test_mlflows_trash_is_ours(db: TrainingDB, mlflow: MLflow) -> None:
    mlflow.experiment(1, "gone", "deleted")
    kept, thrown = mlflow.run(), mlflow.run(lifecycle_stage="deleted")
    of_gone = mlflow.run(experiment_id=1)
    import_mlflow(db, mlflow.url)
    assert db.runs.get(kept)["deleted_at"] is None
    assert db.runs.get(thrown)["deleted_at"] is not None
    assert db.runs.get(of_gone)["deleted_at"] is not None
    db.runs.restore(thrown)
    import_mlflow(db, mlflow.url)
    assert db.runs.get(thrown)["deleted_at"] is None  # what was said here stands
    mlflow.execute(f"UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = '{kept}'")
    import_mlflow(db, mlflow.url)
    assert db.runs.get(kept)["deleted_at"] is not None
    mlflow.execute(f"UPDATE runs SET lifecycle_stage = 'active' WHERE run_uuid = '{kept}'")
    outcome = next(one for one in import_mlflow(db, mlflow.url) if one.run_id == kept)
    assert db.runs.get(kept)["deleted_at"] is None
    assert "taken out of ours" in (outcome.decision or "")


def test_mlflows_trash_can_be_left_where_it_is(db: TrainingDB, mlflow: MLflow) -> None:
    kept = mlflow.run()
    mlflow.run(lifecycle_stage="deleted")
    assert only(import_mlflow(db, mlflow.url, deleted=False)).run_id == kept


def test_only_the_experiments_that_are_asked_for_are_imported(
    db: TrainingDB, mlflow: MLflow
) -> None:
    mlflow.experiment(1, "one")
    mlflow.run()
    wanted = mlflow.run(experiment_id=1)
    assert only(import_mlflow(db, mlflow.url, "one")).run_id == wanted
    with pytest.raises(UnknownName, match=r"unknown experiment 'on'.*Default, one"):
        import_mlflow(db, mlflow.url, ["on"])


def test_a_run_that_never_ended_is_shown_as_stale(db: TrainingDB, mlflow: MLflow) -> None:
    silent = mlflow.run(status="RUNNING", end_time=None)
    run = mlflow.run(status="RUNNING", end_time=None)
    mlflow.metric(run, "loss", (1.0, 0, 5_000))
    import_mlflow(db, mlflow.url)
    stored = db.runs.get(run)
    assert (stored["status"], stored["stale"], stored["ended_at"]) == ("running", True, None)
    assert stored["heartbeat_at"] == "2023-11-14T22:13:25.000000Z"
    assert db.runs.get(silent)["stale"]


def test_a_point_in_the_future_is_no_sign_of_life(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run(status="RUNNING", end_time=None)
    mlflow.metric(run, "loss", (1.0, 0, 50 * START))
    assert only(import_mlflow(db, mlflow.url)).is_good
    assert db.runs.get(run)["stale"]


def test_a_killed_run_crashed(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run(status="KILLED")
    import_mlflow(db, mlflow.url)
    assert db.runs.get(run)["status"] == "crashed"


def test_an_e_mail_address_is_not_kept(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run(user_id="ann@example.org", tags={"mlflow.user": "ann@example.org"})
    import_mlflow(db, mlflow.url)
    assert "@" not in json.dumps([noted(db, run), db.tags.of(run), db.runs.get(run)])


def test_a_metric_with_the_name_of_an_axis_keeps_its_points(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run()
    mlflow.metric(run, "_step", (7.5, 3, 0))
    assert only(import_mlflow(db, mlflow.url)).is_good
    assert cells(db, run) == {
        "_step": [(0, 3)],
        "_timestamp": [(0, START / 1000)],
        '["_step"]': [(0, 7.5)],
    }
    assert noted(db, run)["metric_paths"] == {'["_step"]': ["_step"]}


def test_a_run_that_cannot_be_stored_does_not_stop_the_others(
    db: TrainingDB, mlflow: MLflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    unstorable, good = mlflow.run(), mlflow.run()
    finish = RunStore.finish

    def refuse(store: RunStore, captured: CapturedRun, **options: Any) -> None:
        if captured.source_id == unstorable:
            raise InvalidValue("it cannot be stored")
        finish(store, captured, **options)

    monkeypatch.setattr(RunStore, "finish", refuse)
    found = {one.run_id: one for one in import_mlflow(db, mlflow.url)}
    assert (found[unstorable].error, found[unstorable].is_good) == ("it cannot be stored", False)
    assert found[good].is_good


def test_progress_is_told(db: TrainingDB, mlflow: MLflow) -> None:
    mlflow.run()
    told: list[tuple[str, int, int]] = []
    import_mlflow(db, mlflow.url, progress=lambda *one: told.append(one))
    assert told == [("mlflow.db", 0, 1), ("mlflow.db", 1, 1)]
