"""The commands that change a whole database, and what has to hold after each interruption."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import update

from tests.faults.contents import of_run
from tests.faults.processes import Process
from tests.upkeep.filled import fill
from training_db import TrainingDB
from training_db.db.migrations import downgrade, upgrade
from training_db.models import training_runs
from training_db.upkeep.backup import back_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.contents import Contents

KEPT, TRASHED = ("a", "b"), ("x", "y", "z")
LONG_AGO = datetime(2024, 5, 6, tzinfo=UTC)
TABLES_OF_A_RUN = 5


@dataclass(frozen=True)
class Command:
    """A command, and a database for it.

    Attributes:
        arguments: What is typed, given the database and a folder with what else it needs.
        prepare: Makes both, given an empty database and the folder.
        check: Fails unless what an interrupted command left is right, given what was there
            before it, what is there now, and what a whole one leaves.
    """

    arguments: Callable[[str, Path], list[str]]
    prepare: Callable[[str, Path], None]
    check: Callable[[Contents, Contents, Contents], None]

    def start(self, url: str, folder: Path, **orders: object) -> Process:
        arguments = [*self.arguments(url, folder), "--url", url]
        return Process(folder, "command", {"arguments": arguments, **orders})

    def run(self, url: str, folder: Path, **orders: object) -> tuple[int, float]:
        """Run it to its end; return its calls, if they are counted, and its seconds of work."""
        process = self.start(url, folder, **orders)
        lines = process.rest()
        assert process.wait() == 0, process.errors
        told = json.loads(lines[-1])
        return told["calls"], told["seconds"]


def old_or_new(before: Contents, now: Contents, after: Contents) -> None:
    """Check that all is as it was, or as it should be."""
    assert now in (before, after)


def whole_runs_go(before: Contents, now: Contents, after: Contents) -> None:
    """Check that nothing is there but what was and nothing is gone but whole runs that should."""
    for table, rows in now.items():
        assert after.get(table, rows) <= rows <= before[table], table
    there = now["training_runs"]
    for run in before["training_runs"]:
        rows = of_run(before, run)
        assert sum(map(bool, rows.values())) > TABLES_OF_A_RUN
        assert of_run(now, run) == (rows if run in there else {table: {} for table in rows})


def fill_some(url: str, _folder: Path) -> None:
    upgrade(url)
    with TrainingDB(url) as db:
        fill(db, *KEPT, *TRASHED)


def fill_an_old_one(url: str, folder: Path) -> None:
    fill_some(url, folder)
    downgrade(url, "v2.1", backup=False)


def throw_some_away(url: str, folder: Path) -> None:
    fill_some(url, folder)
    with TrainingDB(url) as db, db.engine.begin() as connection:
        trashed = update(training_runs).where(training_runs.c.run_id.in_(TRASHED))
        connection.execute(trashed.values(deleted_at=LONG_AGO))


def back_up_and_change(url: str, folder: Path) -> None:
    fill_some(url, folder)
    back_up(url, folder / "backup")
    with TrainingDB(url) as db:
        db.history.delete("a")
        db.runs.update("b", notes="changed")
        db.runs.insert("new", config={"lr": 0.2})


COMMANDS = {
    "upgrade": Command(lambda *_: ["upgrade"], fill_an_old_one, old_or_new),
    "gc": Command(
        lambda *_: ["gc", "--older-than", "30d", "--yes"], throw_some_away, whole_runs_go
    ),
    "restore": Command(
        lambda _, folder: ["restore", str(folder / "backup"), "--force"],
        back_up_and_change,
        old_or_new,
    ),
    "downgrade": Command(lambda *_: ["downgrade", "v1"], fill_some, old_or_new),
}
