"""``training-db analyze plateau``, ``instability``, ``explosions``, ``conflicts`` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.comparison import Mode
from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    RunArgument,
    Url,
    chosen_filter,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from training_db.analysis.dynamics.looks import Look
    from training_db.database import TrainingDB

MetricArgument = Annotated[
    str, typer.Argument(metavar="METRIC", help="A metric of the history.", show_default=False)
]
RunOption = Annotated[
    str | None, typer.Option("--run", metavar="RUN", help="Only the run of this id or number.")
]
_MOST_SKIPPED = 10

Save = Annotated[bool, typer.Option("--save", help="Keep each answer as an event of its run.")]


DirectionOption = Annotated[
    Mode | None,
    typer.Option("--direction", help="Which way is better.", show_default="either"),
]


def register(app: typer.Typer) -> None:
    """Add the commands to those that analyze."""
    for command in (plateau, instability, explosions, convergence, conflicts, run):
        app.command()(command)


def plateau(
    metric: MetricArgument,
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    run: RunOption = None,
    save: Save = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell since which step a metric stays where it is, and how sure that is."""
    _print_looks(
        lambda db, which: db.analysis.plateaus(metric, save=save, **which),
        (filter_text, filter_option, run),
        f"Plateaus of {metric}",
        ("step", "level", "confidence"),
        lambda found: {
            "step": found.step, "level": found.level, "confidence": found.confidence
        },
        url,
        as_json=as_json,
    )  # fmt: skip


def instability(
    metric: MetricArgument,
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    run: RunOption = None,
    direction: DirectionOption = None,
    save: Save = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell where a metric spiked, was NaN or infinite, or diverged."""
    _print_looks(
        lambda db, which: db.analysis.instabilities(
            metric, save=save, direction=direction and direction.value, **which
        ),
        (filter_text, filter_option, run),
        f"Instabilities of {metric}",
        ("spikes", "spike_step", "non_finite", "first_non_finite", "diverged_since"),
        _unstable,
        url,
        as_json=as_json,
    )


def explosions(
    metric: Annotated[
        str, typer.Argument(metavar="METRIC", help="The norm of the gradient.")
    ] = "grad_norm",
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    run: RunOption = None,
    save: Save = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell where gradients exploded, by a metric that is their norm, such as grad_norm."""
    _print_looks(
        lambda db, which: db.analysis.explosions(metric, save=save, **which),
        (filter_text, filter_option, run),
        f"Explosions of {metric}",
        ("explosions", "first_step", "worst_step", "worst_value", "times_the_usual"),
        _exploded,
        url,
        as_json=as_json,
    )


def convergence(
    metric: MetricArgument,
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    run: RunOption = None,
    direction: DirectionOption = None,
    save: Save = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell how fast a metric got where it got: by which steps so much of the change was made.

    The area is what was left of the change, averaged over the steps: the less, the faster.
    """
    columns = (
        "first", "last", "step_50", "step_90", "step_95", "step_99", "half_life", "area", "settled"
    )  # fmt: skip
    _print_looks(
        lambda db, which: db.analysis.convergence(
            metric, direction=direction and direction.value, save=save, **which
        ),
        (filter_text, filter_option, run),
        f"Convergence of {metric}",
        columns,
        lambda found: {column: getattr(found, column) for column in columns},
        url,
        as_json=as_json,
    )


def conflicts(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    run: RunOption = None,
    objectives: Annotated[
        list[str] | None,
        typer.Option("--objective", metavar="NAME", help="This objective only; may be repeated."),
    ] = None,
    save: Save = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tell which objectives part ways: which get better while others get worse, and since when."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        which = _which(db, filter_text, filter_option, run)
        looks = db.analysis.conflicts(objectives=objectives or None, save=save, **which)
    if as_json:
        print_json([look.as_dict() for look in looks])
        return
    columns = (
        "run_id", "better", "worse", "since", "until", "better_change", "worse_change",
        "correlation", "share",
    )  # fmt: skip
    rows = [
        {"run_id": look.run_id} | {column: getattr(one, column) for column in columns[1:]}
        for look in looks
        for one in look.conflicts
    ]
    empty = "no two objectives part ways" if looks else "no run matches"
    print_table("Objectives that part ways", columns, rows, empty)
    _say_skipped((look.run_id, look.skipped) for look in looks)


def run(run: RunArgument, url: Url = None, as_json: Json = False) -> None:
    """Tell what is worth saying of a run: of its losses, gradients and objectives."""
    from dataclasses import asdict

    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        run_id = db.runs.resolve(run)
        findings = [asdict(finding) for finding in db.analysis.findings(run_id)]
    if as_json:
        print_json(findings)
        return
    empty = one_line(f"there is nothing to say of {run_id}")
    print_table(f"Run {run_id}", ("severity", "kind", "sentence"), findings, empty)


def _print_looks(
    ask: Callable[[TrainingDB, dict[str, Any]], Sequence[Look[Any]]],
    chosen: tuple[str | None, str | None, str | None],
    title: str,
    columns: Sequence[str],
    cells: Callable[[Any], dict[str, Any]],
    url: str | None,
    *,
    as_json: bool,
) -> None:
    """Ask about each run, and print a row for each that was looked at."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        which = _which(db, *chosen)
        looks = ask(db, which)
        matches = bool(looks or db.runs.ids(which.get("filters")))
    if as_json:
        print_json([look.as_dict() for look in looks])
        return
    rows = [
        {"run_id": look.run_id} | ({} if look.found is None else cells(look.found))
        for look in looks
        if look.skipped is None
    ]
    empty = _empty(looks, matches=matches)
    print_table(title, ("run_id", *columns), rows, empty)
    _say_skipped((look.run_id, look.skipped) for look in looks)


def _which(
    db: TrainingDB, filter_text: str | None, filter_option: str | None, run: str | None
) -> dict[str, Any]:
    text = chosen_filter(filter_text, filter_option)
    if run is None:
        return {"filters": text}
    if text:
        raise typer.BadParameter("give a filter or --run, not both")
    return {"run_id": db.runs.resolve(run)}


def _empty(looks: Sequence[Any], *, matches: bool) -> str:
    if looks:
        return "no run has enough values of it"
    return "no run that matches has it" if matches else "no run matches"


def _say_skipped(looks: Iterable[tuple[str, str | None]]) -> None:
    skipped = [(run_id, reason) for run_id, reason in looks if reason is not None]
    for run_id, reason in skipped[:_MOST_SKIPPED]:
        typer.echo(one_line(f"{run_id} was not looked at: {reason}"), err=True)
    if len(skipped) > _MOST_SKIPPED:
        more = len(skipped) - _MOST_SKIPPED
        typer.echo(f"{more} more were not looked at; --json says why", err=True)


def _unstable(found: Any) -> dict[str, Any]:
    largest = max(found.spikes, key=lambda spike: abs(spike.size), default=None)
    missing, divergence = found.non_finite, found.divergence
    return {
        "spikes": len(found.spikes),
        "spike_step": largest and largest.step,
        "non_finite": missing.count if missing else 0,
        "first_non_finite": missing and missing.first,
        "diverged_since": divergence and divergence.step,
    }


def _exploded(found: Any) -> dict[str, Any]:
    worst = max(found, key=lambda one: one.factor)
    return {
        "explosions": len(found),
        "first_step": found[0].step,
        "worst_step": worst.step,
        "worst_value": worst.value,
        "times_the_usual": worst.factor,
    }
