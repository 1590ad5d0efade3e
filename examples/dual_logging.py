"""Log a training twice at once: to W&B, offline, and to a training database of your own.

A small network learns to tell two spirals apart, once for each learning rate:

    python examples/dual_logging.py --folder dual-logging
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db import ExperimentDB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

HIDDEN = 32


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the runs that the command line asks for, and say where to look at them."""
    options = _options(arguments)
    folder = Path(options.folder or tempfile.mkdtemp(prefix="dual-logging-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    wandb = _wandb(folder)
    place = options.database or str(folder / "experiments.db")
    with ExperimentDB(place) as tracker:
        run_ids = []
        for rate in options.learning_rates:
            config = {
                "learning_rate": rate,
                "batch_size": 32,
                "epochs": options.epochs,
                "seed": options.seed,
                "hidden_size": HIDDEN,
            }
            name = f"spirals, learning rate {rate:g}"
            run_ids.append(log_twice(tracker, wandb, name, config, folder))
        print(tracker.compare_runs(run_ids).to_string(index=False))
        best = tracker.get_best_run("val_loss", mode="min")
    print(f"\nlowest val_loss: {best['run_name']} ({best['best_value']:.4f})")
    print("\nLook at them in the training database:")
    # A URL may hold a password, which does not belong on a screen.
    setting = "TRAINING_DB_URL=..." if "://" in place else f"TRAINING_DB_PATH={place}"
    print(f"  {setting} training-db runs best val_loss --mode min")
    print("and, after `wandb login`, at W&B:")
    print(f"  wandb sync {folder}/wandb/offline-run-*")


def log_twice(
    tracker: ExperimentDB, wandb: Any, name: str, config: dict[str, Any], folder: Path
) -> int:
    """Train one run, and log each of its metrics to both.

    Args:
        tracker: The training database.
        wandb: The module of that name.
        name: What people will know the run by, in both places.
        config: What :func:`train` takes.
        folder: Where files go.

    Returns:
        The run's id in the training database.
    """
    # The with block ends the W&B run as failed when an exception leaves it, as the tracker does.
    with wandb.init(project="dual-logging", name=name, config=config, dir=folder) as wandb_run:
        # The W&B id in the notes is what leads from one place to the other.
        run_id = tracker.log_run(name, config, notes=f"W&B run {wandb_run.id}")
        weights: dict[str, Array] = {}
        for step, epoch, metrics in train(config, weights):
            wandb_run.log({"epoch": epoch, **metrics}, step=step)
            for metric, value in metrics.items():
                tracker.log_metric(run_id, metric, value, step=step, epoch=epoch)
        path = folder / f"weights-{run_id}.npz"
        np.savez(path, **weights)
        tracker.log_artifact(run_id, "model", str(path), {"hidden_size": config["hidden_size"]})
        tracker.update_run_status(run_id, "completed")
    return run_id


def train(
    config: dict[str, Any], weights: dict[str, Array]
) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Train a network of one hidden layer by stochastic gradient descent with momentum.

    Args:
        config: ``learning_rate``, ``batch_size``, ``epochs``, ``seed`` and ``hidden_size``.
        weights: Is filled with the weights, which change from step to step.

    Yields:
        The step, the epoch, and the metrics of the step; those of the validation set with the last
        step of each epoch.
    """
    rng = np.random.default_rng(config["seed"])
    points, labels = spirals(rng, 512)
    unseen_points, unseen_labels = spirals(rng, 256)
    hidden = config["hidden_size"]
    weights |= {
        "first": rng.normal(0.0, 1.0, (3, hidden)),
        "second": rng.normal(0.0, hidden**-0.5, (hidden + 1, 1)),
    }
    moving = {name: np.zeros_like(array) for name, array in weights.items()}
    step = 0
    for epoch in range(config["epochs"]):
        batches = np.array_split(rng.permutation(len(points)), len(points) // config["batch_size"])
        for number, batch in enumerate(batches):
            loss, _, slopes = loss_and_slopes(weights, points[batch], labels[batch])
            norm = float(np.sqrt(sum(float((slope**2).sum()) for slope in slopes.values())))
            for name, slope in slopes.items():
                moving[name] = 0.9 * moving[name] + slope
                weights[name] -= config["learning_rate"] * moving[name]
            metrics = {"train_loss": loss, "grad_norm": norm}
            if number == len(batches) - 1:
                loss, accuracy, _ = loss_and_slopes(weights, unseen_points, unseen_labels)
                metrics |= {"val_loss": loss, "val_accuracy": accuracy}
            yield step, epoch, metrics
            step += 1


def loss_and_slopes(
    weights: dict[str, Array], points: Array, labels: Array
) -> tuple[float, float, dict[str, Array]]:
    """Return the cross-entropy, the accuracy, and the slopes of the first by each weight.

    Args:
        weights: ``first`` of shape (3, hidden) and ``second`` of shape (hidden + 1, 1); the last
            row of each is the bias.
        points: Shape (n, 2).
        labels: 0 or 1, shape (n, 1).
    """
    inputs = np.hstack([points, np.ones((len(points), 1))])
    hidden = np.tanh(inputs @ weights["first"])
    inner = np.hstack([hidden, np.ones((len(points), 1))])
    odds = inner @ weights["second"]
    loss = float((np.logaddexp(0.0, odds) - labels * odds).mean())
    accuracy = float(((odds > 0.0) == (labels > 0.5)).mean())
    error = (0.5 * (1.0 + np.tanh(odds / 2.0)) - labels) / len(points)
    back = (error @ weights["second"][:-1].T) * (1.0 - hidden**2)
    return loss, accuracy, {"first": inputs.T @ back, "second": inner.T @ error}


def spirals(rng: np.random.Generator, count: int) -> tuple[Array, Array]:
    """Return noisy points of two spirals, shape (count, 2), and which of them each belongs to."""
    labels = (np.arange(count) % 2).astype(np.float64)
    angle = rng.uniform(0.5, 2.0 * np.pi, count)
    turned = angle + np.pi * labels
    points = (angle / np.pi)[:, None] * np.stack([np.cos(turned), np.sin(turned)], axis=1)
    return points + rng.normal(0.0, 0.08, points.shape), labels[:, None]


def _wandb(folder: Path) -> Any:
    """Load W&B so that it keeps to the folder, and to itself unless WANDB_MODE says otherwise."""
    os.environ.setdefault("WANDB_MODE", "offline")
    for kind in ("CACHE", "CONFIG", "DATA"):
        os.environ.setdefault(f"WANDB_{kind}_DIR", str(folder / "wandb" / kind.lower()))
    try:
        import wandb
    except ImportError:
        raise SystemExit(
            "this example needs wandb, which is not installed; "
            "run: pip install 'training-db[wandb]'"
        ) from None
    return wandb


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", help="where W&B and the database write; default: a new one")
    parser.add_argument("--database", help="a path or URL; default: experiments.db in the folder")
    parser.add_argument("--epochs", type=int, default=30, help="default: 30")
    parser.add_argument(
        "--learning-rates", type=float, nargs="+", default=[0.02, 0.2], help="a run each"
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
