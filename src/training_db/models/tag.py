"""Words that people pin to a run."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Table
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText


class Tag(Base):
    """One row of ``run_tags``: a tag of a run, with a value or without."""

    __tablename__ = "run_tags"
    __table_args__ = (Index("ix_run_tags_name", "name", "value", "run_number"),)

    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(PlainText, primary_key=True)
    value: Mapped[str | None] = mapped_column(PlainText)


run_tags: Table = Tag.metadata.tables[Tag.__tablename__]
