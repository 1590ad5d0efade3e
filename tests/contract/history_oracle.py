"""What a history means, written a second time in plain Python: rows as dicts, one after another."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from tests.unit.strategies import same
from training_db.history_rules import AXES, KEY_METRICS, key_stride

if TYPE_CHECKING:
    from training_db.repository.metric_totals import Totals

Row = dict[str, Any]
Point = tuple[int, Any]


class History:
    """The rows of one run by writer; a row lacks what was not logged."""

    def __init__(self) -> None:
        self.writers: dict[int, list[Row]] = defaultdict(list)
        self.written: dict[str, dict[int, list[Point]]] = defaultdict(lambda: defaultdict(list))
        """For each metric its steps and values by writer, in the order in which they came in."""
        self.key_rows: list[tuple[Any, ...]] = []

    def write(self, writer: int, rows: list[Row], first: int) -> None:
        """Write rows as from one number on; those that are there already are left out."""
        there = self.writers[writer]
        new = rows[max(0, len(there) - first) :]
        for row in new:
            number = len(there)
            there.append(row)
            for name, value in row.items():
                self.written[name][writer].append((step(row, number), value))
            if number % key_stride(number) == 0:
                self._note_key_row(row, number)

    def _note_key_row(self, row: Row, number: int) -> None:
        found = [
            next((row[name] for name in names if name in row), None)
            for names in KEY_METRICS.values()
        ]
        if any(value is not None for value in found):
            self.key_rows.append((step(row, number), *found))

    def replace(self, rows: list[Row]) -> None:
        """Put a history in the place of all there is."""
        self.__init__()  # type: ignore[misc]
        self.write(0, rows, 0)

    def metrics(self) -> list[str]:
        return sorted(self.written)

    def points(
        self, metric: str, x: str, duplicates: str, steps: tuple[float, float] | None
    ) -> list[list[Any]]:
        """Return what ``arrays`` should, as pairs of place and value."""
        found = [
            (step(row, number), place(row, number, x), row[metric])
            for _, rows in sorted(self.writers.items())
            for number, row in enumerate(rows)
            if metric in row
        ]
        found = [one for one in found if one[1] is not None]
        if steps is not None:
            found = [one for one in found if steps[0] <= one[0] <= steps[1]]
        if duplicates == "last":
            last = {at: (at, where, value) for at, where, value in found}
            found = [last[at] for at in sorted(last)]
        return [[where, value] for _, where, value in found]

    def columns(self) -> dict[str, list[Any]]:
        """Return what ``history_json`` should be: all rows, and null where there is nothing."""
        rows = [row for _, some in sorted(self.writers.items()) for row in some]
        return {name: [row.get(name) for row in rows] for name in self.metrics()}


def step(row: Row, number: int) -> int:
    name = next((name for name in AXES["step"] if name in row), None)
    if name is None or not isinstance(row[name], (int, float)) or not math.isfinite(row[name]):
        return number
    return math.floor(row[name])


def place(row: Row, number: int, x: str) -> Any:
    if x == "step":
        return step(row, number)
    return next((float(row[name]) for name in AXES[x] if name in row), None)


def by_writer(written: dict[int, list[Point]]) -> list[Point]:
    """Return points so that at one step the one of the writer who began last comes last."""
    return [point for writer in sorted(written) for point in written[writer]]


def expected_totals(points: list[Point]) -> dict[str, Any]:
    """Return what ``run_metrics`` should say of the points of one metric, as they came in."""
    found = [(at, float(value)) for at, value in points if isinstance(value, (int, float))]
    finite = [(at, value) for at, value in found if math.isfinite(value)]
    totals: dict[str, Any] = {
        "count": len(found),
        "non_finite_count": len(found) - len(finite),
        "other_count": len(points) - len(found),
    }
    if found:
        first, last = min(at for at, _ in found), max(at for at, _ in found)
        totals |= {"first_step": first, "last_step": last}
        totals["first"] = [value for at, value in found if at == first][-1]
        totals["last"] = [value for at, value in found if at == last][-1]
    if finite:
        least, greatest = min(value for _, value in finite), max(value for _, value in finite)
        totals |= {"min": least, "max": greatest}
        totals["min_step"] = min(at for at, value in finite if value == least)
        totals["max_step"] = min(at for at, value in finite if value == greatest)
        totals["mean"] = math.fsum(value / len(finite) for _, value in finite)
        totals["scale"] = max(abs(least), abs(greatest))
    return totals


def same_totals(stored: Totals | dict[str, Any], expected: dict[str, Any]) -> bool:
    """Compare totals; a mean up to what adding up in another order may change."""
    given = stored if isinstance(stored, dict) else stored._asdict()
    for name in ("first", "last", "first_step", "last_step", "min_step", "max_step",
                 "count", "non_finite_count", "other_count"):  # fmt: skip
        if not equal(given[name], expected.get(name)):
            return False
    for name in ("min", "max", "mean"):
        one, two = given[name], expected.get(name)
        if (one is None) != (two is None):
            return False
        if one is not None and abs(one - two) > 1e-12 * expected["scale"]:
            return False
    return True


def equal(left: Any, right: Any) -> bool:
    """Compare two numbers out of plain columns, in which SQLite keeps no sign of a zero."""
    return bool(left == right) or same(left, right)
