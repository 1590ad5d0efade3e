"""``training-db backup`` and ``training-db restore``."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated

import typer

from training_db.cli.output import Json, Url, one_line, print_json


def register(app: typer.Typer) -> None:
    """Add the commands to the main application."""
    app.command("backup")(backup)
    app.command("restore")(restore)


def backup(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="The file to write, or its folder; else one beside the database, named by now.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file of that name.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Write a backup of the database, while others read and write it.

    A SQLite database becomes a SQLite file, one on PostgreSQL an archive of pg_dump. It is checked,
    and there whole or not at all.
    """
    from training_db.cli.progress import shown_progress
    from training_db.upkeep.backup import back_up

    with shown_progress() as progress:
        done = back_up(url, file, force=force, progress=progress)
    if as_json:
        print_json(vars(done) | {"path": str(done.path)})
        return
    for note in done.notes:
        typer.echo(one_line(f"note: {note}"))
    typer.echo(one_line(f"{done.path}: {done.bytes:,} bytes, schema {done.version or 'unknown'}"))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", show_default=False)],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the runs that are in the database.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Bring a backup back into an empty database, or with --force in the place of what is there.

    Interrupted at any moment, the old database is there or the new one. A SQLite file that is
    replaced is kept under another name.
    """
    from training_db.cli.progress import shown_progress
    from training_db.upkeep.restore import restore as bring_back

    with shown_progress() as progress:
        done = bring_back(file, url, force=force, progress=progress)
    if as_json:
        aside = None if done.aside is None else str(done.aside)
        print_json(vars(done) | {"aside": aside, "is_outdated": done.is_outdated})
        return
    for note in done.notes:
        typer.echo(one_line(f"note: {note}"))
    if done.aside is not None:
        typer.echo(one_line(f"what was there is kept as {done.aside}"))
    typer.echo(one_line(f"restored {file}, schema {done.version or 'unknown'}"))
    if done.is_outdated:
        typer.echo("the schema is an older one; run: training-db upgrade")
