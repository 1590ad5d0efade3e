"""What pages say of objectives: what they came to, where they conflict, who is best by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.counts import counted
from training_db.errors import InvalidInput, NotFound
from training_db.report.document import Figure, Table, Text
from training_db.report.figures import caption, conflict_heat_map, pareto_front
from training_db.report.figures.conflicts import MOST_NUMBERED
from training_db.report.pages.curves import together
from training_db.report.pages.tables import objectives_table
from training_db.report.wording import number, share

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from training_db.analysis.fronts.pareto_front import ParetoFront
    from training_db.database import TrainingDB
    from training_db.report.document import Block, Cell
    from training_db.report.pages.chosen_metrics import Chosen
    from training_db.repository.history_series import Series

MOST_OBJECTIVES = 5
"""So many objectives are ranked by, and shown side by side."""

_MOST_ROWS = 15
_MOST_DRAWN = 5000
_FEWEST_COVERING = 3  # items, below which it means nothing how much of the space a front covers
_RANK_1 = "Rank 1 is the front: in nothing worse, in something better than what it beats."


def run_objectives(
    db: TrainingDB, run_id: str, chosen: Chosen, series: Mapping[str, Series]
) -> list[Block]:
    """Return what the objectives of one run came to; nothing where it has none."""
    objectives = db.objectives.of_run(run_id)
    if not objectives:
        return []
    curves = {
        one.objective: series[one.metric]
        for one in (*chosen.normalised, *chosen.raw)
        if one.metric in series
    }
    scores = chosen.normalised or chosen.raw
    drawn = {one.objective: series[one.metric] for one in scores if one.metric in series}
    title = "Objectives, normalised" if chosen.normalised else "Objectives"
    return [objectives_table(objectives, curves), *([together(title, drawn)] if drawn else [])]


def conflicts(db: TrainingDB, run_id: str) -> list[Block]:
    """Return how the objectives of one run went together; nothing where there are no two."""
    matrix = db.analysis.conflicts(run_id=run_id)[0].matrix
    if matrix is None:
        return []
    drawn = conflict_heat_map(matrix.names, matrix.correlation)
    wide = len(matrix.names) > MOST_NUMBERED
    return [Figure("Which objectives pull against each other", drawn, caption(drawn), is_wide=wide)]


def scaffolds(db: TrainingDB, run_id: str) -> list[Block]:
    """Return which scaffolds of one run are best; nothing where it has none."""
    count = db.statistics.overview({"run_id": run_id})["total_scaffolds"]
    if not count:
        return []
    try:
        fronts = db.analysis.scaffold_pareto(run_id=run_id, save=False).fronts
    except (NotFound, InvalidInput) as error:
        return [Text(f"The {counted(count, 'scaffold')} could not be ranked: {error}")]
    if not fronts or not fronts[0].ranks:
        return [Text(f"None of {counted(count, 'scaffold')} has all scores, so none is ranked.")]
    return front_blocks(fronts[0], lambda item: str(item[1]), "scaffold", "Scaffolds")


def run_front(
    db: TrainingDB, filters: Any, labels: Mapping[str, str]
) -> tuple[ParetoFront[str] | None, list[Block]]:
    """Return which runs are best by all their objectives at once, and what a page shows of it.

    Args:
        db: The database.
        filters: Which runs.
        labels: For each run, as far as it is known, what it is called.

    Returns:
        The ranks, ``None`` where there are none, and the blocks.
    """
    names = objective_names(db, filters)
    if not names:
        some = db.objectives.query(filters, limit=1)
        what = "no finite scores of their objectives" if some else "no objectives"
        return None, [Text(f"These runs have {what}.")]
    ranked_by = names[:MOST_OBJECTIVES]
    try:
        front = db.analysis.pareto(dict.fromkeys(ranked_by), filters)
    except (NotFound, InvalidInput) as error:
        return None, [Text(f"The runs could not be ranked by their objectives: {error}")]
    if not front.ranks:
        return None, [Text("No run has all of its objectives, so none is ranked.")]
    blocks = front_blocks(front, lambda run_id: labels.get(run_id, run_id), "run", "Runs")
    if len(ranked_by) < len(names):
        chosen = f"They are ranked by {len(ranked_by)} of their {len(names)} objectives"
        blocks.insert(0, Text(f"{chosen}, those that most runs have scores of."))
    return front, blocks


def objective_names(db: TrainingDB, filters: Any) -> list[str]:
    """Return the objectives that runs have finite scores of, those that most have first."""
    methods = db.statistics.by_method(filters)
    counts: dict[str, int] = {}
    for method in methods:
        for name, mean in method["objectives"].items():
            counts[name] = counts.get(name, 0) + (method["runs"] if mean is not None else 0)
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])


def objective_scores(db: TrainingDB, run_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return for each run that has objectives the raw mean of each, by name."""
    scores: dict[str, dict[str, Any]] = {}
    for one in db.objectives.query({"run_id": list(run_ids)}, limit=None):
        scores.setdefault(one["run_id"], {})[one["objective_name"]] = one["raw_mean"]
    return scores


