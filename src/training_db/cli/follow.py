"""``training-db history tail``: what a run logs, as it comes in."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.history_options import MetricArguments, shown_value
from training_db.cli.output import INTERRUPTED, Json, RunArgument, Url, cell, one_line, print_json
from training_db.errors import MetricNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from training_db.database import TrainingDB

    Row = tuple[Any, dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the command to those of history."""
    app.command("tail")(tail)


def tail(
    run: RunArgument,
    metrics: MetricArguments = None,
    limit: Annotated[int, typer.Option(min=0, help="Begin with so many of the last rows.")] = 10,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends, or Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look.")
    ] = 2.0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Print the last rows of a run's history, and with --follow those that come.

    With --json each row is one line.
    """
    from training_db.database import TrainingDB

    try:
        with TrainingDB(url) as db:
            for row in _rows(db, db.runs.resolve(run), metrics or None, limit, follow, every):
                _print(row, as_json=as_json)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def _rows(
    db: TrainingDB,
    run_id: str,
    metrics: Iterable[str] | None,
    limit: int,
    follow: bool,
    every: float,
) -> Iterator[Row]:
    from training_db.cli.history_table import aligned

    never = threading.Event()
    found = db.history.tail(run_id, metrics=metrics)
    present = [key["metric"] for key in db.history.keys(run_id)]
    for name in metrics or ():
        # A run that is followed from its start on has no metric yet.
        if name not in present and (present or not follow):
            raise MetricNotFound(name, present)
    table = aligned(found.series)
    yield from table.rows(max(0, len(table) - limit))
    while follow:
        # Asked before the history is: what a run logged before it ended is there by then.
        is_over = _has_ended(db, run_id)
        found = db.history.tail(run_id, found.cursor, metrics)
        yield from aligned(found.series).rows()
        if is_over:
            return
        never.wait(every)


def _has_ended(db: TrainingDB, run_id: str) -> bool:
    from training_db.models import RunStatus

    ended = {status.value for status in RunStatus if status.ended}
    return db.runs.get(run_id)["status"] in ended


def _print(row: Row, *, as_json: bool) -> None:
    step, cells = row
    if as_json:
        print_json({"step": step, "metrics": cells})
        return
    values = (f"{name}={cell(shown_value(value))}" for name, value in cells.items())
    typer.echo(one_line(f"{step}  {'  '.join(values)}"))
