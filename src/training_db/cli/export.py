"""``training-db history export``: histories as CSV, JSON or Parquet, whole or not at all."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from training_db.cli.history_options import (
    Axis,
    AxisOption,
    Duplicates,
    DuplicatesOption,
    StepsOption,
    parsed_steps,
)
from training_db.cli.output import RunArguments, Url, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from training_db.cli.export_formats import Histories


class Format(StrEnum):
    """What a file of histories is written as."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def register(app: typer.Typer) -> None:
    """Add the command to those of history."""
    app.command("export")(export)


def export(
    runs: RunArguments,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE",
            help="The file, which is replaced if it is there; a pipe or device is written to.",
            show_default="standard output",
        ),
    ] = None,
    file_format: Annotated[
        Format | None,
        typer.Option("--format", help="The format.", show_default="by the file's name, else csv"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="These metrics.", show_default="all"),
    ] = None,
    steps: StepsOption = None,
    x: AxisOption = Axis.STEP,
    duplicates: DuplicatesOption = Duplicates.LAST,
    url: Url = None,
) -> None:  # fmt: skip
    """Write histories to a file: a row a run and step, a column a metric.

    CSV says NaN, Infinity and -Infinity, and leaves empty what was not logged. Parquet needs
    pyarrow, which the extra 'parquet' brings. The file has its name only once it is complete.
    """
    from training_db.cli.export_formats import Histories
    from training_db.database import TrainingDB

    chosen = file_format or _by_name(output)
    if chosen is Format.PARQUET and output is None:
        raise typer.BadParameter("Parquet goes into a file; name it with -o", param_hint="-o")
    write = _writer(chosen)
    names = None if metrics is None else [one.strip() for one in metrics.split(",") if one.strip()]
    if names == []:
        raise typer.BadParameter("name at least one metric", param_hint="--metrics")
    with TrainingDB(url) as db:
        run_ids = list(dict.fromkeys(map(db.runs.resolve, runs)))
        histories = Histories(db, run_ids, names, parsed_steps(steps), x.value, duplicates.value)
        if output is None:
            write(histories, sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        try:
            with _opened(Path(output)) as file:
                rows = write(histories, file)
        except OSError as error:
            typer.echo(one_line(f"training-db: {output} was not written: {error}"), err=True)
            raise typer.Exit(1) from None
    typer.echo(one_line(f"wrote {rows} rows of {len(run_ids)} runs to {output}"), err=True)


def _by_name(output: str | None) -> Format:
    ending = "" if output is None else Path(output).suffix.removeprefix(".").lower()
    return Format(ending) if ending in set(Format) else Format.CSV


def _writer(chosen: Format) -> Callable[[Histories, BinaryIO], int]:
    from training_db.cli import export_formats

    if chosen is Format.CSV:
        return export_formats.write_csv
    if chosen is Format.JSON:
        return export_formats.write_json
    return export_formats.parquet_writer()


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    """Open what is written to: a pipe or a device stays what it is."""
    if path.exists() and not path.is_file() and not path.is_dir():
        return path.open("wb")
    return _complete_or_absent(path.resolve())  # a link stays, and what it leads to is replaced


@contextmanager
def _complete_or_absent(path: Path) -> Iterator[BinaryIO]:
    """Yield a file that takes its name only when the block is done."""
    unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}.partial")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
