"""The command line: ``training-db``.

Commands import what they need when they run, so that ``--help`` answers at once.
"""

from __future__ import annotations

import sys

import typer

from training_db.cli import (
    analyze,
    backup,
    copy,
    doctor,
    exports,
    gc,
    history,
    imports,
    listings,
    report,
    runs,
    schema,
    spool,
)
from training_db.cli.output import INTERRUPTED, one_line
from training_db.errors import ConfigurationError, InvalidInput, TrainingDBError

app = typer.Typer(
    name="training-db",
    help="One SQL database of every training run, on SQLite or PostgreSQL.",
    epilog=(
        "The database is what --url says, else TRAINING_DB_URL, TRAINING_DB_HOST or "
        "TRAINING_DB_PATH, else a SQLite file in the user's data folder."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(runs.app, name="runs")
app.add_typer(history.app, name="history")
app.add_typer(analyze.app, name="analyze")
app.add_typer(spool.app, name="spool")
app.add_typer(imports.app, name="import")
app.add_typer(exports.app, name="export")
listings.register(app)
report.register(app)
schema.register(app)
backup.register(app)
copy.register(app)
doctor.register(app)
gc.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        from training_db import __version__

        typer.echo(f"training-db {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_version,
        is_eager=True,
        help="Show the version and exit.",
    ),
) -> None:
    del version


def main() -> None:
    """Run the command line; exit with 0 when done, 1 when it failed, 2 on bad usage."""
    try:
        app()
    except (InvalidInput, ConfigurationError) as error:
        _fail(error, 2)
    except TrainingDBError as error:
        if _is_interrupted(error):
            sys.exit(INTERRUPTED)
        _fail(error, 1)


def _is_interrupted(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C is behind an error: a driver that it stops may complain of that."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _fail(error: TrainingDBError, code: int) -> None:
    # Names in it are other people's, and could control the terminal.
    for line in f"training-db: {error}".splitlines():
        typer.echo(line and one_line(line), err=True)
    sys.exit(code)
