"""Files that belong to a run, by reference."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, RowId, UTCDateTime, utc_now
from training_db.timestamps import now


class Artifact(Base):
    """One row of ``run_artifacts``: where one file of one run stands."""

    __tablename__ = "run_artifacts"
    __table_args__ = (Index("ix_run_artifacts_run_number", "run_number", "artifact_type"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE")
    )
    artifact_type: Mapped[str] = mapped_column(PlainText)
    filepath: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(BigInt)
    metadata_json: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now, server_default=utc_now())


run_artifacts: Table = Artifact.metadata.tables[Artifact.__tablename__]
