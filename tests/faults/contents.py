"""Every row of a database, at whatever version of the schema, and copies to try things on."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import create_engine, inspect, make_url, text

from tests.faults.processes import until
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Row = tuple[tuple[str, Any], ...]
    Contents = dict[str, Counter[Row]]


def contents(url: str) -> Contents:
    """Return for each table how often each of its rows is there."""
    engine = create_engine(resolve_url(url))
    with engine.connect() as connection:
        found = {
            table: Counter(
                tuple((name, repr(value)) for name, value in row.items())
                for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings()
            )
            for table in inspect(connection).get_table_names()
        }
    engine.dispose()
    return found


def of_run(found: Contents, run: Row) -> Contents:
    """Return the rows that belong to a run."""
    known = dict(run)
    owners = {("run_id", known["run_id"]), ("run_number", known["number"])}
    return {
        table: Counter({row: count for row, count in rows.items() if owners & {*row}})
        for table, rows in found.items()
    }


def plain(url: str, name: str | None = None) -> str:
    """Return the URL of a PostgreSQL database, or of another one of its server, for psycopg."""
    place = make_url(url).set(drivername="postgresql")
    if name is not None:
        place = place.set(database=name)
    return place.render_as_string(hide_password=False)


@contextmanager
def copies(url: str, folder: Path) -> Iterator[Callable[[], str]]:
    """Yield what makes a copy of a database, byte by byte; the copies go in the end."""
    made: list[str] = []

    def copy() -> str:
        if url.startswith("sqlite"):
            made.append(str(folder / f"copy {len(made)}" / "training.db"))
            Path(made[-1]).parent.mkdir()
            shutil.copy(url.removeprefix("sqlite:///"), made[-1])
            return f"sqlite:///{made[-1]}"
        made.append(f"copy_{uuid4().hex[:12]}")
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        names = (sql.Identifier(made[-1]), sql.Identifier(str(make_url(url).database)))
        _run(url, statement.format(*names))
        return make_url(url).set(database=made[-1]).render_as_string(hide_password=False)

    yield copy
    if not url.startswith("sqlite"):
        for name in made:
            _run(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def wait_until_left_alone(url: str) -> None:
    """Wait for what others still do in a database: a server ends it after who asked for it."""
    if not url.startswith("sqlite"):
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        with psycopg.connect(plain(url, "postgres"), autocommit=True) as session:
            name = [make_url(url).database]
            until(lambda: session.execute(others, name).fetchone() == (0,), "nobody is connected")


def _run(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(plain(url, "postgres"), autocommit=True) as session:
        session.execute(statement)
