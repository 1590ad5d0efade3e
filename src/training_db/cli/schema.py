"""The commands that make, change and check the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.output import Json, Url, print_json
from training_db.cli.progress import shown_progress

if TYPE_CHECKING:
    from training_db.db.report import Report

NoBackup = Annotated[
    bool, typer.Option("--no-backup", help="Do not copy the SQLite file before changing it.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the main application."""
    app.command("upgrade")(upgrade)
    app.command("downgrade")(downgrade)
    app.command("current")(current)
    app.command("history-of-schema")(history_of_schema)
    app.command("check")(check)
    app.command("adopt")(adopt)


def upgrade(
    revision: Annotated[str, typer.Argument(help="The version to stop at.")] = "head",
    url: Url = None,
    no_backup: NoBackup = False,
    sql: Annotated[
        bool,
        typer.Option("--sql", help="Print the SQL script instead; REVISION may be 'v1:v2'."),
    ] = False,
) -> None:
    """Bring the database to the newest schema, and create it where there is none.

    A database made by hand is adopted first. A SQLite file is copied first.
    """
    from training_db.db import migrations

    if sql:
        typer.echo(migrations.upgrade_sql(url, revision), nl=False)
        return
    with shown_progress() as progress:
        report = migrations.upgrade(url, revision, backup=not no_backup, progress=progress)
    _tell(report)


def downgrade(
    revision: Annotated[
        str, typer.Argument(help="The version to go back to; 'base' drops everything.")
    ],
    url: Url = None,
    no_backup: NoBackup = False,
) -> None:
    """Bring the database back to an older schema, and say what that one cannot hold."""
    from training_db.db import migrations

    with shown_progress() as progress:
        report = migrations.downgrade(url, revision, backup=not no_backup, progress=progress)
    _tell(report)


def current(url: Url = None, as_json: Json = False) -> None:
    """Print the version of the schema that the database has."""
    from training_db.db import migrations
    from training_db.db.version import HEAD

    version = migrations.current(url)
    if as_json:
        print_json({"version": version, "needed": HEAD})
    elif version is None:
        typer.echo(f"no schema yet; run: training-db upgrade (to {HEAD})")
    else:
        typer.echo(version if version == HEAD else f"{version} (the newest is {HEAD})")


def history_of_schema(as_json: Json = False) -> None:
    """List the versions of the schema, the newest last, and what each brought."""
    from alembic.script import ScriptDirectory

    from training_db.db.scripts import alembic_config

    revisions = reversed(list(ScriptDirectory.from_config(alembic_config()).walk_revisions()))
    versions = [
        {"version": revision.revision, "about": revision.doc.partition(": ")[2].rstrip(".")}
        for revision in revisions
    ]
    if as_json:
        print_json(versions)
    else:
        for version in versions:
            typer.echo(f"{version['version']:<6}{version['about']}")


def check(url: Url = None, as_json: Json = False) -> None:
    """Say whether the database is as this version of training-db needs it; exit 1 if not."""
    from training_db.db import migrations

    findings = migrations.check(url)
    if as_json:
        print_json(
            {
                "version": findings.version,
                "sound": findings.sound,
                "faults": findings.faults,
                "notes": findings.notes,
            }
        )
    else:
        for fault in findings.faults:
            typer.echo(fault)
        for note in findings.notes:
            typer.echo(f"note: {note}")
        if findings.sound:
            typer.echo(f"the schema is {findings.version} and as it should be")
    if not findings.sound:
        raise typer.Exit(1)


def adopt(url: Url = None, no_backup: NoBackup = False) -> None:
    """Put a database that was made by hand under migrations, and say what differs."""
    from training_db.db import migrations

    with shown_progress() as progress:
        report = migrations.adopt(url, backup=not no_backup, progress=progress)
    _tell(report)


def _tell(report: Report) -> None:
    if report.backup is not None:
        typer.echo(f"copied the file to {report.backup}")
    for note in report.notes:
        typer.echo(note)
    before, after = report.from_version or "no schema", report.to_version or "no schema"
    typer.echo(f"{before} -> {after}" if report.changed else f"the schema is {after}")
