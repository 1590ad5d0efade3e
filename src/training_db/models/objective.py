"""What one objective of a run scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from training_db.models.base import Base
from training_db.models.types import PlainText, Real, RowId

if TYPE_CHECKING:
    from training_db.models.run import Run

OBJECTIVE_STATISTICS = ("raw_mean", "normalized_mean", "raw_std", "normalized_std")
DIRECTIONS = ("maximize", "minimize")


class Objective(Base):
    """One row of ``run_objectives``: one objective of one run."""

    __tablename__ = "run_objectives"
    __table_args__ = (
        UniqueConstraint("run_id", "objective_name"),
        # "Which runs have QED above 0.6" is one range of this index, run ids included.
        Index("ix_run_objectives_objective_name", "objective_name", "raw_mean", "run_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[str] = mapped_column(
        PlainText, ForeignKey("training_runs.run_id", ondelete="CASCADE")
    )
    objective_name: Mapped[str] = mapped_column(PlainText)
    objective_alias: Mapped[str | None] = mapped_column(PlainText)
    uniprot: Mapped[str | None] = mapped_column(PlainText)
    weight: Mapped[float | None] = mapped_column(Real)
    direction: Mapped[str | None] = mapped_column(PlainText)
    raw_mean: Mapped[float | None] = mapped_column(Real)
    normalized_mean: Mapped[float | None] = mapped_column(Real)
    raw_std: Mapped[float | None] = mapped_column(Real)
    normalized_std: Mapped[float | None] = mapped_column(Real)

    run: Mapped[Run] = relationship(back_populates="objectives", lazy="raise_on_sql")


run_objectives: Table = Objective.metadata.tables[Objective.__tablename__]
