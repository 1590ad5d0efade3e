"""Pareto ranks, dominance, hypervolume and knee, against what counting by hand gives."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import moocore
import numpy as np
import pytest

from training_db.analysis.fronts.hypervolume import hypervolume
from training_db.analysis.fronts.pareto import (
    dominated_by,
    dominates,
    dominates_which,
    is_on_front,
    knee_point,
    pareto_ranks,
)
from training_db.errors import InvalidInput, InvalidValue, UnknownName

NAN, INF = math.nan, math.inf
SHAPES = [(1, 1), (7, 1), (40, 2), (60, 3), (60, 4), (40, 6)]


def is_better(one: Any, other: Any, directions: list[str]) -> bool:
    """Tell by the definition whether one row dominates another."""
    if not all(map(math.isfinite, [*one, *other])):
        return False
    signs = [1 if direction == "max" else -1 for direction in directions]
    ahead = [sign * (a - b) for a, b, sign in zip(one, other, signs, strict=True)]
    return all(each >= 0 for each in ahead) and any(each > 0 for each in ahead)


def peeled(scores: Any, directions: list[str]) -> list[int]:
    """Return ranks by taking one front after the other away."""
    ranks = [0] * len(scores)
    left = [place for place, row in enumerate(scores) if all(map(math.isfinite, row))]
    rank = 0
    while left:
        rank += 1
        front = [
            one
            for one in left
            if not any(is_better(scores[other], scores[one], directions) for other in left)
        ]
        for one in front:
            ranks[one] = rank
        left = [one for one in left if one not in front]
    return ranks


def some_scores(shape: tuple[int, int], seed: int) -> tuple[Any, list[str]]:
    """Return scores with many ties, some of them NaN or infinite, and directions."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, shape).astype(float) / 2
    scores[rng.random(shape) < 0.03] = rng.choice([NAN, INF, -INF])
    return scores, [str(word) for word in rng.choice(["max", "min"], shape[1])]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_ranks_are_those_of_taking_front_after_front_away(
    shape: tuple[int, int], seed: int
) -> None:
    scores, directions = some_scores(shape, seed)
    ranks = pareto_ranks(scores, directions)
    assert ranks.dtype == np.int64
    assert ranks.tolist() == peeled(scores, directions)
    assert is_on_front(scores, directions).tolist() == [rank == 1 for rank in ranks]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_who_dominates_whom_is_as_defined(shape: tuple[int, int]) -> None:
    scores, directions = some_scores(shape, 5)
    for place, own in enumerate(scores):
        above = [n for n, row in enumerate(scores) if is_better(row, own, directions)]
        below = [n for n, row in enumerate(scores) if is_better(own, row, directions)]
        assert dominated_by(scores, place, directions).tolist() == above
        assert dominates_which(scores, place, directions).tolist() == below
    for one, other in zip(scores, scores[::-1], strict=True):
        assert dominates(one, other, directions) == is_better(one, other, directions)


def test_equal_rows_share_their_rank_and_do_not_dominate_each_other() -> None:
    assert pareto_ranks([[1, 2], [1, 2], [0, 2]], "max").tolist() == [1, 1, 2]
    assert not dominates([1, 2], [1, 2], "max")
    assert dominates([1, 2], [0, 2], "max")
    assert not dominates([1, 2], [0, 2], ["min", "max"])


def test_objectives_that_order_all_alike_rank_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    # A front for each of 100,000 items takes moocore 40 s of four objectives, and 2 ms of one.
    looked_at = []

    def spied(points: Any) -> Any:
        looked_at.append(points.shape)
        return found(points)

    found = moocore.pareto_rank
    monkeypatch.setattr(moocore, "pareto_rank", spied)
    line = np.arange(1_000.0)
    alike = np.stack([line, line * 2, -line, np.exp(line / 100)], axis=1)
    ranks = pareto_ranks(alike, ["max", "max", "min", "max"])
    assert ranks.tolist() == list(range(1_000, 0, -1))
    assert looked_at == [(1_000, 1)]


