"""v1: the table of runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "v1"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
NOW = {
    "sqlite": "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')",
    "postgresql": "now()",
}


def upgrade() -> None:
    """Create the table."""
    now = sa.text(NOW[op.get_context().dialect.name].replace(":", r"\:"))
    op.create_table(
        "training_runs",
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column("wandb_run_id", TEXT),
        sa.Column("wandb_url", TEXT),
        sa.Column("run_name", TEXT),
        sa.Column("chain_of_custody_id", TEXT),
        sa.Column("config_file_path", TEXT),
        sa.Column("host", TEXT),
        sa.Column("instance_id", TEXT),
        sa.Column("created_at", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("duration_seconds", INTEGER),
        sa.Column("status", TEXT, server_default="launched", nullable=False),
        sa.Column("batch_size", INTEGER),
        sa.Column("learning_rate", sa.Double()),
        sa.Column("beta", sa.Double()),
        sa.Column("gradient_method", TEXT),
        sa.Column("num_gpus", INTEGER),
        sa.Column("num_objectives", INTEGER),
        sa.Column("num_scaffolds", INTEGER),
        sa.Column("config_json", sa.Text()),
        sa.Column("final_metrics_json", sa.Text()),
        sa.Column("blog_post_url", TEXT),
        sa.Column("conversation_s3_key", TEXT),
        sa.Column("crash_report_s3_key", TEXT),
        sa.Column("error_log_s3_key", TEXT),
        sa.Column("crash_analysis_s3_key", TEXT),
        sa.Column("created_at_db", MOMENT, server_default=now, nullable=False),
        sa.Column("updated_at_db", MOMENT, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_training_runs"),
        sa.UniqueConstraint("wandb_run_id", name="uq_training_runs_wandb_run_id"),
    )


def downgrade() -> None:
    """Drop the table, and say how many runs go with it."""
    if not context.is_offline_mode():
        runs = op.get_bind().scalar(sa.text("SELECT count(*) FROM training_runs"))
        if runs:
            note = context.config.attributes.get("note", context.config.print_stdout)
            note(f"dropped {runs} runs")
    op.drop_table("training_runs")
