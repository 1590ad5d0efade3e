"""A training run: what was launched, with which config, and how it ended."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import Column, Computed, Index, Table, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from training_db.models.base import Base
from training_db.models.types import (
    JSONB,
    BigInt,
    Flag,
    PlainText,
    Real,
    UTCDateTime,
    next_run_number,
    utc_now,
)
from training_db.timestamps import now

if TYPE_CHECKING:
    from training_db.models.objective import Objective
    from training_db.models.scaffold import Scaffold


class RunStatus(StrEnum):
    """Where a run stands."""

    LAUNCHED = "launched"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected of a run in this state."""
        return self in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CRASHED)


class Run(Base):
    """One row of ``training_runs``. Column by column: docs/schema.md."""

    __tablename__ = "training_runs"

    run_id: Mapped[str] = mapped_column(PlainText, primary_key=True)
    wandb_run_id: Mapped[str | None] = mapped_column(PlainText, unique=True)
    wandb_url: Mapped[str | None] = mapped_column(PlainText)
    run_name: Mapped[str | None] = mapped_column(PlainText)
    chain_of_custody_id: Mapped[str | None] = mapped_column(PlainText)
    config_file_path: Mapped[str | None] = mapped_column(PlainText)
    host: Mapped[str | None] = mapped_column(PlainText)
    instance_id: Mapped[str | None] = mapped_column(PlainText)
    created_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    duration_seconds: Mapped[int | None] = mapped_column(BigInt)
    status: Mapped[str] = mapped_column(PlainText, server_default=RunStatus.LAUNCHED.value)
    batch_size: Mapped[int | None] = mapped_column(BigInt)
    learning_rate: Mapped[float | None] = mapped_column(Real)
    beta: Mapped[float | None] = mapped_column(Real)
    gradient_method: Mapped[str | None] = mapped_column(PlainText)
    num_gpus: Mapped[int | None] = mapped_column(BigInt)
    num_objectives: Mapped[int | None] = mapped_column(BigInt)
    num_scaffolds: Mapped[int | None] = mapped_column(BigInt)
    config_json: Mapped[str | None] = mapped_column(Text)
    final_metrics_json: Mapped[str | None] = mapped_column(Text)
    blog_post_url: Mapped[str | None] = mapped_column(PlainText)
    conversation_s3_key: Mapped[str | None] = mapped_column(PlainText)
    crash_report_s3_key: Mapped[str | None] = mapped_column(PlainText)
    error_log_s3_key: Mapped[str | None] = mapped_column(PlainText)
    crash_analysis_s3_key: Mapped[str | None] = mapped_column(PlainText)
    created_at_db: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=utc_now()
    )
    updated_at_db: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, onupdate=now, server_default=utc_now()
    )
    max_steps: Mapped[int | None] = mapped_column(BigInt)
    gradient_accumulation_steps: Mapped[int | None] = mapped_column(BigInt)
    max_grad_norm: Mapped[float | None] = mapped_column(Real)
    mixed_precision: Mapped[bool | None] = mapped_column(Flag)
    gradient_checkpointing: Mapped[bool | None] = mapped_column(Flag)
    enable_moving_targets: Mapped[bool | None] = mapped_column(Flag)
    n_clusters: Mapped[int | None] = mapped_column(BigInt)
    return_groups: Mapped[bool | None] = mapped_column(Flag)
    final_loss: Mapped[float | None] = mapped_column(Real)
    final_grad_norm: Mapped[float | None] = mapped_column(Real)
    final_learning_rate: Mapped[float | None] = mapped_column(Real)
    total_training_steps: Mapped[int | None] = mapped_column(BigInt)
    number: Mapped[int | None] = mapped_column(BigInt, server_default=next_run_number())
    notes: Mapped[str | None] = mapped_column(Text)
    parent_run_id: Mapped[str | None] = mapped_column(PlainText)
    group_name: Mapped[str | None] = mapped_column(PlainText)
    heartbeat_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    git_branch: Mapped[str | None] = mapped_column(PlainText)
    git_commit: Mapped[str | None] = mapped_column(PlainText)
    git_dirty: Mapped[bool | None] = mapped_column(Flag)
    # How history_json was written, where the segments alone do not say it.
    history_layout: Mapped[str | None] = mapped_column(Text, deferred=True)

    objectives: Mapped[list[Objective]] = relationship(
        back_populates="run", lazy="raise_on_sql", passive_deletes=True
    )
    scaffolds: Mapped[list[Scaffold]] = relationship(
        back_populates="run", lazy="raise_on_sql", passive_deletes=True
    )


training_runs: Table = Run.metadata.tables[Run.__tablename__]

# Listings are newest first, filtered or not. An index that ends in the order of the listing
# answers both at once, where two separate ones would sort every match.
NEWEST_FIRST = (training_runs.c.created_at.desc(), training_runs.c.run_id.desc())
Index("ix_training_runs_created_at", *NEWEST_FIRST)
for _name in ("gradient_method", "status", "host", "batch_size", "learning_rate"):
    Index(f"ix_training_runs_{_name}", training_runs.c[_name], *NEWEST_FIRST)

# Other tables refer to a run by its number, which is 8 bytes in each of their rows.
Index("uq_training_runs_number", training_runs.c.number, unique=True)
Index("ix_training_runs_group_name", training_runs.c.group_name, *NEWEST_FIRST)
Index("ix_training_runs_parent_run_id", training_runs.c.parent_run_id)
Index(
    "ix_training_runs_deleted_at",
    training_runs.c.run_id,
    info={"where": "deleted_at IS NOT NULL"},
)

# What PostgreSQL searches by JSON path. SQLite reads the text itself, so these exist on
# PostgreSQL only and no statement of ours selects them.
DOCUMENTS = {"config_json": "config_document", "final_metrics_json": "summary_document"}
for _source, _name in DOCUMENTS.items():
    training_runs.append_column(
        Column(
            _name,
            JSONB,
            Computed(f"training_db_document({_source})", persisted=True),
            info={"backend": "postgresql"},
        )
    )
    # How it is made stands in its info. As arguments of the PostgreSQL dialect it would load that
    # dialect whenever the models are imported.
    Index(
        f"ix_training_runs_{_name}",
        training_runs.c[_name],
        info={"backend": "postgresql", "using": f"gin ({_name} jsonb_path_ops)"},
    )
