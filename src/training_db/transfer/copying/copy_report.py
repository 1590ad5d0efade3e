"""What a copy did, and whether it is one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class CopiedTable:
    """The rows of one table on both sides.

    Attributes:
        name: The table.
        source_rows: How many rows were to be carried.
        target_rows: How many of them are in the target; ``None`` in a dry run.
        source_checksum: What their content comes to, whatever their order, ids and numbers:
            32 hexadecimal digits; ``None`` where the rows were not read.
        target_checksum: The same of the rows read back from the target.
    """

    name: str
    source_rows: int = 0
    target_rows: int | None = None
    source_checksum: str | None = None
    target_checksum: str | None = None

    @property
    def same(self) -> bool:
        """Whether both sides have the same rows."""
        return (self.source_rows, self.source_checksum) == (self.target_rows, self.target_checksum)


@dataclass(frozen=True)
class RunConflict:
    """A run that cannot be added to the target as it is.

    Attributes:
        run_id: The run of the source.
        reason: What stands in its way.
        outcome: What became of it: ``"skipped"``, ``"replaced"`` or ``"stopped the copy"``.
    """

    run_id: str
    reason: str
    outcome: str


@dataclass(frozen=True)
class CarriedValue:
    """A value that the target cannot hold as it is, and that has another form there.

    Attributes:
        table: The table.
        run_id: The run.
        key: What tells the row from the others of the run.
        column: The column; ``"*"`` where the target cannot hold the row at all.
        reason: Why it cannot.
        stated: What stands in the target instead. The original is an event of the run.
    """

    table: str
    run_id: str
    key: dict[str, Any]
    column: str
    reason: str
    stated: str


@dataclass(frozen=True)
class Orphan:
    """A row of no run, or of no metric, which stays behind.

    Attributes:
        table: The table.
        key: The row's own key.
        reason: What is missing, and what to do.
    """

    table: str
    key: dict[str, Any]
    reason: str


@dataclass
class CopyReport:
    """What a copy did.

    Attributes:
        source: From where, without the password.
        target: Where to, without the password.
        dry_run: Whether nothing was written.
        resumed: Whether it went on with a copy that had been stopped.
        stopped: Whether conflicts stopped it; then nothing was changed.
        tables: Rows and checksums, table by table.
        copied_runs: Runs that were written.
        same_runs: Runs that the target had already, with the same content.
        skipped_runs: Runs that conflicts kept out.
        replaced_runs: Runs of the target that were replaced.
        conflicts: Each run that could not be added as it is.
        renumbered: Runs whose number was taken: the number in the source, and in the target.
        carried: Each value in another form.
        orphans: Each row that stayed behind.
        notes: What else is worth knowing, one line each.
    """

    source: str
    target: str
    dry_run: bool = False
    resumed: bool = False
    stopped: bool = False
    tables: list[CopiedTable] = field(default_factory=list)
    copied_runs: int = 0
    same_runs: int = 0
    skipped_runs: int = 0
    replaced_runs: int = 0
    conflicts: list[RunConflict] = field(default_factory=list)
    renumbered: dict[str, tuple[int, int]] = field(default_factory=dict)
    carried: list[CarriedValue] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether both sides have the same rows in every table, and no row stayed behind."""
        return not self.orphans and not self.stopped and all(table.same for table in self.tables)

    @property
    def ok(self) -> bool:
        """Whether the copy did what it was asked for; a dry run, whether it would."""
        if self.dry_run:
            return not self.orphans and not self.stopped
        return self.identical
