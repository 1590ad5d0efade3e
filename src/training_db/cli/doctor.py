"""``training-db doctor``: what is wrong with a database, and the command that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import Json, Url, console, one_line, print_json, print_table

if TYPE_CHECKING:
    from training_db.upkeep.findings import Finding
    from training_db.upkeep.rescue import Rescue

_COLOURS = {"fault": "red", "warning": "yellow", "note": "cyan", "ok": "green"}
_SHOWN_RUNS = 20


def register(app: typer.Typer) -> None:
    """Add the command to the main application."""
    app.command("doctor")(doctor)


def doctor(
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read everything, however long that takes.")
    ] = False,
    mend: Annotated[
        str | None,
        typer.Option(
            metavar="WHAT",
            help="Mend instead: schema, indexes, orphans, history, statistics or clocks.",
        ),
    ] = None,
    rescue: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Write all that can be read of a damaged SQLite file to a new one."
        ),
    ] = None,
    no_backup: Annotated[
        bool, typer.Option("--no-backup", help="Do not copy the SQLite file before mending.")
    ] = False,
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the spools are.",
            show_default="TRAINING_DB_SPOOL_DIR, else the user's state folder",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Look the database over, and name the command that mends what is wrong; exit 1 if anything is.

    Looking changes nothing. A fault is what is wrong now, a warning what will go wrong; notes need
    nothing to be done.
    """
    if mend is not None and rescue is not None:
        raise typer.BadParameter("choose one of --mend and --rescue", param_hint="--mend")
    if mend is not None:
        _mend(url, mend, backup=not no_backup, as_json=as_json)
    elif rescue is not None:
        _rescue(url, rescue, as_json=as_json)
    else:
        _examine(url, folder, thorough=thorough, as_json=as_json)


def _examine(url: str | None, folder: str | None, *, thorough: bool, as_json: bool) -> None:
    from training_db.cli.progress import shown_progress
    from training_db.upkeep.doctor import examine

    with shown_progress() as progress:
        found = examine(
            url, is_thorough=thorough, spools=folder, progress=progress if thorough else None
        )
    if as_json:
        print_json([_as_dict(one) for one in found])
    else:
        for one in found:
            _tell(one)
    if any(one.severity.needs_care for one in found):
        raise typer.Exit(1)


def _as_dict(one: Finding) -> dict[str, Any]:
    return {
        "check": one.check,
        "severity": one.severity.value,
        "what": one.what,
        "which": list(one.which),
        "mend": one.mend,
    }


def _tell(one: Finding) -> None:
    from rich.text import Text

    screen = console()
    line = Text(f"{one.severity.value:<8}", style=_COLOURS[one.severity.value])
    screen.print(line + Text(one_line(f"{one.check}: {one.what}")), soft_wrap=True)
    for name in one.which:
        screen.print(Text(f"          {one_line(name)}"), soft_wrap=True)
    if one.mend is not None:
        # Never broken into two lines: it is there to be copied.
        screen.print(Text(f"        $ {one_line(one.mend)}", style="bold"), soft_wrap=True)


def _mend(url: str | None, what: str, *, backup: bool, as_json: bool) -> None:
    from training_db.cli.progress import shown_progress
    from training_db.upkeep.mending import mend

    with shown_progress() as progress:
        done = mend(url, what, backup=backup, progress=progress)
    if as_json:
        print_json({"mended": what, "done": done})
        return
    for line in done:
        typer.echo(one_line(line))


def _rescue(url: str | None, file: str, *, as_json: bool) -> None:
    from training_db.upkeep.rescue import rescue

    saved = rescue(url, file)
    rows = [
        {
            "table": one.table,
            "whole": one.whole,
            "partly": len(one.partly),
            "lost": len(one.lost),
            "all known": one.is_counted,
        }
        for one in saved.tables
    ]
    if as_json:
        print_json({"file": str(saved.file), "tables": rows, "lost": saved.lost_by_run})
        return
    print_table("Rescued", ("table", "whole", "partly", "lost", "all known"), rows, "no tables")
    _tell_losses(saved)
    typer.echo(one_line(f"what could be read is in {saved.file}"))


def _tell_losses(saved: Rescue) -> None:
    for run, lost in list(saved.lost_by_run.items())[:_SHOWN_RUNS]:
        typer.echo(one_line(f"{run}: lost {'; '.join(lost)}"))
    more = len(saved.lost_by_run) - _SHOWN_RUNS
    if more > 0:
        typer.echo(f"and {more} more runs; an event of each says what was lost")
    if saved.is_whole:
        typer.echo("nothing is lost")
