"""How long the library takes to load, beside SQLAlchemy alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.timing import Line, timed_pair
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

IMPORT_LIMIT = 0.15
HELP_LIMIT = 0.4
FIRST_QUERY_LIMIT = 1.3

OURS = """
import sys
from training_db import TrainingDB
TrainingDB(sys.argv[1]).runs.query(limit=10)
"""
# What a person writes who has SQLAlchemy and this table: the model, a session, a query.
BY_HAND = """
import sys
from datetime import datetime
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
class Base(DeclarativeBase):
    pass
class Run(Base):
    __tablename__ = "training_runs"
    run_id: Mapped[str] = mapped_column(primary_key=True)
{columns}
with Session(create_engine("sqlite:///" + sys.argv[1])) as session:
    session.scalars(select(Run).order_by(Run.created_at.desc()).limit(10)).all()
"""


def time_startup() -> Iterator[Line]:
    """Time imports, ``--help`` and the first query, each in a process of its own."""
    command = str(Path(sys.executable).with_name("training-db"))
    nothing = lambda: run(sys.executable, "-c", "pass")  # noqa: E731
    ours, _ = timed_pair(lambda: run(sys.executable, "-c", "import training_db"), nothing)
    yield Line("import training_db", ours, None, IMPORT_LIMIT)
    ours, _ = timed_pair(lambda: run(command, "--help"), nothing)
    yield Line("training-db --help", ours, None, HELP_LIMIT)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "runs.db")
        upgrade(path)
        with TrainingDB(path) as db:
            db.runs.insert("r1")
            names = [name for name in db.runs.get("r1") if name != "run_id"]
        columns = "\n".join(f"    {name}: Mapped[str | None]" for name in names)
        by_hand = BY_HAND.replace("{columns}", columns)
        pair = timed_pair(
            lambda: run(sys.executable, "-c", OURS, path),
            lambda: run(sys.executable, "-c", by_hand, path),
            inner=3,
        )
        yield Line("import, open, first query", *pair, FIRST_QUERY_LIMIT)


def run(*command: str) -> None:
    """Run a command to its end."""
    subprocess.run(command, check=True, capture_output=True)
