"""``training-db export parquet``: runs as a dataset that DuckDB and Spark read."""

from __future__ import annotations

from typing import Annotated

import typer

from training_db.cli.history_options import Duplicates, DuplicatesOption
from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    one_line,
    print_json,
    print_table,
    said_if_not_written,
)


def register(app: typer.Typer) -> None:
    """Add the command to those that export."""
    app.command("parquet")(parquet)


def parquet(
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FOLDER",
            help="Where the dataset goes; it has its name once it is complete.",
            show_default=False,
        ),
    ],
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    partition_by: Annotated[
        str,
        typer.Option(
            "--partition-by", metavar="A,B,...",
            help="What the folders are named by: created_year, created_month, created_day, columns "
            "of the runs, or none.",
        ),
    ] = "created_month",
    duplicates: DuplicatesOption = Duplicates.LAST,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a dataset that is there.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:  # fmt: skip
    """Write a Hive-partitioned dataset of Parquet files: runs, objectives, metrics, history ...

    DuckDB and Spark read it as it is. All of it is of one moment. It needs pyarrow, which the
    extra 'parquet' brings.
    """
    from training_db.cli.progress import shown_progress
    from training_db.database import TrainingDB
    from training_db.transfer.dataset import export_dataset

    filters = chosen_filter(filter_text, filter_option)
    names = [one.strip() for one in partition_by.split(",") if one.strip()]
    with TrainingDB(url) as db, said_if_not_written(output), shown_progress() as progress:
        dataset = export_dataset(
            db,
            output,
            filters,
            partition_by=[] if names == ["none"] else names,
            duplicates=duplicates.value,
            force=force,
            progress=progress,
        )
    for column, count in dataset.misfits.items():
        typer.echo(
            f"training-db: {column}: {count} not of the column's type; "
            "NULL there, and kept in the table misfits",
            err=True,
        )
    tables = [
        {"table": one.name, "rows": one.rows, "files": one.files, "bytes": one.bytes}
        for one in dataset.tables
    ]
    if as_json:
        print_json(
            {
                "folder": str(dataset.folder),
                "runs": dataset.runs,
                "tables": tables,
                "misfits": dataset.misfits,
            }
        )
        return
    title = one_line(f"{dataset.runs} runs in {dataset.folder}")
    print_table(title, ["table", "rows", "files", "bytes"], tables, "nothing was exported")
