"""What pages say of groups of runs: the methods side by side, and their averaged curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.analysis.comparison.rank_tests import ALIKE, DIFFERS, UNTOLD
from training_db.counts import counted
from training_db.errors import InvalidInput, NotFound
from training_db.report.document import Figure, Interval, Point, Share, Table
from training_db.report.figures import bands
from training_db.report.labels import shortened
from training_db.report.pages.curves import spans_decades
from training_db.report.wording import along, duration, group_name, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.analysis.comparison.bands import Band
    from training_db.analysis.comparison.groups import Groups, Measured
    from training_db.database import TrainingDB
    from training_db.report.document import Cell

_MOST_GROUPS = 30
_MOST_DRAWN = 8


def groups_table(groups: Groups) -> Table:
    """Return groups of runs side by side as a table."""
    measures = list(dict.fromkeys(name for one in groups.groups for name in one.measures))
    shown = groups.groups[:_MOST_GROUPS]
    rows: list[list[Cell]] = [
        [
            group_name(one.value),
            one.runs,
            None if one.success_rate is None else Share(one.success_rate),
            None if one.mean_duration_seconds is None else duration(one.mean_duration_seconds),
            *(_measured(one.measures.get(name)) for name in measures),
        ]
        for one in shown
    ]
    notes = [f"Beneath each mean is its {groups.confidence:.0%} interval."] if measures else []
    if len(shown) < len(groups.groups):
        notes.append(f"The largest {len(shown)} of {counted(len(groups.groups), 'group')}.")
    columns = ["Method", "Runs", "Completed", "Took on average", *measures]
    return Table("Runs by gradient method", columns, rows, " ".join(notes))


def group_points(groups: Groups) -> list[Point]:
    """Return whether the groups differ by more than noise, for each objective."""
    if len(groups.groups) < 2:
        return []
    points = []
    for name, test in groups.tests.items():
        if test.verdict == DIFFERS:
            points.append(Point("info", test.sentence, f"{name} by method"))
    alike = [name for name, test in groups.tests.items() if test.verdict == ALIKE]
    if alike:
        points.append(Point("info", f"The methods differ by {ALIKE} in {listed(alike, 8)}."))
    unknown = [name for name, test in groups.tests.items() if test.verdict == UNTOLD]
    if unknown:
        about = listed(unknown, 8)
        points.append(Point("info", f"There are {UNTOLD} whether the methods differ in {about}."))
    return points


def band_figures(db: TrainingDB, filters: Any, metrics: Mapping[str, str]) -> list[Figure]:
    """Return the averaged curves of the methods, a figure a metric.

    Args:
        db: The database.
        filters: Over which runs.
        metrics: For each metric the title of its figure; those that no run has are left out.
    """
    figures = []
    among: dict[str, None] = {}
    for metric, title in metrics.items():
        try:
            curves = db.analysis.bands(metric, "gradient_method", filters, statistic="median")
        except (NotFound, InvalidInput):
            continue
        shown = curves[:_MOST_DRAWN]
        if not shown:  # nothing that is finite
            continue
        # Of all that is drawn: one run that diverged widens its band, and not its median.
        log = spans_decades(part for one in shown for part in (one.middle, one.low, one.high))
        lines = {group_name(one.group): one.middle for one in shown}
        among |= dict.fromkeys(lines)
        drawn = bands(shown, among=list(among), log=log)
        figures.append(Figure(title, drawn, _sentence(shown, len(curves) - len(shown)), lines))
    return figures


def _sentence(shown: Sequence[Band], left_out: int) -> str:
    words = shown[0].shows
    names = shortened(group_name(one.group) for one in shown)
    groups = [
        f"{name} ({along(one.total, one.runs)})" for name, one in zip(names, shown, strict=True)
    ]
    sentence = f"{words[:1].upper()}{words[1:]}; runs: {', '.join(groups)}."
    return sentence + (f" {counted(left_out, 'more group')} not drawn." if left_out else "")


def _measured(one: Measured | None) -> Interval | None:
    if one is None or one.mean is None:
        return None
    return Interval(one.mean, one.low, one.high)
