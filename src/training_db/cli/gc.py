"""``training-db gc``: runs that are in the trash for long go for good."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.ages import OlderThan, parsed_age
from training_db.cli.output import (
    Json,
    Url,
    Yes,
    counted_runs,
    is_asked,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from training_db.upkeep.gc import Collected, Plan

_SHOWN_RUNS = 20


def register(app: typer.Typer) -> None:
    """Add the command to the main application."""
    app.command("gc")(gc)


def gc(
    older_than: OlderThan = None,
    before: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Or: thrown away before this moment."),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(
            metavar="DIGEST", help="Only if these are the runs that a --dry-run printed it for."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, and delete nothing.")
    ] = False,
    vacuum: Annotated[
        bool,
        typer.Option(
            "--vacuum", help="Write the whole database anew, so that it is as small as it can be."
        ),
    ] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Delete for good the runs that were thrown away some time ago, and give their room back.

    On a terminal it shows them and asks first; elsewhere it takes --yes. Runs that are being
    logged to stay.
    """
    from training_db.cli.progress import shown_progress
    from training_db.upkeep.gc import collect, plan

    if (older_than is None) == (before is None):
        raise typer.BadParameter("say how old the runs have to be: --older-than 30d, or --before")
    age = None if older_than is None else parsed_age(older_than)
    planned = plan(url, older_than=age, before=before)
    if dry_run:
        _show_plan(planned, _same_command(planned, url, vacuum=vacuum), as_json=as_json)
        return
    if not yes and planned.runs:
        _list_runs(planned, to_stderr=True)
        if not is_asked(f"Delete {counted_runs(len(planned.runs))} for good?"):
            raise typer.BadParameter("this cannot be undone; say --yes", param_hint="--yes")
    with shown_progress() as progress:
        done = collect(url, planned, expected=expect, whole=vacuum, progress=progress)
    _tell(done, planned, as_json=as_json)


def _show_plan(planned: Plan, command: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_facts(planned) | {"command": command})
        return
    _list_runs(planned, to_stderr=False)
    rows = [{"table": one.table, "rows": one.rows, "bytes": one.bytes} for one in planned.shares]
    print_table("They have", ("table", "rows", "bytes"), rows, "nothing would be deleted")
    for run in planned.alive:
        typer.echo(one_line(f"{run.run_id} stays: it is being logged to"))
    if planned.unused_names:
        typer.echo(f"names of metrics that no run will have: {len(planned.unused_names)}")
    if planned.runs:
        typer.echo(f"to delete exactly these: {command}")


def _facts(planned: Plan) -> dict[str, Any]:
    from training_db.timestamps import format_timestamp

    return {
        "before": format_timestamp(planned.before),
        "digest": planned.digest,
        "runs": [vars(run) for run in planned.runs],
        "tables": [vars(share) for share in planned.shares],
        "alive": [vars(run) for run in planned.alive],
        "unused_names": planned.unused_names,
    }


def _list_runs(planned: Plan, *, to_stderr: bool) -> None:
    shown = planned.runs if not to_stderr else planned.runs[:_SHOWN_RUNS]
    for run in shown:
        line = f"{run.number}  {run.run_id}  thrown away {run.deleted_at}"
        typer.echo(one_line(line), err=to_stderr)
    if len(shown) < len(planned.runs):
        typer.echo(f"... and {len(planned.runs) - len(shown)} more", err=to_stderr)


def _same_command(planned: Plan, url: str | None, *, vacuum: bool) -> str:
    from training_db.settings import resolve_url
    from training_db.timestamps import format_timestamp
    from training_db.upkeep.findings import place_for_commands

    words = ["training-db", "gc", "--before", format_timestamp(planned.before)]
    words += ["--expect", planned.digest, "--yes"]
    if vacuum:
        words.append("--vacuum")
    if url is not None:
        words += ["--url", place_for_commands(resolve_url(url))]
    return one_line(shlex.join(words))


def _tell(done: Collected, planned: Plan, *, as_json: bool) -> None:
    if as_json:
        print_json(vars(done))
        return
    typer.echo(f"deleted {counted_runs(done.runs)} for good")
    if done.runs < len(planned.runs):
        stayed = len(planned.runs) - done.runs
        typer.echo(f"{counted_runs(stayed)} stayed: brought back, or logged to, or gone already")
    if done.names:
        typer.echo(f"deleted {done.names} names of metrics that no run had")
    if done.names_left:
        typer.echo(f"{done.names_left} names of metrics that no run has are left for another time")
    back = done.bytes_before - done.bytes_after
    typer.echo(f"{done.bytes_before:,} bytes before, {done.bytes_after:,} now: {back:,} given back")
    if done.bytes_kept:
        typer.echo(
            f"{done.bytes_kept:,} bytes are free in the file for new rows; "
            "training-db gc with --vacuum gives them back, and takes the room of a second copy "
            "meanwhile"
        )
