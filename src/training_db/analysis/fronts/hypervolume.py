"""How much of the space of objectives a front covers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.direction import direction_word
from training_db.analysis.fronts.pareto import as_costs, is_on_front, scaled_costs
from training_db.errors import InvalidValue
from training_db.extras import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_MARGIN = 0.1
_ALWAYS_EXACT = 3  # objectives; n log n points
# So many points of the front take about a second (measured); of more objectives, none are exact.
_EXACT_POINTS = {4: 30_000, 5: 5_000, 6: 500, 7: 200, 8: 100, 9: 60, 10: 40}
_LINES, _FEWEST_LINES = 65_536, 1_024
_WORK = 2.5e9  # points x objectives x lines: about a second


@dataclass(frozen=True, slots=True)
class Hypervolume:
    """How much of the space of objectives a front covers, up to a reference point.

    Attributes:
        volume: In the product of the objectives' units; infinite where that is beyond a float.
        share: Of the box between the best of each objective and the reference, 0 to 1.
        reference: The reference point, one score an objective.
        is_reference_given: Whether somebody named it. Only volumes up to the same reference say
            which of two fronts is the better one.
        is_exact: Whether it was computed and not approximated.
    """

    volume: float
    share: float
    reference: tuple[float, ...]
    is_reference_given: bool
    is_exact: bool

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as JSON can hold it."""
        return {
            "volume": self.volume,
            "share": self.share,
            "reference": list(self.reference),
            "is_reference_given": self.is_reference_given,
            "is_exact": self.is_exact,
        }


def hypervolume(
    scores: ArrayLike,
    directions: Sequence[str] | str,
    reference: Sequence[float] | None = None,
) -> Hypervolume:
    """Measure the space that is dominated by some item and dominates the reference point.

    Args:
        scores: Shape (items, objectives). Items with a NaN or infinite score are left out; those
            that do not dominate the reference cover nothing.
        directions: ``"max"`` or ``"min"`` for each objective, or one for all.
        reference: The reference point, shape (objectives,). If none is given, the worst score of
            each objective and a tenth of its range beyond, so that the ends of the front count
            too; of an objective in which all are the same, 1 beyond. Give one to compare fronts.

    Returns:
        The volume. Of many points in five objectives and more it is approximated, along lines that
        are the same each time; in trials within 1 %.

    Raises:
        InvalidInput: As :func:`~training_db.analysis.fronts.pareto.pareto_ranks`, or a reference
            that is not a finite number for each objective.

    Example:
        >>> covered = hypervolume([[5, 5], [4, 6], [2, 7], [7, 4]], "min", reference=[10, 10])
        >>> round(covered.volume, 6), round(covered.share, 6)
        (38.0, 0.791667)
        >>> hypervolume([[0.0, 1.0], [1.0, 0.0]], "max").reference
        (-0.1, -0.1)

    Source: Zitzler and Thiele, "Multiobjective evolutionary algorithms: a comparative case study
    and the strength Pareto approach", IEEE TEC 3(4), 1999; the default reference point after
    Ishibuchi et al., "How to specify a reference point in hypervolume calculation for fair
    performance comparison", Evolutionary Computation 26(3), 2018. Computed by moocore (HV4D+,
    Guerreiro and Fonseca 2018), approximated by its deterministic variant of Deng and Zhang, IEEE
    TEC 23(5), 2019.
    """
    costs = as_costs(scores, directions)
    costs = costs[np.isfinite(costs).all(axis=1)]
    signs = _signs(directions, costs.shape[1])
    if reference is None:
        worst = _beyond(costs)
    else:
        worst = checked_reference(reference, len(signs)) * signs
    front = costs[is_on_front(costs, "min")] if len(costs) else costs
    front = front[(front < worst).all(axis=1)]
    share, volume, is_exact = 0.0, 0.0, True
    if len(front):
        best = front.min(axis=0)
        share, is_exact = _share(scaled_costs(front, best, worst))
        sides = (float(far) - float(near) for far, near in zip(worst, best, strict=True))
        volume = share * math.prod(sides)
    shown = tuple((worst * signs + 0.0).tolist())
    return Hypervolume(volume, share, shown, reference is not None, is_exact)


def checked_reference(reference: Sequence[float], objectives: int) -> NDArray[np.float64]:
    """Return a reference point as an array of shape (objectives,).

    Raises:
        InvalidValue: It is not a finite number for each objective.
    """
    try:
        point = np.asarray(reference, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        point = np.empty(0)
    if point.shape != (objectives,) or not np.isfinite(point).all():
        raise InvalidValue(
            f"the reference point is {reference!r}; pass a finite number for each of the "
            f"{objectives} objectives, worse than the scores that shall count"
        )
    return point


def _share(points: NDArray[np.float64]) -> tuple[float, bool]:
    """Return the volume up to 1 in each objective, and whether it is exact."""
    count, objectives = points.shape
    moocore = load("moocore")
    if objectives <= _ALWAYS_EXACT or count <= _EXACT_POINTS.get(objectives, 1):
        return float(moocore.hypervolume(points, ref=1.0)), True
    lines = int(np.clip(_WORK / (count * objectives), _FEWEST_LINES, _LINES))
    return float(moocore.hv_approx(points, ref=1.0, nsamples=lines)), False


def _beyond(costs: NDArray[np.float64]) -> NDArray[np.float64]:
    if not len(costs):
        return np.zeros(costs.shape[1])
    best, worst = costs.min(axis=0), costs.max(axis=0)
    largest = np.finfo(np.float64).max
    tenth = worst * _MARGIN - best * _MARGIN
    # The float after the worst, where a step of 1 is lost in rounding.
    step = np.where(worst > best, tenth, 1.0)
    with np.errstate(over="ignore"):
        beyond = np.maximum(worst + step, np.nextafter(worst, np.inf))
    reachable: NDArray[np.float64] = np.minimum(beyond, largest)
    return reachable


def _signs(directions: Sequence[str] | str, objectives: int) -> NDArray[np.float64]:
    words = [directions] * objectives if isinstance(directions, str) else directions
    return np.array([-1.0 if direction_word(word) == "maximize" else 1.0 for word in words])
