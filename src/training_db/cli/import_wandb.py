"""``training-db import wandb``: runs out of W&B's public API."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.import_output import Quiet, finish, print_outcome, print_outcomes, progress_bar
from training_db.cli.output import INTERRUPTED, Json, Url

if TYPE_CHECKING:
    from training_db.capture.storing.outcome import ImportOutcome


def register(app: typer.Typer) -> None:
    """Add the command to those of import."""
    app.command("wandb")(wandb)


def wandb(
    path: Annotated[
        str,
        typer.Argument(
            metavar="ENTITY/PROJECT",
            help="The project; or ENTITY/PROJECT/RUN; or the address of its page.",
            show_default=False,
        ),
    ],
    filters: Annotated[
        str | None,
        typer.Option(
            "--filter",
            metavar="FILTER",
            help='Only runs that match: W&B\'s own JSON, such as {"config.lr": {"$gt": 0.1}}, or '
            "pairs such as state=finished,config.lr=0.1.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Only runs created after this: a date, or how long ago, such as 12h, 7d or 2w.",
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many runs to read at once.")] = 4,
    timeout: Annotated[
        float,
        typer.Option(
            min=1,
            metavar="SECONDS",
            help="After how long a server that fails, or does not answer, is given up.",
        ),
    ] = 60.0,
    quiet: Quiet = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Import the runs of a W&B project from its server: whole histories, configs and all else.

    The server and the key are those of `wandb login`, or WANDB_BASE_URL and WANDB_API_KEY. What
    is there already stays as it is: import again whenever runs went on, or after an import was
    cut off. After each run the values per key are counted on both sides. Exit code 1: a
    difference, a run that could not be read, or a server that does not answer.
    """
    from training_db.capture.remote.importing import import_wandb_project
    from training_db.database import TrainingDB
    from training_db.errors import TrainingDBError

    # The service of a training that started this command, which may end before it.
    os.environ.pop("WANDB_SERVICE", None)
    outcomes: list[ImportOutcome] = []
    with TrainingDB(url) as db, progress_bar() as show:

        def tell(done: int, total: int, outcome: ImportOutcome | None) -> None:
            if outcome is not None:
                outcomes.append(outcome)
                if not as_json:
                    print_outcome(outcome, quiet=quiet)
            if show is not None and total:
                show(path, done, total)

        try:
            import_wandb_project(db, path, filters, since, jobs, timeout, tell)
        except (TrainingDBError, KeyboardInterrupt) as stop:
            if as_json and outcomes:
                print_outcomes(outcomes)
            if isinstance(stop, KeyboardInterrupt):
                raise typer.Exit(INTERRUPTED) from None
            raise
    if not outcomes and not as_json:
        typer.echo(f"there are no such runs in {path}", err=True)
    finish(outcomes, as_json=as_json)
