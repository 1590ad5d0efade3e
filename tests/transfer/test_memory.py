"""A copy takes the memory of a few rows, however long a history is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests.transfer.copiers import Copier
from tests.transfer.databases import LIVE
from training_db import TrainingDB

if TYPE_CHECKING:
    from tests.transfer.conftest import Places

SEGMENTS, SEGMENT_BYTES = 160, 2**20
RUNS, DOCUMENT = 10, 2**20
HELD = 125_000  # kilobytes: of that SQLite keeps 65,000 of its file, however large it is


def fill(url: str) -> None:
    """Make a run with a history of 160 MB, and ten with a long config."""
    with TrainingDB(url) as db:
        for number in range(RUNS):
            db.runs.insert(f"run-{number}", config={"text": "x" * DOCUMENT})
        db.history.append("run-0", {"loss": [0.5] * 5_000})
        db.history.compact("run-0")
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        names = [row[1] for row in connection.execute("PRAGMA table_info(run_history_segments)")]
        wanted = ["?" if name in ("writer", "cells") else name for name in names]
        more = (
            f"INSERT INTO run_history_segments ({', '.join(names)}) "
            f"SELECT {', '.join(wanted)} FROM run_history_segments WHERE run_number = 1 LIMIT 1"
        )
        at_writer = names.index("writer") < names.index("cells")
        for number in range(SEGMENTS):
            cells = bytes(SEGMENT_BYTES)
            values = (LIVE + number, cells) if at_writer else (cells, LIVE + number)
            connection.execute(more, values)
        connection.commit()


def test_a_copy_takes_little_memory_both_ways(places: Places) -> None:
    file, server = places.migrated("sqlite"), places.migrated("postgresql")
    back = places.migrated("sqlite")
    fill(file)
    for way in ((file, server), (server, back)):
        answer = Copier(*way).go().answer()
        assert answer["ok"], answer
        assert answer["kilobytes"] < HELD, (way, answer)
