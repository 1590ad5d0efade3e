"""v3: history by columns, what its metrics came to, and what live tracking needs."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "v3"
down_revision = "v2.1"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
INTEGER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
NOW = {
    "sqlite": "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')",
    "postgresql": "now()",
}
NUMBER_TRIGGER = """
CREATE TRIGGER training_runs_number AFTER INSERT ON training_runs WHEN NEW.number IS NULL
BEGIN
    UPDATE training_runs
    SET number = (SELECT coalesce(max(number), 0) + 1 FROM training_runs)
    WHERE run_id = NEW.run_id;
END
"""


COLUMNS: dict[str, Any] = {
    "number": INTEGER,
    "notes": sa.Text(),
    "parent_run_id": TEXT,
    "group_name": TEXT,
    "heartbeat_at": MOMENT,
    "deleted_at": MOMENT,
    "git_branch": TEXT,
    "git_commit": TEXT,
    "git_dirty": sa.Boolean(),
    "history_layout": sa.Text(),
}
TABLES = (
    "run_tags",
    "run_events",
    "run_artifacts",
    "run_metrics",
    "run_history_tails",
    "run_history_segments",
    "metric_names",
)
OTHER_COLUMNS = ("parent_run_id", "group_name", "heartbeat_at", "git_branch", "git_commit",
                 "git_dirty")  # fmt: skip


def upgrade() -> None:
    """Add the columns and tables, number the runs, and move their history."""
    for name, kind in COLUMNS.items():
        op.add_column("training_runs", sa.Column(name, kind))
    if context.is_offline_mode():
        _number_runs()
        _create_tables()
        _leave_the_history_for_later()
    else:
        _move_the_history()
    _keep_numbering()
    newest_first = [sa.text("created_at DESC"), sa.text("run_id DESC")]
    op.create_index("ix_training_runs_group_name", "training_runs", ["group_name", *newest_first])
    op.create_index("ix_training_runs_parent_run_id", "training_runs", ["parent_run_id"])
    # The trash is small. A count that looked at deleted_at itself would read every row in full.
    op.execute(
        "CREATE INDEX ix_training_runs_deleted_at ON training_runs (run_id) "
        "WHERE deleted_at IS NOT NULL"
    )
    for statistic in ("min", "max"):  # after the rows, which is faster than row by row
        op.create_index(
            f"ix_run_metrics_metric_id_{statistic}",
            "run_metrics",
            ["metric_id", statistic, "run_number"],
        )


def downgrade() -> None:
    """Bring the history back into its column, and drop the rest."""
    if not context.is_offline_mode():
        _bring_the_history_back()
        return
    op.execute(
        "-- SQL cannot bring the history back, so this script drops all of it.\n"
        "-- To keep it, run instead: training-db downgrade v2.1\n"
        "DROP TABLE run_tags"
    )
    _drop_tables(TABLES[1:])
    _drop_columns()
    op.add_column("training_runs", sa.Column("history_json", sa.Text()))


def _move_the_history() -> None:
    attributes = context.config.attributes
    note = attributes.get("note", context.config.print_stdout)
    history = _load("history_v3")
    store = history.open_store(op.get_bind())
    if op.get_context().dialect.name == "sqlite":
        # To number a run is to write its row anew, which is faster once the history has left it.
        store.number_runs(anew=True)
        _create_tables()
        history.move(store, note, attributes.get("progress"))
        op.drop_column("training_runs", "history_json")
        store.finish_upgrade()
    else:
        _number_runs()
        _create_tables()
        history.move(store, note, attributes.get("progress"))
        op.drop_column("training_runs", "history_json")


def _bring_the_history_back() -> None:
    attributes = context.config.attributes
    note = attributes.get("note", context.config.print_stdout)
    connection = op.get_bind()
    history = _load("history_v3")
    history.finish(connection, note, attributes.get("progress"))
    _tell_what_goes(connection, note)
    store = history.open_store(connection)
    column = sa.Column("history_json", sa.Text())
    if op.get_context().dialect.name == "sqlite":
        # To drop a column is to write all rows anew, which is faster before they are long.
        store.number_runs(anew=False)
        _drop_columns()
        op.add_column("training_runs", column)
        several = history.back.move_back(store, attributes.get("progress"))
        store.finish_downgrade()
        _drop_tables(TABLES)
    else:
        op.add_column("training_runs", column)
        several = history.back.move_back(store, attributes.get("progress"))
        _drop_tables(TABLES)
        _drop_columns()
    if several:
        note(f"dropped who logged which rows of {several} runs; v2.1 has the rows, in their order")


def _create_tables() -> None:
    op.create_index("uq_training_runs_number", "training_runs", ["number"], unique=True)
    _create_history()
    _create_metrics()
    _create_timeline()


def _drop_tables(tables: tuple[str, ...]) -> None:
    for table in tables:
        op.drop_table(table)


def _drop_columns() -> None:
    for name in ("deleted_at", "parent_run_id", "group_name"):
        op.drop_index(f"ix_training_runs_{name}", "training_runs")
    op.drop_index("uq_training_runs_number", "training_runs")
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER training_runs_number")
    for name in reversed(COLUMNS):
        op.drop_column("training_runs", name)


def _leave_the_history_for_later() -> None:
    if not context.get_starting_revision_argument():  # a script that creates all has no rows
        op.drop_column("training_runs", "history_json")
        return
    op.execute(
        "-- History that is there is moved, and its column dropped, by: training-db upgrade\n"
        "-- It sees by this table that it has still to be, and drops it.\n"
        "CREATE TABLE IF NOT EXISTS training_db_backfill (revision TEXT NOT NULL)"
    )
    op.execute("INSERT INTO training_db_backfill (revision) VALUES ('v3')")


def _load(name: str) -> Any:
    """Load a module that stands beside env.py, out of reach of imports."""
    path = Path(__file__).parents[1] / f"{name}.py"
    spec = spec_from_file_location(f"training_db_{name}", path)
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _tell_what_goes(connection: sa.Connection, note: Any) -> None:
    filled = " OR ".join(f"{name} IS NOT NULL" for name in OTHER_COLUMNS)
    for rows, what in (
        ("run_tags", "tags"),
        ("run_events", "events"),
        ("run_artifacts", "artifacts"),
        ("training_runs WHERE number IS NOT NULL", "runs' numbers"),
        ("training_runs WHERE notes IS NOT NULL", "runs' notes"),
        (f"training_runs WHERE {filled}", "runs' values of columns that v2.1 does not have"),
        ("training_runs WHERE deleted_at IS NOT NULL",
         "runs' marks of having been deleted; v2.1 lists them again"),
    ):  # fmt: skip
        lost = connection.scalar(sa.text(f"SELECT count(*) FROM {rows}"))  # nosec  # noqa: S608 - constants
        if lost:
            note(f"dropped {lost} {what}")


def _number_runs() -> None:
    """Give the runs numbers in the order in which they were created."""
    op.execute(
        "UPDATE training_runs SET number = numbered.position FROM ("
        "SELECT run_id, row_number() OVER (ORDER BY created_at, created_at_db, run_id) AS position "
        "FROM training_runs) AS numbered WHERE numbered.run_id = training_runs.run_id"
    )


def _keep_numbering() -> None:
    """Let each new run have the next number."""
    if op.get_context().dialect.name == "sqlite":
        op.execute(NUMBER_TRIGGER)
        return
    op.execute("CREATE SEQUENCE training_runs_number_seq OWNED BY training_runs.number")
    op.execute(
        "SELECT setval('training_runs_number_seq', "
        "(SELECT coalesce(max(number), 0) + 1 FROM training_runs), false)"
    )
    op.execute(
        "ALTER TABLE training_runs ALTER COLUMN number "
        "SET DEFAULT nextval('training_runs_number_seq')"
    )


def _create_history() -> None:
    op.create_table(
        "metric_names",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_metric_names"),
        sa.UniqueConstraint("name", name="uq_metric_names_name"),
    )
    op.create_table(
        "run_history_segments",
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("metric_id", INTEGER, nullable=False),
        sa.Column("writer", INTEGER, nullable=False),
        sa.Column("first_row", INTEGER, nullable=False),
        sa.Column("last_row", INTEGER, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.Column("min", sa.Double()),
        sa.Column("max", sa.Double()),
        sa.Column("non_finite_count", INTEGER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("row_numbers", sa.LargeBinary()),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "run_number", "metric_id", "writer", "first_row", name="pk_run_history_segments"
        ),
        _of_run("run_history_segments"),
        _of_metric("run_history_segments"),
    )
    op.create_table(
        "run_history_tails",
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("writer", INTEGER, nullable=False),
        sa.Column("first_row", INTEGER, nullable=False),
        sa.Column("last_row", INTEGER, nullable=False),
        sa.Column("block", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_number", "writer", "first_row", name="pk_run_history_tails"),
        _of_run("run_history_tails"),
    )
    if op.get_context().dialect.name == "postgresql":
        # What is compressed already is not worth another try.
        op.execute("ALTER TABLE run_history_segments ALTER COLUMN cells SET STORAGE EXTERNAL")
        op.execute("ALTER TABLE run_history_tails ALTER COLUMN block SET STORAGE EXTERNAL")
        # Its rows come and go with each flush, and what is gone is more than what is there.
        often = ("autovacuum_vacuum_scale_factor = 0", "autovacuum_vacuum_threshold = 100")
        settings = ", ".join([*often, *(f"toast.{setting}" for setting in often)])
        op.execute(f"ALTER TABLE run_history_tails SET ({settings})")


def _create_metrics() -> None:
    op.create_table(
        "run_metrics",
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("metric_id", INTEGER, nullable=False),
        sa.Column("count", INTEGER, nullable=False),
        sa.Column("non_finite_count", INTEGER, nullable=False),
        sa.Column("other_count", INTEGER, nullable=False),
        sa.Column("first", sa.Double()),
        sa.Column("first_step", INTEGER),
        sa.Column("last", sa.Double()),
        sa.Column("last_step", INTEGER),
        sa.Column("min", sa.Double()),
        sa.Column("min_step", INTEGER),
        sa.Column("max", sa.Double()),
        sa.Column("max_step", INTEGER),
        sa.Column("mean", sa.Double()),
        sa.PrimaryKeyConstraint("run_number", "metric_id", name="pk_run_metrics"),
        _of_run("run_metrics"),
        _of_metric("run_metrics"),
    )
    if op.get_context().dialect.name == "postgresql":
        # Each flush of a live run writes its rows anew. With room on the page, and no index that
        # changes, the new one stands beside the old (HOT), and no index grows.
        op.execute(
            "ALTER TABLE run_metrics SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)"
        )


def _create_timeline() -> None:
    now = sa.text(NOW[op.get_context().dialect.name].replace(":", r"\:"))
    op.create_table(
        "run_artifacts",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("artifact_type", TEXT, nullable=False),
        sa.Column("filepath", sa.Text(), nullable=False),
        sa.Column("size_bytes", INTEGER),
        sa.Column("metadata_json", sa.Text()),
        sa.Column("created_at", MOMENT, server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_run_artifacts"),
        _of_run("run_artifacts"),
    )
    op.create_index("ix_run_artifacts_run_number", "run_artifacts", ["run_number", "artifact_type"])
    op.create_table(
        "run_events",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("happened_at", MOMENT, server_default=now, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("data_json", sa.Text()),
        sa.Column("event_key", TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_run_events"),
        sa.UniqueConstraint("run_number", "event_key", name="uq_run_events_run_number_event_key"),
        _of_run("run_events"),
    )
    op.create_index("ix_run_events_run_number", "run_events", ["run_number", "happened_at", "id"])
    op.create_table(
        "run_tags",
        sa.Column("run_number", INTEGER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", TEXT),
        sa.PrimaryKeyConstraint("run_number", "name", name="pk_run_tags"),
        _of_run("run_tags"),
    )
    op.create_index("ix_run_tags_name", "run_tags", ["name", "value", "run_number"])


def _of_run(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["run_number"],
        ["training_runs.number"],
        name=f"fk_{table}_run_number_training_runs",
        ondelete="CASCADE",
    )


def _of_metric(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["metric_id"], ["metric_names.id"], name=f"fk_{table}_metric_id_metric_names"
    )
