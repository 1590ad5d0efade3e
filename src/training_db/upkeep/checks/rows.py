"""Whether rows belong together, and histories can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.counts import counted
from training_db.db.engine import snapshots
from training_db.repository.soundness import history_state, numbered_runs, orphans
from training_db.upkeep.findings import Finding, Severity, some

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db.upkeep.findings import Case

_SAMPLED = 100  # runs


def check_orphans(case: Case) -> Iterator[Finding]:
    """Look for rows whose run or metric is not there."""
    with snapshots(case.engine).connect() as connection:
        found = orphans(connection)
    for lost in found:
        belong = "belongs" if lost.rows == 1 else "belong"
        yield Finding(
            "orphans",
            Severity.FAULT,
            f"{counted(lost.rows, 'row')} of {lost.table} {belong} to no row of {lost.belongs_to}: "
            "a program that had SQLite's foreign keys off deleted that",
            some([f"{lost.column} {key!r}: {rows:,}" for key, rows in lost.keys.items()]),
            case.command("doctor", "--mend", "orphans"),
        )
    if not found:
        yield Finding("orphans", Severity.OK, "every row has the run that it belongs to")


def check_history(case: Case) -> Iterator[Finding]:
    """Compare histories with their totals: of some runs, or thoroughly of all, decoded."""
    looked_at = 0
    damaged, wrong = [], []
    mend = case.command("doctor", "--mend", "history")
    with snapshots(case.engine).connect() as connection:
        most = None if case.is_thorough else _SAMPLED
        for run_id, number in list(numbered_runs(connection, most)):
            state = history_state(connection, run_id, number, decodes=case.is_thorough)
            looked_at += 1
            if state.damaged:
                damaged.append(f"{run_id}: {counted(len(state.damaged), 'part')}")
            elif state.wrong:
                wrong.append(f"{run_id}: {', '.join(some(state.wrong, 5))}")
    if damaged:
        what = f"histories of {counted(len(damaged), 'run')} have parts that cannot be decoded"
        yield Finding("history", Severity.FAULT, what, some(damaged), mend)
    if wrong:
        what = (
            f"the totals of {counted(len(wrong), 'run')} do not count what is stored: filters and "
            "the best run by a metric may be wrong"
        )
        yield Finding("history", Severity.FAULT, what, some(wrong), mend)
    if not damaged and not wrong:
        how = "decoded, and agree" if case.is_thorough else "agree"
        what = f"the histories of {counted(looked_at, 'run')} {how} with their totals"
        yield Finding("history", Severity.OK, what)