def test_a_score_that_is_not_finite_takes_an_item_out() -> None:
    scores = [[9, NAN], [INF, 9], [1, 1], [0, 0], [None, 3], [10**400, 3]]
    assert pareto_ranks(scores, "max").tolist() == [0, 0, 1, 2, 0, 0]
    assert dominated_by(scores, 0, "max").tolist() == []
    assert dominates_which(scores, 1, "max").tolist() == []
    assert dominated_by(scores, 3, "max").tolist() == [2]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_no_items_have_no_ranks(objectives: int) -> None:
    directions = ["max"] * objectives
    for empty in (np.empty((0, objectives)), []):
        assert pareto_ranks(empty, directions).tolist() == []
        assert knee_point(empty, directions) is None
        assert hypervolume(empty, directions).volume == 0.0
    nothing = np.full((3, objectives), NAN)
    assert pareto_ranks(nothing, directions).tolist() == [0, 0, 0]
    assert knee_point(nothing, directions) is None
    assert hypervolume(nothing, directions).share == 0.0


@pytest.mark.parametrize(
    ("scores", "directions", "message"),
    [
        ([1.0, 2.0], "max", "shape"),
        (5, "max", "shape"),
        ([[1.0], [1.0, 2.0]], "max", "different lengths"),
        ([["high"]], "max", "pass numbers"),
        ([["high", None]], "max", "'high' is no number"),
        ([[1 + 2j]], "max", "pass numbers"),
        ([[object()]], "max", "is no number"),
        ([[1.0, 2.0]], ["max"], "2 objectives and 1 directions"),
        (np.ones((2, 32)), "max", "1 to 31"),
        (np.ones((2, 0)), "max", "1 to 31"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(
    scores: Any, directions: Any, message: str
) -> None:
    for function in (pareto_ranks, is_on_front, knee_point, hypervolume):
        with pytest.raises(InvalidValue, match=message):
            function(scores, directions)


@pytest.mark.parametrize("word", ["up", "", None, 1])
def test_a_direction_that_does_not_exist_is_refused(word: Any) -> None:
    with pytest.raises(UnknownName, match="maximize"):
        pareto_ranks([[1.0]], [word])


@pytest.mark.parametrize("row", [-1, 2, True, 5])
def test_a_row_that_is_not_there_is_refused(row: int) -> None:
    with pytest.raises(InvalidInput, match="no row"):
        dominated_by([[1.0], [2.0]], row, "max")


@pytest.mark.parametrize("objectives", [1, 2, 3, 4, 5, 6])
def test_the_hypervolume_is_the_number_of_cells_that_are_dominated(objectives: int) -> None:
    rng = np.random.default_rng(objectives)
    points = rng.integers(0, 6, (12, objectives))  # 5 is on the reference, and covers nothing
    cells = np.array(list(product(range(5), repeat=objectives)))
    covered = (cells[:, None] >= points[None]).all(axis=2).any(axis=1).sum()
    found = hypervolume(points, "min", [5] * objectives)
    assert found.volume == pytest.approx(covered, rel=1e-9)
    assert found.is_exact
    box = np.prod(5.0 - points[(points < 5).all(axis=1)].min(axis=0, initial=5))
    assert found.share == pytest.approx(covered / box if box else 0.0)

    directions = ["max" if number % 2 else "min" for number in range(objectives)]
    signs = np.where(np.arange(objectives) % 2, -1, 1)
    mirrored = hypervolume(points * signs, directions, (5 * signs).tolist())
    assert mirrored.volume == pytest.approx(covered, rel=1e-9)
    assert mirrored.reference == tuple(5.0 * signs)


def test_the_volume_of_many_points_in_many_objectives_is_approximated_within_a_percent() -> None:
    rng = np.random.default_rng(0)
    points = np.abs(rng.normal(size=(80, 8)))
    points = 1 - points / np.linalg.norm(points, axis=1, keepdims=True)
    exact = hypervolume(points, "min", [1.1] * 8)
    many = hypervolume(
        np.repeat(points, 2, axis=0) + np.tile([[0.0], [1e-9]], (80, 8)), "min", [1.1] * 8
    )
    assert (exact.is_exact, many.is_exact) == (True, True)  # what is dominated is left out first
    assert many.volume == pytest.approx(exact.volume)
    spread = np.vstack([points, points[:, ::-1]])
    rough = hypervolume(spread, "min", [1.1] * 8)
    assert not rough.is_exact
    assert rough.volume == hypervolume(spread, "min", [1.1] * 8).volume
    assert exact.volume < rough.volume < 2 * exact.volume
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training_db.analysis.fronts.hypervolume._EXACT_POINTS", {})
        assert hypervolume(points, "min", [1.1] * 8).volume == pytest.approx(exact.volume, rel=0.01)


def test_the_default_reference_lies_a_tenth_of_the_range_beyond_the_worst() -> None:
    found = hypervolume([[0.0, 10.0], [1.0, 30.0], [NAN, 99.0]], ["max", "min"])
    assert found.reference == pytest.approx((-0.1, 32.0))
    assert not found.is_reference_given
    # 0.1 x 22 by the first, and 1.0 x 2 more by the second.
    assert found.volume == pytest.approx(0.1 * 22 + 1.0 * 2)
    assert hypervolume([[1.0], [2.0]], "max", [0]).is_reference_given


def test_an_objective_in_which_all_are_equal_changes_no_volume() -> None:
    two = hypervolume([[0.0, 1.0], [1.0, 0.0]], "max")
    three = hypervolume([[0.0, 1.0, 5.0], [1.0, 0.0, 5.0]], "max")
    assert three.volume == pytest.approx(two.volume)
    assert three.reference[2] == 4.0


@pytest.mark.parametrize("size", [1e-308, 1e-100, 1e100, 1e307])
def test_any_scale_gives_the_same_share_and_ranks(size: float) -> None:
    points = np.random.default_rng(2).normal(size=(30, 3))
    scaled = points * size
    assert pareto_ranks(scaled, "min").tolist() == pareto_ranks(points, "min").tolist()
    found = hypervolume(scaled, "min")
    assert found.share == pytest.approx(hypervolume(points, "min").share, rel=1e-6)
    assert found.volume >= 0.0
    assert knee_point(scaled, "min") == knee_point(points, "min")


def test_the_largest_floats_are_measured_too() -> None:
    largest = np.finfo(float).max
    found = hypervolume([[largest, -largest], [-largest, largest], [0.0, -1e300]], "max")
    assert found.volume == INF
    assert 0.0 < found.share <= 1.0
    assert hypervolume([[largest]], "min").volume == 0.0
    assert knee_point([[largest, -largest], [-largest, largest], [1e308, 1e308]], "max") == 2


def test_what_does_not_dominate_the_reference_covers_nothing() -> None:
    assert hypervolume([[1.0, 1.0]], "max", [2, 0]).volume == 0.0
    assert hypervolume([[1.0, 1.0]], "max", [1, 0]).volume == 0.0
    both = hypervolume([[1.0, 1.0], [9.0, -1.0]], "max", [0, 0])
    assert both.volume == pytest.approx(1.0)


@pytest.mark.parametrize(
    "reference", [[1], [1, 2, 3], [1, NAN], [1, INF], "ab", 5, [1, "x"], [1, 10**400]]
)
def test_a_reference_that_cannot_be_used_is_refused(reference: Any) -> None:
    with pytest.raises(InvalidValue, match="reference"):
        hypervolume([[1.0, 1.0]], "max", reference)


def test_the_knee_bulges_furthest_from_the_line_through_the_ends() -> None:
    angles = np.linspace(0, np.pi / 2, 9)
    circle = np.stack([1 - np.sin(angles), 1 - np.cos(angles)], axis=1)
    assert knee_point(circle, "min") == 4
    assert knee_point(-circle * [1, 1000], "max") == 4
    assert knee_point(circle * [1, -1], ["min", "max"]) == 4
    behind = np.vstack([[[2.0, 2.0]], circle, [[NAN, 0.0]]])
    assert knee_point(behind, "min") == 5


def test_the_knee_of_three_objectives_is_the_point_near_the_best_of_all() -> None:
    ends = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert knee_point([*ends, [0.2, 0.3, 0.2], [0.3, 0.3, 0.1], [0.1, 0.2, 0.5]], "min") in (3, 4)
    assert knee_point([*ends, [0.3, 0.3, 0.3], [0.1, 0.1, 0.1]], "min") == 4
    # One item is best in two of them, so no plane goes through the best of each.
    assert knee_point([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.2, 0.2, 0.2]], "min") == 2


@pytest.mark.parametrize(
    "front",
    [
        [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]],  # a line
        [[0.0, 1.0], [0.8, 0.8], [1.0, 0.0]],  # bulges away
        [[0.0, 1.0], [1.0, 0.0]],
        [[0.0, 1.0], [1.0, 0.0], [1.0, 0.0]],
        [[0.3, 0.3]],
        [[1.0], [2.0], [3.0]],
    ],
    ids=range(6),
)
def test_a_front_that_bulges_nowhere_has_no_knee(front: Any) -> None:
    assert knee_point(front, "min") is None
