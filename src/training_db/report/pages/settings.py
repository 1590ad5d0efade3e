"""What pages say of settings: which matter for what the runs came to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.analysis.sensitivity.run_settings import run_settings
from training_db.analysis.sensitivity.sensitivity import Sensitivity
from training_db.analysis.sensitivity.settings_table import settings_table
from training_db.counts import counted
from training_db.errors import InvalidInput, NotFound
from training_db.report.document import Figure, Interval, Name, Point, Table, Text
from training_db.report.figures import caption, importance, parallel_coordinates
from training_db.report.wording import listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.report.document import Block, Cell

_MOST_SETTINGS = 15
_MOST_DIMENSIONS = 6
_FEWEST_LINES = 3


def sensitivities(db: TrainingDB, targets: Sequence[str], filters: Any) -> list[Sensitivity]:
    """Return for each target which settings matter for it, or why that cannot be told."""
    found = []
    for target in targets:
        try:
            found.append(db.analysis.sensitivity(target, filters))
        except (NotFound, InvalidInput) as error:
            found.append(Sensitivity(target, 0, reason=str(error).rstrip(".")))
    return found


def setting_points(found: Sequence[Sensitivity]) -> list[Point]:
    """Return in a sentence each what matters; of targets that nothing is known of, one in all."""
    points = [Point("info", one.sentence) for one in found if one.can_tell]
    return points or [Point("info", one.sentence) for one in found[:1]]


def setting_blocks(found: Sequence[Sensitivity]) -> list[Block]:
    """Return what matters as figures and tables; a sentence where it cannot be told."""
    blocks: list[Block] = []
    for one in found:
        if not one.can_tell:
            continue
        shown = one.importances[:_MOST_SETTINGS]
        partial = [
            float("nan") if each.partial_correlation is None else each.partial_correlation
            for each in shown
        ]
        drawn = importance(
            [each.name for each in shown], [each.mean for each in shown],
            [each.low for each in shown], [each.high for each in shown], others=partial,
        )  # fmt: skip
        blocks.append(Figure(f"What matters for {_short(one)}", drawn, caption(drawn)))
        blocks.append(_table(one))
    unknown: dict[str | None, list[str]] = {}
    for one in found:
        if not one.can_tell:
            unknown.setdefault(one.reason, []).append(_short(one))
    for reason, targets in unknown.items():
        about = listed(targets, len(targets))
        blocks.append(Text(f"Which settings matter for {about} cannot be told: {reason}."))
    return blocks or [Text("There is no objective that settings could matter for.")]


def parallel(
    found: Sequence[Sensitivity],
    runs: Sequence[Mapping[str, Any]],
    scores: Mapping[str, float | None],
    target: str,
    labels: Mapping[str, str],
    total: int,
) -> list[Figure]:
    """Return how settings and a target went together: each run is a line across them.

    Args:
        found: What matters, which says which settings come first.
        runs: As ``db.runs.query`` returns them.
        scores: For each run the target.
        target: What it is called; the lines have its colours.
        labels: For each run what it is called.
        total: How many runs there are, of which these are the newest.
    """
    drawn = [run for run in runs if scores.get(run["run_id"]) is not None]
    differing = [one.name for one in settings_table(drawn).settings]
    first = [each.name for one in found for each in one.importances if each.matters]
    names = [name for name in dict.fromkeys([*first, *differing]) if name in differing]
    if not names or len(drawn) < _FEWEST_LINES:
        return []
    names = names[:_MOST_DIMENSIONS]
    rows = []
    for run in drawn:
        settings = run_settings(run)
        score = {target: scores[run["run_id"]]}
        rows.append({name: settings.get(name) for name in names if name != target} | score)
    figure = parallel_coordinates(
        rows, names, target, labels=[labels[run["run_id"]] for run in drawn]
    )
    sentence = caption(figure)
    if len(runs) < total:
        sentence += f" They are among the newest {len(runs)} of {counted(total, 'run')}."
    return [Figure("Settings that differ, run by run", figure, sentence, is_wide=True)]


def _short(one: Sensitivity) -> str:
    return one.target.removeprefix("objective.").removesuffix(".raw_mean")


def _table(one: Sensitivity) -> Table:
    rows: list[list[Cell]] = [
        [
            Name(", ".join((each.name, *each.same_as))),
            Interval(each.mean, each.low, each.high),
            None
            if each.partial_correlation is None
            else Interval(each.partial_correlation, each.partial_low, each.partial_high),
            each.matters,
        ]
        for each in one.importances
    ]
    columns = ["Setting", "Importance", "Partial correlation", "More than chance"]
    note = (
        f"{one.confidence:.0%} intervals, over {counted(one.runs, 'run')}; the correlation is one "
        "of ranks, once the other settings are taken into account."
    )
    if one.left_out:
        note += (
            f" {counted(len(one.left_out), 'setting')} left out: constant, or an id of each run."
        )
    is_long = len(rows) > _MOST_SETTINGS
    return Table(f"Settings for {_short(one)}", columns, rows, note, is_long, beside=not is_long)
