"""What a ranking by several objectives came to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from training_db.analysis.fronts.hypervolume import Hypervolume, hypervolume
from training_db.analysis.fronts.pareto import dominated_by, dominates_which, knee_point
from training_db.errors import UnknownName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Item = TypeVar("Item", str, tuple[str, str])
_SUGGESTED = 20  # names in an error


@dataclass(frozen=True, eq=False)
class ParetoFront(Generic[Item]):
    """Runs or scaffolds ranked by several objectives at once.

    Attributes:
        names: The objectives, as they were asked for.
        directions: ``"maximize"`` or ``"minimize"`` for each.
        ranks: The Pareto rank of each item that has all scores; rank 1 is the front. A run goes by
            its id, a scaffold by the ids of its run and itself.
        scores: Shape (items, objectives), a row for each item of ``ranks``, in their order.
        missing: For each item that has no rank, the objectives of which its score is missing or
            not finite.
        given_reference: The reference point of the hypervolume, where somebody named one.
    """

    names: tuple[str, ...]
    directions: tuple[str, ...]
    ranks: Mapping[Item, int]
    scores: NDArray[np.float64]
    missing: Mapping[Item, tuple[str, ...]]
    given_reference: tuple[float, ...] | None = None

    @property
    def front(self) -> list[Item]:
        """The items that no other one dominates."""
        return [item for item, rank in self.ranks.items() if rank == 1]

    @cached_property
    def hypervolume(self) -> Hypervolume:
        """What the front covers, up to which reference point; computed when it is asked for."""
        return hypervolume(self.scores, self.directions, self.given_reference)

    @cached_property
    def knee(self) -> Item | None:
        """The item of the front that bulges furthest towards the best of all objectives.

        ``None`` where none does; see :func:`~training_db.analysis.fronts.pareto.knee_point`.
        """
        items = list(self.ranks)
        front = np.flatnonzero([rank == 1 for rank in self.ranks.values()])
        place = knee_point(self.scores[front], self.directions)
        return None if place is None else items[front[place]]

    def scores_of(self, item: Item) -> dict[str, float]:
        """Return the scores of a ranked item, by objective.

        Raises:
            UnknownName: It has no rank.
        """
        row = self.scores[self._place(item)]
        return dict(zip(self.names, row.tolist(), strict=True))

    def dominates(self, item: Item) -> list[Item]:
        """Return the items that this one dominates: in nothing better than it, in something worse.

        Raises:
            UnknownName: It has no rank.
        """
        return self._items(dominates_which(self.scores, self._place(item), self.directions))

    def dominated_by(self, item: Item) -> list[Item]:
        """Return the items that dominate this one: in nothing worse than it, in something better.

        Raises:
            UnknownName: It has no rank.
        """
        return self._items(dominated_by(self.scores, self._place(item), self.directions))

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it, the best ranks first."""
        items = list(self.ranks)
        rows = self.scores.tolist()
        order = sorted(range(len(items)), key=lambda place: self.ranks[items[place]])
        return {
            "objectives": dict(zip(self.names, self.directions, strict=True)),
            "ranked": [
                {
                    **_named(items[place]),
                    "pareto_rank": self.ranks[items[place]],
                    "scores": dict(zip(self.names, rows[place], strict=True)),
                }
                for place in order
            ],
            "hypervolume": self.hypervolume.as_dict(),
            "knee": None if self.knee is None else _named(self.knee),
            "missing": [
                {**_named(item), "objectives": list(names)} for item, names in self.missing.items()
            ],
        }

    def _place(self, item: Item) -> int:
        if item in self.ranks:
            return list(self.ranks).index(item)
        if item in self.missing:
            lacking = ", ".join(self.missing[item])
            raise UnknownName("item with a rank (it lacks " + lacking + ")", item, self._some())
        raise UnknownName("item with a rank", item, self._some())

    def _some(self) -> list[str]:
        return [str(item) for item in self.ranks][:_SUGGESTED]

    def _items(self, places: NDArray[np.int64]) -> list[Item]:
        items = list(self.ranks)
        return [items[place] for place in places.tolist()]


@dataclass(frozen=True, slots=True, eq=False)
class ScaffoldFronts:
    """Scaffolds ranked by several objectives, those of each run or all together.

    Attributes:
        scope: ``"run"`` where the scaffolds of each run were ranked among themselves, ``"all"``
            where all were ranked together.
        fronts: One for each run that has scaffolds, by the runs' numbers, or the one of all.
        skipped: For each run whose scaffolds were not looked at, why.
        saved: How many scaffolds have another ``pareto_rank`` now than before; ``None`` where
            nothing was to be saved.
    """

    scope: str
    fronts: tuple[ParetoFront[tuple[str, str]], ...]
    skipped: Mapping[str, str]
    saved: int | None

    @property
    def front(self) -> list[tuple[str, str]]:
        """The scaffolds of rank 1."""
        return [item for one in self.fronts for item in one.front]

    @property
    def ranks(self) -> dict[tuple[str, str], int]:
        """The rank of each scaffold that has one."""
        return {item: rank for one in self.fronts for item, rank in one.ranks.items()}

    @property
    def missing(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """For each scaffold without a rank, the objectives it lacks."""
        return {item: names for one in self.fronts for item, names in one.missing.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {
            "scope": self.scope,
            "fronts": [one.as_dict() for one in self.fronts],
            "skipped": dict(self.skipped),
            "saved": self.saved,
        }


def _named(item: str | tuple[str, str]) -> dict[str, str]:
    if isinstance(item, str):
        return {"run_id": item}
    return dict(zip(("run_id", "scaffold_id"), item, strict=True))
