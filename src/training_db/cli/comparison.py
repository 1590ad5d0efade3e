"""``training-db runs best`` and ``compare``."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.facts import leaves
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.database import TrainingDB

_FACTS = (
    "run_name", "status", "stale", "host", "duration_seconds", "num_gpus", "group_name",
    "parent_run_id", "git_branch", "git_commit", "git_dirty",
)  # fmt: skip


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
        bool, typer.Option("--all", help="Also what is the same in all of them.")
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
        sides = [_side(db, run_id) for run_id in run_ids]
    names = dict.fromkeys(name for side in sides for name in side)
    rows: list[dict[str, Any]] = [
        {"section": section, "name": name, "values": [side.get((section, name)) for side in sides]}
        for section, name in sorted(names, key=lambda one: _SECTIONS.index(one[0]))
    ]
    shown = [row for row in rows if everything or not _are_equal(row["values"])]
    if as_json:
        print_json({"runs": run_ids, "rows": shown})
        return
    headings = [f"{place}: {run_id}" for place, run_id in enumerate(run_ids, 1)]
    print_table(
        "Where they differ" if not everything else "Side by side",
        ("section", "name", *headings),
        [
            {"section": row["section"], "name": row["name"]}
            | dict(zip(headings, map(exactly, row["values"]), strict=True))
            for row in shown
        ],
        "they differ in nothing",
    )


_SECTIONS = ("run", "config", "summary", "objective", "metric")


def _side(db: TrainingDB, run_id: str) -> dict[tuple[str, str], Any]:
    """Return all that is compared of one run, by section and name."""
    return dict(_compared(db, run_id))


def _compared(db: TrainingDB, run_id: str) -> Iterator[tuple[tuple[str, str], Any]]:
    run = db.runs.get(run_id)
    for name in _FACTS:
        yield ("run", name), run[name]
    for section, document in (("config", "config_json"), ("summary", "final_metrics_json")):
        for name, value in leaves(run[document]).items():
            yield (section, name), value
    for objective in db.objectives.of_run(run_id):
        for statistic in ("raw_mean", "normalized_mean"):
            yield ("objective", f"{objective['objective_name']}.{statistic}"), objective[statistic]
    for metric in db.metrics.of(run_id):
        yield ("metric", metric["metric"]), metric["last"]


def _are_equal(values: list[Any]) -> bool:
    return all(_is_same(values[0], other) for other in values[1:])


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
