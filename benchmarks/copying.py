"""A file of 100,000 runs copied to PostgreSQL, beside pgloader, and back."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg

from benchmarks.comparison import Comparison
from benchmarks.databases import fresh
from benchmarks.queries import load
from training_db.db.migrations import upgrade
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 100_000
# With the 100,000 rows that it fetches by default, Debian's pgloader runs out of memory.
FETCHED = 1_000
COMMANDS = """
LOAD DATABASE FROM sqlite://{source} INTO {target}
WITH {choices}, prefetch rows = {fetched}
EXCLUDING TABLE NAMES LIKE 'sqlite_%', 'training_db_version';
"""
INTO_ITS_OWN = "include drop, create tables, create indexes, reset sequences"
INTO_OURS = "data only, drop indexes"


def time_copying(backend: str, server_url: str) -> Iterator[Comparison]:
    """Copy the file to a backend; to PostgreSQL by pgloader, too, which reads no PostgreSQL.

    It is timed twice: into bare tables that it makes itself, and into ours, which have JSONB
    columns and GIN indexes besides. Ours checks every value, and pgloader none.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "runs.db"
        load(f"sqlite:///{file}", RUNS)
        if backend == "PostgreSQL":
            yield from _to_postgresql(file, server_url)
        else:
            yield from _to_sqlite(file, server_url)


def _to_postgresql(file: Path, server_url: str) -> Iterator[Comparison]:
    with fresh("PostgreSQL", server_url, "copied_bare") as url:
        bare = _pgloaded(file, url, INTO_ITS_OWN)
    with fresh("PostgreSQL", server_url, "copied") as url:
        ours = _copied(f"sqlite:///{file}", url)
    with fresh("PostgreSQL", server_url, "copied_alike") as url:
        upgrade(url)
        alike = _pgloaded(file, url, INTO_OURS)
    what = f"copy of {RUNS:,} runs from SQLite to PostgreSQL (by hand: pgloader, into"
    yield Comparison(f"{what} bare tables)", "s", ours, {"by hand": bare}, faster=1)
    yield Comparison(f"{what} the same tables)", "s", ours, {"by hand": alike}, faster=1)


def _to_sqlite(file: Path, server_url: str) -> Iterator[Comparison]:
    with fresh("PostgreSQL", server_url, "copied_there") as url:
        copy_database(file, url)
        seconds = _copied(url, str(file.with_name("back.db")))
    yield Comparison(f"copy of {RUNS:,} runs from PostgreSQL to SQLite", "s", seconds)


def _copied(source: str, target: str) -> float:
    started = time.perf_counter()
    report = copy_database(source, target)
    seconds = time.perf_counter() - started
    if not report.ok:
        raise SystemExit(f"the copy is not the same: {report}")
    return seconds


def _pgloaded(file: Path, url: str, choices: str) -> float | str:
    """Return the seconds that pgloader took, or why there are none."""
    if shutil.which("pgloader") is None:
        return "not installed"
    parts = urlsplit(url)
    socket = parse_qs(parts.query)["host"][0]
    target = f"pgsql://{parts.username}@unix:{socket}:5432{parts.path}"
    commands = file.with_suffix(".load")
    commands.write_text(
        COMMANDS.format(source=file, target=target, choices=choices, fetched=FETCHED)
    )
    started = time.perf_counter()
    done = subprocess.run(["pgloader", commands], capture_output=True, text=True, check=False)  # noqa: S607 - as the shell finds it
    seconds = time.perf_counter() - started
    with psycopg.connect(url) as connection:
        counted = connection.execute("SELECT count(*) FROM training_runs").fetchone()
    if done.returncode or counted != (RUNS,):
        return f"failed with {done.returncode}"
    return seconds
