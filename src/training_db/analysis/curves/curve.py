"""One curve as the detectors read it: numbers, in the order of their steps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.errors import InvalidValue
from training_db.segments import is_number, narrowed, numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_LARGEST = np.finfo(np.float64).max / 2.0


@dataclass(frozen=True, slots=True)
class Curve:
    """Values in the order of their steps.

    Attributes:
        steps: Of shape (n,), rising; integers or floats, as they were given.
        values: float64 of shape (n,); NaN and infinities are kept.
    """

    steps: NDArray[Any]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.values)

    def finite(self) -> Curve:
        """Return the curve without what is NaN or infinite."""
        kept = np.isfinite(self.values)
        return self if kept.all() else Curve(self.steps[kept], self.values[kept])

    def step(self, index: int) -> float:
        """Return the step of a point as a plain number: an int where steps are integers."""
        found: float = self.steps[index].item()
        return found

    def scaled(self) -> tuple[Curve, int]:
        """Return the curve in units in which no sum or square of it overflows.

        Returns:
            The curve divided by a power of two, with values from -1 to 1, and the power.
        """
        highest = float(np.abs(self.values).max(initial=0.0))
        power = math.frexp(highest)[1] if highest else 0
        return Curve(self.steps, np.ldexp(self.values, -power)), power


def as_curve(values: ArrayLike, steps: ArrayLike | None = None) -> Curve:
    """Read values and steps as a curve.

    Args:
        values: Of shape (n,). What is no number, such as a null or an image among the values of a
            metric, is left out; NaN and infinities are numbers.
        steps: Finite numbers of shape (n,), in any order; 0, 1, 2 ... by default.

    Returns:
        The curve, sorted by its steps; those that share a step stay in their order.

    Raises:
        InvalidValue: Values that are text throughout, steps that are no numbers, or as many of
            them as there are no values.

    Example:
        >>> as_curve([3, 1, None, 2], steps=[20, 0, 5, 10]).values.tolist()
        [1.0, 2.0, 3.0]
    """
    cells = _row(values, "values")
    places = steps_of(steps, len(cells))
    found = numbers(cells)
    if cells.dtype == object:
        kept = is_number(cells)
        places, found = places[kept], found[kept]
    if (places[1:] >= places[:-1]).all():
        return Curve(places, found)
    order = np.argsort(places, kind="stable")
    return Curve(places[order], found[order])


def steps_of(steps: ArrayLike | None, count: int) -> NDArray[Any]:
    """Read the steps of so many values.

    Args:
        steps: As :func:`as_curve` takes them.
        count: How many values there are.

    Returns:
        Of shape (count,), finite; integers or floats, as they were given.

    Raises:
        InvalidValue: Steps that are no finite numbers, or not one for each value.
    """
    places = np.arange(count) if steps is None else _row(steps, "steps")
    if places.dtype.kind == "b":
        places = places.astype(np.int64)
    if len(places) != count:
        raise InvalidValue(f"{count} values have {len(places)} steps: give each value one")
    if places.dtype == object or not np.isfinite(places).all():
        places = numbers(places)
        if not np.isfinite(places).all():
            raise InvalidValue("steps must be finite numbers: leave out the values without one")
    return places


def floats_of(values: ArrayLike, what: str = "values") -> NDArray[np.float64]:
    """Read values as floats in their place; what is no number becomes NaN.

    Args:
        values: Of shape (n,).
        what: What they are, for the error.

    Returns:
        float64 of shape (n,).

    Raises:
        InvalidValue: They are no row of values, or text throughout.

    Example:
        >>> floats_of([1, True, "x", None, float("inf")]).tolist()
        [1.0, 1.0, nan, nan, inf]
    """
    return numbers(_row(values, what))


def bounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return floats whose differences are finite: infinities become NaN, and 1.7e308 half of it."""
    return np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)


def _row(given: Any, what: str) -> NDArray[Any]:
    try:
        array = np.asarray(given)
    except ValueError as error:  # lists of unequal length
        raise InvalidValue(f"{what} must be numbers in one row: {error}") from None
    if array.ndim != 1:
        is_one = array.ndim == 0
        shape = f"a {type(given).__name__}" if is_one else f"of shape {array.shape}"
        raise InvalidValue(f"{what} must be numbers in one row, not {shape}")
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind not in "OSU":
        raise InvalidValue(f"{what} must be numbers, not {array.dtype}")
    # numpy makes text of the numbers that stand beside text
    cells = narrowed(list(given))
    if array.dtype.kind != "O" and len(cells) and not is_number(cells).any():
        raise InvalidValue(f"{what} must be numbers, not text such as {cells[0]!r:.60}")
    return cells
