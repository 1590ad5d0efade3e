"""``training-db history retention``: what is kept of the histories of old runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.ages import parsed_age
from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    Yes,
    chosen_filter,
    is_asked,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from training_db.upkeep.retention import Retained

_COLUMNS = ("run_id", "cells_before", "cells_after", "bytes_before", "bytes_after")


def register(app: typer.Typer) -> None:
    """Add the command to those of history."""
    app.command("retention")(retention)


def retention(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="AGE", help="Ended so long ago, such as 90d.")
    ],
    keep: Annotated[
        str,
        typer.Option(metavar="RULE", help="key-metrics, every:K (rows) or metrics:A,B."),
    ],
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            help="Of this status; may be given again.",
            show_default="completed, failed, crashed",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go, and change nothing.")
    ] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Keep some of the histories of old runs, and drop the rest for good.

    What each metric came to stays that of the whole history. Runs that are being logged to are left
    alone. On a terminal it asks first; elsewhere it takes --yes.
    """
    from training_db.cli.progress import shown_progress
    from training_db.database import TrainingDB
    from training_db.repository.keeping import Keep
    from training_db.upkeep.retention import retain

    wanted, age = chosen_filter(filter_text, filter_option) or None, parsed_age(older_than)
    rule = Keep.parse(keep)
    with TrainingDB(url) as db:
        if not (dry_run or yes):
            count = len(db.history.retainable(age, wanted, status))
            if count and not is_asked(f"Keep of {count} histories only: {rule.said}?"):
                raise typer.BadParameter("this cannot be undone; say --yes", param_hint="--yes")
        with shown_progress() as progress:
            done = retain(db, keep, age, wanted, status, dry_run=dry_run, progress=progress)
    _show(done, dry_run=dry_run, as_json=as_json)


def _show(done: Retained, *, dry_run: bool, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [vars(run) for run in done.runs]
    if as_json:
        print_json(vars(done) | {"runs": rows, "dry_run": dry_run})
        return
    print_table(f"{len(rows)} histories", _COLUMNS, rows, "there is nothing to drop")
    before = sum(run.cells_before for run in done.runs)
    after = sum(run.cells_after for run in done.runs)
    if dry_run:
        typer.echo(f"{before - after:,} of {before:,} values would go")
        return
    typer.echo(f"dropped {before - after:,} of {before:,} values")
    back = done.bytes_before - done.bytes_after
    typer.echo(f"{done.bytes_before:,} bytes before, {done.bytes_after:,} now: {back:,} given back")