def front_blocks(
    front: ParetoFront[Any], label: Callable[[Any], str], one: str, caption_of_table: str
) -> list[Block]:
    """Return a Pareto front as a figure and a table of its best.

    Args:
        front: The ranks.
        label: What an item is called.
        one: What an item is, such as ``"run"``.
        caption_of_table: What the table is called.
    """
    items = list(front.ranks)
    ranks = np.array([front.ranks[item] for item in items], dtype=np.int64)
    order = np.argsort(ranks, kind="stable")[:_MOST_DRAWN]
    blocks: list[Block] = []
    if len(front.names) > 1:
        places = order.tolist()
        knee = None if front.knee is None else items.index(front.knee)
        drawn = pareto_front(
            front.scores[order], ranks[order], front.names, front.directions,
            places.index(knee) if knee in places else None,
            labels=[label(items[place]) for place in places],
        )  # fmt: skip
        wide = len(front.names) > 2
        blocks.append(Figure("Scores, and the Pareto front", drawn, caption(drawn), is_wide=wide))
    shown = order[:_MOST_ROWS].tolist()
    rows: list[list[Cell]] = [
        [label(items[place]), int(ranks[place]), *map(float, front.scores[place])]
        for place in shown
    ]
    arrows = {"maximize": "↑", "minimize": "↓"}
    headings = [
        f"{name} {arrows[way]}" for name, way in zip(front.names, front.directions, strict=True)
    ]
    blocks.append(
        Table(
            f"{caption_of_table} by {'Pareto rank' if len(front.names) > 1 else front.names[0]}",
            [one.capitalize(), "Rank", *headings],
            rows,
            _about(front, one, len(shown)),
            beside=len(front.names) == 2,
        )
    )
    return blocks


def _about(front: ParetoFront[Any], one: str, shown: int) -> str:
    is_front = len(front.names) > 1
    parts = [_RANK_1] if is_front else []
    if shown < len(front.ranks):
        parts.append(f"The best {shown} of {counted(len(front.ranks), one)}.")
    if front.missing:
        count = len(front.missing)
        have = "has" if count == 1 else "have"
        parts.append(f"{counted(count, one)} without a finite score {have} no rank.")
    if not is_front:
        return " ".join(parts)
    if len(front.front) > 1 and len(front.ranks) >= _FEWEST_COVERING:
        volume = front.hypervolume
        reference = ", ".join(
            f"{name} {number(value)}"
            for name, value in zip(front.names, volume.reference, strict=True)
        )
        parts.append(
            f"The front covers {share(volume.share)} of the space between the best scores and a "
            f"reference beyond the worst ({reference})."
        )
    return " ".join(parts)
