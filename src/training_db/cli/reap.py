"""``training-db runs reap``: runs that nothing was heard of for long are taken for crashed."""

from __future__ import annotations

from typing import Annotated

import typer

from training_db.cli.ages import parsed_age
from training_db.cli.output import Json, Url, minute, print_json, print_table

_COLUMNS = ("number", "run_id", "status", "host", "heartbeat_at")
_SILENT = "status in ('launched', 'running') and heartbeat_at is missing"


def register(app: typer.Typer) -> None:
    """Add the command to those of runs."""
    app.command("reap")(reap)


def reap(
    older_than: Annotated[
        str, typer.Option(metavar="AGE", help="Nothing was heard of them for so long: 10m, 2h, 1d.")
    ] = "10m",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which these are.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Mark runs as crashed whose heartbeat is long gone, and say which.

    The clock of the database says how long. They end at their last heartbeat. One that beats again
    is running again. Runs that never beat, and those in the trash, stay as they are.
    """
    from training_db.database import TrainingDB

    age = parsed_age(older_than)
    with TrainingDB(url) as db:
        reaped = db.runs.reap(age, dry_run=dry_run)
        silent = db.runs.count(_SILENT)
    if as_json:
        print_json({"dry_run": dry_run, "reaped": reaped, "never_beat": silent})
        return
    title = f"{len(reaped)} runs {'would be' if dry_run else 'are now'} crashed"
    rows = [run | {"heartbeat_at": minute(run["heartbeat_at"])} for run in reaped]
    print_table(title, _COLUMNS, rows, f"nothing is silent for longer than {older_than}")
    if silent:
        typer.echo(
            f"{silent} runs that should go on never beat, and stay as they are; they are: "
            f'training-db runs list "{_SILENT}"',
            err=True,
        )
