"""What each metric of a run came to."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Table
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, Real, RowId

METRIC_STATISTICS = ("last", "first", "min", "max", "mean")


class MetricName(Base):
    """One row of ``metric_names``: the name of a history column, and the number it goes by."""

    __tablename__ = "metric_names"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(PlainText, unique=True)


class RunMetric(Base):
    """One row of ``run_metrics``: one metric of one run, over all its history."""

    __tablename__ = "run_metrics"
    __table_args__ = (
        # The last, the first and the mean lie between min and max, so these two find all of them,
        # and a flush that moves neither leaves both indexes alone.
        Index("ix_run_metrics_metric_id_min", "metric_id", "min", "run_number"),
        Index("ix_run_metrics_metric_id_max", "metric_id", "max", "run_number"),
    )

    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE"), primary_key=True
    )
    metric_id: Mapped[int] = mapped_column(BigInt, ForeignKey("metric_names.id"), primary_key=True)
    count: Mapped[int] = mapped_column(BigInt)
    non_finite_count: Mapped[int] = mapped_column(BigInt)
    other_count: Mapped[int] = mapped_column(BigInt)
    first: Mapped[float | None] = mapped_column(Real)
    first_step: Mapped[int | None] = mapped_column(BigInt)
    last: Mapped[float | None] = mapped_column(Real)
    last_step: Mapped[int | None] = mapped_column(BigInt)
    min: Mapped[float | None] = mapped_column(Real)
    min_step: Mapped[int | None] = mapped_column(BigInt)
    max: Mapped[float | None] = mapped_column(Real)
    max_step: Mapped[int | None] = mapped_column(BigInt)
    mean: Mapped[float | None] = mapped_column(Real)


metric_names: Table = MetricName.metadata.tables[MetricName.__tablename__]
run_metrics: Table = RunMetric.metadata.tables[RunMetric.__tablename__]
