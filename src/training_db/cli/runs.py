"""``training-db runs``: list and show runs."""

from __future__ import annotations

import json
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    console,
    exactly,
    minute,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

app = typer.Typer(help="List and show runs.", no_args_is_help=True)

_COLUMNS = (
    "run_id", "status", "gradient_method", "host", "created_at", "duration_seconds",
    "learning_rate", "batch_size", "final_loss",
)  # fmt: skip


@app.command("list")
def list_runs(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    order_by: Annotated[str, typer.Option(help="A column, and ASC or DESC.")] = "created_at DESC",
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on where a page ended.")
    ] = None,
    columns: Annotated[
        str, typer.Option(metavar="A,B,...", help="The columns of the table.")
    ] = ",".join(_COLUMNS),
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first.

    Where there are more, a line on stderr says how to go on.
    """
    from training_db.database import TrainingDB
    from training_db.errors import UnknownName
    from training_db.repository.filters import COLUMNS

    shown = [column.strip() for column in columns.split(",") if column.strip()]
    if not shown:
        raise typer.BadParameter("name at least one column", param_hint="--columns")
    for column in shown:
        if column not in COLUMNS:
            raise UnknownName("column", column, COLUMNS)
    with TrainingDB(url) as db:
        page = db.runs.page(chosen_filter(filter_text, filter_option), order_by, limit, after)
        if "history_json" in shown:
            for run in page.items:
                run["history_json"]
    if as_json:
        print_json(page.items)
    else:
        rows = [_with_short_times(run) for run in page.items]
        print_table(f"{len(rows)} runs", shown, rows, "no run matches")
    if page.next:
        typer.echo(f"there are more; go on with: --after {page.next}", err=True)


def _with_short_times(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: minute(value) if name.endswith("_at") else value for name, value in run.items()}


@app.command("show")
def show_run(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one run: its columns, objectives, config and summary.

    With --json the history is there too.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        run = db.runs.get(run_id)
        objectives = db.objectives.of_run(run_id)
        scaffolds = db.scaffolds.query(run_id, limit=None)
        if as_json:
            run["history_json"]
            print_json(run | {"objectives": objectives, "scaffolds": scaffolds})
            return
    facts = {
        name: value
        for name, value in run.items()
        if value is not None and name not in ("config_json", "final_metrics_json")
    }
    _print_facts(f"Run {run_id}", facts)
    if objectives:
        shown = [name for name in objectives[0] if name != "run_id"]
        print_table("Objectives", shown, objectives, "")
    _print_facts("Config", _leaves(run["config_json"]))
    _print_facts("Summary", _leaves(run["final_metrics_json"]))
    typer.echo(f"{len(scaffolds)} scaffolds: training-db scaffolds --run {quote(one_line(run_id))}")


def _print_facts(title: str, facts: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    if not facts:
        return
    screen = console()
    if not screen.is_terminal:
        typer.echo(one_line(title))
        width = max(map(len, facts))
        for name, value in facts.items():
            typer.echo(f"  {one_line(name).ljust(width)}  {one_line(exactly(value))}")
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(f"  {one_line(name)}", style="dim"), Text(one_line(exactly(value))))
    screen.print(Text(one_line(title), style="bold"))
    screen.print(table)


def _leaves(text: str | None) -> dict[str, Any]:
    """Flatten JSON text to dotted names; what is no JSON object is one leaf."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {"(no JSON)": text}
    if not isinstance(document, dict):
        return {"(no object)": text}
    return dict(_walk(document, "")) if document else {}


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _walk(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, json.dumps(node) if isinstance(node, (dict, list)) else node
