"""``training-db history``: what runs logged, step by step."""

from __future__ import annotations

from typing import Annotated

import typer

from training_db.cli import export, follow, plot, retention
from training_db.cli.history_options import (
    Axis,
    AxisOption,
    Duplicates,
    DuplicatesOption,
    MetricArguments,
    StepsOption,
    parsed_steps,
    shown_place,
    shown_value,
)
from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    RunArgument,
    Url,
    Yes,
    chosen_filter,
    is_asked,
    one_line,
    print_json,
    print_table,
)

app = typer.Typer(
    help="Show, plot, follow, search, export and delete what runs logged step by step.",
    no_args_is_help=True,
)

_KEY_COLUMNS = ("metric", "kind", "count")
_STATISTICS = ("last", "min", "min_step", "max", "max_step", "mean", "non_finite_count")


@app.command()
def show(
    run: RunArgument,
    metrics: MetricArguments = None,
    steps: StepsOption = None,
    x: AxisOption = Axis.STEP,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows: those at the end.")] = 50,
    everything: Annotated[bool, typer.Option("--all", help="All rows.")] = False,
    duplicates: DuplicatesOption = Duplicates.LAST,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show metrics of a run, one row a step; without metrics, what each of them came to."""
    from training_db.cli.history_table import read_table
    from training_db.database import TrainingDB
    from training_db.repository.history_frame import free_name

    chosen = parsed_steps(steps)
    if not metrics:
        if chosen:
            raise typer.BadParameter("name the metrics to show", param_hint="METRIC")
        _show_keys(run, url, statistics=True, as_json=as_json)
        return
    with TrainingDB(url) as db:
        run_id = db.runs.resolve(run)
        table = read_table(db, run_id, metrics, chosen, x.value, duplicates.value)
    start = 0 if everything else max(0, len(table) - limit)
    rows = table.rows(start)
    if as_json:
        print_json([{x.value: place, "metrics": cells} for place, cells in rows])
    else:
        heading = free_name(x.value, table.columns)
        shown = [
            {heading: shown_place(place, x)}
            | {name: shown_value(value) for name, value in cells.items()}
            for place, cells in rows
        ]
        print_table(f"Run {run_id}", (heading, *table.columns), shown, "there are no values")
    if start:
        typer.echo(f"these are the last {limit} of {len(table)} rows: --all shows all", err=True)


@app.command()
def keys(run: RunArgument, url: Url = None, as_json: Json = False) -> None:
    """List the metrics of a run: what they hold, and how many values."""
    _show_keys(run, url, statistics=False, as_json=as_json)


def _show_keys(run: str, url: str | None, *, statistics: bool, as_json: bool) -> None:
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        run_id = db.runs.resolve(run)
        found = db.history.keys(run_id)
        if statistics:
            known = {one["metric"]: one for one in db.metrics.of(run_id)}
            found = [known.get(key["metric"], {}) | key for key in found]
    if as_json:
        print_json(found)
        return
    columns = _KEY_COLUMNS + (_STATISTICS if statistics else ())
    title = f"{len(found)} metrics of {run_id}"
    print_table(title, columns, found, one_line(f"{run_id} has no history"))


@app.command()
def search(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="A metric of the history.")],
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    above: Annotated[float | None, typer.Option(help="Values greater than this.")] = None,
    below: Annotated[float | None, typer.Option(help="Values less than this.")] = None,
    non_finite: Annotated[bool, typer.Option("--non-finite", help="NaN and infinities.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 100,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the runs where a metric ever went above or below something, or was NaN.

    Shown are how many values of the run did, and the first of them.
    """
    from training_db.database import TrainingDB

    if above is None and below is None and not non_finite:
        raise typer.BadParameter("say what to search: --above, --below or --non-finite")
    with TrainingDB(url) as db:
        rows = db.history.search(
            metric,
            above=above,
            below=below,
            non_finite=non_finite,
            filters=chosen_filter(filter_text, filter_option),
            limit=limit,
        )
    if as_json:
        print_json(rows)
    else:
        columns = ("run_id", "count", "step", "value")
        print_table(f"{len(rows)} runs", columns, rows, "no run matches")


@app.command()
def delete(
    run: RunArgument,
    metrics: MetricArguments = None,
    yes: Yes = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Delete the history of a run, or some metrics of it, for good.

    On a terminal it asks first; elsewhere it takes --yes.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        run_id = db.runs.resolve(run)
        what = f"{', '.join(metrics)} of the history" if metrics else "the whole history"
        if not yes and not is_asked(f"Delete {what} of {run_id} for good?"):
            raise typer.BadParameter("this cannot be undone; say --yes", param_hint="--yes")
        count = db.history.delete(run_id, metrics or None)
    if as_json:
        print_json({"run_id": run_id, "metrics": metrics, "deleted": count})
    else:
        typer.echo(one_line(f"deleted {count} values of {run_id}"))


export.register(app)
follow.register(app)
plot.register(app)
retention.register(app)
