"""W&B's logs of a pipeline, imported: into the database where it was recorded, and elsewhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.capture.contexts import quiet_wandb
from tests.capture.pipelines import LEAN, logs_in, run
from tests.capture.stored import everything
from training_db import TrainingDB, init_db
from training_db.capture import create_wandb_context, import_wandb_logs, save_wandb_context

if TYPE_CHECKING:
    from pathlib import Path

    from training_db.capture import WandBContext

__all__ = ["quiet_wandb"]
pytestmark = [torture.on_one_backend, pytest.mark.usefixtures("spool_dir", "quiet_wandb")]


def pipeline(db: TrainingDB, folder: Path) -> WandBContext:
    return create_wandb_context(
        {"lr": 0.1}, db=db, run_id="p1", mode="offline", dir=folder, settings=LEAN
    )


def recorded(db: TrainingDB, folder: Path) -> str:
    """Record a pipeline with one subprocess; return the id of that at W&B."""
    with pipeline(db, folder) as ctx:
        environment = save_wandb_context(ctx, folder / "context.json")
        run(
            environment,
            stage="judge",
            calls=[
                *(["log_training_metric", "judge", "acc", step / 8, step] for step in range(10)),
                ["log_eval_summary", {"QED_maximize/raw_mean": 0.7}, "objectives"],
                ["alert", "done"],
            ],
            end=0,
        )
    _parent, child = logs_in(folder)
    return child.run_id


def test_the_log_of_a_subprocess_is_a_part_of_the_run_that_was_recorded(
    db: TrainingDB, tmp_path: Path
) -> None:
    recorded(db, tmp_path)
    run_before, cells = db.runs.get("p1"), db.history.counts("p1")
    tags, alerts = db.tags.of("p1"), db.events.list("p1", "alert")

    parent, child = import_wandb_logs(db, tmp_path)

    assert (parent.run_id, child.run_id, db.runs.count()) == ("p1", "p1", 1)
    assert child.decision == "it is a part of run 'p1', which was recorded here"
    assert (child.new_rows, parent.new_rows) == (0, 0)
    assert child.is_good
    assert db.history.counts("p1") == cells
    assert set(db.tags.of("p1")) - set(tags) <= {"wandb.project"}
    assert db.events.list("p1", "alert") == alerts
    assert len(db.objectives.of_run("p1")) == 1
    after = db.runs.get("p1")
    for name in ("status", "config_json", "run_name", "parent_run_id"):
        assert after[name] == run_before[name], name
    stored = everything(db)
    import_wandb_logs(db, tmp_path)
    assert everything(db) == stored


def test_a_subprocess_says_nothing_of_the_run_whichever_log_comes_first(
    db: TrainingDB, tmp_path: Path
) -> None:
    recorded(db, tmp_path)
    before = db.runs.get("p1")
    logs = sorted(tmp_path.rglob("run-*.wandb"))
    (child,) = [path for path in logs if path.name != "run-p1.wandb"]

    import_wandb_logs(db, child)

    assert db.runs.count() == 1
    after = db.runs.get("p1")
    changing = {"updated_at", "updated_at_db"}
    assert {key: after[key] for key in after if key not in changing} == {
        key: before[key] for key in before if key not in changing
    }
    import_wandb_logs(db, tmp_path)
    after = db.runs.get("p1")
    assert json.loads(after["config_json"]) == {"lr": 0.1}
    assert after["duration_seconds"] < 600


def test_in_another_database_the_subprocess_is_a_run_of_its_own(
    db: TrainingDB, tmp_path: Path
) -> None:
    init_db(tmp_path / "where-it-was-recorded.db")
    with TrainingDB(tmp_path / "where-it-was-recorded.db") as other:
        child_id = recorded(other, tmp_path)

    import_wandb_logs(db, tmp_path)

    assert db.runs.count() == 2
    child = db.runs.get(child_id)
    assert (child["run_id"], child["parent_run_id"]) == (child_id, "p1")
    assert db.history.counts(child_id)["judge/acc"] == 10


def test_stages_that_count_their_own_steps_are_not_doubled(db: TrainingDB, tmp_path: Path) -> None:
    with pipeline(db, tmp_path) as ctx:
        for stage in ("pretrain", "finetune"):
            for step in range(10):
                ctx.log_training_metric(stage, "loss", step / 8, step)
        ctx.log_training_metric("", "score", 1.5, 4)
    logs_in(tmp_path)
    cells = db.history.counts("p1")
    assert (cells["pretrain/step"], cells["finetune/step"], cells["step"]) == (10, 10, 1)

    (outcome,) = import_wandb_logs(db, tmp_path)

    assert outcome.is_good
    assert outcome.new_rows == 0
    assert db.history.counts("p1") == cells
