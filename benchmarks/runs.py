"""The runs that are timed: 80-key configs, 149-key summaries and 10 objectives each."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

METHODS = ("mgda", "pcgrad", "imtlg", "aligned_mtl")
STATUSES = ("completed", "completed", "completed", "failed", "crashed", "running")
OBJECTIVES = tuple(f"objective_{number}" for number in range(10))
STATISTICS = ("raw_mean", "normalized_mean", "raw_std", "normalized_std")
START = datetime(2024, 1, 1, tzinfo=UTC)


def make_runs(count: int, first: int = 0) -> Iterator[dict[str, Any]]:
    """Make runs, always the same ones for the same numbers.

    Args:
        count: How many.
        first: The number of the first one.

    Yields:
        What ``db.runs.insert_many`` takes.
    """
    for number in range(first, first + count):
        dice = random.Random(number)  # noqa: S311 - test data
        yield {
            "run_id": f"run-{number:07}",
            "wandb_run_id": f"w{number:07}",
            "status": dice.choice(STATUSES),
            "host": f"gpu-{dice.randrange(16)}",
            "created_at": START + timedelta(minutes=7 * number),
            "config": _config(dice, number),
            "summary": _summary(dice),
        }


def _config(dice: random.Random, number: int) -> dict[str, Any]:
    training = {
        "learning_rate": 10 ** dice.uniform(-5, -2),
        "batch_size": dice.choice((16, 32, 64, 128)),
        "max_steps": 10_000,
        "max_grad_norm": 1.0,
        "mixed_precision": True,
    }
    fixed = {
        "gradient_method": dice.choice(METHODS),
        "seed": number,
        "notes": None,
        "optimizer": {"name": dice.choice(("adam", "adamw", "sgd")), "weight_decay": 0.01},
        "objectives": [
            {"name": name, "weight": 0.1, "direction": "maximize"} for name in OBJECTIVES
        ],
        "training": training,
    }
    # 80 leaves, counting each objective as one
    leaves = 80 - (len(training) + 3 + 2 + len(OBJECTIVES))
    return fixed | {
        f"setting_{key}": dice.random() if key % 2 else f"choice {dice.randrange(9)}"
        for key in range(leaves)
    }


def _summary(dice: random.Random) -> dict[str, float]:
    summary = {"loss": dice.random(), "grad_norm": dice.random() * 9, "_step": 9_999.0}
    for name in OBJECTIVES:
        for statistic in STATISTICS:
            summary[f"objectives/{name}_maximize/{statistic}"] = dice.random()
    for number in range(149 - len(summary)):
        summary[f"general_prop/metric_{number}"] = dice.random()
    return summary
