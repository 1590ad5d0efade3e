"""``training-db report``: a page about a run, a comparison or a project."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Url,
    chosen_filter,
    one_line,
    said_if_not_written,
)


class Format(StrEnum):
    """What a report is written as."""

    HTML = "html"
    MARKDOWN = "markdown"


class Kind(StrEnum):
    """What a report is about."""

    RUN = "run"
    COMPARISON = "comparison"
    PROJECT = "project"


def register(app: typer.Typer) -> None:
    """Add the command to the main one."""
    app.command()(report)


def report(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="The file, which is replaced if it is there; - for standard output.",
        ),
    ] = "report.html",
    file_format: Annotated[
        Format | None,
        typer.Option(
            "--format", help="The format.", show_default="markdown for FILE.md, else html"
        ),
    ] = None,
    runs: Annotated[
        list[str] | None,
        typer.Option(
            "--run", metavar="RUN", show_default=False,
            help="The run of this id or number, instead of a filter; repeat it for more.",
        ),
    ] = None,
    kind: Annotated[
        Kind | None,
        typer.Option(
            help="What the page is about.",
            show_default="run for 1 run, comparison for 2 to 10, project for more",
        ),
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The heading.", show_default="made of the runs' names"),
    ] = None,
    url: Url = None,
) -> None:  # fmt: skip
    """Write a page about runs: what happened, which are best, what tells them apart.

    HTML is one file that loads nothing from anywhere, some 5 MB with its figures, in light and
    dark. Markdown has the same tables and findings, and curves as lines of blocks. The file has
    its name only once it is complete.
    """
    from training_db.counts import counted
    from training_db.database import TrainingDB
    from training_db.report.report import format_of, make_report
    from training_db.whole_file import write_whole

    which = chosen_filter(filter_text, filter_option)
    if which and runs:
        raise typer.BadParameter("give a filter or runs, not both", param_hint="--run")
    chosen = file_format.value if file_format else format_of(output)
    with TrainingDB(url) as db:
        named = list(dict.fromkeys(map(db.runs.resolve, runs))) if runs else None
        made = make_report(db, which, run_ids=named, kind=kind.value if kind else None, title=title)
    text = made.markdown() if chosen == "markdown" else made.html()
    if output == "-":
        typer.echo(text, nl=False)
        return
    with said_if_not_written(output):
        write_whole(Path(output), text)
    size = len(text.encode())
    megabytes = f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
    about = f"{made.page.kind}, {counted(made.runs, 'run')}, {megabytes}"
    typer.echo(one_line(f"wrote {output}: {about}"), err=True)
