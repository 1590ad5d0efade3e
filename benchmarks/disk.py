"""Bytes a point on disk: what a whole database grows by, divided by the points."""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psycopg
from sqlalchemy import make_url

from benchmarks.by_hand import Columns, Points
from benchmarks.comparison import Comparison
from benchmarks.curves import METRICS, curves, rows
from benchmarks.databases import fresh
from benchmarks.peers import figures
from training_db import TrainingDB
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS = {"SQLite": 4.0, "PostgreSQL": 4.5}
STEPS, FLUSHES = 10_000, 100
POINTS = STEPS * len(METRICS)
SECONDS = 3600.0
AUTOVACUUM_SECONDS, POLL_SECONDS = 150.0, 5.0


def weigh(backend: str, server_url: str) -> Iterator[Comparison]:
    """Weigh a live run and a bulk append, beside one row a point and bare columns."""
    others: dict[str, float | str] = {
        name: _growth(backend, server_url, name, _nothing, write)
        for name, write in (("by hand", _points), ("floor", _columns))
    }
    if backend == "SQLite":
        others |= figures("bulk", "bytes")
    ours = _growth(backend, server_url, "ours", upgrade, _bulk)
    yield _compared("after a bulk append", backend, ours, others)
    live = f"after a live run of {FLUSHES} flushes"
    with fresh(backend, server_url, "disk_live") as url:
        upgrade(url)
        before = _size(url)
        _live(url)
        after = _size(url)
        if backend == "PostgreSQL":
            yield _compared(f"{live}, at once", backend, (after - before) / POINTS, {}, None)
            live += ", when autovacuum has been"
            after = _vacuumed(url, after)
        yield _compared(live, backend, (after - before) / POINTS, others)


def _compared(
    what: str,
    backend: str,
    ours: float,
    others: dict[str, float | str],
    limits: dict[str, float] | None = LIMITS,
) -> Comparison:
    at_most = limits[backend] if limits else None
    return Comparison(f"disk {what}, {backend}", "bytes a point", ours, others, at_most=at_most)


def _growth(
    backend: str,
    server_url: str,
    name: str,
    prepare: Callable[[str], object],
    write: Callable[[str], None],
) -> float:
    """Return what writing 1.49 million points adds to a new database, in bytes a point."""
    with fresh(backend, server_url, "disk_" + name.replace(" ", "_")) as url:
        prepare(url)
        before = _size(url)
        write(url)
        return (_size(url) - before) / POINTS


def _vacuumed(url: str, size: int) -> int:
    """Wait until the server has tidied up by itself, a minute or two later; return the size."""
    end = time.monotonic() + AUTOVACUUM_SECONDS
    while time.monotonic() < end:
        time.sleep(POLL_SECONDS)  # nobody says when autovacuum has been
        if _size(url) < size:
            return _size(url)
    return size


def _size(url: str) -> int:
    """Return the bytes of a database that nobody has open."""
    if url.startswith("sqlite"):
        path = Path(str(make_url(url).database))
        return sum(part.stat().st_size for part in path.parent.glob(path.name + "*"))
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def _nothing(_url: str) -> None:
    """A bare store makes its one table by itself."""


def _points(url: str) -> None:
    points = Points(url)
    points.append(1, curves(STEPS))
    points.close()


def _columns(url: str) -> None:
    columns = Columns(url)
    columns.append(1, curves(STEPS))
    columns.close()


def _bulk(url: str) -> None:
    with _run(url) as db:
        db.history.append("run", curves(STEPS) | {"_step": np.arange(STEPS)})


def _live(url: str) -> None:
    with (
        _run(url) as db,
        tempfile.TemporaryDirectory() as spool,
        db.recorder("run", flush_seconds=SECONDS, spool_dir=spool) as recorder,
    ):
        for step, row in enumerate(rows(curves(STEPS))):
            recorder.log(row, step=step)
            if step % (STEPS // FLUSHES) == STEPS // FLUSHES - 1:
                recorder.flush(timeout=SECONDS)


@contextmanager
def _run(url: str) -> Iterator[TrainingDB]:
    with TrainingDB(url) as db:
        db.runs.insert("run")
        yield db
