"""v2.1: the history of a run, and the few series of it that everyone asks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "v2.1"
down_revision = "v2"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Add the column and the table."""
    op.add_column("training_runs", sa.Column("history_json", sa.Text()))
    op.create_table(
        "run_history_key_metrics",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("step", INTEGER, nullable=False),
        sa.Column("loss", sa.Double()),
        sa.Column("grad_norm", sa.Double()),
        sa.Column("learning_rate", sa.Double()),
        sa.Column("objective_scores_json", sa.Text()),
        sa.Column("timestamp", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_run_history_key_metrics"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["training_runs.run_id"],
            name="fk_run_history_key_metrics_run_id_training_runs",
            ondelete="CASCADE",
        ),
    )
    op.create_index(
        "ix_run_history_key_metrics_run_id", "run_history_key_metrics", ["run_id", "step"]
    )


def downgrade() -> None:
    """Drop them, and say how much history goes with them."""
    if not context.is_offline_mode():
        _tell_what_goes(op.get_bind())
    op.drop_table("run_history_key_metrics")
    op.drop_column("training_runs", "history_json")


def _tell_what_goes(connection: sa.Connection) -> None:
    note = context.config.attributes.get("note", context.config.print_stdout)
    for counts, what in (
        ("count(history_json) FROM training_runs", "values of history_json"),
        ("count(*) FROM run_history_key_metrics", "rows of run_history_key_metrics"),
    ):
        lost = connection.scalar(sa.text(f"SELECT {counts}"))
        if lost:
            note(f"dropped {lost} {what}")
