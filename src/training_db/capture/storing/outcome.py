"""What came of an import: how much, how it compares with the source, and what was to be said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class KeyCount(NamedTuple):
    """The cells of one metric, counted on both sides.

    Attributes:
        key: The metric.
        source: How many the source has.
        database: How many of them the database has.
    """

    key: str
    source: int
    database: int


@dataclass(frozen=True)
class Comparison:
    """The cells of a history in its source and in the database, metric by metric.

    Attributes:
        keys: The metrics, in the order of the source.

    Example:
        >>> Comparison.of({"loss": 3, "lr": 2}, {"loss": 3}).differences
        [KeyCount(key='lr', source=2, database=0)]
    """

    keys: list[KeyCount]

    @classmethod
    def of(cls, source: Mapping[str, int], database: Mapping[str, int]) -> Comparison:
        """Put the counts of both sides together; a metric that neither has a cell of is left out.

        Args:
            source: Cells for each metric in the source.
            database: The same in the database.
        """
        both = dict.fromkeys([*source, *database])
        found = (KeyCount(key, source.get(key, 0), database.get(key, 0)) for key in both)
        return cls([one for one in found if one.source or one.database])

    @property
    def differences(self) -> list[KeyCount]:
        """The metrics that the two sides do not have alike."""
        return [one for one in self.keys if one.source != one.database]

    @property
    def is_equal(self) -> bool:
        """Whether the database has what the source has, and nothing more."""
        return not self.differences


@dataclass
class ImportOutcome:
    """What came of the import of one file, or of one run.

    Attributes:
        source: Where it came from: ``"wandb-offline"``, ``"wandb"`` or ``"mlflow"``.
        file: The file, or the name of the run at its server.
        run_id: The run in the database; ``None`` where there is none.
        name: What people call it.
        status: Where it stands.
        rows: Rows of history in the source.
        new_rows: How many of them were not in the database before.
        keys: Metrics in the source.
        values: Cells in the source.
        already_here: How many of them another source had brought before.
        damage: What was damaged in the source, in words.
        left_out: What is not kept, by kind.
        decision: What was decided about it, in words.
        counts: Both sides, counted; ``None`` where nothing was imported.
        error: Why it could not be read.
        seconds: How long it took.
    """

    source: str
    file: str
    run_id: str | None = None
    name: str | None = None
    status: str | None = None
    rows: int = 0
    new_rows: int = 0
    keys: int = 0
    values: int = 0
    already_here: int = 0
    damage: list[str] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    decision: str | None = None
    counts: Comparison | None = None
    error: str | None = None
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether the source could be read and the database has what is in it."""
        return self.error is None and (self.counts is None or self.counts.is_equal)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        counts = self.counts
        plain["counts"] = None if counts is None else [one._asdict() for one in counts.keys]
        return plain | {"is_good": self.is_good}
