"""``training-db import wandb-offline``: runs out of the logs that W&B leaves on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.import_output import Quiet, finish, print_outcome, print_outcomes, progress_bar
from training_db.cli.output import INTERRUPTED, Json, Url, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from training_db.capture.storing.outcome import ImportOutcome


def register(app: typer.Typer) -> None:
    """Add the command to those of import."""
    app.command("wandb-offline")(wandb_offline)


def wandb_offline(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH",
            help="run-ID.wandb files, run folders, whole wandb/ trees, or patterns of them.",
            show_default=False,
        ),
    ],
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Go on with live runs until they end, or Ctrl-C."),
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look.")
    ] = 2.0,
    quiet: Quiet = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Import runs from W&B's logs: history, config, summary, tags, notes and all else.

    What is there already stays as it is: import again whenever a log has grown. After each log
    the values per key are counted on both sides. Exit code 1: a difference, or a log that could
    not be read; the others are imported all the same.
    """
    from training_db.capture.offline.following import follow_wandb_logs
    from training_db.capture.offline.importing import imported_logs
    from training_db.database import TrainingDB

    outcomes: list[ImportOutcome] = []

    def tell(outcome: ImportOutcome) -> None:
        outcomes.append(outcome)
        if not as_json:
            print_outcome(outcome, quiet=quiet)

    try:
        with TrainingDB(url) as db:
            if follow:
                follow_wandb_logs(
                    db, *paths, every=every, told=tell, warn=_warn,
                    begun=None if as_json else _say_begun,
                )  # fmt: skip
            else:
                with progress_bar() as show:

                    def progress(path: Path, done: int, total: int) -> None:
                        if show is not None:
                            show(path.name, done, total)

                    for outcome in imported_logs(db, paths, progress):
                        tell(outcome)
    except KeyboardInterrupt:
        if as_json:
            print_outcomes(outcomes)
        raise typer.Exit(INTERRUPTED) from None
    finish(outcomes, as_json=as_json)


def _warn(message: str) -> None:
    typer.echo(f"training-db: {message}", err=True)


def _say_begun(path: Path, rows: int) -> None:
    typer.echo(one_line(f"following {path}: {rows:,} rows so far"), err=True)
