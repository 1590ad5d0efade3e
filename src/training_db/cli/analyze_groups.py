"""``training-db analyze groups`` and ``crashes``: groups of runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    cell,
    chosen_filter,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from training_db.analysis.comparison.crashes import CrashGroup
    from training_db.analysis.comparison.groups import Group, Groups

_HELP_BY = "A column, config.PATH, summary.KEY or tag.NAME."
_MOST_PAIRS = 20
Confidence = Annotated[float, typer.Option(help="Of the intervals, between 0 and 1.")]


def register(app: typer.Typer) -> None:
    """Add the commands to those of analyses."""
    app.command()(groups)
    app.command()(crashes)


def groups(
    by: Annotated[str, typer.Argument(metavar="BY", help=_HELP_BY)] = "gradient_method",
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    objectives: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            "-o",
            metavar="NAME",
            help="Compare them by this objective; may be repeated.",
            show_default="all objectives, where no metric is named",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            "-m",
            metavar="NAME",
            help="Compare them by this metric, such as loss or loss.min; may be repeated.",
        ),
    ] = None,
    statistic: Annotated[
        str, typer.Option(metavar="STATISTIC", help="Which number of an objective counts.")
    ] = "raw_mean",
    confidence: Confidence = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap and of permutations.")] = 0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Put groups of runs side by side, and say whether they differ by more than noise.

    Runs that have no value of BY are a group of their own. Means stand with their intervals, in
    brackets, and with the number of runs that have a finite value.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        found = db.analysis.groups(
            by,
            objectives or None,
            chosen_filter(filter_text, filter_option),
            metric=metrics,
            confidence=confidence,
            seed=seed,
            statistic=statistic,
        )
    if found.groups and all(one.value is None for one in found.groups):
        typer.echo(one_line(f"no run that matches has {found.by}"), err=True)
    if as_json:
        print_json(found.as_dict())
        return
    columns = (found.by, "runs", "ended", "completed", "success", "mean_seconds", *found.tests)
    title = f"By {found.by}, with {found.confidence:.4g} intervals"
    print_table(title, columns, [_row(found.by, one) for one in found.groups], "no run matches")
    _print_tests(found)


def crashes(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="BY",
            help=f"{_HELP_BY} May be repeated.",
            show_default="gradient_method and host",
        ),
    ] = None,
    confidence: Confidence = 0.95,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell where runs crash and fail: how often, after which errors, at which step.

    Each method and host is compared with all other runs that ended; "more than noise" in the last
    column says that its rate differs.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        filters = chosen_filter(filter_text, filter_option)
        asked = {"by": by} if by else {}
        found = db.analysis.crashes(filters, confidence=confidence, **asked)
    if as_json:
        print_json(found.as_dict())
        return
    for place, (name, listed) in enumerate(found.by.items()):
        if place:
            typer.echo()
        columns = (name, "runs", "ended", "crashed", "failed", "rate", "last_step", "error",
                   "error_runs", "verdict")  # fmt: skip
        rows = [_crash_row(name, one) for one in listed]
        print_table(f"Crashes by {name}", columns, rows, "no run matches")


def interval(value: float | None, low: float | None, high: float | None) -> str | None:
    """Return a number with its interval, as it stands in a table.

    Example:
        >>> interval(0.5, 0.25, 0.75)
        '0.5 [0.25, 0.75]'
    """
    if value is None or low is None or high is None:
        return None if value is None else cell(value)
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _row(by: str, group: Group) -> dict[str, Any]:
    measures = {
        name: f"{interval(one.mean, one.low, one.high)} of {one.count}"
        for name, one in group.measures.items()
        if one.count
    }
    return {
        **measures,
        by: group.value,
        "runs": group.runs,
        "ended": group.ended,
        "completed": group.completed,
        "success": interval(group.success_rate, group.success_low, group.success_high),
        "mean_seconds": group.mean_duration_seconds,
    }


def _print_tests(found: Groups) -> None:
    if found.tests:
        typer.echo()
    for name, test in found.tests.items():
        typer.echo(one_line(f"{name}: {test.sentence}"))
        differing = [pair for pair in test.pairs if pair.verdict == "more than noise"]
        if len(found.groups) > 2:
            for pair in differing[:_MOST_PAIRS]:
                one, other = (cell(side) for side in (pair.one, pair.other))
                chance = f"{pair.superiority:.0%} of the time above"
                typer.echo(one_line(f"  {one} is {chance} {other} (p = {pair.p_value:.2g})"))
            if len(differing) > _MOST_PAIRS:
                typer.echo(f"  and {len(differing) - _MOST_PAIRS} pairs more; --json has them all")


def _crash_row(name: str, group: CrashGroup) -> dict[str, Any]:
    return {
        name: group.value,
        "runs": group.runs,
        "ended": group.ended,
        "crashed": group.crashed,
        "failed": group.failed,
        "rate": interval(group.rate, group.low, group.high),
        "last_step": group.last_step,
        "error": group.error,
        "error_runs": group.error_runs or None,
        "verdict": group.verdict,
    }
