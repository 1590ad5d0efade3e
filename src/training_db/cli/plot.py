"""``training-db history plot``: training curves in the terminal, or as a page."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.history_options import (
    Axis,
    Duplicates,
    DuplicatesOption,
    MetricArguments,
    StepsOption,
    parsed_steps,
    shown_place,
)
from training_db.cli.output import RunArgument, Url, console, one_line, said_if_not_written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from training_db.database import TrainingDB
    from training_db.report.points import Drawn
    from training_db.report.terminal import Pen

    Histories = Mapping[str, Mapping[str, Any]]

_HIGHEST, _LOWEST = 32, 10  # rows of a plot, if nothing is said
_AROUND = 5  # rows above and beneath it
_LEGEND_NAME = 40
_PAGES = (".html", ".htm")


def register(app: typer.Typer) -> None:
    """Add the command to those of history."""
    app.command("plot")(plot)


def plot(
    run: RunArgument,
    metrics: MetricArguments = None,
    others: Annotated[
        list[str] | None,
        typer.Option(
            "--compare", metavar="RUN", show_default=False,
            help="A run to draw beside it, by id or number; repeat it for more.",
        ),
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Values on a logarithmic axis.")] = False,
    smooth: Annotated[
        float, typer.Option(help="How much to smooth, from 0 (not at all) to below 1.")
    ] = 0.0,
    steps: StepsOption = None,
    x: Annotated[Axis, typer.Option("--x", help="What the values stand over.")] = Axis.STEP,
    duplicates: DuplicatesOption = Duplicates.LAST,
    width: Annotated[
        int | None,
        typer.Option(min=24, max=1000, help="Columns.", show_default="those of the terminal"),
    ] = None,
    height: Annotated[
        int | None,
        typer.Option(
            min=6, max=500, help="Rows of each plot.", show_default="what the terminal has room for"
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE.html",
            help="Write a page with the curves instead, which is replaced if it is there.",
            show_default=False,
        ),
    ] = None,
    url: Url = None,
) -> None:  # fmt: skip
    """Plot metrics of a run, each in a plot of its own; without metrics, its loss.

    Into a pipe it goes without colours. Points that have no place on the axis, such as NaN, stand
    at its edge, and are counted beneath. The page of -o loads nothing and can be mailed.
    """
    from training_db.database import TrainingDB
    from training_db.report.points import smoothed

    if output is not None and Path(output).suffix.lower() not in _PAGES:
        raise typer.BadParameter("the page is HTML; name it FILE.html", param_hint="-o")
    chosen = parsed_steps(steps)
    smoothed(_nothing(), smooth)  # a smoothing that can't be is said before anything is read
    with TrainingDB(url) as db:
        run_ids = list(dict.fromkeys(map(db.runs.resolve, [run, *(others or ())])))
        names = list(dict.fromkeys(metrics or [_loss_of(db, run_ids[0])]))
        histories = db.history.arrays(run_ids, names, chosen, x.value, duplicates.value)
    if output is not None:
        _write_page(Path(output), histories, names, x, log=log, smooth=smooth)
        return
    screen = console()
    size = shutil.get_terminal_size()
    rows = height or _rows(size.lines, len(names))
    for place, metric in enumerate(names):
        if place:
            typer.echo()
        _print_plot(
            screen, metric, histories, (width or size.columns, rows), x, log=log, smooth=smooth
        )


def _nothing() -> Any:
    import numpy as np

    return np.empty(0)


def _loss_of(db: TrainingDB, run_id: str) -> str:
    from training_db.history_rules import KEY_METRICS

    keys = [key["metric"] for key in db.history.keys(run_id) if key["kind"] != "other"]
    found = next((name for name in KEY_METRICS["loss"] if name in keys), None)
    if found is None:
        some = ", ".join(keys[:8]) + (" ..." if len(keys) > 8 else "")
        raise typer.BadParameter(
            one_line(f"{run_id} has no loss; name one of its metrics: {some or 'it has none'}"),
            param_hint="METRIC",
        )
    return found


def _rows(lines: int, plots: int) -> int:
    return max(_LOWEST, min(_HIGHEST, lines // plots - _AROUND))


def _print_plot(
    screen: Console,
    metric: str,
    histories: Histories,
    size: tuple[int, int],
    x: Axis,
    *,
    log: bool,
    smooth: float,
) -> None:
    from rich.text import Text

    from training_db.report.points import drawn
    from training_db.report.terminal import pen, text_plot

    has_colours = screen.color_system is not None and not screen.no_color
    lines: dict[str, tuple[Drawn, Pen]] = {}
    for place, (run_id, series) in enumerate(histories.items()):
        if metric in series:
            points = drawn(series[metric], log=log).smoothed(smooth)
            lines[run_id] = points, pen(place, colours=has_colours)
    text = text_plot(list(lines.values()), *size, log=log, is_time=x is Axis.TIMESTAMP)
    if not text:
        typer.echo(one_line(f"{metric}: there are no numbers to plot"), err=True)
        return
    over = "time (UTC)" if x is Axis.TIMESTAMP else x.value
    if not any(len(points) for points, _ in lines.values()):
        what = "value above 0" if log else "finite value"
        typer.echo(one_line(f"{metric}: there is no {what} to plot"), err=True)
        _print_beneath(lines, histories, metric, x)
        return
    words = [f"{metric} over {over}", *(["logarithmic"] if log else [])]
    words += [f"smoothed by {smooth:g}"] if smooth else []
    screen.print(Text(one_line(", ".join(words)), style="bold"), soft_wrap=True)
    screen.print(_legend(lines), soft_wrap=True)
    typer.echo(text, color=has_colours or None)
    _print_beneath(lines, histories, metric, x)


def _print_beneath(
    lines: Mapping[str, tuple[Drawn, Pen]], histories: Histories, metric: str, x: Axis
) -> None:
    for run_id, (points, _) in lines.items():
        _print_outside(run_id, points, x)
    for run_id in histories:
        if run_id not in lines:
            typer.echo(one_line(f"{run_id} has no {metric}"))


def _legend(lines: Mapping[str, tuple[Drawn, Pen]]) -> Any:
    from rich.text import Text

    from training_db.report.labels import shortened

    legend = Text()
    for name, (_, pen) in zip(shortened(lines, _LEGEND_NAME), lines.values(), strict=True):
        style = "" if pen.colour is None else f"color({pen.colour})"
        legend.append(f"{'   ' if legend else ''}{pen.sample} ", style)
        legend.append(name)
    return legend


def _print_outside(run_id: str, points: Drawn, x: Axis) -> None:
    counts = [
        f"{len(where)} {reason} (first at {x.value} {shown_place(_plain(where[0]), x)})"
        for reason, where in points.outside.items()
    ]
    if counts:
        typer.echo(one_line(f"{run_id}: {', '.join(counts)}"))


def _plain(place: Any) -> float | int:
    return int(place) if float(place).is_integer() else float(place)


def _write_page(
    path: Path, histories: Histories, names: Sequence[str], x: Axis, *, log: bool, smooth: float
) -> None:
    from training_db.counts import counted
    from training_db.report.document import Figure, Page, Section
    from training_db.report.figures import caption, curves
    from training_db.report.html import as_html
    from training_db.whole_file import write_whole

    blocks = []
    for metric in names:
        one = {
            run: {metric: own[metric]} if metric in own else {} for run, own in histories.items()
        }
        figure = curves(one, log, smooth, x.value, title=metric)
        blocks.append(Figure(metric, figure, caption(figure), is_wide=True))
    run_ids = list(histories)
    title = one_line(run_ids[0]) if len(run_ids) == 1 else f"{len(run_ids)} runs"
    page = as_html(
        Page(
            "run" if len(run_ids) == 1 else "comparison",
            title,
            [one_line(", ".join(run_ids))],
            sections=[Section("History", blocks)],
        )
    )
    with said_if_not_written(path):
        write_whole(path, page)
    what = f"{counted(len(blocks), 'figure')} of {counted(len(run_ids), 'run')}"
    typer.echo(one_line(f"wrote {what} to {path}"), err=True)
