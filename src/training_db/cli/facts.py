"""What one thing has: names and values under each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from training_db.cli.output import console, exactly, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping


def print_facts(title: str, facts: Mapping[str, Any]) -> None:
    """Print names and values under a title; nothing at all where there are none.

    Args:
        title: What the facts are about.
        facts: Names and values, in order.
    """
    from rich.table import Table
    from rich.text import Text

    if not facts:
        return
    screen = console()
    if not screen.is_terminal:
        typer.echo(one_line(title))
        width = max(map(len, facts))
        for name, value in facts.items():
            typer.echo(f"  {one_line(name).ljust(width)}  {one_line(exactly(value))}")
        return
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(Text(f"  {one_line(name)}", style="dim"), Text(one_line(exactly(value))))
    screen.print(Text(one_line(title), style="bold"))
    screen.print(table)


def print_paragraph(title: str, text: str) -> None:
    """Print a text of several lines under a title."""
    from rich.text import Text

    screen = console()
    screen.print(Text(one_line(title), style="bold"))
    for line in text.splitlines():
        screen.print(Text(f"  {one_line(line)}" if line.strip() else ""))
