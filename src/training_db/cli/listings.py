"""``training-db objectives``, ``scaffolds`` and ``stats``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    minute,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Limit = Annotated[int, typer.Option(min=1, help="At most so many rows.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the main one."""
    app.command()(objectives)
    app.command()(scaffolds)
    app.command()(stats)


def objectives(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="OBJECTIVE", help="This objective only.")
    ] = None,
    limit: Limit = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List what each objective of each run scored, newest run first."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        rows = db.objectives.query(chosen_filter(filter_text, filter_option), name, limit)
    if as_json:
        print_json(rows)
        return
    columns = (
        "run_id", "objective_name", "direction", "weight",
        "raw_mean", "normalized_mean", "raw_std", "normalized_std",
    )  # fmt: skip
    print_table(f"{len(rows)} objectives", columns, rows, "no objective matches")


def scaffolds(
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="Of the run of this id or number.")
    ] = None,
    scaffold_id: Annotated[
        str | None, typer.Option("--scaffold", metavar="ID", help="This scaffold only.")
    ] = None,
    max_pareto_rank: Annotated[
        int | None, typer.Option(min=1, help="With at most this Pareto rank; 1 is the front.")
    ] = None,
    limit: Limit = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List scaffolds and their scores."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        rows = db.scaffolds.query(
            None if run is None else db.runs.resolve(run),
            scaffold_id=scaffold_id,
            max_pareto_rank=max_pareto_rank,
            limit=limit,
        )
    if as_json:
        print_json(rows)
        return
    scores = [_scores(row["scores_json"]) for row in rows]
    names = list(dict.fromkeys(name for one in scores for name in one))
    columns = ["run_id", "scaffold_id", "pareto_rank", "cluster_id", *names]
    merged = [{**one, **row} for one, row in zip(scores, rows, strict=True)]
    print_table(f"{len(rows)} scaffolds", columns, merged, "no scaffold matches")


def stats(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Count runs by status and host, and compare the gradient methods."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        figures = db.statistics.overview(chosen_filter(filter_text, filter_option))
    if as_json:
        print_json(figures)
        return
    print_table(
        "Runs",
        ("runs", "objectives", "scaffolds", "hours", "first", "last"),
        [
            {
                "runs": figures["total_runs"],
                "objectives": figures["total_objectives"],
                "scaffolds": figures["total_scaffolds"],
                "hours": round(figures["total_hours"], 2),
                "first": minute(figures["first_created_at"]),
                "last": minute(figures["last_created_at"]),
            }
        ],
        "",
    )
    for name in ("status", "host"):
        typer.echo()
        counts = [{name: value, "runs": runs} for value, runs in figures[f"by_{name}"].items()]
        print_table(f"By {name}", (name, "runs"), counts, "there are no runs")
    typer.echo()
    _print_methods(figures["methods"])


def _print_methods(methods: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for method in methods for name in method["objectives"]))
    columns = (
        "gradient_method", "runs", "completed", "success_rate",
        "mean_duration_seconds", "mean_final_loss", *names,
    )  # fmt: skip
    rows = [{**method["objectives"], **method} for method in methods]
    print_table("By method, objectives as mean of raw_mean", columns, rows, "there are no runs")


def _scores(text: str | None) -> Mapping[str, Any]:
    try:
        scores = json.loads(text or "{}")
    except ValueError:
        return {}
    return scores if isinstance(scores, dict) else {}
