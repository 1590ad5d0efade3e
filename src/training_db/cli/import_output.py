"""What an import prints: a block a run with its counts, or JSON for programs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import one_line, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from training_db.capture.storing.outcome import ImportOutcome

    Shown = Callable[[str, int, int], None]

Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No counts per key, unless they differ."),
]
_SHOWN_DAMAGE = 10
_SHOWN_KEYS = 5


def print_outcome(outcome: ImportOutcome, *, quiet: bool = False) -> None:
    """Print what came of one import, for people.

    Args:
        outcome: What came of it.
        quiet: Whether the counts per key are left out where both sides agree.
    """
    if outcome.error is not None:
        typer.echo(one_line(f"{outcome.file or repr('')}: not imported: {outcome.error}"), err=True)
        return
    typer.echo(one_line(_head(outcome)))
    for label, lines in (
        ("decision", [outcome.decision] if outcome.decision else []),
        ("damage", _damage(outcome.damage)),
        ("left out", [_counted(outcome.left_out)] if outcome.left_out else []),
    ):
        for line in lines:
            typer.echo(one_line(f"  {label}: {line}"))
    _print_counts(outcome, quiet=quiet)


def print_outcomes(outcomes: Sequence[ImportOutcome]) -> None:
    """Print what came of each import as JSON, for programs."""
    print_json([outcome.as_dict() for outcome in outcomes])


def finish(outcomes: Sequence[ImportOutcome], *, as_json: bool = False) -> None:
    """End a command that imported: print JSON if it was asked for, and sum up.

    Args:
        outcomes: What came of each import.
        as_json: Whether nothing was printed of them yet.

    Raises:
        Exit: With 1, where a source could not be read or the database differs from it.
    """
    if as_json:
        print_outcomes(outcomes)
    elif len(outcomes) > 1:
        typer.echo(_sum(outcomes))
    if not all(outcome.is_good for outcome in outcomes):
        raise typer.Exit(1)


@contextmanager
def progress_bar() -> Iterator[Shown | None]:
    """Show how far an import is, on a terminal; elsewhere nothing.

    Yields:
        What is to be called with the name of a source, how much of it is done, and how much there
        is; ``None`` where nobody looks.
    """
    from rich.console import Console

    screen = Console(stderr=True)
    if not screen.is_terminal:
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        # Else what is printed meanwhile would go where the bar is, and not into a pipe.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    tasks: dict[str, Any] = {}

    def show(name: str, done: int, total: int) -> None:
        if name not in tasks:
            for other in tasks.values():
                bar.update(other, visible=False)
            tasks[name] = bar.add_task(one_line(name), total=total)
            bar.start()
        bar.update(tasks[name], completed=done, total=total)
        if done >= total:
            bar.update(tasks[name], visible=False)
            bar.stop()
            del tasks[name]

    try:
        yield show
    finally:
        bar.stop()


def _head(outcome: ImportOutcome) -> str:
    name = f" ({outcome.name})" if outcome.name and outcome.name != outcome.run_id else ""
    run = f"{outcome.run_id}{name} {outcome.status}" if outcome.run_id else "no run"
    said = (
        f"{outcome.file}: {run}: {outcome.rows:,} rows ({outcome.new_rows:,} new), "
        f"{outcome.keys:,} keys, {outcome.values:,} values"
    )
    if outcome.already_here:
        said += f" ({outcome.already_here:,} of them here from another source)"
    if outcome.damage:
        said += f", {_places(len(outcome.damage))}"
    return said


def _places(count: int) -> str:
    return "1 damaged place" if count == 1 else f"{count:,} damaged places"


def _damage(damage: Sequence[str]) -> Iterable[str]:
    yield from damage[:_SHOWN_DAMAGE]
    if len(damage) > _SHOWN_DAMAGE:
        yield f"and {len(damage) - _SHOWN_DAMAGE:,} more; --json lists all"


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


def _print_counts(outcome: ImportOutcome, *, quiet: bool) -> None:
    if outcome.counts is None or not outcome.counts.keys:
        return
    differing = outcome.counts.differences
    if not quiet or differing:
        rows = [
            {"key": key, "file": source, "database": database}
            | ({"": "differs" if source != database else ""} if differing else {})
            for key, source, database in outcome.counts.keys
        ]
        print_table(f"Values per key of {outcome.run_id}", list(rows[0]), rows, "")
    if differing:
        names = ", ".join(repr(one.key) for one in differing[:_SHOWN_KEYS])
        more = ", ..." if len(differing) > _SHOWN_KEYS else ""
        typer.echo(
            one_line(
                f"{outcome.file}: the database differs in {len(differing)} keys: {names}{more}"
            ),
            err=True,
        )


def _sum(outcomes: Sequence[ImportOutcome]) -> str:
    read = [outcome for outcome in outcomes if outcome.error is None]
    runs = {outcome.run_id for outcome in read if outcome.run_id is not None}
    new, values = (sum(getattr(one, name) for one in read) for name in ("new_rows", "values"))
    said = f"{len(read):,} imported, {len(runs):,} runs, {new:,} new rows, {values:,} values"
    damage = sum(len(one.damage) for one in read)
    said += f", {_places(damage)}" if damage else ""
    differing = sum(not one.is_good for one in read)
    failed = len(outcomes) - len(read)
    said += f", {differing:,} differ" if differing else ", all as in their source"
    return said + (f"; {failed:,} could not be read" if failed else "")
