"""Generated sets of objectives of which it is known which ones conflict, and from which step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Chance = np.random.Generator


@dataclass(frozen=True)
class TradeOff:
    """Series of objectives and their truth.

    Attributes:
        series: The values by name.
        steps: Their steps.
        directions: Which way is better, by name.
        conflicts: The pairs of which one gets better while the other gets worse.
        since: The first and last step that is right as their beginning.
    """

    series: dict[str, Floats]
    steps: Floats
    directions: dict[str, str]
    conflicts: frozenset[frozenset[str]]
    since: tuple[float, float]


def trade_offs(count: int = 200, seed: int = 7) -> Iterator[TradeOff]:
    """Yield sets of objectives, half of them without a conflict, the same ones for a seed."""
    for index in range(count):
        yield trade_off(np.random.default_rng([seed, index]), conflicts=bool(index % 2))


def trade_off(chance: Chance, *, conflicts: bool) -> TradeOff:
    """Return objectives that go one way together, and, where they conflict, part at a step."""
    n = int(chance.integers(60, 1_000))
    names = [f"objective {letter}" for letter in "ABCDE"[: chance.integers(2, 6)]]
    begin = int(n * chance.uniform(0.25, 0.55)) if chance.random() < 0.7 else 0
    later = dict.fromkeys(names, "better")
    for name in names[2:]:
        later[name] = str(chance.choice(["better", "same"]))
    if conflicts:
        later[names[1]] = "worse"
    before = {name: chance.choice(["better", "same"]) for name in names}
    directions = {name: str(chance.choice(["maximize", "minimize"])) for name in names}
    series = {}
    for name in names:
        goodness = _path(chance, n, begin, before[name], later[name])
        goodness += chance.uniform(0.01, 0.12) * _noise(chance, n)
        sign = 1 if directions[name] == "maximize" else -1
        series[name] = chance.uniform(-2, 2) + 10 ** chance.uniform(-2, 2) * sign * goodness
    worse = [name for name in names if later[name] == "worse"]
    better = [name for name in names if later[name] == "better"]
    steps = np.arange(n) * float(chance.integers(1, 100))
    return TradeOff(
        series=series,
        steps=steps,
        directions=directions,
        conflicts=frozenset(frozenset((one, other)) for one in worse for other in better),
        since=(steps[max(round(begin - 0.2 * n), 0)], steps[round(begin + 0.25 * n)]),
    )


def _path(chance: Chance, n: int, begin: int, before: str, later: str) -> Floats:
    """Return how good an objective is: a slope until a point, and another one after it."""
    slopes = {"better": 1.0, "same": 0.0, "worse": -1.0}
    slope = np.full(n, slopes[later] * chance.uniform(0.6, 1.2))
    slope[:begin] = slopes[before] * chance.uniform(0.6, 1.2)
    return np.cumsum(slope) / n


def _noise(chance: Chance, n: int) -> Floats:
    memory = chance.choice([0.0, 0.5])
    fresh = chance.standard_normal(n) * np.sqrt(1 - memory**2)
    for index in range(1, n):
        fresh[index] += memory * fresh[index - 1]
    return fresh


@dataclass(frozen=True)
class Norms:
    """Norms of gradients, and the points where they explode."""

    values: Floats
    explosions: tuple[range, ...]


def norms(count: int = 100, seed: int = 11) -> Iterator[Norms]:
    """Yield norms that sink and scatter, and explode now and then by 30 times and more."""
    for index in range(count):
        chance = np.random.default_rng([seed, index])
        n = int(chance.integers(80, 2_000))
        base = np.exp(-chance.uniform(0, 2) * np.arange(n) / n)
        values = base * np.exp(chance.uniform(0.05, 0.4) * chance.standard_normal(n))
        places: list[range] = []
        for begin in chance.integers(10, n - 6, chance.integers(0, 4)).tolist():
            if all(abs(begin - other.start) > 20 for other in places):
                places.append(range(begin, begin + int(chance.integers(1, 5))))
        for place in places:
            values[list(place)] *= 10 ** chance.uniform(1.5, 6)
        yield Norms(10 ** chance.uniform(-3, 3) * values, tuple(places))
