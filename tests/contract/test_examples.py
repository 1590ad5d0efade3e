"""The examples run as they are, in a Python of their own, and what they log is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dual_logging import loss_and_slopes, spirals
from tests import torture
from tests.unit.strategies import SLOW
from training_db import ExperimentDB, TrainingDB

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = torture.on_one_backend

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(
    name: str, *arguments: str, url: str | None = None, prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run an example with warnings as errors where they are of our own making."""
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(EXAMPLES)!r}); sys.argv[1:] = {arguments!r}\n"
        f"{prelude}\nrunpy.run_path({str(EXAMPLES / name)!r}, run_name='__main__')"
    )
    environment = {key: value for key, value in os.environ.items() if "WANDB" not in key}
    if url is not None:
        environment["TRAINING_DB_URL"] = url
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


MOLECULES: Sequence[str] = (
    "--methods", "mgda", "--runs-per-method", "1", "--steps", "8", "--batch-size", "8",
)  # fmt: skip


def test_molecules_logs_each_step_of_a_run_that_ends_as_completed(migrated_url: str) -> None:
    done = run_example("molecules.py", *MOLECULES, url=migrated_url)
    assert (done.returncode, done.stderr) == (0, "")
    with TrainingDB(migrated_url) as db:
        (run,) = db.runs.query()
        assert (run["status"], run["gradient_method"]) == ("completed", "mgda")
        assert run["heartbeat_at"] is not None
        history = db.history.arrays(run["run_id"])[run["run_id"]]
        assert len(history) > 100
        assert history["loss"].x.tolist() == list(range(8))
        assert run["final_loss"] == history["loss"].values[-1]
        scaffolds = db.scaffolds.query(run["run_id"])
        assert len(scaffolds) > 1
        # The raw scores, ranked by the directions that the run has stored.
        ranks = db.analysis.scaffold_pareto(run_id=run["run_id"], save=False).ranks
        assert {one["scaffold_id"]: one["pareto_rank"] for one in scaffolds} == {
            scaffold: rank for (_, scaffold), rank in ranks.items()
        }


def test_molecules_that_are_interrupted_end_as_failed_and_keep_their_steps(
    migrated_url: str,
) -> None:
    broken = (
        "from molecule_training import Trainer\n"
        "step = Trainer.step\n"
        "def fails_at_the_fourth(self):\n"
        "    assert len(self.history.get('loss', [])) < 3, 'a test broke it'\n"
        "    return step(self)\n"
        "Trainer.step = fails_at_the_fourth"
    )
    done = run_example("molecules.py", *MOLECULES, url=migrated_url, prelude=broken)
    assert done.returncode == 1
    with TrainingDB(migrated_url) as db:
        (run,) = db.runs.query()
        assert run["status"] == "failed"
        assert len(db.history.arrays(run["run_id"], "loss")[run["run_id"]]["loss"]) == 3
        assert any("a test broke it" in one["message"] for one in db.events.list(run["run_id"]))
        assert run["final_loss"] is not None


def test_dual_logging_keeps_the_same_run_at_both_places(migrated_url: str, tmp_path: Path) -> None:
    done = run_example(
        "dual_logging.py", "--folder", str(tmp_path), "--database", migrated_url, "--epochs", "3"
    )
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    assert migrated_url not in done.stdout, "it may hold a password"
    assert "lowest val_loss: spirals, learning rate" in done.stdout
    offline = [path.name for path in tmp_path.glob("wandb/offline-run-*/*.wandb")]
    assert len(offline) == 2
    with ExperimentDB(migrated_url) as tracker:
        table = tracker.compare_runs([1, 2])
        assert table["total_epochs"].tolist() == [3, 3]
        assert table["final_val_loss"].notna().all()
        for run in (1, 2):
            found = tracker.get_run(run)
            assert found["status"] == "completed"
            assert f"run-{found['notes'].split()[-1]}.wandb" in offline
            assert len(tracker.get_metrics(run, "train_loss")) == 3 * 16
            assert len(tracker.get_metrics(run, "val_loss")) == 3
            (model,) = tracker.db.artifacts.list(found["text_id"])
            assert np.load(model["filepath"])["first"].shape == (3, 32)


def test_dual_logging_without_wandb_says_how_to_install_it(tmp_path: Path) -> None:
    missing = "sys.modules['wandb'] = None"
    done = run_example("dual_logging.py", "--folder", str(tmp_path), prelude=missing)
    assert done.returncode == 1
    assert "pip install 'training-db[wandb]'" in done.stderr
    assert "Traceback" not in done.stderr


@SLOW
@given(seed=st.integers(0, 1_000))
def test_the_network_descends_the_slopes_of_its_own_loss(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, labels = spirals(rng, 20)
    weights = {"first": rng.normal(size=(3, 5)), "second": rng.normal(size=(6, 1))}
    _, _, slopes = loss_and_slopes(weights, points, labels)
    for name, slope in slopes.items():
        place = tuple(rng.integers(0, size) for size in slope.shape)
        losses = []
        for shift in (1e-6, -1e-6):
            moved = {key: array.copy() for key, array in weights.items()}
            moved[name][place] += shift
            losses.append(loss_and_slopes(moved, points, labels)[0])
        assert slope[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6)
