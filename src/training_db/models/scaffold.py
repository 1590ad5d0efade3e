"""How one scaffold of a run scored on each objective."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Table, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, RowId

if TYPE_CHECKING:
    from training_db.models.run import Run


class Scaffold(Base):
    """One row of ``run_scaffolds``: one scaffold of one run."""

    __tablename__ = "run_scaffolds"
    __table_args__ = (UniqueConstraint("run_id", "scaffold_id"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[str] = mapped_column(
        PlainText, ForeignKey("training_runs.run_id", ondelete="CASCADE")
    )
    scaffold_id: Mapped[str] = mapped_column(PlainText)
    scores_json: Mapped[str | None] = mapped_column(Text)
    pareto_rank: Mapped[int | None] = mapped_column(BigInt)
    cluster_id: Mapped[int | None] = mapped_column(BigInt)

    run: Mapped[Run] = relationship(back_populates="scaffolds", lazy="raise_on_sql")


run_scaffolds: Table = Scaffold.metadata.tables[Scaffold.__tablename__]
