"""Generated curves of which the truth is known: what happens in them, and from which step.

Each is a shape without noise, noise, spikes and holes, in any scale and turned either way. The
truth is read off the shape without noise, by rules that a reader of the curve would accept, and
knows nothing of how it is to be found. Where readers would disagree, the truth leaves it open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Floats = np.ndarray[Any, np.dtype[np.float64]]
    Chance = np.random.Generator

NEAR = 2  # points that a spike may be found off


@dataclass(frozen=True)
class Curve:
    """A curve and its truth; a span is the first and last step that is right.

    Attributes:
        shape: The name of its shape.
        rises: Whether better is higher, as of a reward.
        plateau: When its plateau begins; None where it has none.
        level: The value of its plateau, and how far off is right.
        asks_plateau: False where readers would disagree on whether this is one.
        divergence: When it diverges; None where it does not.
        spikes: The points of each spike.
        open_points: Points that may be called a spike or not.
        holes: The points that are NaN or infinite.
    """

    shape: str
    values: Floats
    steps: Floats
    rises: bool
    plateau: tuple[float, float] | None
    level: tuple[float, float]
    asks_plateau: bool
    divergence: tuple[float, float] | None
    spikes: tuple[range, ...]
    open_points: frozenset[int]
    holes: tuple[int, ...]


@dataclass(frozen=True)
class Plain:
    """A falling shape without noise, about as high as 1, and what is true of it."""

    values: Floats
    ends_flat: bool = True
    diverges_from: int | None = None
    asks_plateau: bool = True


def curves(count: int = 500, seed: int = 2026) -> Iterator[Curve]:
    """Yield curves of all shapes in turn, the same ones each time for a seed."""
    for index in range(count):
        name = tuple(SHAPES)[index % len(SHAPES)]
        yield curve(name, np.random.default_rng([seed, index]))


def curve(name: str, chance: Chance) -> Curve:
    """Return a curve of a shape."""
    n = round(math.exp(chance.uniform(math.log(50), math.log(2_000))))
    plain = SHAPES[name](chance, n)
    memory = chance.choice([0, min(chance.uniform(0.3, 0.9), (n - 30) / (n + 30))])
    sigma = _noise_that_hides_nothing(plain, memory, chance)
    values = plain.values + sigma * _noise(chance, n, memory)
    spikes = _spikes(chance, plain, sigma) if chance.random() < 0.5 else ()
    for spike in spikes:
        values[list(spike)] += sigma * chance.uniform(12, 40)
    scale, offset = 10 ** chance.uniform(-3, 3), chance.uniform(-5, 5)
    rises = bool(chance.random() < 0.4)
    turned = scale * (offset + (-values if rises else values))
    steps = _steps(chance, n)
    holes = _holes(chance, plain, spikes)
    turned[list(holes)] = chance.choice([math.nan, math.inf, -math.inf], len(holes))
    floor = scale * (offset + (-1 if rises else 1) * plain.values[-1])
    reach = max(np.ptp(plain.values), sigma)
    return Curve(
        shape=name,
        values=turned,
        steps=steps,
        rises=rises,
        plateau=_plateau(plain, sigma, steps) if plain.ends_flat else None,
        level=(floor, scale * max(0.04 * reach, sigma)),
        asks_plateau=plain.asks_plateau,
        divergence=_divergence(plain, steps),
        spikes=spikes,
        open_points=_open_points(plain, sigma),
        holes=holes,
    )


def _decay(chance: Chance, n: int) -> Plain:
    return Plain(np.exp(-np.arange(n) / (n * chance.uniform(0.03, 0.14))))


def _improving(chance: Chance, n: int) -> Plain:
    """Falls to the end, straight or by a power law: by 5 % or more over its last quarter."""
    x = np.arange(n) / n
    if chance.random() < 0.4:
        return Plain(1 - x, ends_flat=False)
    return Plain((1 + chance.uniform(3, 10) * x) ** -chance.uniform(0.3, 0.6), ends_flat=False)


def _flat(_: Chance, n: int) -> Plain:
    return Plain(np.zeros(n))


def _drop(chance: Chance, n: int) -> Plain:
    """Leaps down once, as by a lower learning rate."""
    at = chance.uniform(0.15, 0.7)
    return Plain(np.where(np.arange(n) < at * n, 1.0, 0.0))


def _late_drop(chance: Chance, n: int) -> Plain:
    """Hardly falls for long, then by a half cosine."""
    begin, length = chance.uniform(0.3, 0.5), chance.uniform(0.1, 0.25)
    x = np.arange(n) / n
    fall = np.clip((x - begin) / length, 0, 1)
    return Plain(0.4 * (1 + np.cos(np.pi * fall)) + 0.2 * np.clip(1 - x / begin, 0, 1))


def _divergence(plain: Plain, steps: Floats) -> tuple[float, float] | None:
    if plain.diverges_from is None:
        return None
    n, begin = len(steps), plain.diverges_from
    above = plain.values[begin:] - plain.values[begin]
    late = begin + int(np.argmax(above > 0.5)) + 0.1 * n
    return steps[max(begin - max(3, n // 20), 0)], steps[min(round(late), n - 1)]


def _diverging(chance: Chance, n: int) -> Plain:
    """Falls, then leaves for far above where it began, in a bend, straight, or at one leap."""
    values = _decay(chance, n).values
    begin = int(n * chance.uniform(0.5, 0.8))
    x = np.linspace(0, 1, n - begin)
    height = 10 ** chance.uniform(0.3, 1.5)
    manner = chance.choice(["bend", "straight", "leap"])
    rise = {"bend": np.expm1(4 * x) / math.expm1(4), "straight": x, "leap": np.ones_like(x)}[manner]
    values[begin:] += height * rise
    return Plain(values, False, begin, asks_plateau=manner != "leap")


def _overfitting(chance: Chance, n: int) -> Plain:
    """Falls, and comes back by a quarter to a half of its fall until the end."""
    turn = chance.uniform(0.35, 0.6)
    x = np.arange(n) / n
    back = chance.uniform(0.25, 0.5) * np.clip((x - turn) / (1 - turn), 0, 1)
    return Plain(np.exp(-x / (turn * chance.uniform(0.2, 0.35))) + back, ends_flat=False)


def _restarts(chance: Chance, n: int) -> Plain:
    """Falls in straight teeth, each lower than the one before, the last one cut short."""
    x = np.arange(n) / n * chance.uniform(1.7, 2.9)
    tooth = np.floor(x)
    last = tooth == tooth[-1]
    if last.mean() < 0.25:
        return _restarts(chance, n)
    return Plain(1 - 0.2 * tooth - 0.5 * (x - tooth), ends_flat=False)


SHAPES: dict[str, Callable[[Chance, int], Plain]] = {
    "decay": _decay,
    "improving": _improving,
    "flat": _flat,
    "drop": _drop,
    "late drop": _late_drop,
    "divergence": _diverging,
    "overfitting": _overfitting,
    "restarts": _restarts,
}


def _noise(chance: Chance, n: int, memory: float) -> Floats:
    """Return noise of standard deviation 1, each value a part of the one before."""
    fresh = chance.standard_normal(n)
    fresh[1:] *= math.sqrt(1 - memory**2)
    for index in range(1, n):
        fresh[index] += memory * fresh[index - 1]
    return fresh


def _noise_that_hides_nothing(plain: Plain, memory: float, chance: Chance) -> float:
    """Return a level of noise that leaves the last quarter's trend four standard errors."""
    if not np.ptp(plain.values):
        return 1.0
    sigma = math.exp(chance.uniform(math.log(0.003), math.log(0.08)))
    if plain.ends_flat or not plain.asks_plateau:
        return sigma
    half = len(plain.values) // 8
    trend = abs(plain.values[-half:].mean() - plain.values[-2 * half : -half].mean())
    error = math.sqrt((1 + memory) / (1 - memory) * 2 / half)
    return min(sigma, trend / (4 * error))


