"""How often the detectors are right: precision and recall over curves with a known truth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.analysis.curves import NEAR, SHAPES, Curve, curves
from tests.analysis.trade_offs import norms, trade_offs
from training_db.analysis.curves.conflicts import detect_conflicts
from training_db.analysis.curves.convergence import convergence_speed
from training_db.analysis.curves.explosion import detect_explosions
from training_db.analysis.curves.instability import Instability, detect_instability
from training_db.analysis.curves.plateau import Plateau, detect_plateau

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass
class Tally:
    """How much of what was found is right, and how much of what is there was found."""

    right: int = 0
    found: int = 0
    hit: int = 0
    there: int = 0

    def add(self, *, right: int, found: int, hit: int, there: int) -> None:
        self.right += right
        self.found += found
        self.hit += hit
        self.there += there

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.hit / self.there if self.there else 1.0

    def __str__(self) -> str:
        found = f"precision {self.precision:6.1%}" if self.found else " " * 16
        there = f"recall {self.recall:6.1%}" if self.there else " " * 13
        return (
            f"{found} ({self.right:3} of {self.found:3})   {there} ({self.hit:3} of {self.there:3})"
        )


Tallies = defaultdict[str, Tally]


@pytest.fixture(scope="module")
def known() -> list[Curve]:
    return list(curves(500))


@pytest.fixture(scope="module")
def plateaus(known: list[Curve]) -> list[Plateau | None]:
    return [detect_plateau(curve.values, curve.steps) for curve in known]


@pytest.fixture(scope="module")
def instabilities(known: list[Curve]) -> list[Instability]:
    return [
        detect_instability(
            curve.values, curve.steps, direction="maximize" if curve.rises else "minimize"
        )
        for curve in known
    ]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], record_property):  # type: ignore[no-untyped-def]
    """Print tallies even where the test passes, and into the JUnit file."""

    def print_them(what: str, tallies: Mapping[str, Tally]) -> None:
        with capsys.disabled():
            print(f"\n{what}")  # noqa: T201 - what this test is for
            for name, tally in tallies.items():
                print(f"  {name:12} {tally}")  # noqa: T201
                record_property(f"{what}, {name}", str(tally))

    return print_them


def total(tallies: Iterable[Tally]) -> Tally:
    whole = Tally()
    for tally in tallies:
        whole.add(right=tally.right, found=tally.found, hit=tally.hit, there=tally.there)
    return whole


def test_there_are_curves_of_eight_shapes_with_and_without_each_truth(known: list[Curve]) -> None:
    assert len(known) == 500
    assert {curve.shape for curve in known} == set(SHAPES)
    assert len(SHAPES) == 8
    assert 200 < sum(curve.plateau is not None for curve in known) < 300
    assert sum(len(curve.spikes) for curve in known) > 200
    assert sum(curve.divergence is not None for curve in known) > 50
    assert sum(bool(curve.holes) for curve in known) > 50
    assert {curve.rises for curve in known} == {True, False}


def test_plateaus_are_found_where_they_begin_and_nowhere_else(  # type: ignore[no-untyped-def]
    known: list[Curve], plateaus: list[Plateau | None], say
) -> None:
    tallies: Tallies = defaultdict(Tally)
    level_is_right = []
    for curve, plateau in zip(known, plateaus, strict=True):
        if not curve.asks_plateau:
            continue
        right = False
        if plateau is not None and curve.plateau is not None:
            first, last = curve.plateau
            right = first <= plateau.step <= last
            level, off = curve.level
            level_is_right.append(abs(plateau.level - level) <= off)
        tallies[curve.shape].add(
            right=right, found=plateau is not None, hit=right, there=curve.plateau is not None
        )
    whole = tallies["all"] = total(tallies.values())
    say("Plateaus, from the right step", tallies)
    assert whole.precision >= 0.95
    assert whole.recall >= 0.95
    for shape, tally in tallies.items():
        asked = sum(curve.shape == shape and curve.asks_plateau for curve in known)
        assert tally.there or tally.found <= 0.05 * asked, f"false alarms in {shape}"
    assert np.mean(level_is_right) >= 0.95


def test_the_surer_a_plateau_is_the_oftener_it_is_one(
    known: list[Curve], plateaus: list[Plateau | None]
) -> None:
    """Confidence means something: what is right has more of it than what is wrong."""
    right, wrong = [], []
    for curve, plateau in zip(known, plateaus, strict=True):
        if plateau is not None and curve.asks_plateau:
            assert 0 <= plateau.confidence <= 1
            (wrong if curve.plateau is None else right).append(plateau.confidence)
    assert np.median(right) > 0.8
    assert not wrong or np.median(wrong) < np.median(right)


def test_spikes_are_found_and_nothing_else_is_called_one(  # type: ignore[no-untyped-def]
    known: list[Curve], instabilities: list[Instability], say
) -> None:
    tallies: Tallies = defaultdict(Tally)
    for curve, instability in zip(known, instabilities, strict=True):
        points = np.searchsorted(curve.steps, [spike.step for spike in instability.spikes])
        near = {point + off for spike in curve.spikes for point in spike for off in around(NEAR)}
        asked = [int(point) for point in points if int(point) not in curve.open_points]
        found = {int(point) for point in points}
        tallies[curve.shape].add(
            right=sum(point in near for point in asked),
            found=len(asked),
            hit=sum(is_near(spike, found) for spike in curve.spikes),
            there=len(curve.spikes),
        )
    whole = tallies["all"] = total(tallies.values())
    say("Spikes", tallies)
    assert whole.precision >= 0.95
    assert whole.recall >= 0.95


def around(off: int) -> range:
    return range(-off, off + 1)


def is_near(spike: range, found: set[int]) -> bool:
    return any(point + off in found for point in spike for off in around(NEAR))


def test_divergence_is_found_when_it_begins(  # type: ignore[no-untyped-def]
    known: list[Curve], instabilities: list[Instability], say
) -> None:
    tallies: Tallies = defaultdict(Tally)
    for curve, instability in zip(known, instabilities, strict=True):
        since = instability.divergence.step if instability.divergence else None
        right = False
        if since is not None and curve.divergence is not None:
            right = curve.divergence[0] <= since <= curve.divergence[1]
        tallies[curve.shape].add(
            right=right, found=since is not None, hit=right, there=curve.divergence is not None
        )
    whole = tallies["all"] = total(tallies.values())
    say("Divergence, from the right step", tallies)
    assert whole.precision >= 0.95
    assert whole.recall >= 0.95


def test_every_value_that_is_not_finite_is_counted(
    known: list[Curve], instabilities: list[Instability]
) -> None:
    for curve, instability in zip(known, instabilities, strict=True):
        found, holes = instability.non_finite, curve.values[list(curve.holes)]
        if not curve.holes:
            assert found is None
            continue
        assert found is not None
        assert found.nan == np.isnan(holes).sum()
        assert found.positive == np.isposinf(holes).sum()
        assert found.negative == np.isneginf(holes).sum()
        assert found.count == len(curve.holes)
        assert (found.first, found.last) == tuple(curve.steps[[curve.holes[0], curve.holes[-1]]])


def test_explosions_of_gradients_are_found_and_nothing_else(say) -> None:  # type: ignore[no-untyped-def]
    tally = Tally()
    for norm in norms():
        found = {int(explosion.step) for explosion in detect_explosions(norm.values)}
        near = {point + off for one in norm.explosions for point in one for off in around(NEAR)}
        tally.add(
            right=len(found & near),
            found=len(found),
            hit=sum(is_near(one, found) for one in norm.explosions),
            there=len(norm.explosions),
        )
    say("Explosions of gradients", {"all": tally})
    assert tally.precision >= 0.95
    assert tally.recall >= 0.95


def test_objectives_that_conflict_are_found_and_no_others(say) -> None:  # type: ignore[no-untyped-def]
    tally, in_time = Tally(), []
    for one in trade_offs():
        found = detect_conflicts(one.series, one.steps, directions=one.directions)
        pairs = {frozenset((conflict.better, conflict.worse)): conflict for conflict in found}
        assert len(pairs) == len(found), "a pair is named once"
        hits = one.conflicts & pairs.keys()
        tally.add(right=len(hits), found=len(found), hit=len(hits), there=len(one.conflicts))
        in_time += [one.since[0] <= pairs[pair].since <= one.since[1] for pair in hits]
    say("Conflicts of objectives", {"all": tally})
    assert tally.precision >= 0.95
    assert tally.recall >= 0.9
    assert np.mean(in_time) >= 0.9


@pytest.mark.parametrize("rises", [False, True])
def test_the_speed_of_an_exponential_decay_is_its_formula(rises: bool) -> None:
    chance = np.random.default_rng(5)
    for _ in range(40):
        n = int(chance.integers(300, 2_000))
        tau = n * chance.uniform(0.05, 0.12)
        x = np.arange(n)
        falling = np.exp(-x / tau) + 0.01 * chance.standard_normal(n)
        speed = convergence_speed(-falling if rises else falling, x)
        assert speed is not None
        assert speed.step_50 == pytest.approx(tau * np.log(2), rel=0.2)
        assert speed.step_90 == pytest.approx(tau * np.log(10), rel=0.2)
        assert speed.half_life == pytest.approx(tau * np.log(2), rel=0.2)
        assert speed.settled
