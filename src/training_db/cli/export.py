"""``training-db history export``: histories as CSV, JSON or Parquet, whole or not at all."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training_db.cli.history_options import (
    Axis,
    AxisOption,
    Duplicates,
    DuplicatesOption,
    StepsOption,
    parsed_steps,
)
from training_db.cli.output import RunArguments, Url, one_line, said_if_not_written

if TYPE_CHECKING:
    from collections.abc import Callable
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
    from training_db.counts import counted
    from training_db.database import TrainingDB
    from training_db.whole_file import opened_whole

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
        with said_if_not_written(output), opened_whole(Path(output)) as file:
            rows = write(histories, file)
    what = f"{counted(rows, 'row')} of {counted(len(run_ids), 'run')}"
    typer.echo(one_line(f"wrote {what} to {output}"), err=True)


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
