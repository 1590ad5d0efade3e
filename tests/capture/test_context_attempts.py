"""A run of several attempts, and a pipeline of several processes: whose end and config it was."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.contexts import Begin, begin, document, quiet_wandb, series
from tests.capture.pipelines import run
from training_db.capture import save_wandb_context
from training_db.recording import RecorderWarning

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = [torture.on_one_backend, pytest.mark.usefixtures("spool_dir", "quiet_wandb")]
__all__ = ["begin", "quiet_wandb"]


@pytest.mark.parametrize("is_short", [True, False])
def test_a_further_attempt_of_a_run_that_had_ended_is_said(
    is_short: bool, begin: Begin, db: TrainingDB
) -> None:
    first = begin({"lr": 0.1, "seed": 1})
    first.log_training_metric("train", "loss", 1.0, 0)
    first.finish(3)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        second = begin({"lr": 0.2})
        if not is_short:
            assert second.recorder.flush()
        second.log_training_metric("train", "loss", 2.0, 1)
        second.finish()
    [warning] = [str(one.message) for one in said if one.category is RecorderWarning]
    assert "run 'p1': a further attempt began of a run that was there and failed at 2" in warning
    assert "needs another run_id" in warning
    [event] = [one for one in db.events.list("p1", "wandb") if "attempt" in one["message"]]
    data = json.loads(event["data_json"])
    assert data.pop("ended_at") is not None
    assert data == {
        "status": "failed", "config": {"lr": 0.2}, "config_before": {"lr": 0.1, "seed": 1},
    }  # fmt: skip
    assert document(db, "config_json") == {"lr": 0.2, "seed": 1}
    assert series(db, "train/loss") == ([0, 1], [1.0, 2.0])
    assert db.runs.get("p1")["status"] == "completed"


@pytest.mark.parametrize("status", [None, "launched", "running"])
def test_a_run_that_has_not_ended_goes_on_without_a_word(
    status: str | None, begin: Begin, db: TrainingDB
) -> None:
    if status:
        db.runs.insert("p1", config={"seed": 1})
        db.runs.update_status("p1", status)
    begin({"lr": 0.1}).finish()  # a warning would be an error
    assert db.events.list("p1", "wandb") == []


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ({"end": "raise"}, "ValueError: as ordered"),
        ({"last": [["nothing"]]}, "AttributeError: "),
        ({"end": 3}, "ended with exit code 3"),
    ],
    ids=["block", "uncaught", "code"],
)
def test_an_error_that_ends_a_subprocess_names_its_stage(
    orders: dict[str, Any], message: str, begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin() as ctx:
        environment = save_wandb_context(ctx, tmp_path / "context.json")
        run(environment, calls=[["log_training_metric", "distill", "loss", 0.5, 0]], **orders)
    [event] = db.events.list("p1", "error")
    assert event["message"].startswith("stage 'distill' (process ")
    assert message in event["message"]
    data = json.loads(event["data_json"])
    assert data["job_type"] == "distill"
    assert ("traceback" in data) == (orders.get("end") != 3)
