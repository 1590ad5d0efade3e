"""The history of a run: compressed pieces of its columns."""

from __future__ import annotations

from sqlalchemy import ForeignKey, LargeBinary, Table
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, Real


class HistorySegment(Base):
    """One row of ``run_history_segments``: cells of one column, by one writer of one run.

    The plain columns let SQL pass over segments without decoding them.
    """

    __tablename__ = "run_history_segments"

    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE"), primary_key=True
    )
    metric_id: Mapped[int] = mapped_column(BigInt, ForeignKey("metric_names.id"), primary_key=True)
    writer: Mapped[int] = mapped_column(BigInt, primary_key=True)
    first_row: Mapped[int] = mapped_column(BigInt, primary_key=True)
    last_row: Mapped[int] = mapped_column(BigInt)
    count: Mapped[int] = mapped_column(BigInt)
    min: Mapped[float | None] = mapped_column(Real)
    max: Mapped[float | None] = mapped_column(Real)
    non_finite_count: Mapped[int] = mapped_column(BigInt)
    kind: Mapped[str] = mapped_column(PlainText)
    row_numbers: Mapped[bytes | None] = mapped_column(LargeBinary)
    cells: Mapped[bytes] = mapped_column(LargeBinary)


class HistoryTail(Base):
    """One row of ``run_history_tails``: the newest rows of a writer, all their columns together.

    A flush writes one of these instead of a short segment a column. They become segments when
    there are enough of them.
    """

    __tablename__ = "run_history_tails"

    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE"), primary_key=True
    )
    writer: Mapped[int] = mapped_column(BigInt, primary_key=True)
    first_row: Mapped[int] = mapped_column(BigInt, primary_key=True)
    last_row: Mapped[int] = mapped_column(BigInt)
    block: Mapped[bytes] = mapped_column(LargeBinary)


run_history_segments: Table = HistorySegment.metadata.tables[HistorySegment.__tablename__]
run_history_tails: Table = HistoryTail.metadata.tables[HistoryTail.__tablename__]
