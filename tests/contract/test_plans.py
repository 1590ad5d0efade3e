"""The queries that have to be fast go through the indexes that were made for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, text

from tests.conftest import BACKENDS, migrated_database
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def runs() -> list[dict[str, Any]]:
    return [
        {"run_id": f"r{n:05}", "created_at": 1_700_000_000 + n, "gradient_method": f"m{n % 5}",
         "status": "failed" if n % 7 else "completed", "host": f"h{n % 50}",
         "config": {"seed": n, "optimizer": {"name": f"o{n % 300}"}},
         "summary": {"objectives/QED/raw_mean": n / 3000, "objectives/SA/raw_mean": n % 10 / 100,
                     "score": n}}
        for n in range(3_000)
    ]  # fmt: skip


@pytest.fixture(scope="module", params=BACKENDS)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
    runs: list[dict[str, Any]],
) -> Iterator[TrainingDB]:  # fmt: skip
    """A database that the tests only read."""
    folder = tmp_path_factory.mktemp("filled")
    with migrated_database(request, folder) as url, TrainingDB(url) as db:
        fill(db, runs)
        yield db


def fill(db: TrainingDB, runs: list[dict[str, Any]]) -> None:
    db.runs.insert_many(runs)
    with db.engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def plan(db: TrainingDB, filters: Any, order_by: str = "created_at DESC") -> str:
    """Return how the backend answers the first statement of a listing of ten runs."""
    caught: list[tuple[str, Any]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        if statement.startswith("SELECT") and "training_runs" in statement:
            caught.append((statement, parameters))

    db.runs.count()
    event.listen(db.engine, "before_cursor_execute", note)
    db.runs.query(filters, order_by, 10)
    event.remove(db.engine, "before_cursor_execute", note)
    statement, parameters = caught[0]
    explain = "EXPLAIN QUERY PLAN" if db.engine.name == "sqlite" else "EXPLAIN"
    with db.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(
    "filters",
    [{"config.seed": 5}, "config.optimizer.name = 'o7'", {"config.seed": [5, 6]},
     "config.seed = 5 or config.seed = 6", "summary.score = 5", {'config."seed"': 1}],
    ids=str,
)  # fmt: skip
def test_an_equality_in_a_document_uses_the_gin_index(filled: TrainingDB, filters: Any) -> None:
    found = plan(filled, filters, "run_id")
    if filled.engine.name == "postgresql":
        index = "summary" if "summary" in str(filters) else "config"
        assert f"ix_training_runs_{index}_document" in found
    else:
        assert "training_runs" in found  # SQLite has no such index, and reads the text


def test_newest_first_is_read_off_an_index(filled: TrainingDB) -> None:
    found = plan(filled, None)
    assert "ix_training_runs_created_at" in found
    assert "Sort" not in found
    assert "TEMP B-TREE" not in found


@pytest.mark.parametrize("column", ["gradient_method", "status", "host"])
def test_a_column_and_newest_first_are_answered_by_one_index(
    filled: TrainingDB, column: str
) -> None:
    value = {"gradient_method": "m1", "status": "completed", "host": "h7"}[column]
    found = plan(filled, {column: value})
    assert "ix_training_runs_" in found
    assert "TEMP B-TREE" not in found
    assert not found.startswith("Sort")


@pytest.mark.parametrize(
    "filters", ["objective.QED > 0.999", {"objective.QED.raw_mean": 0.5}], ids=str
)
def test_an_objective_threshold_uses_the_index_on_name_and_mean(
    filled: TrainingDB, filters: Any
) -> None:
    assert "ix_run_objectives_objective_name" in plan(filled, filters)


@pytest.fixture(scope="module", params=BACKENDS)
def measured(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory,
    runs: list[dict[str, Any]],
) -> Iterator[TrainingDB]:  # fmt: skip
    """The same with metrics, which the tests only read, too."""
    folder = tmp_path_factory.mktemp("measured")
    with migrated_database(request, folder) as url, TrainingDB(url) as db:
        fill(db, runs)
        measure(db)
        yield db


def measure(db: TrainingDB) -> None:
    """Give each run three metrics, of which the last value lies above the least by a half."""
    columns = "(run_number, metric_id, count, non_finite_count, other_count, " + ", ".join(
        f"{name}, {name}_step" for name in ("first", "last", "min", "max")
    )
    with db.engine.begin() as connection:
        for number, name in enumerate(("loss", "acc", "lr")):
            connection.execute(
                text("INSERT INTO metric_names (id, name) VALUES (:id, :name)"),
                {"id": number, "name": name},
            )
            connection.execute(
                text(
                    f"INSERT INTO run_metrics {columns}, mean) SELECT number, {number}, 9, 0, 0, "
                    "number + 1, 0, number + 0.5, 8, number, 3, number + 2, 4, number + 0.7 "
                    "FROM training_runs"
                )
            )
        connection.execute(
            text("INSERT INTO run_tags SELECT number, 'keep', NULL FROM training_runs LIMIT 9")
        )
    with db.engine.begin() as connection:
        connection.execute(text("ANALYZE"))


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ("metric.loss.min < 4", "min"),
        ("metric.loss.max > 2999", "max"),
        ("metric.loss.last < 4", "min"),
        ("metric.loss > 2998", "max"),
        ("metric.loss.mean >= 2998", "max"),
        ("metric.loss.first <= 5 and status = 'failed'", "min"),
    ],
)
def test_a_threshold_of_a_metric_uses_the_index_on_its_extremes(
    measured: TrainingDB, filters: str, index: str
) -> None:
    found = plan(measured, filters)
    assert f"ix_run_metrics_metric_id_{index}" in found
    assert "Seq Scan on run_metrics" not in found


def test_a_tag_that_few_runs_have_is_where_the_listing_starts(measured: TrainingDB) -> None:
    found = plan(measured, "tag.keep is not missing")
    assert "run_tags" in found
    assert "uq_training_runs_number" in found


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("filters", [None, "status = 'failed'"])
def test_the_best_run_is_read_off_an_index(
    measured: TrainingDB, mode: str, filters: str | None
) -> None:
    caught: list[tuple[str, Any]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        caught.append((statement, parameters))

    event.listen(measured.engine, "before_cursor_execute", note)
    best = measured.metrics.best("loss", mode, filters)
    event.remove(measured.engine, "before_cursor_execute", note)
    assert best[0]["value"] == {"min": 2 if filters else 1, "max": 3_002}[mode]
    statement, parameters = next(one for one in caught if "run_metrics" in one[0])
    explain = "EXPLAIN QUERY PLAN" if measured.engine.name == "sqlite" else "EXPLAIN"
    with measured.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
        # The index of the trash holds nothing but the trash.
        steps = [str(row[-1]) for row in rows]
        found = "\n".join(step for step in steps if "ix_training_runs_deleted_at" not in step)
    assert f"ix_run_metrics_metric_id_{mode}" in found
    assert "uq_training_runs_number" in found
    assert "SCAN" not in found
    assert "Seq Scan" not in found


def test_two_thresholds_go_through_indexes_only(filled: TrainingDB) -> None:
    found = plan(filled, "objective.QED > 0.9 and objective.SA < 0.02")
    assert "Seq Scan on run_objectives" not in found
    assert "SCAN run_objectives\n" not in f"{found}\n"


def test_a_later_page_is_a_range_of_the_index(filled: TrainingDB) -> None:
    first = filled.runs.page(limit=100)
    caught: list[tuple[str, Any]] = []

    def note(_conn, _cursor, statement, parameters, _context, _many) -> None:  # type: ignore[no-untyped-def]
        caught.append((statement, parameters))

    event.listen(filled.engine, "before_cursor_execute", note)
    filled.runs.page(limit=100, after=first.next)
    event.remove(filled.engine, "before_cursor_execute", note)
    statement, parameters = next(one for one in caught if one[0].startswith("SELECT"))
    assert "OFFSET" not in statement or parameters[-1] == 0
    explain = "EXPLAIN QUERY PLAN" if filled.engine.name == "sqlite" else "EXPLAIN"
    with filled.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
        found = "\n".join(str(row[-1]) for row in rows)
    assert "ix_training_runs_created_at" in found
    assert "TEMP B-TREE" not in found
    assert "Sort" not in found
