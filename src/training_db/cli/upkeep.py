"""``training-db runs tag``, ``delete`` and ``restore``."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.output import (
    Json,
    RunArgument,
    RunArguments,
    Url,
    Yes,
    counted_runs,
    is_asked,
    one_line,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from training_db.database import TrainingDB


def register(app: typer.Typer) -> None:
    """Add the commands to those of runs."""
    app.command("tag")(tag)
    app.command("delete")(delete)
    app.command("restore")(restore)


def tag(
    run: RunArgument,
    tags: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME[=VALUE]",
            help="The tags; none shows what there is.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take these tags off.")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Tag a run, change the value of a tag, or take tags off; then show its tags."""
    from training_db.database import TrainingDB

    if remove and not tags:
        raise typer.BadParameter("name the tags to take off", param_hint="NAME")
    with TrainingDB(url) as db, db.transaction() if tags else nullcontext():
        run_id = db.runs.resolve(run)
        for text in tags or ():
            if remove:
                if not db.tags.remove(run_id, text):
                    typer.echo(one_line(f"{run_id} has no tag {text!r}"), err=True)
            else:
                name, equals, value = text.partition("=")
                db.tags.add(run_id, name, value if equals else None)
        present = db.tags.of(run_id)
    if as_json:
        print_json({"run_id": run_id, "tags": present})
        return
    rows = [{"tag": name, "value": value} for name, value in present.items()]
    print_table(f"Tags of {run_id}", ("tag", "value"), rows, f"{one_line(run_id)} has no tags")


def delete(runs: RunArguments, yes: Yes = False, url: Url = None, as_json: Json = False) -> None:
    """Move runs to the trash: listings and figures leave them out, and nothing is lost.

    On a terminal it asks first. `runs list --deleted` shows the trash.
    """
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        chosen = _resolved(db, runs)
        if not yes:
            names = ", ".join(one["run_id"] for one in chosen)
            is_asked(f"Move {counted_runs(len(chosen))} to the trash: {names}?")
        moved = db.runs.delete(*(one["run_id"] for one in chosen))
    if as_json:
        print_json({"deleted": [one["run_id"] for one in chosen]})
        return
    numbers = " ".join(str(one["number"]) for one in chosen)
    typer.echo(f"moved {counted_runs(moved)} to the trash{_rest(moved, chosen, 'were there')}")
    typer.echo(f"to bring back: training-db runs restore {numbers}")


def restore(runs: RunArguments, url: Url = None, as_json: Json = False) -> None:
    """Take runs out of the trash again."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        chosen = _resolved(db, runs)
        moved = db.runs.restore(*(one["run_id"] for one in chosen))
    if as_json:
        print_json({"restored": [one["run_id"] for one in chosen]})
    else:
        typer.echo(f"restored {counted_runs(moved)}{_rest(moved, chosen, 'were not in the trash')}")


def _resolved(db: TrainingDB, runs: list[str]) -> list[dict[str, Any]]:
    """Return the runs, each once; a name that is none stops before anything is changed."""
    return [db.runs.get(run_id) for run_id in dict.fromkeys(map(db.runs.resolve, runs))]


def _rest(moved: int, chosen: list[dict[str, Any]], why: str) -> str:
    return f" ({len(chosen) - moved} {why})" if moved < len(chosen) else ""
