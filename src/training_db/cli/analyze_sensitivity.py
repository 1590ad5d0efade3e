"""``training-db analyze sensitivity``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from training_db.analysis.sensitivity.sensitivity import Importance, Sensitivity

_COLUMNS = (
    "setting",
    "kind",
    "importance",
    "interval",
    "matters",
    "partial",
    "same_as",
    "goes_with",
)


def register(app: typer.Typer) -> None:
    """Add the command to those of analyze."""
    app.command("sensitivity")(sensitivity)


def sensitivity(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="An objective, a metric, metric.NAME.min, summary.KEY or a column.",
            show_default=False,
        ),
    ],
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    statistic: Annotated[
        str | None,
        typer.Option(
            help="Which number of it, such as normalized_mean of an objective or min of a metric.",
            show_default="raw_mean, or last",
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--setting", metavar="PATH", help="Only this setting of the config; repeat for more."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many settings.")] = 20,
    seeds: Annotated[int, typer.Option(min=2, help="How many forests.")] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell which settings matter for what runs came to.

    The importance of a setting is the share of the target's variance (of its ranks) that is its
    doing, as told by random forests; beside it stands the partial rank correlation, which says
    which way it works. With too few runs, or where nothing is told from chance, it says that it
    cannot tell.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        found = db.analysis.sensitivity(
            target,
            chosen_filter(filter_text, filter_option),
            statistic=statistic,
            settings=setting,
            seeds=seeds,
            seed=seed,
        )
    if as_json:
        print_json(found.as_dict())
        return
    if found.importances:
        rows = [_row(one) for one in found.importances[:limit]]
        print_table(f"What matters for {found.target}", _COLUMNS, rows, "")
        typer.echo()
    typer.echo(one_line(found.sentence))
    for line in _aside(found, limit):
        typer.echo(one_line(line))


def _row(one: Importance) -> dict[str, Any]:
    partial = one.partial_correlation
    return {
        "setting": one.name,
        "kind": one.kind,
        "importance": f"{one.mean:.3f}",
        "interval": f"{one.low:.3f} to {one.high:.3f}",
        "matters": one.matters,
        "partial": None if partial is None else f"{partial:+.2f}",
        "same_as": ", ".join(one.same_as) or None,
        "goes_with": ", ".join(f"{name} {strength:.2f}" for name, strength in one.goes_with)
        or None,
    }


def _aside(found: Sensitivity, limit: int) -> list[str]:
    lines = []
    if len(found.importances) > limit:
        lines.append(f"More settings: {len(found.importances) - limit}; --limit shows them.")
    if found.without_value:
        lines.append(f"Runs left out, for want of a finite value: {found.without_value}.")
    if found.not_drawn:
        lines.append(f"Runs left out, for {found.runs} were drawn: {found.not_drawn}.")
    if found.left_out:
        lines.append(f"Settings left out: {len(found.left_out)}; --json says why.")
    return lines
