"""How a run ended, as far as its log tells, and when."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue
from training_db.models.run import RunStatus
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from training_db.capture.captured import CapturedRun
    from training_db.capture.offline.facts import LogFacts

_LIVE = timedelta(minutes=3)


def add_ending(run: CapturedRun, facts: LogFacts, *, is_live: bool) -> None:
    """Set the status of a run, when it ended and how long it ran.

    Args:
        run: The run, whose summary is known.
        facts: What its log says.
        is_live: Whether it seems to go on.
    """
    last_seen = latest_time(facts.last_seen, run.summary)
    if run.exit_code is None:
        # No exit is written where the process was killed, and none while it runs.
        run.status = RunStatus.RUNNING if is_live else RunStatus.CRASHED
        run.ended_at = None if is_live else last_seen
    else:
        run.status = RunStatus.FAILED if run.exit_code else RunStatus.COMPLETED
        run.ended_at = last_seen
        ran = (facts.runtime or 0) - facts.details.get("runtime_before", 0)
        if run.started_at and ran > 0:  # clients up to 0.10 write 0
            run.ended_at = run.started_at + timedelta(seconds=ran)
    if run.started_at and last_seen:
        run.runtime_seconds = max(0.0, (last_seen - run.started_at).total_seconds())
    if facts.runtime:
        run.runtime_seconds = float(facts.runtime)


def was_just_written(path: Path) -> bool:
    """Tell whether a log has just been written; a copy is newer than what it is a copy of."""
    try:
        return is_recent(parse_timestamp(path.stat().st_mtime))
    except OSError:
        return False


def is_recent(moment: datetime) -> bool:
    """Tell whether a run that was alive then may still be."""
    return now() - moment < _LIVE


def latest_time(last_seen: datetime | None, summary: dict[str, Any]) -> datetime | None:
    """Return the latest time in a log.

    Args:
        last_seen: The latest one, rows aside.
        summary: The summary, which has the time of the last row.
    """
    stamp = summary.get("_timestamp")
    if not isinstance(stamp, (int, float)):
        return last_seen
    try:
        of_row = parse_timestamp(stamp)
    except InvalidValue:
        return last_seen
    return max(last_seen, of_row) if last_seen else of_row
