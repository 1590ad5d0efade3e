"""What looking at one metric of one run came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from training_db.analysis.curves.conflicts import Conflict, ConflictMatrix
    from training_db.analysis.dynamics.objective_series import ObjectiveSeries

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Look(Generic[Found]):
    """What looking at one metric of one run came to.

    Attributes:
        run_id: The run.
        metric: The metric.
        found: What was found; ``None`` where there is none of it, or it was not looked for.
        skipped: Why it was not looked for, as for too few values; ``None`` where it was.
    """

    run_id: str
    metric: str
    found: Found | None
    skipped: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class ConflictLook:
    """What looking at the objectives of one run came to.

    Attributes:
        run_id: The run.
        objectives: The objectives that were looked at, and where their curves stand.
        conflicts: Those that part ways, the surest first.
        matrix: How each two go together; ``None`` where they were not looked at.
        skipped: Why they were not looked at, as for fewer than two; ``None`` where they were.
    """

    run_id: str
    objectives: tuple[ObjectiveSeries, ...]
    conflicts: tuple[Conflict, ...]
    matrix: ConflictMatrix | None
    skipped: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "run_id": self.run_id,
            "objectives": [asdict(one) for one in self.objectives],
            "conflicts": [asdict(one) for one in self.conflicts],
            "matrix": None if self.matrix is None else self.matrix.as_dict(),
            "skipped": self.skipped,
        }
