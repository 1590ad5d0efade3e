"""Compute hours and their cost, by instance type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue
from training_db.repository.filters import SECONDS_AN_HOUR

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training_db.repository.group_endings import Lengths

INSTANCE_TYPE = (
    "tag.instance_type",
    "config.instance_type",
    "config.infrastructure.instance_type",
    "config.compute.instance_type",
    "config.metadata.instance_type",
    "summary.instance_type",
)
"""Where a run says on which type of instance it runs; the first that it has counts."""


@dataclass(frozen=True, slots=True)
class TypeCost:
    """What the runs on one type of instance took.

    Attributes:
        instance_type: The type; ``None`` for runs of which it is not known.
        runs: How many there are.
        running: How many of them have not ended; their hours count until now, or until they were
            last heard of.
        unknown: How many of them do not say how long they took; they add no hours.
        hours: Their hours in all.
        price: The price of an hour; ``None`` where none was given for the type.
        cost: The hours at that price.
    """

    instance_type: Any
    runs: int
    running: int
    unknown: int
    hours: float
    price: float | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class Costs:
    """What runs took, by instance type.

    Attributes:
        types: The types, the dearest first, then those without a price.
        hours: All hours.
        cost: The cost of the hours that have a price.
        unpriced_hours: The hours that have none, and are not in the cost.
    """

    types: tuple[TypeCost, ...]
    hours: float
    cost: float
    unpriced_hours: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


def costs_of(lengths: Iterable[Lengths], prices: Mapping[str, float]) -> Costs:
    """Put a price on hours.

    Args:
        lengths: How long the runs of each type took, as ``db.statistics.lengths`` returns it.
        prices: The price of an hour of each type.

    Raises:
        InvalidValue: Prices that are no mapping, or one that is no finite number, or below 0.
    """
    if not isinstance(prices, Mapping):
        raise InvalidValue(
            f"the prices are {prices!r}; pass what an hour costs by type, such as {{'g5': 1.0}}"
        )
    checked = {name: _price(name, price) for name, price in prices.items()}
    types = []
    for one in lengths:
        hours = one.seconds / SECONDS_AN_HOUR
        price = checked.get(str(one.value)) if one.value is not None else None
        cost = None if price is None else hours * price
        types.append(TypeCost(one.value, one.runs, one.running, one.unknown, hours, price, cost))
    types.sort(key=lambda one: (one.cost is None, -(one.cost or 0.0), -one.hours))
    return Costs(
        types=tuple(types),
        hours=sum(one.hours for one in types),
        cost=sum(one.cost or 0.0 for one in types),
        unpriced_hours=sum(one.hours for one in types if one.price is None),
    )


def _price(name: Any, price: Any) -> float:
    is_number = isinstance(price, (int, float)) and not isinstance(price, bool)
    try:
        number = float(price) if is_number else math.nan
    except OverflowError:
        number = math.inf
    if not isinstance(name, str) or not 0 <= number < math.inf:
        raise InvalidValue(
            f"the price of {name!r} is {price!r}; pass what an hour costs, a number from 0 on"
        )
    return number
