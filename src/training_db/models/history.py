"""The few series of a run that everyone asks for, one row a step."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Table, Text
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, Real, RowId, UTCDateTime


class HistoryKeyMetrics(Base):
    """One row of ``run_history_key_metrics``: loss, gradient norm and learning rate at a step."""

    __tablename__ = "run_history_key_metrics"
    __table_args__ = (Index("ix_run_history_key_metrics_run_id", "run_id", "step"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_id: Mapped[str] = mapped_column(
        PlainText, ForeignKey("training_runs.run_id", ondelete="CASCADE")
    )
    step: Mapped[int] = mapped_column(BigInt)
    loss: Mapped[float | None] = mapped_column(Real)
    grad_norm: Mapped[float | None] = mapped_column(Real)
    learning_rate: Mapped[float | None] = mapped_column(Real)
    objective_scores_json: Mapped[str | None] = mapped_column(Text)
    timestamp: Mapped[datetime | None] = mapped_column(UTCDateTime)


run_history_key_metrics: Table = HistoryKeyMetrics.metadata.tables[HistoryKeyMetrics.__tablename__]
