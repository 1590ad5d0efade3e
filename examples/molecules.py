"""Train policies that grow drug-like molecules, and log every run live to the training database.

Two runs of each gradient method, in a database of your choice:

    TRAINING_DB_PATH=demo.db python examples/molecules.py
"""

from __future__ import annotations

import argparse
import time
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gradient_methods import METHODS
from molecule_config import make_config
from molecule_objectives import OBJECTIVES
from molecule_training import Trainer
from training_db import TrainingDB, init_db

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Train and store the runs that the command line asks for."""
    options = _options(arguments)
    init_db()
    console = Console()
    if not console.is_terminal:
        print("mean scores over the first and over the last tenth of the steps:")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    bars = Progress(*columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal)
    with TrainingDB() as db, bars as progress:
        for method in options.methods:
            for seed in range(options.seed, options.seed + options.runs_per_method):
                name = f"{method}, seed {seed}"
                bar = progress.add_task(name, total=options.steps)
                started = time.perf_counter()
                trainer = train(
                    db,
                    make_config(method, seed, options.steps, options.batch_size),
                    run_name=name,
                    after_step=lambda bar=bar: progress.advance(bar),  # type: ignore[misc]
                )
                if not console.is_terminal:
                    seconds = time.perf_counter() - started
                    print(f"{name:20} {seconds:4.1f} s  {describe(trainer.history)}", flush=True)


def train(
    db: TrainingDB,
    config: dict[str, Any],
    run_name: str,
    after_step: Callable[[], None] = lambda: None,
) -> Trainer:
    """Train one run, and log it while it goes on.

    Args:
        db: Where to.
        config: As ``make_config`` returns it.
        run_name: What people will know the run by.
        after_step: Called after each step.

    Returns:
        The trainer, with the history of the run.
    """
    run_id = f"molecules-{config['gradient_method']}-{uuid.uuid4().hex[:8]}"
    db.runs.insert(run_id, config=config, run_name=run_name, host=config["host"])
    trainer = Trainer(config)
    # The recorder says how the run ended: completed, or failed by the exception that left it.
    with db.recorder(run_id) as recorder:
        try:
            for _ in range(config["training"]["max_steps"]):
                recorder.log(trainer.step())
                after_step()
            db.scaffolds.insert(run_id, trainer.scaffolds())
        finally:  # Ctrl-C too: how far it came is worth knowing
            db.runs.update(run_id, summary=trainer.summary())
    return trainer


def improvement(history: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """Return for each objective its raw mean over the first and over the last tenth of the steps.

    Args:
        history: For each metric the values of all steps.

    Example:
        >>> improvement(
        ...     {f"objectives/{one.label}/raw_mean": [1.0] * 9 + [2.0] for one in OBJECTIVES}
        ... )["QED"]
        (1.0, 2.0)
    """
    changes = {}
    for objective in OBJECTIVES:
        values = history[f"objectives/{objective.label}/raw_mean"]
        tenth = max(1, len(values) // 10)
        first, last = (float(np.nanmean(part)) for part in (values[:tenth], values[-tenth:]))
        changes[objective.name] = (first, last)
    return changes


def describe(history: dict[str, list[float]]) -> str:
    """Return in one line how each objective changed from the first tenth to the last."""
    return "  ".join(
        f"{name} {first:.2f} -> {last:.2f}" for name, (first, last) in improvement(history).items()
    )


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=list(METHODS),
        metavar="METHOD",
        help=f"gradient methods: {', '.join(METHODS)} (default: all)",
    )
    parser.add_argument("--runs-per-method", type=_positive, default=2, help="default: 2")
    parser.add_argument("--steps", type=_positive, default=150, help="updates a run; default: 150")
    parser.add_argument(
        "--batch-size", type=_positive, default=24, help="molecules an update; default: 24"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first run; default: 0")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


if __name__ == "__main__":
    main()
