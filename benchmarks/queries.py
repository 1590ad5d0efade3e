"""Two listings, by the library and by SQL written by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.databases import bare
from benchmarks.runs import make_runs
from benchmarks.timing import Line, Timing, timed_pair
from training_db import TrainingDB
from training_db.db.migrations import upgrade
from training_db.models import training_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 1.5
GROWTH_LIMIT = 2.0
COLUMNS = ", ".join(
    f"r.{column.name}"
    for column in training_runs.c
    if column.computed is None and column.name != "history_layout"
)
BY_COLUMNS = f"""
    SELECT {COLUMNS} FROM training_runs r
    WHERE r.gradient_method = ? AND r.status = ?
    ORDER BY r.created_at DESC LIMIT 100
"""
BY_OBJECTIVES = f"""
    SELECT {COLUMNS} FROM training_runs r
    JOIN run_objectives a ON a.run_id = r.run_id AND a.objective_name = ? AND a.raw_mean >= ?
    JOIN run_objectives b ON b.run_id = r.run_id AND b.objective_name = ? AND b.raw_mean >= ?
    ORDER BY r.created_at DESC LIMIT 100
"""
# Thresholds that many runs pass, that few pass, and that hardly one passes.
THRESHOLDS = {"loose": 0.5, "strict": 0.9, "hardly met": 0.999}


def load(url: str, count: int) -> None:
    """Fill a fresh database, and let the backend look at it once as it would by itself."""
    upgrade(url)
    with TrainingDB(url) as db:
        db.runs.insert_many(make_runs(count))
        connection = bare(db.url)
        if db.engine.dialect.name == "postgresql":
            # What it would do by itself a little later, in the midst of the measurements.
            connection.autocommit = True
            connection.execute("VACUUM ANALYZE")
        else:
            connection.execute("ANALYZE")
        connection.close()


def time_queries(url: str, label: str) -> Iterator[tuple[str, Line]]:
    """Time each listing; the name says which it is, whatever the number of runs."""
    with TrainingDB(url) as db:
        connection = bare(db.url)
        name = "by two columns"
        ours, theirs = timed_pair(
            lambda: db.runs.query({"gradient_method": "mgda", "status": "completed"}),
            lambda: fetch(connection, BY_COLUMNS, ("mgda", "completed")),
            inner=10,
        )
        yield name, Line(f"query_runs {name}, {label}", ours, theirs, LIMIT)
        for kind, least in THRESHOLDS.items():
            name = f"two thresholds, {kind}"
            ours, theirs = timed_pair(
                lambda least=least: db.runs.query(
                    f"objective.objective_1 >= {least} and objective.objective_2 >= {least}"
                ),
                lambda least=least: fetch(
                    connection, BY_OBJECTIVES, ("objective_1", least, "objective_2", least)
                ),
                inner=5,
            )
            yield name, Line(f"{name}, {label}", ours, theirs, LIMIT)
        connection.close()


def growth(name: str, backend: str, small: Timing, large: Timing) -> Line:
    """Compare the same listing over ten times as many runs."""
    return Line(f"{name}, {backend}: 100,000 against 10,000 runs", large, small, GROWTH_LIMIT)


def fetch(connection: Any, statement: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Run a statement and make dicts of its rows, as people do by hand."""
    if not hasattr(connection, "create_function"):  # psycopg
        statement = statement.replace("?", "%s")
    cursor = connection.execute(statement, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
