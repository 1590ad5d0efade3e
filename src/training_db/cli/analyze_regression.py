"""``training-db analyze regression``: a gate for pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.comparison import Mode  # noqa: TC001 - typer reads it at run time
from training_db.cli.output import FilterOption, Json, Url, chosen_filter, one_line, print_json

if TYPE_CHECKING:
    from training_db.analysis.regression.regression import Regression

WORSE = 1
"""The exit code where the run is worse."""


def register(app: typer.Typer) -> None:
    """Add the command to those of analyze."""
    app.command("regression")(regression)


def regression(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="An objective, a metric, metric.NAME.min, summary.KEY or a column.",
            show_default=False,
        ),
    ],
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN", help="The run's id or number.", show_default="the newest that matches"
        ),
    ] = None,
    filter_text: Annotated[
        str | None,
        typer.Argument(
            metavar="FILTER",
            help="Of which runs it is the newest, and the baseline the last good ones.",
            show_default=False,
        ),
    ] = None,
    filter_option: FilterOption = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|NAME",
            help="A run, or the name of a baseline: runs with the tag baseline=NAME.",
            show_default="the last good runs",
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="So many good runs count, at most.")] = 10,
    same: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            help="Good runs are like the run by this, as gradient_method; repeat for more.",
            show_default="group_name",
        ),
    ] = None,
    any_group: Annotated[
        bool, typer.Option("--any-group", help="Good runs need not be like the run by anything.")
    ] = False,
    direction: Annotated[
        Mode | None,
        typer.Option(
            help="Whether less or more is better.",
            show_default="as the objective says, or its name",
        ),
    ] = None,
    statistic: Annotated[
        str | None,
        typer.Option(
            help="Which number of it, such as normalized_mean of an objective or min of a metric.",
            show_default="raw_mean, or last",
        ),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|PERCENT",
            help="How much worse is let pass, as 0.02 or 5%.",
            show_default="the noise between good runs",
        ),
    ] = None,
    min_runs: Annotated[
        int, typer.Option(min=2, help="So many good runs tell the noise, at least.")
    ] = 3,
    confidence: Annotated[
        float,
        typer.Option(help="How seldom a run that is no worse is called worse."),
    ] = 0.99,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 also where it cannot be told.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Keep the answer as an event.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell whether a run is worse than a baseline; exit with 1 where it is.

    A run that failed or crashed is worse, and so is one without a finite value. Where it cannot be
    told, because the run has not ended or there are too few good runs, stderr says so and the exit
    code is 0, or 1 with --strict. Good runs that lie far off the others are left out, and named.
    """
    from training_db.analysis.regression.verdict import shortened
    from training_db.database import TrainingDB

    if any_group and same:
        raise typer.BadParameter("give either --same or --any-group")
    with TrainingDB(url) as db:
        found = db.analysis.regression(
            target,
            None if run is None else db.runs.resolve(run),
            chosen_filter(filter_text, filter_option),
            baseline=baseline,
            last=last,
            same=[] if any_group else same or "group_name",
            direction=None if direction is None else direction.value,
            statistic=statistic,
            tolerance=tolerance,
            min_runs=min_runs,
            confidence=confidence,
            save=save,
        )
    if as_json:
        print_json(found.as_dict())
    if found.is_worse is None or not as_json:
        typer.echo(one_line(found.sentence), err=found.is_worse is None)
    if found.baseline_runs and not as_json:
        runs = f"Baseline: {shortened(found.baseline_runs)}."
        typer.echo(one_line(runs), err=found.is_worse is None)
    raise typer.Exit(_exit_code(found, strict=strict))


def _exit_code(found: Regression, *, strict: bool) -> int:
    is_failure = strict if found.is_worse is None else found.is_worse
    return WORSE if is_failure else 0
