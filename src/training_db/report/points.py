"""The points of a series as they are drawn, and those that no axis has a place for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.repository.downsampling import min_max
from training_db.repository.history_series import Series
from training_db.segments import is_number, narrowed, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAN, ABOVE, BELOW, NOT_ON_LOG = "NaN", "+Inf", "-Inf", "0 or less"
"""Why a point has no place on an axis."""

_LARGEST = 1e300  # an axis needs some room above its highest point
_LEAST = 1e-300  # and Plotly draws nothing at all where one has hardly any room


@dataclass(frozen=True, slots=True)
class Drawn:
    """A series, ready to be drawn.

    Attributes:
        x: Where its points stand, rising, float64 of shape (n,).
        values: The points, float64 of shape (n,): finite, and positive on a logarithmic axis.
        outside: For each reason that a point has no place on the axis, where such points stand.
    """

    x: Floats
    values: Floats
    outside: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.values)

    @property
    def places(self) -> Floats:
        """Where any of its points stand, those without a place on the axis too."""
        return np.concatenate([self.x, *self.outside.values()])

    def thinned(self, points: int) -> Drawn:
        """Return about so many of its points, its extremes among them."""
        kept = min_max(Series(self.x, self.values), points)
        return Drawn(self.x[kept], self.values[kept], self.outside)

    def smoothed(self, weight: float) -> Drawn:
        """Return it with each value averaged with those before it."""
        return Drawn(self.x, smoothed(self.values, weight), self.outside)


def drawn(series: Any, *, log: bool = False) -> Drawn:
    """Part the points of a series into those that can be drawn and those that can't.

    Args:
        series: Anything with ``x`` and ``values`` of equal length. What is no number, or stands
            nowhere, is left out.
        log: Whether the axis is logarithmic.

    Returns:
        Its points, in the order of ``x``.

    Raises:
        InvalidValue: The lengths differ, or the values are no list of numbers.

    Example:
        >>> series = Series(np.arange(3), np.array([2.0, np.nan, 1.0]))
        >>> drawn(series).values.tolist(), drawn(series).outside["NaN"].tolist()
        ([2.0, 1.0], [1.0])
    """
    given = _array(series.values)
    x = numbers(_array(series.x))
    if len(x) != len(given):
        raise InvalidValue(f"a series has {len(given)} values at {len(x)} places; pass as many")
    kept = is_number(given) & (np.abs(x) <= _LARGEST)
    x, values = _or_zero(x[kept]), numbers(given[kept])
    values = values if log else _or_zero(values)
    if (x[1:] < x[:-1]).any():
        order = np.argsort(x, kind="stable")
        x, values = x[order], values[order]
    reasons = {
        NAN: np.isnan(values),
        ABOVE: values > _LARGEST,
        BELOW: values < -_LARGEST,
        NOT_ON_LOG: (values <= 0) & (values >= -_LARGEST) & log,
    }
    inside = ~np.logical_or.reduce(list(reasons.values()))
    outside = {reason: x[there] for reason, there in reasons.items() if there.any()}
    return Drawn(x[inside], values[inside], outside)


def smoothed(values: Floats, weight: float) -> Floats:
    """Average each value with those before it, the nearer ones counting more.

    The exponential moving average with its start set right, as TensorBoard and W&B draw it: the
    correction of "Adam: A Method for Stochastic Optimization" (Kingma and Ba, 2015, section 3).

    Args:
        values: Finite, of shape (n,).
        weight: How much of the average before each value stays, at least 0 and less than 1.

    Returns:
        The averages, float64 of shape (n,).

    Raises:
        InvalidValue: ``weight`` is no such number.

    Example:
        >>> smoothed(np.array([4.0, 4.0, 1.0]), 0.5).round(3).tolist()
        [4.0, 4.0, 2.286]
    """
    if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 <= weight < 1:
        raise InvalidValue(f"the smoothing is {weight!r}; it goes from 0 (none) to below 1")
    if weight == 0 or not len(values):
        return values
    averages = load("scipy.signal").lfilter([1 - weight], [1, -weight], values)
    there = 1 - float(weight) ** np.arange(1, len(values) + 1)
    return np.asarray(averages / there, dtype=np.float64)


def _or_zero(values: Floats) -> Floats:
    return np.where(np.abs(values) < _LEAST, 0, values)


def _array(values: Any) -> NDArray[Any]:
    array = values if isinstance(values, np.ndarray) else narrowed(list(values))
    if array.ndim != 1:
        raise InvalidValue(f"a series has an array of shape {array.shape}; pass one of shape (n,)")
    return array if array.dtype.kind in "fiubO" else narrowed(array.tolist())
