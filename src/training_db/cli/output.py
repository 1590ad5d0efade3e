"""What commands print: tables for people, plain columns for pipes, JSON for programs."""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="A database URL, or the path of a SQLite file."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
FilterArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="FILTER",
        help="Only runs that match, such as: \"status = 'failed' and objective.QED > 0.6\".",
        show_default=False,
    ),
]
FilterOption = Annotated[
    str | None,
    typer.Option("--filter", metavar="FILTER", help="The same as the argument."),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="The run's id or number.", show_default=False)
]
RunArguments = Annotated[
    list[str],
    typer.Argument(metavar="RUN", help="The runs' ids or numbers.", show_default=False),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as a shell says it."""

_WIDEST = 100_000
_STATUS_COLOURS = {
    "completed": "green",
    "running": "cyan",
    "running (stale)": "yellow",
    "launched (stale)": "yellow",
    "launched": "blue",
    "failed": "red",
    "crashed": "red",
}


def chosen_filter(argument: str | None, option: str | None) -> str:
    """Return the filter, given in one of two ways."""
    if argument and option:
        raise typer.BadParameter("give the filter once: as the argument or by --filter")
    return argument or option or ""


def is_asked(question: str) -> bool:
    """Ask on a terminal whether to go on.

    Args:
        question: What would happen.

    Returns:
        Whether somebody was there, and said yes.

    Raises:
        Abort: Somebody said no.
    """
    if not sys.stdin.isatty():
        return False
    typer.confirm(one_line(question), abort=True, err=True)
    return True


def counted_runs(runs: int) -> str:
    """Return how many runs there are.

    Example:
        >>> counted_runs(1), counted_runs(1200)
        ('1 run', '1200 runs')
    """
    return "1 run" if runs == 1 else f"{runs} runs"


def shown_status(run: Mapping[str, Any]) -> str:
    """Return a run's status, and whether nothing was heard of it for a while.

    Example:
        >>> shown_status({"status": "running", "stale": True})
        'running (stale)'
    """
    return f"{run['status']} (stale)" if run.get("stale") else str(run["status"])


def console() -> Console:
    """Return a console that follows the terminal, and never wraps what goes into a pipe."""
    from rich.console import Console

    screen = Console(highlight=False)
    return screen if screen.is_terminal else Console(highlight=False, width=_WIDEST)


def print_json(value: object) -> None:
    """Print strict JSON; what is not finite is printed as it is stored, as a tagged object."""
    from training_db.documents import encode

    typer.echo(encode(value))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], empty: str
) -> None:
    """Print rows as a table, or one sentence where there are none.

    Args:
        title: What stands above it on a terminal.
        columns: The keys to show, in order.
        rows: Column names and values.
        empty: What to say instead of an empty table.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    screen = console()
    if not listed:
        typer.echo(empty, err=not screen.is_terminal)
        return
    if not screen.is_terminal:
        _print_plain(columns, listed)
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, header_style="bold")
    for column in columns:
        is_number = all(isinstance(row.get(column), (int, float, type(None))) for row in listed)
        table.add_column(
            Text(one_line(column)),
            justify="right" if is_number else "left",
            overflow="fold",
        )
    for row in listed:
        cells = (
            Text(one_line(cell(row.get(column))), style=_style(column, row)) for column in columns
        )
        table.add_row(*cells)
    screen.print(table)


def _print_plain(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [[one_line(column) for column in columns]]
    lines += [[one_line(cell(row.get(column))) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def one_line(text: str) -> str:
    """Return text that can neither break a line nor control a terminal."""
    return "".join(one if one.isprintable() else " " for one in text) or "-"


@contextmanager
def said_if_not_written(path: object) -> Iterator[None]:
    """Say in a line that a file could not be written, and why, and end with exit code 1."""
    try:
        yield
    except OSError as error:
        why = error.strerror or str(error)
        typer.echo(one_line(f"training-db: {path} was not written: {why}"), err=True)
        raise typer.Exit(1) from None


def cell(value: object) -> str:
    """Return a value as it stands in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else str(value)
    return str(value)


def exactly(value: object) -> str:
    """Return a value with all its digits, where there is room for one only."""
    return repr(value) if isinstance(value, float) else cell(value)


def _style(column: str, row: Mapping[str, Any]) -> str:
    return _STATUS_COLOURS.get(str(row.get(column)), "") if column == "status" else ""


def minute(timestamp: str | None) -> str | None:
    """Shorten a stored time to what a table has room for.

    Example:
        >>> minute("2024-05-06T07:08:09.000000Z")
        '2024-05-06 07:08'
    """
    return None if timestamp is None else timestamp[:16].replace("T", " ")
