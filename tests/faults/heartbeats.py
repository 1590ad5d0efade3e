"""Heartbeats of long ago."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import update

from training_db.models.run import training_runs

if TYPE_CHECKING:
    from training_db import TrainingDB

LONG_AGO = datetime(2024, 5, 6, tzinfo=UTC)


def make_old(db: TrainingDB, run_id: str) -> None:
    """Let the last heartbeat of a run be long ago."""
    statement = update(training_runs).where(training_runs.c.run_id == run_id)
    with db.engine.begin() as connection:
        connection.execute(statement.values(heartbeat_at=LONG_AGO))
