"""Alembic's entry: on a connection it is given, or on the database that the environment names."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import Connection

from training_db.db.drift import include_object
from training_db.db.exclusive import exclusive
from training_db.db.version import VERSION_TABLE
from training_db.models import Base
from training_db.settings import resolve_url

config = context.config


def configure(backend: str, **target: Any) -> None:
    """Set up Alembic with what is the same online and offline."""
    context.configure(
        target_metadata=Base.metadata,
        version_table=VERSION_TABLE,
        include_object=include_object(backend),
        transactional_ddl=True,  # on SQLite too: our engine begins its transactions itself
        **target,
    )


def migrate(connection: Connection) -> None:
    """Migrate inside the transaction that is open on the connection."""
    configure(connection.dialect.name, connection=connection)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    dialect = config.attributes.get("dialect") or resolve_url().get_backend_name()
    configure(dialect, dialect_name=dialect, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
elif isinstance(place := config.attributes.get("connection"), Connection):
    migrate(place)
else:
    with exclusive(place or resolve_url(), config.print_stdout) as locked:
        migrate(locked)
