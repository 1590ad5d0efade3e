"""``training-db copy``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import Json, counted_runs, one_line, print_json, print_table

if TYPE_CHECKING:
    from training_db.transfer.copying.copy_report import CopyReport

_MOST = 50
"""Lines of one list; ``--json`` has them all."""


def register(app: typer.Typer) -> None:
    """Add the command to the main application."""
    app.command("copy")(copy)


def copy(
    source: Annotated[
        str, typer.Argument(metavar="SRC", help="From where: a URL, or the path of a SQLite file.")
    ],
    target: Annotated[
        str, typer.Argument(metavar="DST", help="Where to, likewise; made where nothing is.")
    ],
    merge: Annotated[
        str | None,
        typer.Option(
            "--merge",
            metavar="skip|replace|fail",
            help="Add to a target that has runs; what to do with a run that cannot be added.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Copy a whole database to another place, on either backend, and compare both.

    What is copied is the source as it is at the start; it may be written to meanwhile. A copy
    that was stopped goes on when the command is given again. Exit code 1 says that the target has
    not all that was to be there.
    """
    from training_db.cli.progress import shown_progress
    from training_db.transfer.copying import copy_database

    try:
        with shown_progress() as progress:
            report = copy_database(
                source,
                target,
                merge=merge,  # type: ignore[arg-type]  # the library names the valid ones
                dry_run=dry_run,
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise
    if as_json:
        print_json({"ok": report.ok, **asdict(report)})
    else:
        _tell(report)
    if not report.ok:
        raise typer.Exit(1)


def _tell(report: CopyReport) -> None:
    columns = ("table", "source rows", "target rows", "checksum", "same")
    if report.tables:
        print_table(
            f"{report.source} -> {report.target}", columns, map(_row, report.tables), "no tables"
        )
    for note in report.notes:
        typer.echo(one_line(note))
    _list("conflict", [f"{one.run_id}: {one.reason}; {one.outcome}" for one in report.conflicts])
    _list(
        "new number",
        [
            f"{run_id}: {old} was taken, is {new}"
            for run_id, (old, new) in report.renumbered.items()
        ],
    )
    _list(
        "in another form",
        [
            f"{one.table} of {one.run_id} {_key(one.key)}{one.column}: {one.reason}; "
            f"is {one.stated}"
            for one in report.carried
        ],
    )
    _list("left behind", [f"{one.table} {_key(one.key)}{one.reason}" for one in report.orphans])
    typer.echo(_summary(report))


def _row(table: Any) -> dict[str, Any]:
    checksum = table.source_checksum
    if table.target_checksum not in (None, checksum):
        checksum = f"{checksum} / {table.target_checksum}"
    values = (table.name, table.source_rows, table.target_rows, checksum)
    same = None if table.target_rows is None else table.same
    columns = ("table", "source rows", "target rows", "checksum", "same")
    return dict(zip(columns, (*values, same), strict=True))


def _list(what: str, lines: list[str]) -> None:
    for line in lines[:_MOST]:
        typer.echo(one_line(f"{what}: {line}"))
    if len(lines) > _MOST:
        typer.echo(f"{what}: {len(lines) - _MOST} more; --json lists them all")


def _key(key: dict[str, Any]) -> str:
    return "".join(f"{name}={value!r} " for name, value in key.items())


def _summary(report: CopyReport) -> str:
    counts = [
        f"{count} {what}"
        for count, what in (
            (report.same_runs, "were there already"),
            (report.skipped_runs, "were skipped"),
            (report.replaced_runs, "were replaced"),
        )
        if count
    ]
    if report.stopped:
        return "nothing was changed, because of these conflicts; see --merge skip, --merge replace"
    would = "would be " if report.dry_run else ""
    runs = counted_runs(report.copied_runs)
    done = ", ".join([f"{runs} {would}copied", *counts])
    if report.dry_run:
        return done
    if report.identical:
        return f"{done}; both sides have the same rows"
    return f"{done}; THE TWO SIDES DIFFER: see above"
