"""Runs to report on: small trainings with objectives, scaffolds, crashes and odd names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from training_db import TrainingDB

METHODS = ("mgda", "pcgrad")
HOSTILE = "</script><script>window.broken = true</script><img src=x onerror=alert(1)>"
"""A name that would run, if any place of a page let it."""


def insert_run(db: TrainingDB, run_id: str, number: int = 0, **fields: Any) -> None:
    """Insert a completed run with a loss, objectives, scaffolds and events."""
    random = np.random.default_rng(number)
    rate = 10.0 ** -(1 + number % 4)
    steps = np.arange(120)
    quality = 0.5 + 0.1 * (number % 4)
    given: dict[str, Any] = {
        "run_name": f"run {number}", "status": "completed", "host": f"gpu-{number % 2}",
        "gradient_method": METHODS[number % 2], "duration_seconds": 3600 + number,
        "created_at": f"2024-01-{1 + number % 28:02} 10:00", "final_loss": 0.1,
        "config": {"lr": rate, "layers": 3, "seed": number},
    } | fields  # fmt: skip
    db.runs.insert(run_id, **given)
    db.history.append(
        run_id,
        {
            "loss": 2 * np.exp(-steps / 20) + 0.1 + random.normal(0, 0.01, len(steps)),
            "grad_norm": np.exp(-steps / 10) * 100 + 1e-3,
            "lr": np.full(len(steps), rate),
            "objectives/QED_maximize/raw_mean": quality * steps / 120,
            "objectives/QED_maximize/normalized_mean": quality * steps / 120,
            "objectives/SA_minimize/raw_mean": 3 - quality * steps / 120,
            "objectives/SA_minimize/normalized_mean": quality * steps / 240,
        },
    )
    db.objectives.insert(run_id, "QED", direction="maximize", raw_mean=quality)
    db.objectives.insert(run_id, "SA", direction="minimize", raw_mean=3 - quality)
    db.scaffolds.insert(
        run_id,
        [
            {"scaffold_id": "c1ccccc1", "scores": {"QED": 0.4, "SA": 1.5}},
            {"scaffold_id": "C1CC1", "scores": {"QED": 0.3, "SA": 2.5}},
        ],
    )


def insert_runs(db: TrainingDB, count: int) -> list[str]:
    """Insert so many runs, and return their ids."""
    run_ids = [f"r{number}" for number in range(count)]
    for number, run_id in enumerate(run_ids):
        insert_run(db, run_id, number)
    return run_ids
