"""``training-db spool``: what recorders wrote to this machine's disk and did not send yet."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import Json, Url, Yes, is_asked, minute, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from training_db.recording.leftover import SpoolState

app = typer.Typer(
    help="Show, send and drop what recorders left on this machine's disk.", no_args_is_help=True
)

Folder = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the spools are.",
        show_default="TRAINING_DB_SPOOL_DIR, else the user's state folder",
    ),
]
_COLUMNS = ("file", "state", "run_id", "rows", "events", "bytes", "started_at", "place", "reason")
_FAULTS = ("unreadable", "corrupt")


@app.command()
def status(folder: Folder = None, as_json: Json = False) -> None:
    """List the spools there are: whose they are, and how much of each is not in its database."""
    from training_db.recording import leftover

    with _said_once():
        found = leftover.status(folder)
    _tell(found, as_json=as_json)


@app.command()
def sync(
    folder: Folder = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Send what recorders that are gone have left for this database; exit 1 if some cannot be.

    Spools of processes that are alive and of other databases stay as they are. One that is
    damaged is set aside under another name.
    """
    from training_db.database import TrainingDB
    from training_db.recording import leftover

    with TrainingDB(url) as db, _said_once():
        found = leftover.sync(db, folder)
    _tell(found, as_json=as_json, empty="there is nothing to send to this database")
    if any(one.state in _FAULTS for one in found):
        raise typer.Exit(1)


@app.command()
def drop(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="These spools.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that nobody uses.")] = False,
    folder: Folder = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete spools with all that was not sent, for good; those in use stay.

    On a terminal it asks first; elsewhere it takes --yes.
    """
    from training_db.recording import leftover

    if bool(files) == everything:
        raise typer.BadParameter("name the spools to drop, or say --all", param_hint="FILE")
    with _said_once():
        what = "all spools" if everything else f"{len(files or ())} spools"
        if not yes and not is_asked(f"Delete {what} and what was not sent of them?"):
            raise typer.BadParameter("this cannot be undone; say --yes", param_hint="--yes")
        chosen = None if everything else [Path(one) for one in files or ()]
        found = leftover.drop(folder, files=chosen)
    _tell(found, as_json=as_json)


@contextmanager
def _said_once() -> Iterator[None]:
    """Leave out the warnings that a recorder would give: what they say stands in the listing."""
    from training_db.recording.complaints import RecorderWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        yield


def _tell(
    spools: Sequence[SpoolState], *, as_json: bool, empty: str = "there are no spools"
) -> None:
    rows = list(_as_dicts(spools))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["started_at"] = minute(row["started_at"])
    # What no spool has is left out, for the paths are long.
    shown = [name for name in _COLUMNS if any(row[name] is not None for row in rows)]
    print_table(f"{len(rows)} spools", shown, rows, empty)


def _as_dicts(spools: Iterable[SpoolState]) -> Iterator[dict[str, Any]]:
    for one in spools:
        yield asdict(one) | {"file": str(one.file)}
