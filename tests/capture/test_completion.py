"""capture_run, called once before finish(): the run is whole."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.capture.test_mirroring import place
from tests.capture.trainings import train
from training_db.capture import capture_run, import_wandb_logs
from training_db.recording import RecorderWarning

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend


@pytest.mark.parametrize(
    ("name", "status", "exit_code"),
    [("captured", "completed", 0), ("captured_unfinished", "failed", 2)],
)
def test_a_captured_run_is_whole(
    name: str, status: str, exit_code: int, db: TrainingDB, tmp_path: Path
) -> None:
    run, code, err = train(name, tmp_path / "w", place(db))
    assert code == exit_code
    assert "RecorderWarning" not in err
    found = db.runs.get(run["run_id"])
    assert found["status"] == status
    assert json.loads(found["config_json"]) == {"lr": 0.1, "net": {"depth": 2}}
    assert json.loads(found["final_metrics_json"])["best"] == 0.25
    assert db.tags.of("captured")["t1"] is None
    losses = db.history.arrays("captured", "loss")["captured"]["loss"]
    assert losses.values.tolist() == [1 / (step + 1) for step in range(200)]
    [again] = import_wandb_logs(db, run["log"])
    assert again.is_good
    assert again.new_rows == 0


def test_a_mirrored_run_is_not_stored_twice(db: TrainingDB, tmp_path: Path) -> None:
    run, _, _ = train("captured_mirrored", tmp_path / "w", place(db))
    assert run["run_id"] == "both"
    assert len(db.history.arrays("both", "loss", duplicates="all")["both"]["loss"]) == 1
    assert db.events.list("both", kind="import") == []


def test_a_captured_training_that_is_killed_is_completed_by_its_log(
    db: TrainingDB, tmp_path: Path
) -> None:
    run, code, _ = train("captured_killed", tmp_path / "w", place(db))
    assert code == -9
    found = db.runs.get("captured")
    assert json.loads(found["config_json"])["lr"] == 0.1
    [outcome] = import_wandb_logs(db, run["log"])
    assert outcome.is_good
    assert outcome.run_id == "captured"
    assert outcome.rows > 0


def test_a_disabled_run_has_config_and_summary_and_a_warning_says_so(
    db: TrainingDB, tmp_path: Path
) -> None:
    import wandb

    with wandb.init(mode="disabled", dir=str(tmp_path), config={"lr": 0.1}) as run:
        run.log({"loss": 0.5})
        with pytest.warns(RecorderWarning, match="W&B is disabled and keeps no history"):
            run_id = capture_run(run, db, spool_dir=tmp_path / "spool")
        run.summary["best"] = 0.25
    found = db.runs.get(run_id)
    assert found["status"] == "completed"
    assert json.loads(found["config_json"]) == {"lr": 0.1}
    assert json.loads(found["final_metrics_json"]) == {"loss": 0.5, "best": 0.25}


def test_what_cannot_be_captured_costs_a_warning(db: TrainingDB) -> None:
    with pytest.warns(RecorderWarning, match="not captured: None is no live run of W&B"):
        assert capture_run(None, db) == ""


def test_what_is_no_run_is_called_so_where_wandb_is_not_installed() -> None:
    code = (
        "import sys, argparse; sys.modules['wandb'] = None\n"
        "from training_db.capture import mirror\n"
        "mirror(argparse.Namespace(id='x'), 'none.db')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert "Namespace(id='x') is no live run of W&B" in told.stderr
    assert "version of wandb" not in told.stderr


def test_a_run_that_is_finished_is_left_to_the_import_which_is_named(
    db: TrainingDB, tmp_path: Path
) -> None:
    told, code, err = train("captured_too_late", tmp_path / "a folder", place(db))
    assert (code, told["run_id"]) == (0, "")
    assert "not captured: run 'late' is finished already; call capture_run(run) before" in err
    assert "not mirrored: run 'late' is finished already; call mirror(run) after" in err
    [command] = {part for part in err.split("`") if part.startswith("training-db import")}
    [folder] = shlex.split(command)[3:]
    [outcome] = import_wandb_logs(db, folder)
    assert outcome.is_good
    assert outcome.run_id == "late"
