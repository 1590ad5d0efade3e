"""What pages say of crashes: how often, where, after which errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.analysis.comparison.rank_tests import DIFFERS
from training_db.counts import counted
from training_db.report.document import Point, Share, Text
from training_db.report.pages.tables import without_empty
from training_db.report.wording import group_name, share, shortened

if TYPE_CHECKING:
    from training_db.analysis.comparison.crashes import Crashes, CrashGroup
    from training_db.report.document import Block, Cell, Table

_MOST_GROUPS = 15


def crash_points(crashes: Crashes) -> list[Point]:
    """Return how many runs crashed, and where more did than chance would have."""
    first = next(iter(crashes.by.values()), ())
    broken = sum(one.crashed + one.failed for one in first)
    ended = sum(one.ended for one in first)
    if not broken:
        return []
    points = [
        Point(
            "warning",
            f"{broken:,} of {counted(ended, 'run')} that ended crashed or failed "
            f"({share(broken / ended)}).",
        )
    ]
    for by, groups in crashes.by.items():
        points += [
            Point("warning", _sentence(by, one))
            for one in groups
            if one.verdict == DIFFERS and one.rate is not None and one.rate > broken / ended
        ]
    return points


def crash_blocks(crashes: Crashes) -> list[Block]:
    """Return tables of how runs ended; a sentence where none crashed."""
    blocks: list[Block] = []
    for by, groups in crashes.by.items():
        broken = [one for one in groups if one.crashed or one.failed]
        if broken:
            blocks.append(_table(by, broken))
    return blocks or [Text("No run crashed or failed.")]


def _sentence(by: str, one: CrashGroup) -> str:
    text = (
        f"{by} {group_name(one.value)} crashes or fails more often than the others, by more than "
        f"noise: {one.crashed + one.failed} of {counted(one.ended, 'run')} ({share(one.rate or 0)})"
    )
    if one.error:
        text += f", most often after: {shortened(one.error)}"
    return f"{text}."


def _table(by: str, groups: list[CrashGroup]) -> Table:
    rows: list[dict[str, Cell]] = [
        {
            by: group_name(one.value),
            "Ended": one.ended,
            "Crashed": one.crashed,
            "Failed": one.failed,
            "Rate": None if one.rate is None else Share(one.rate),
            "Interval": _bounds(one),
            "Most common error": one.error,
            "Last step": one.last_step,
        }
        for one in groups[:_MOST_GROUPS]
    ]
    more = len(groups) - len(rows)
    note = f"{counted(more, 'more group')} with crashed or failed runs not shown." if more else ""
    return without_empty(f"Crashed and failed runs by {by}", rows, note)


def _bounds(one: CrashGroup) -> str | None:
    if one.low is None or one.high is None:
        return None
    return f"{share(one.low)} to {share(one.high)}"
