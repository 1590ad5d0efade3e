"""Writers and readers at once, for a while: no error reaches anyone, and every write is there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.faults.mixed_crowd import SHARED
from tests.faults.points import ATTEMPT, check
from tests.faults.processes import Process

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

PROCESSES = torture.rounds(8, 32)
SECONDS = torture.rounds(3, 60)


@pytest.mark.faults
def test_a_crowd_of_writers_and_readers_hears_of_no_lock_and_loses_nothing(
    db: TrainingDB, tmp_path: Path
) -> None:
    for run_id in (SHARED, "live 0", "live 1"):
        db.runs.insert(run_id)
    told = {"url": db.url.render_as_string(hide_password=False), "folder": str(tmp_path),
            "writers": PROCESSES // 2, "readers": PROCESSES // 2, "seconds": SECONDS}  # fmt: skip
    crowd = Process(tmp_path, "mixed_crowd", told)
    code = crowd.wait(SECONDS + 180)
    assert (code, crowd.errors) == (0, "")

    written = truths(tmp_path, "write")
    assert len(written) == len(truths(tmp_path, "read")) == PROCESSES // 2
    for number, truth in enumerate(written):
        assert truth["runs"]
        for run_id, run in truth["runs"].items():
            assert stored(db, run_id) == run
        assert db.runs.count({"host": f"pair {number}"}) == 2 * truth["pairs"]
        assert shared(db, number) == list(range(truth["shared"]))
    for live in range(2):
        logged = {
            ATTEMPT * number: truth["logged"]
            for number, truth in enumerate(written)
            if number % 2 == live
        }
        check(db, f"live {live}", logged)
    made = sum(len(truth["runs"]) + 2 * truth["pairs"] for truth in written)
    either = "deleted_at is missing or deleted_at is not missing"
    assert db.runs.count(either) == made + 3


def truths(folder: Path, work: str) -> list[dict[str, Any]]:
    """Return what each process of a kind says it has done."""
    numbers = range(PROCESSES)
    paths = [folder / f"{work} {number}.json" for number in numbers]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def stored(db: TrainingDB, run_id: str) -> dict[str, Any]:
    """Return what a database holds of a run, in the words of its writer."""
    run = db.runs.get(run_id)
    history = db.history.arrays(run_id)[run_id]
    return {
        "status": run["status"],
        "deleted": run["deleted_at"] is not None,
        "objectives": [one["raw_mean"] for one in db.objectives.of_run(run_id)],
        "tags": db.tags.of(run_id),
        "events": len(db.events.list(run_id)),
        "losses": history["loss"].values.tolist() if history else [],
    }


def shared(db: TrainingDB, number: int) -> list[float]:
    """Return what one writer has added to the run that everybody adds to."""
    name = f"w{number}"
    series = db.history.arrays(SHARED)[SHARED]
    return list(series[name].values.tolist()) if name in series else []
