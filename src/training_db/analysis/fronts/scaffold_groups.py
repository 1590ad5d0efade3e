"""Which scaffolds are ranked together, and by which objectives."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from training_db.analysis.direction import direction_word
from training_db.analysis.fronts.objective_choice import NoDirection, agreed_direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from training_db.analysis.fronts.objective_choice import Asked
    from training_db.repository.scaffold_ranks import ScaffoldScores

Stored = dict[str, dict[str, str]]
"""For each run the directions that it has stored, by objective."""


@dataclass(frozen=True, slots=True, eq=False)
class ScaffoldGroup:
    """Scaffolds that are ranked together.

    Attributes:
        places: Their places among all that were read, rising, shape (scaffolds,).
        items: The ids of the run and of the scaffold of each.
        values: Shape (scaffolds, objectives).
        directions: The objectives, and which way each is better.
    """

    places: NDArray[np.int64]
    items: Sequence[tuple[str, str]]
    values: NDArray[np.float64]
    directions: Mapping[str, str]


def all_together(
    scores: ScaffoldScores, names: Sequence[str], asked: Asked | None, stored: Stored
) -> list[ScaffoldGroup]:
    """Return all scaffolds as one group; none where there are no scaffolds.

    Args:
        scores: The scaffolds.
        names: The objectives, in the order of the columns of their scores.
        asked: What somebody asks for; if nothing, all objectives that scaffolds have a score of.
        stored: Where the direction is found of which nothing is said.

    Raises:
        InvalidValue: Runs do not agree on a direction, or have none.
    """
    everything = np.arange(len(scores.rows))
    if not len(everything):
        return []
    chosen = asked or dict.fromkeys(scored_names(scores.values, names))
    if not chosen:
        raise NoDirection("no run has stored a direction of what scaffolds have scores of")
    directions = {name: said or _agreed(name, stored) for name, said in chosen.items()}
    return [_group(scores, everything, names, directions)]


def by_run(
    scores: ScaffoldScores, names: Sequence[str], asked: Asked | None, stored: Stored
) -> tuple[list[ScaffoldGroup], dict[str, str]]:
    """Return the scaffolds of each run as a group.

    Args:
        scores: The scaffolds, those of a run one after the other.
        names: The objectives, in the order of the columns of their scores.
        asked: What somebody asks for; if nothing, for each run the objectives that it has stored
            a direction of and its scaffolds a score.
        stored: Where the direction is found of which nothing is said.

    Returns:
        The groups, and for each run that cannot be looked at, why.
    """
    groups, skipped = [], {}
    owners = groupby(range(len(scores.items)), key=lambda place: scores.items[place][0])
    for run_id, of_run in owners:
        places = np.fromiter(of_run, dtype=np.int64)
        own = stored.get(run_id, {})
        chosen = asked
        if chosen is None:
            scored = scored_names(scores.values[places], names)
            chosen = {name: None for name in scored if name in own}
        unsaid = [name for name, said in chosen.items() if not (said or own.get(name))]
        if unsaid:
            skipped[run_id] = f"it has not stored which way {unsaid[0]!r} is better"
        elif not chosen:
            skipped[run_id] = "it has stored no direction of what its scaffolds have scores of"
        else:
            directions = {name: said or direction_word(own[name]) for name, said in chosen.items()}
            groups.append(_group(scores, places, names, directions))
    return groups, skipped


def require_groups(groups: Sequence[ScaffoldGroup], skipped: Mapping[str, str]) -> None:
    """Raise where there were scaffolds, and none of them could be looked at.

    Raises:
        InvalidValue: There were.
    """
    if skipped and not groups:
        run_id, reason = next(iter(skipped.items()))
        raise NoDirection(f"no scaffold can be ranked: of run {run_id!r}, {reason}")


def scored_names(values: NDArray[np.float64], names: Sequence[str]) -> list[str]:
    """Return the names whose columns of a table hold a finite score."""
    there = np.isfinite(values).sum(axis=0)
    return [name for name, count in zip(names, there.tolist(), strict=True) if count]


def _group(
    scores: ScaffoldScores,
    places: NDArray[np.int64],
    names: Sequence[str],
    directions: Mapping[str, str],
) -> ScaffoldGroup:
    columns = [names.index(name) for name in directions]
    items = [scores.items[place] for place in places.tolist()]
    return ScaffoldGroup(places, items, scores.values[places][:, columns], directions)


def _agreed(name: str, stored: Stored) -> str:
    said = {own[name]: run_id for run_id, own in stored.items() if name in own}
    return agreed_direction(name, said)
