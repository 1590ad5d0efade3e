"""Every operation at one size on one backend."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.databases import bare
from benchmarks.scale.crowd import crowd
from benchmarks.scale.loading import load
from benchmarks.scale.operations import operations
from benchmarks.timing import timed_in_turns
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = (1, 4, 16)


@dataclass(frozen=True)
class Figure:
    """What was measured of one operation at one size.

    Attributes:
        backend: ``"SQLite"`` or ``"PostgreSQL"``.
        size: How many runs there were.
        name: The operation.
        kind: ``"read"``, ``"write"`` or ``"upkeep"``.
        value: The median, in the unit.
        spread: How far the repeats lay apart, as a share of the median.
        unit: ``"s"``, ``"bytes"`` or ``"1/s"``.
    """

    backend: str
    size: int
    name: str
    kind: str
    value: float
    spread: float | None = None
    unit: str = "s"

    def as_dict(self) -> dict[str, Any]:
        """Return it as a row of JSON."""
        return asdict(self)


def measure(url: str, backend: str, size: int) -> Iterator[Figure]:
    """Load so many runs into an empty database, and measure everything."""
    seconds = load(url, size)
    yield Figure(backend, size, "load 1,000 runs", "upkeep", seconds * 1_000 / size)
    with TrainingDB(url) as db:
        yield Figure(backend, size, "size of the database", "upkeep", _bytes(db), unit="bytes")
        for one in operations(db, size):
            (taken,) = timed_in_turns(one.call, inner=one.inner, given=one.given)
            yield Figure(backend, size, one.name, one.kind, taken.median, taken.noise)
    for processes in WRITERS:
        rate, slowest = crowd(url, processes, size)
        name = "1 writer" if processes == 1 else f"{processes} writers at once"
        yield Figure(backend, size, f"{name}: writes", "crowd", rate, unit="1/s")
        yield Figure(backend, size, f"{name}: 99 % wait at most", "crowd", slowest)


def _bytes(db: TrainingDB) -> float:
    connection = bare(db.url)
    if db.engine.dialect.name == "postgresql":
        (size,) = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    else:
        size = Path(str(db.url.database)).stat().st_size
    connection.close()
    return float(size)
