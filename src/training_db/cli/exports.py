"""``training-db export``: runs for other tools, in the form that these keep them in."""

from __future__ import annotations

from typing import Annotated

import typer

from training_db.cli import export_parquet
from training_db.cli.output import Json, RunArguments, Url, one_line, print_json, print_table

app = typer.Typer(help="Write runs for other tools.", no_args_is_help=True)
export_parquet.register(app)


@app.command("wandb")
def wandb(
    runs: RunArguments,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FOLDER",
            help="Where the folders of the runs go; it is made if it is not there.",
            show_default=False,
        ),
    ],
    project: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The project they go to.", show_default="by the tag wandb.project"
        ),
    ] = None,
    entity: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Whose project it is.", show_default="by the tag wandb.entity"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace folders that were exported before.")
    ] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:  # fmt: skip
    """Write offline run folders of W&B, which `wandb sync` uploads.

    A run whose steps were logged more than once has the last value of each there. A folder is
    complete, or it is not there.
    """
    from training_db.capture.export.folders import exported_runs
    from training_db.database import TrainingDB

    listed = []
    with TrainingDB(url) as db:
        run_ids = list(map(db.runs.resolve, runs))
        for one in exported_runs(db, run_ids, output, project, entity, force=force):
            for fault in one.faults:
                typer.echo(one_line(f"training-db: run {one.run_id!r}: {fault}"), err=True)
            listed.append(
                {
                    "run_id": one.run_id,
                    "wandb_id": one.wandb_id,
                    "rows": one.rows,
                    "values": one.values,
                    "folder": str(one.folder),
                    "warnings": one.faults,
                }
            )
    if as_json:
        print_json(listed)
        return
    columns = ["run_id", "rows", "values", "folder"]
    print_table("exported", columns, listed, "nothing was exported")
