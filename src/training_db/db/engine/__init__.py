"""Engines: the only running code that knows SQLite and PostgreSQL apart.

How each is connected to stands in a file of its own, what both do in their own ways in the
others. Driver errors become ours here.
"""

from training_db.db.engine.connecting import at_once
from training_db.db.engine.driver_errors import translated
from training_db.db.engine.opening import (
    connected,
    is_writing,
    joins_by_hash,
    open_engine,
    open_replica,
    plans_by_statistics,
    reading,
    snapshots,
    unlimited,
    writing,
)
from training_db.db.engine.postgresql import CONNECT_SECONDS, libpq_environment
from training_db.db.engine.sqlite import LOCK_SECONDS
from training_db.db.engine.statements import bulk_insert, reclaim, upsert

__all__ = [
    "CONNECT_SECONDS",
    "LOCK_SECONDS",
    "at_once",
    "bulk_insert",
    "connected",
    "is_writing",
    "joins_by_hash",
    "libpq_environment",
    "open_engine",
    "open_replica",
    "plans_by_statistics",
    "reading",
    "reclaim",
    "snapshots",
    "translated",
    "unlimited",
    "upsert",
    "writing",
]
