"""The detectors on logs of strangers' trainings; what they say there was compared with the curves.

The logs are no part of this repository.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from training_db import TrainingDB
from training_db.analysis.curves.convergence import convergence_speed
from training_db.analysis.curves.explosion import detect_explosions
from training_db.analysis.curves.instability import detect_instability
from training_db.analysis.curves.plateau import detect_plateau
from training_db.capture import import_wandb_logs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.repository.history_series import Series

LOGS = Path(__file__).parents[3] / "shared" / "data" / "wandb"
KEYWORDS, PGMORL, NETWORK, FOUR_STEPS = "3ojed7lz", "15oiq89w", "qj9095xd", "0z955mpt"


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[TrainingDB]:
    """The logs in a database, which the tests only read."""
    if not LOGS.is_dir():
        pytest.skip(f"the real logs are not there: {LOGS} is no folder")
    copy = tmp_path_factory.mktemp("real") / "training.db"
    copy.write_bytes(migrated_file.read_bytes())
    with TrainingDB(copy) as db:
        assert all(one.is_good for one in import_wandb_logs(db, LOGS))
        yield db


def series(db: TrainingDB, run_id: str, metric: str) -> Series:
    return db.history.arrays(run_id, metric)[run_id][metric]


def plateau(db: TrainingDB, run_id: str, metric: str):  # type: ignore[no-untyped-def]
    found = series(db, run_id, metric)
    return detect_plateau(found.values, found.x)


def test_every_metric_of_every_run_can_be_looked_at(real: TrainingDB) -> None:
    looked_at = 0
    for run_id in real.runs.ids():
        for metric in real.metrics.of(run_id):
            found = series(real, run_id, metric["metric"])
            if not metric["count"]:
                continue
            looked_at += 1
            instability = detect_instability(found.values, found.x)
            holes = instability.non_finite
            assert (holes.count if holes else 0) == metric["non_finite_count"]
            flat = detect_plateau(found.values, found.x)
            assert flat is None or found.x[0] <= flat.step <= found.x[-1]
            detect_explosions(found.values, found.x)
            convergence_speed(found.values, found.x)
    assert looked_at == 60


def test_what_goes_on_to_the_end_is_no_plateau(real: TrainingDB) -> None:
    assert plateau(real, PGMORL, "losses/entropy_0") is None
    assert plateau(real, PGMORL, "losses/approx_kl_0") is None
    assert plateau(real, PGMORL, "global_step") is None
    assert plateau(real, KEYWORDS, "Training/step") is None


def test_what_never_changes_is_a_plateau_from_its_first_step(real: TrainingDB) -> None:
    rate = plateau(real, PGMORL, "charts/learning_rate_0")
    assert (rate.step, rate.confidence) == (series(real, PGMORL, "charts/learning_rate_0").x[0], 1)
    assert rate.level == pytest.approx(3e-4, rel=1e-6)


def test_what_rises_steeply_and_stays_there_is_a_plateau_from_there(real: TrainingDB) -> None:
    explained = plateau(real, PGMORL, "losses/explained_variance_0")
    assert 3 <= explained.step <= 60
    assert explained.level == pytest.approx(0.989, abs=0.003)
    assert explained.confidence > 0.95


def test_a_loss_that_became_nan_is_said_to_have_done_so_since_when(real: TrainingDB) -> None:
    for metric in ("Training loss ", "Testing loss ", "Validation loss "):
        found = series(real, NETWORK, metric)
        instability = detect_instability(found.values, found.x)
        assert instability.non_finite is not None
        assert instability.non_finite.nan == 9
        first = found.x[np.isnan(found.values)][0]
        assert instability.non_finite.first == first
        assert instability.divergence is not None
        assert instability.divergence.step == first


def test_trainings_that_went_well_did_not_diverge(real: TrainingDB) -> None:
    for run_id, metric in [
        (PGMORL, "losses/value_loss_0"),
        (PGMORL, "losses/policy_loss_0"),
        (KEYWORDS, "Training/loss"),
        (FOUR_STEPS, "train/loss"),
    ]:
        found = series(real, run_id, metric)
        assert detect_instability(found.values, found.x).divergence is None


def test_few_values_say_nothing(real: TrainingDB) -> None:
    assert plateau(real, FOUR_STEPS, "train/loss") is None
    assert plateau(real, "9rr4cdwa", "train/loss") is None
    assert plateau(real, "9sa0uqha", "cv_mean") is None


def test_a_metric_that_collapsed_is_said_to_stay_where_it_fell_to(real: TrainingDB) -> None:
    accuracy = plateau(real, NETWORK, "Testing accuracy ")
    found = series(real, NETWORK, "Testing accuracy ")
    assert accuracy.level == pytest.approx(0.1)
    assert accuracy.step == found.x[np.flatnonzero(found.values < 0.2)[0]]


def test_a_measurement_that_is_held_until_the_next_is_one_measurement(real: TrainingDB) -> None:
    """Each is logged 72 times, and better than the one before it to the end."""
    assert plateau(real, KEYWORDS, "Validation/accuracy") is None


def test_the_findings_of_a_run_name_what_broke_it_and_of_others_nothing_grave(
    real: TrainingDB,
) -> None:
    findings = {run_id: real.analysis.findings(run_id) for run_id in real.runs.ids()}
    grave = {
        run_id: [found.sentence for found in some if found.severity == "error"]
        for run_id, some in findings.items()
    }
    assert [run_id for run_id, sentences in grave.items() if sentences] == [NETWORK]
    assert len(grave[NETWORK]) == 3
    assert all("NaN at 9 steps, first at step 6" in sentence for sentence in grave[NETWORK])
    assert {found.about.strip() for found in findings[KEYWORDS]} >= {
        "Training/loss",
        "Validation/accuracy",
    }
    assert findings[FOUR_STEPS] == []
