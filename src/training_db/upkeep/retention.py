"""Old histories thinned out, run by run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training_db.db.engine.space import give_back, taken
from training_db.db.session import primary_only
from training_db.errors import Conflict, RunNotFound
from training_db.repository.deletion import TABLES

if TYPE_CHECKING:
    from datetime import timedelta

    from training_db.database import TrainingDB
    from training_db.db.report import Progress
    from training_db.repository.retention import Thinned


@dataclass
class Retained:
    """What was kept of old histories.

    Attributes:
        runs: The runs of which something went, or would go.
        unchanged: How many runs had nothing more to lose.
        bytes_before: The room that the database took.
        bytes_after: The room that it takes now.
    """

    runs: list[Thinned] = field(default_factory=list)
    unchanged: int = 0
    bytes_before: int = 0
    bytes_after: int = 0


@primary_only()
def retain(
    db: TrainingDB,
    keep: str,
    older_than: timedelta,
    filters: str | None = None,
    statuses: list[str] | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Retained:
    """Thin out the histories of runs that ended long ago, and give the room back.

    Each run is a transaction of its own: interrupted at any moment, its history is as it was or
    as it shall be, and to do it again goes on.

    Args:
        db: The database.
        keep: What is kept, as ``db.history.thin`` takes it.
        older_than: How long ago the runs have to have ended.
        filters: Which runs; ``None`` for all.
        statuses: Where they stand; ``None`` for completed, failed and crashed.
        dry_run: Whether only to count.
        progress: Takes a label, how much is done and how much there is.

    Example:
        >>> from datetime import timedelta
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("old", status="failed", history_json={"loss": [3.0, 2.0, 1.0, 2.0]})
        >>> [run.cells_after for run in retain(db, "every:100", timedelta(0)).runs]
        [3]
        >>> retain(db, "every:100", timedelta(0)).unchanged
        1
    """
    done = Retained(bytes_before=taken(db.engine, TABLES))
    runs = db.history.retainable(older_than, filters, statuses)
    for place, run_id in enumerate(runs):
        if progress:
            progress("thinning histories", place, len(runs))
        try:
            thinned = db.history.thin(run_id, keep, dry_run=dry_run)
        except (Conflict, RunNotFound):  # somebody went on with it, or deleted it, meanwhile
            continue
        if thinned.is_changed:
            done.runs.append(thinned)
        else:
            done.unchanged += 1
    if done.runs and not dry_run:
        give_back(db.engine, TABLES, whole=False, progress=progress)
    done.bytes_after = taken(db.engine, TABLES)
    return done
