"""What one thing has: names and values under each other, and JSON as dotted names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from training_db.cli.output import console, exactly, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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


def leaves(text: str | None) -> dict[str, Any]:
    """Flatten JSON text to dotted names; what is no JSON object is one leaf.

    Example:
        >>> leaves('{"optimizer": {"lr": 0.1}, "betas": [0.9, 0.95]}')
        {'optimizer.lr': 0.1, 'betas': '[0.9, 0.95]'}
    """
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {"(no JSON)": text}
    if not isinstance(document, dict):
        return {"(no object)": text}
    return dict(_walk(document, "")) if document else {}


def _walk(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from _walk(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, json.dumps(node) if isinstance(node, (dict, list)) else node
