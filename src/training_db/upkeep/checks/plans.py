"""Whether the questions that people ask are answered through the indexes made for them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, func, select

from training_db.counts import counted
from training_db.db.engine import plans_by_statistics
from training_db.db.engine.health import full_scans
from training_db.models import Base, run_objectives, training_runs
from training_db.repository.metrics import MetricRepository
from training_db.repository.run_queries import RunQueries
from training_db.repository.soundness import has_metrics
from training_db.upkeep.findings import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

    from training_db.upkeep.findings import Case

LEAST_RUNS = 5_000
"""Runs below which a table is read from end to end as fast as in any other way."""

_OURS = frozenset(Base.metadata.tables)


def check_plans(case: Case) -> Iterator[Finding]:
    """Ask some usual questions, and let the backend explain how it answers them."""
    with case.engine.connect() as connection:
        runs = connection.scalar(select(func.count()).select_from(training_runs)) or 0
    if runs < LEAST_RUNS:
        yield Finding("plans", Severity.OK, f"{counted(runs, 'run')}: any plan is fast")
        return
    slow = {}
    for name, ask in _questions(case):
        if scans := _scans(case, ask):
            slow[name] = scans
    with case.engine.connect() as connection:
        cure = "statistics" if plans_by_statistics(connection) else "indexes"
    for name, scans in slow.items():
        yield Finding(
            "plans",
            Severity.WARNING,
            f"{name} reads all of {', '.join(scans)} each time",
            mend=case.command("doctor", "--mend", cure),
        )
    if not slow:
        yield Finding("plans", Severity.OK, "usual questions are answered through indexes")


def _questions(case: Case) -> Iterator[tuple[str, Callable[[_Looking], object]]]:
    with case.engine.connect() as connection:
        metric = has_metrics(connection)
        objective = connection.scalar(select(run_objectives.c.objective_name).limit(1))
    yield "the list of the newest runs", lambda look: RunQueries(look).query(limit=10)  # type: ignore[arg-type]
    yield "a run by its id", lambda look: RunQueries(look).find("r")  # type: ignore[arg-type]
    if objective is not None:
        over = {f"objective.{_name(objective)}.raw_mean": 1e300}
        yield (
            "a threshold of an objective",
            lambda look: RunQueries(look).query(over, limit=10),  # type: ignore[arg-type]
        )
    if metric is not None:
        yield "the best run by a metric", lambda look: MetricRepository(look).best(metric)  # type: ignore[arg-type]


def _name(text: str) -> str:
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))


def _scans(case: Case, ask: Callable[[_Looking], object]) -> list[str]:
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    event.listen(case.engine, "before_cursor_execute", note)
    try:
        ask(_Looking(case))
    finally:
        event.remove(case.engine, "before_cursor_execute", note)
    found: dict[str, None] = {}
    with case.engine.connect() as connection:
        for statement, parameters in asked:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                found |= dict.fromkeys(full_scans(connection, statement, parameters))
    return [table for table in found if table in _OURS]


class _Looking:
    """Transactions of repositories that only look."""

    def __init__(self, case: Case) -> None:
        self._engine = case.engine

    @contextmanager
    def __call__(self, *, writes: bool) -> Iterator[Connection]:
        del writes
        with self._engine.connect() as connection:
            yield connection
