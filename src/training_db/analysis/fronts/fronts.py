"""Which runs and scaffolds are best by several objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.fronts.hypervolume import checked_reference
from training_db.analysis.fronts.objective_choice import (
    NoDirection,
    asked_objectives,
    stored_direction,
)
from training_db.analysis.fronts.pareto import pareto_ranks
from training_db.analysis.fronts.pareto_front import Item, ParetoFront, ScaffoldFronts
from training_db.analysis.fronts.scaffold_groups import (
    all_together,
    by_run,
    require_groups,
    scored_names,
)
from training_db.analysis.source import Questions
from training_db.errors import InvalidValue, UnknownName
from training_db.models import OBJECTIVE_STATISTICS
from training_db.repository.arguments import one_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training_db.analysis.fronts.objective_choice import Asked, Objectives
    from training_db.analysis.fronts.scaffold_groups import Stored
    from training_db.repository.scaffold_ranks import ScaffoldScores

Reference = Mapping[str, float] | Sequence[float]

_SCOPES = ("run", "all")
_NOT_LOOKED_AT = -1


class Fronts(Questions):
    """Which runs and scaffolds are best by several objectives, as ``db.analysis``."""

    def pareto(
        self,
        objectives: Objectives | None = None,
        filter: Any = None,  # noqa: A002 - the name is promised
        *,
        statistic: str = "raw_mean",
        reference: Reference | None = None,
    ) -> ParetoFront[str]:
        """Rank runs by several objectives at once.

        Args:
            objectives: For each objective ``"max"`` or ``"min"``; ``None`` for a direction, or a
                plain list of names, means the one that the runs have stored, which holds for
                raw means. A name may also be ``metric.NAME[.min]``, ``summary.KEY``,
                ``config.PATH``, a column that holds numbers, such as ``duration_seconds``, or the
                name of a metric. If nothing is said, all objectives for which the runs have stored
                a direction.
            filter: Of which runs, as for ``db.runs.query``.
            statistic: Which number of an objective counts: ``"raw_mean"``, ``"normalized_mean"``,
                ``"raw_std"`` or ``"normalized_std"``.
            reference: The reference point of the hypervolume, by name or in the order of the
                objectives; see :func:`~training_db.analysis.fronts.hypervolume.hypervolume` for the
                one that is taken if none is given.

        Returns:
            The front. A run that lacks a score, or has one that is NaN or infinite, has no rank,
            takes no part in the ranks of others, and stands in ``missing``.

        Raises:
            UnknownName: An objective that no run has, a direction or statistic that does not exist.
            MetricNotFound: A metric that no run has.
            InvalidValue: No run has stored a direction, or runs have stored different ones, or it
                is not the one of the statistic; or a reference that is not a finite number for
                each objective.
            InvalidInput: A filter that cannot be used.

        Example:
            >>> db = getfixture("example_db")
            >>> for run_id, qed, hours in [("r1", 0.9, 3), ("r2", 0.5, 1), ("r3", 0.4, 2)]:
            ...     _ = db.runs.insert(run_id, duration_seconds=3600 * hours)
            ...     db.objectives.insert(run_id, "QED", raw_mean=qed)
            >>> front = db.analysis.pareto({"QED": "max", "duration_seconds": "min"})
            >>> front.front, dict(front.ranks), front.dominated_by("r3")
            (['r1', 'r2'], {'r1': 1, 'r2': 1, 'r3': 2}, ['r2'])
        """
        asked = asked_objectives(objectives)
        is_said = asked is not None and None not in asked.values()
        stored = {} if is_said else self._stored_directions(asked, filter)
        named = asked or dict.fromkeys(stored)
        one_of("statistic", statistic, OBJECTIVE_STATISTICS)
        meant = {name: self._source.objectives.score_field(name, statistic) for name in named}
        directions = {
            name: said or stored_direction(name, meant[name], stored)
            for name, said in named.items()
        }
        scores = self._source.objectives.scores(list(meant.values()), filter)
        return _front(scores.run_ids, scores.values, directions, reference)[0]

    def scaffold_pareto(
        self,
        objectives: Objectives | None = None,
        filter: Any = None,  # noqa: A002 - as for pareto
        *,
        run_id: str | None = None,
        scope: str = "run",
        save: bool = True,
        reference: Reference | None = None,
    ) -> ScaffoldFronts:
        """Rank scaffolds by several objectives at once, and store their ranks.

        Args:
            objectives: As for :meth:`pareto`, by the names under which scaffolds have scores. If
                nothing is said, the objectives for which a run has stored a direction and any of
                its scaffolds a score. Stored directions are those of raw scores: say ``"max"``
                where scaffolds have normalized ones, of which more is always better.
            filter: The scaffolds of the runs that match, where no run is named.
            run_id: The scaffolds of this run only.
            scope: ``"run"`` to rank the scaffolds of each run among themselves, by its own
                directions where none are said; ``"all"`` to rank all together.
            save: Whether to store the ranks as ``pareto_rank`` of the scaffolds, all or none of
                them. A scaffold without a rank gets none; those of ``skipped`` runs stay.
            reference: As for :meth:`pareto`.

        Returns:
            The fronts. A scaffold that lacks a score, or has one that is NaN, infinite or no
            number, has no rank, takes no part in the ranks of others, and stands in ``missing``.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: A direction or scope that does not exist, or an objective for which no
                scaffold has a score.
            InvalidValue: No run has stored a direction, or all together are asked for and runs
                have stored different ones, or a reference as for :meth:`pareto`.
            InvalidInput: A filter that cannot be used, or both a run and a filter.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1", config={"objectives": ["QED_maximize", "SA_minimize"]})
            >>> scores = {"benzene": (0.4, 1.0), "indole": (0.6, 2.0), "biphenyl": (0.3, 1.5)}
            >>> _ = db.scaffolds.insert(
            ...     "r1", {name: {"QED": qed, "SA": sa} for name, (qed, sa) in scores.items()}
            ... )
            >>> ranked = db.analysis.scaffold_pareto(run_id="r1")
            >>> ranked.front, ranked.saved
            ([('r1', 'benzene'), ('r1', 'indole')], 3)
            >>> [row["pareto_rank"] for row in db.scaffolds.query("r1", scaffold_id="biphenyl")]
            [2]
        """
        one_of("scope", scope, _SCOPES)
        asked = asked_objectives(objectives)
        stored = self._source.scaffolds.directions(run_id=run_id, filters=filter)
        names = list(dict.fromkeys(asked or (name for one in stored.values() for name in one)))
        scores = self._source.scaffolds.scores(names, run_id=run_id, filters=filter)
        if asked is not None:
            self._check_scored(scores, asked, stored)
        skipped: dict[str, str]
        if scope == "all":
            groups, skipped = all_together(scores, names, asked, stored), {}
        else:
            groups, skipped = by_run(scores, names, asked, stored)
        require_groups(groups, skipped)
        ranks = np.full(len(scores.rows), _NOT_LOOKED_AT)
        fronts = []
        for group in groups:
            front, ranks[group.places] = _front(
                group.items, group.values, group.directions, reference
            )
            fronts.append(front)
        saved = None
        if save:  # in a transaction of its own: others may write while this ranks
            known = np.flatnonzero(ranks != _NOT_LOOKED_AT)
            saved = self._source.scaffolds.set_pareto_ranks(scores.part(known), ranks[known])
        return ScaffoldFronts(scope, tuple(fronts), skipped, saved)

    def _stored_directions(self, asked: Asked | None, filters: Any) -> dict[str, dict[str, str]]:
        stored = self._source.objectives.directions(filters)
        if asked is None and not stored:
            raise NoDirection("no run that matches has stored which way an objective is better")
        return stored

    def _check_scored(self, scores: ScaffoldScores, asked: Asked, stored: Stored) -> None:
        """Raise for an objective that no scaffold has a score of: it was probably mistyped."""
        scored = scored_names(scores.values, list(asked))
        for name in asked:
            if scores.items and name not in scored:
                others = list(dict.fromkeys(other for own in stored.values() for other in own))
                of_all = self._source.scaffolds.scores(others)
                valid = dict.fromkeys([*scored, *scored_names(of_all.values, others)])
                raise UnknownName("score of scaffolds", name, valid or ["(none is known)"])


def _front(
    items: Sequence[Item],
    values: NDArray[np.float64],
    directions: Mapping[str, str],
    reference: Reference | None,
) -> tuple[ParetoFront[Item], NDArray[np.int64]]:
    """Rank items, and return the front and the rank of each, 0 for none."""
    names = tuple(directions)
    words = tuple(directions.values())
    ranks = pareto_ranks(values, words)
    is_ranked = ranks > 0
    ranked = {item: rank for item, rank in zip(items, ranks.tolist(), strict=True) if rank}
    missing = {
        items[place]: tuple(
            name for name, score in zip(names, values[place], strict=True) if not np.isfinite(score)
        )
        for place in np.flatnonzero(~is_ranked).tolist()
    }
    point = _point(reference, names)
    return ParetoFront(names, words, ranked, values[is_ranked], missing, point), ranks


def _point(reference: Reference | None, names: tuple[str, ...]) -> tuple[float, ...] | None:
    if isinstance(reference, Mapping):
        if set(reference) != set(names):
            raise InvalidValue(
                f"the reference point has scores of {', '.join(map(repr, reference)) or 'nothing'};"
                f" give one of each objective: {', '.join(map(repr, names))}"
            )
        reference = [reference[name] for name in names]
    if reference is None:
        return None
    return tuple(checked_reference(reference, len(names)).tolist())
