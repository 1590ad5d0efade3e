"""How far a long command is: on stderr, a bar on a terminal and lines elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.db.report import Progress


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield what draws progress: a bar on a terminal, a line for each step where it is piped."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def draw(label: str, done: int, total: int) -> None:
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=total or None)
            bars.update(tasks[label], completed=done, total=total or None)

        yield draw


class _Lines:
    """Progress as plain lines on stderr: each step when it begins, and each tenth of it."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 0
        if tenth > self._told.get(label, -1):
            self._told[label] = tenth
            figures = f" {done}/{total}" if total else ""
            typer.echo(f"{label}{figures}", err=True)