def _plateau(plain: Plain, sigma: float, steps: Floats) -> tuple[float, float]:
    """Return from when what is left to fall is little, until shortly after it is nothing."""
    left = np.abs(plain.values - plain.values[-1])
    reach, n = np.ptp(plain.values), len(steps)
    little = _after_last(left > max(0.10 * reach, 1.5 * sigma))
    nothing = _after_last(left > max(0.01 * reach, 0.25 * sigma))
    early = max(little - NEAR, 0) if little else 0
    return steps[early], steps[min(nothing + math.ceil(0.15 * n), n - 1)]


def _after_last(is_far: np.ndarray[Any, np.dtype[np.bool_]]) -> int:
    (far,) = np.nonzero(is_far)
    return int(far[-1]) + 1 if len(far) else 0


def _spikes(chance: Chance, plain: Plain, sigma: float) -> tuple[range, ...]:
    """Return places, well apart, where the shape itself hardly moves."""
    n = len(plain.values)
    end = n if plain.diverges_from is None else plain.diverges_from
    places: list[range] = []
    for _ in range(chance.integers(1, 5)):
        begin = int(chance.integers(n // 5, end - 8))
        around = plain.values[begin - 6 : begin + 9]
        apart = all(abs(begin - other.start) > max(12, n // 20) for other in places)
        if apart and np.ptp(around) < 2 * sigma:
            places.append(range(begin, begin + int(chance.integers(1, 4))))
    return tuple(sorted(places, key=lambda place: place.start))


def _open_points(plain: Plain, sigma: float) -> frozenset[int]:
    """Return the points where it diverges, and those around a leap up."""
    n = len(plain.values)
    leaps = np.nonzero(np.diff(plain.values) > 3 * sigma)[0]
    around = {int(leap) + off for leap in leaps for off in range(-5, 7)}
    start = n if plain.diverges_from is None else plain.diverges_from - 5
    return frozenset(around | set(range(start, n)))


def _holes(chance: Chance, plain: Plain, spikes: tuple[range, ...]) -> tuple[int, ...]:
    """Return the points that are not finite: a few, or all from some point of a divergence."""
    n = len(plain.values)
    if plain.diverges_from is not None and chance.random() < 0.3:
        return tuple(range(n - int(chance.integers(1, 1 + (n - plain.diverges_from) // 3)), n))
    if chance.random() > 0.15:
        return ()
    taken = {point for spike in spikes for point in spike}
    places = set(chance.integers(1, n - 1, chance.integers(1, 6)).tolist())
    return tuple(sorted(places - taken))


def _steps(chance: Chance, n: int) -> Floats:
    """Return steps one by one, every so many, or now and then."""
    manner = chance.choice(["each", "every", "some"])
    if manner == "each":
        return np.arange(n, dtype=float)
    if manner == "every":
        return float(chance.integers(0, 1_000)) + float(chance.integers(2, 500)) * np.arange(n)
    return np.cumsum(chance.integers(1, 10, n)).astype(float)
