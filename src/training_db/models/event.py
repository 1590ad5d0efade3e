"""What happened to a run, and when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, Table, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from training_db.models.base import Base
from training_db.models.types import BigInt, PlainText, RowId, UTCDateTime, utc_now
from training_db.timestamps import now


class Event(Base):
    """One row of ``run_events``: one entry of the timeline of a run."""

    __tablename__ = "run_events"
    __table_args__ = (
        # What a recorder sends twice, after a fault, has the same key and is kept once.
        UniqueConstraint("run_number", "event_key"),
        Index("ix_run_events_run_number", "run_number", "happened_at", "id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    run_number: Mapped[int] = mapped_column(
        BigInt, ForeignKey("training_runs.number", ondelete="CASCADE")
    )
    happened_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=utc_now()
    )
    kind: Mapped[str] = mapped_column(PlainText)
    message: Mapped[str] = mapped_column(Text)
    data_json: Mapped[str | None] = mapped_column(Text)
    event_key: Mapped[str | None] = mapped_column(PlainText)


run_events: Table = Event.metadata.tables[Event.__tablename__]
