"""``training-db runs best`` and ``compare``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    RunArguments,
    Url,
    chosen_filter,
    exactly,
    print_json,
    print_table,
)


class Mode(StrEnum):
    """Which value is the best."""

    MIN = "min"
    MAX = "max"


class Statistic(StrEnum):
    """What of a metric's history is looked at."""

    LAST = "last"
    FIRST = "first"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"


def register(app: typer.Typer) -> None:
    """Add the commands to those of runs."""
    app.command("best")(best)
    app.command("compare")(compare)


def best(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="A metric of the history.")],
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    mode: Annotated[Mode, typer.Option(help="Whether the least or the greatest wins.")] = Mode.MIN,
    statistic: Annotated[
        Statistic | None,
        typer.Option(
            help="Of all values of a run the one that counts.", show_default="as the mode"
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 10,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the runs where a metric came out best; NaN and infinities never win."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        rows = db.metrics.best(
            metric,
            mode.value,
            filters=chosen_filter(filter_text, filter_option),
            limit=limit,
            statistic=statistic.value if statistic else None,
        )
    if as_json:
        print_json(rows)
        return
    columns = ("number", "run_id", "run_name", "metric", "value", "step")
    title = f"The {mode.value} of {metric}, the best first"
    print_table(
        title,
        columns,
        [row | {"value": exactly(row["value"])} for row in rows],
        "no run that matches has a finite value of it",
    )


def compare(
    runs: RunArguments,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is the same in all of them, and W&B's axes.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put runs side by side: what differs in config, summary, objectives and last metrics."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        run_ids = list(dict.fromkeys(map(db.runs.resolve, runs)))
        if len(run_ids) < 2:
            raise typer.BadParameter("name at least two different runs", param_hint="RUN")
        found = db.analysis.side_by_side(run_ids, everything=everything)
    if as_json:
        rows = [
            {"section": row.section, "name": row.name, "values": row.values} for row in found.rows
        ]
        print_json({"runs": run_ids, "rows": rows})
        return
    headings = [f"{place}: {run_id}" for place, run_id in enumerate(run_ids, 1)]
    print_table(
        "Where they differ" if not everything else "Side by side",
        ("section", "name", *headings),
        [
            {"section": row.section, "name": row.name}
            | dict(zip(headings, map(exactly, row.values), strict=True))
            for row in found.rows
        ],
        "they differ in nothing",
    )
