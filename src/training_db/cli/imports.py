"""``training-db import``: runs that other tools tracked; each source has a file of its own."""

from __future__ import annotations

import typer

from training_db.cli import import_mlflow, import_offline, import_wandb

app = typer.Typer(
    help="Import the runs that other tools tracked: whole, once, and compared.",
    no_args_is_help=True,
)
import_offline.register(app)
import_wandb.register(app)
import_mlflow.register(app)
