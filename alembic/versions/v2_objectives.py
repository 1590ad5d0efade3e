"""v2: more columns of a run, its objectives and scaffolds, and what old rows have of them."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "v2"
down_revision = "v1"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

COLUMNS: dict[str, Any] = {
    "max_steps": INTEGER,
    "gradient_accumulation_steps": INTEGER,
    "max_grad_norm": sa.Double(),
    "mixed_precision": sa.Boolean(),
    "gradient_checkpointing": sa.Boolean(),
    "enable_moving_targets": sa.Boolean(),
    "n_clusters": INTEGER,
    "return_groups": sa.Boolean(),
    "final_loss": sa.Double(),
    "final_grad_norm": sa.Double(),
    "final_learning_rate": sa.Double(),
    "total_training_steps": INTEGER,
}
INDEXED = ("gradient_method", "status", "host", "batch_size", "learning_rate")
NEWEST_FIRST = (sa.text("created_at DESC"), sa.text("run_id DESC"))
DOCUMENTS = {"config_document": "config_json", "summary_document": "final_metrics_json"}

# JSON that Python and W&B write, as JSONB: NaN and the infinities, which JSON does not have, and
# text that JSONB cannot hold become tagged objects; a key that looks like a tag gets one dollar
# more. It must agree with training_db.documents.strict_json. Not PARALLEL SAFE: before
# PostgreSQL 17, a parallel worker cannot enter a block that catches exceptions.
DOCUMENT_FUNCTION = r"""
CREATE OR REPLACE FUNCTION training_db_document(source text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS $function$
BEGIN
    RETURN source::jsonb;
EXCEPTION WHEN others THEN
    BEGIN
        RETURN (
            SELECT string_agg(
                CASE
                    WHEN token[1] IN ('NaN', 'Infinity', '-Infinity')
                        THEN '{"$float":"' || token[1] || '"}'
                    WHEN token[1] ~ '^"\$+(float|text)"\s*:$'
                        THEN '"$' || substr(token[1], 2)
                    WHEN token[1] ~ '^".*"$' AND regexp_replace(token[1], '\\[^u]', '', 'g')
                            ~* '\\u0000|\\ud[89ab]..(?!\\ud[c-f])|(?<!\\ud[89ab]..)\\ud[c-f]'
                        THEN '{"$text":'
                            || to_jsonb(substr(token[1], 2, length(token[1]) - 2))::text || '}'
                    ELSE token[1]
                END, '' ORDER BY place)
            FROM regexp_matches(
                source, '"(?:[^"\\]|\\.)*"(?:\s*:)?|-?Infinity|NaN|[^"IN-]+|.', 'g'
            ) WITH ORDINALITY AS found (token, place)
        )::jsonb;
    EXCEPTION WHEN others THEN
        RETURN NULL;
    END;
END
$function$
"""


def upgrade() -> None:
    """Add what is new, and fill it from the JSON of the rows that are there."""
    for name, kind in COLUMNS.items():
        op.add_column("training_runs", sa.Column(name, kind))
    _create_child("run_objectives", "objective_name", _objective_columns())
    _create_child("run_scaffolds", "scaffold_id", _scaffold_columns())
    _back_fill()
    # After the rows, which is faster than row by row.
    op.create_index(
        "ix_run_objectives_objective_name",
        "run_objectives",
        ["objective_name", "raw_mean", "run_id"],
    )
    op.create_index("ix_training_runs_created_at", "training_runs", [*NEWEST_FIRST])
    for name in INDEXED:
        op.create_index(f"ix_training_runs_{name}", "training_runs", [name, *NEWEST_FIRST])
    if op.get_context().dialect.name == "postgresql":
        _create_documents()


def downgrade() -> None:
    """Drop what v1 cannot hold, and say how much that is."""
    if not context.is_offline_mode():
        _tell_what_goes(op.get_bind())
    if op.get_context().dialect.name == "postgresql":
        for name in DOCUMENTS:
            op.drop_index(f"ix_training_runs_{name}", "training_runs")
            op.drop_column("training_runs", name)
        op.execute("DROP FUNCTION training_db_document(text)")
    for name in ("created_at", *INDEXED):
        op.drop_index(f"ix_training_runs_{name}", "training_runs")
    op.drop_table("run_scaffolds")
    op.drop_table("run_objectives")
    for name in reversed(COLUMNS):
        op.drop_column("training_runs", name)
    op.execute("DROP TABLE IF EXISTS training_db_backfill")


def _create_child(table: str, name: str, columns: list[Any]) -> None:
    """Create a table of things that each run has several of, one of each name."""
    op.create_table(
        table,
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("run_id", TEXT, nullable=False),
        sa.Column(name, TEXT, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
        sa.UniqueConstraint("run_id", name, name=f"uq_{table}_run_id_{name}"),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["training_runs.run_id"],
            name=f"fk_{table}_run_id_training_runs",
            ondelete="CASCADE",
        ),
    )


def _objective_columns() -> list[sa.Column[Any]]:
    numbers = ("raw_mean", "normalized_mean", "raw_std", "normalized_std")
    return [
        sa.Column("objective_alias", TEXT),
        sa.Column("uniprot", TEXT),
        sa.Column("weight", sa.Double()),
        sa.Column("direction", TEXT),
        *(sa.Column(name, sa.Double()) for name in numbers),
    ]


def _scaffold_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("scores_json", sa.Text()),
        sa.Column("pareto_rank", INTEGER),
        sa.Column("cluster_id", INTEGER),
    ]


def _create_documents() -> None:
    op.execute(DOCUMENT_FUNCTION)
    columns = [
        f"ADD COLUMN {name} JSONB GENERATED ALWAYS AS (training_db_document({source})) STORED"
        for name, source in DOCUMENTS.items()
    ]
    # One statement for both, because it writes the whole table anew.
    op.execute(f"ALTER TABLE training_runs {', '.join(columns)}")
    for name in DOCUMENTS:
        op.create_index(
            f"ix_training_runs_{name}",
            "training_runs",
            [name],
            postgresql_using="gin",
            postgresql_ops={name: "jsonb_path_ops"},
        )


def _back_fill() -> None:
    attributes = context.config.attributes
    if not context.is_offline_mode():
        note = attributes.get("note", context.config.print_stdout)
        _load("backfill_v2").back_fill(op.get_bind(), note, attributes.get("progress"))
    elif context.get_starting_revision_argument():  # a script that creates v1 itself has no rows
        op.execute(
            "-- Rows that are there are filled from their JSON by: training-db upgrade\n"
            "-- It sees by this table that they have still to be, and drops it.\n"
            "CREATE TABLE training_db_backfill (revision TEXT NOT NULL)"
        )
        op.execute("INSERT INTO training_db_backfill (revision) VALUES ('v2')")


def _load(name: str) -> Any:
    """Load a module that stands beside env.py, out of reach of imports."""
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = spec_from_file_location(f"training_db_{name}", path)
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _tell_what_goes(connection: sa.Connection) -> None:
    note = context.config.attributes.get("note", context.config.print_stdout)
    filled = " OR ".join(f"{name} IS NOT NULL" for name in COLUMNS)
    for rows, what in (
        ("run_objectives", "objectives"),
        ("run_scaffolds", "scaffolds"),
        (f"training_runs WHERE {filled}", "runs' values of columns that v1 does not have"),
    ):
        lost = connection.scalar(sa.text(f"SELECT count(*) FROM {rows}"))  # nosec  # noqa: S608 - constants
        if lost:
            note(f"dropped {lost} {what}")
