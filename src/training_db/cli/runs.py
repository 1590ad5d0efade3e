"""``training-db runs``: list runs; what is done with some of them stands in files of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli import comparison, reap, run_page, upkeep
from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    minute,
    print_json,
    print_table,
    shown_status,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_db.repository.filters import Filter

app = typer.Typer(
    help="List, show, compare, tag, delete, restore and reap runs.", no_args_is_help=True
)

_COLUMNS = (
    "number", "run_id", "status", "gradient_method", "host", "created_at", "duration_seconds",
    "learning_rate", "batch_size", "final_loss",
)  # fmt: skip


@app.command("list")
def list_runs(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    deleted: Annotated[bool, typer.Option("--deleted", help="Those in the trash.")] = False,
    order_by: Annotated[str, typer.Option(help="A column, and ASC or DESC.")] = "created_at DESC",
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where a page ended.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,...",
            help="The columns of the table.",
            show_default=f"{','.join(_COLUMNS)}; and run_name where one has a name",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    A status is followed by (stale) where the run should go on and nothing was heard of it for a
    while. Where there are more runs, a line on stderr says how to go on.
    """
    from training_db.database import TrainingDB

    shown = [*_COLUMNS] if columns is None else _shown_columns(columns)
    wanted = chosen_filter(filter_text, filter_option)
    with TrainingDB(url) as db:
        page = db.runs.page(_in_the_trash(wanted) if deleted else wanted, order_by, limit, after)
        if "history_json" in shown:
            for run in page.items:
                run["history_json"]
    if as_json:
        print_json(page.items)
    else:
        if columns is None and any(run["run_name"] for run in page.items):
            shown.insert(shown.index("run_id") + 1, "run_name")
        rows = [_for_a_table(run) for run in page.items]
        print_table(f"{len(rows)} runs", shown, rows, "no run matches")
    if page.next:
        typer.echo(f"there are more; go on with: --after {page.next}", err=True)


run_page.register(app)
comparison.register(app)
upkeep.register(app)
reap.register(app)


def _shown_columns(columns: str) -> list[str]:
    from training_db.errors import UnknownName
    from training_db.repository.filters import COLUMNS

    shown = [column.strip() for column in columns.split(",") if column.strip()]
    if not shown:
        raise typer.BadParameter("name at least one column", param_hint="--columns")
    valid = dict.fromkeys((*COLUMNS, "history_json"))
    for column in shown:
        if column not in valid:
            raise UnknownName("column", column, valid)
    return shown


def _in_the_trash(filter_text: str) -> Filter:
    from training_db.repository.filters import And, ColumnField, Missing, as_filter

    thrown_away = Missing(ColumnField("deleted_at"), negated=True)
    return And((as_filter(filter_text or None), thrown_away))


def _for_a_table(run: Mapping[str, Any]) -> dict[str, Any]:
    short = {name: minute(value) if name.endswith("_at") else value for name, value in run.items()}
    return short | {"status": shown_status(run)}
