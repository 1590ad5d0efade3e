"""``training-db import mlflow``: runs out of MLflow's own database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.import_output import Quiet, finish, print_outcome, progress_bar
from training_db.cli.output import Json, Url  # noqa: TC001 - typer reads them

if TYPE_CHECKING:
    from training_db.capture.storing.outcome import ImportOutcome


def register(app: typer.Typer) -> None:
    """Add the command to those of import."""
    app.command("mlflow")(mlflow)


def mlflow(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="MLflow's database, which it calls its backend store: a SQLite file, or a URL.",
            show_default=False,
        ),
    ],
    experiment: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only the runs of this experiment; may be repeated."),
    ] = None,
    deleted: Annotated[
        bool, typer.Option(help="Whether to import what lies in MLflow's trash, into ours.")
    ] = True,
    quiet: Quiet = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Import the runs of an MLflow database: params, metrics with every point, tags and models.

    --url names the database to import into. What is there already stays as it is: import again
    whenever runs went on. After each run the values per key are counted on both sides. Exit code
    1: a difference, or a database that could not be read.
    """
    from training_db.capture.mlflow.importing import imported_runs
    from training_db.capture.mlflow.source import shown_source
    from training_db.capture.storing.outcome import ImportOutcome
    from training_db.database import TrainingDB
    from training_db.errors import SourceUnavailable, UnreadableSource

    outcomes: list[ImportOutcome] = []

    def tell(outcome: ImportOutcome) -> None:
        outcomes.append(outcome)
        if not as_json:
            print_outcome(outcome, quiet=quiet)

    with TrainingDB(url) as db, progress_bar() as show:
        try:
            for outcome in imported_runs(db, source, experiment or None, deleted, show):
                tell(outcome)
        except (SourceUnavailable, UnreadableSource) as error:
            tell(ImportOutcome("mlflow", shown_source(source), error=str(error)))
    if not outcomes and not as_json:
        typer.echo("there are no such runs in this database of MLflow", err=True)
    finish(outcomes, as_json=as_json)
