"""``training-db runs show``: everything there is about one run."""

from __future__ import annotations

from collections import Counter
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.facts import print_facts, print_paragraph
from training_db.cli.output import (
    Json,
    RunArgument,
    Url,
    minute,
    one_line,
    print_json,
    print_table,
    shown_status,
)

if TYPE_CHECKING:
    from training_db.database import TrainingDB

_METRIC_COLUMNS = ("metric", "count", "last", "min", "min_step", "max", "max_step")
_SHOWN_METRICS = 20
_SHOWN_EVENTS = 5
_SHOWN_BELOW = ("config_json", "final_metrics_json", "notes", "stale")


def register(app: typer.Typer) -> None:
    """Add the command to those of runs."""
    app.command("show")(show_run)


def show_run(
    run: RunArgument,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="All metrics of the history, not the first few.")
    ] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Show one run: its columns, tags, objectives, config, summary, metrics and newest events.

    With --json all events and the whole history are there too.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        found = _everything(db, db.runs.resolve(run))
        if as_json:
            found["history_json"] = db.history.json(found["run_id"])
    if as_json:
        print_json(found)
    else:
        _print_page(found, metrics)


def _everything(db: TrainingDB, run_id: str) -> dict[str, Any]:
    return {
        **db.runs.get(run_id),
        "tags": db.tags.of(run_id),
        "objectives": db.objectives.of_run(run_id),
        "scaffolds": db.scaffolds.query(run_id, limit=None),
        "metrics": db.metrics.of(run_id),
        "events": db.events.list(run_id, limit=None),
        "artifacts": db.artifacts.list(run_id),
    }


def _print_page(found: dict[str, Any], all_metrics: bool) -> None:
    from training_db.analysis.comparison.side_by_side import leaves

    run_id = found["run_id"]
    facts = {
        name: value
        for name, value in found.items()
        if value is not None and name not in _SHOWN_BELOW and not isinstance(value, (list, dict))
    }
    print_facts(f"Run {run_id}", facts | {"status": shown_status(found)})
    print_facts("Tags", found["tags"])
    if found["notes"]:
        print_paragraph("Notes", found["notes"])
    if found["objectives"]:
        shown = [name for name in found["objectives"][0] if name != "run_id"]
        print_table("Objectives", shown, found["objectives"], "")
    print_facts("Config", leaves(found["config_json"]))
    print_facts("Summary", leaves(found["final_metrics_json"]))
    _print_metrics(found["metrics"], all_metrics)
    _print_events(found["events"])
    print_facts("Artifacts", Counter(one["artifact_type"] for one in found["artifacts"]))
    count = len(found["scaffolds"])
    typer.echo(f"{count} scaffolds: training-db scaffolds --run {quote(one_line(run_id))}")


def _print_metrics(metrics: list[dict[str, Any]], all_of_them: bool) -> None:
    if not metrics:
        return
    shown = metrics if all_of_them else metrics[:_SHOWN_METRICS]
    print_table("History", _METRIC_COLUMNS, shown, "")
    if len(shown) < len(metrics):
        typer.echo(f"{len(metrics) - len(shown)} more metrics: --metrics shows all")


def _print_events(events: list[dict[str, Any]]) -> None:
    if not events:
        return
    shown = events[-_SHOWN_EVENTS:]
    rows = [event | {"happened_at": minute(event["happened_at"])} for event in shown]
    print_table("Events", ("happened_at", "kind", "message"), rows, "")
    if len(shown) < len(events):
        typer.echo(f"{len(events) - len(shown)} older events: --json shows all")
