from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.contract.conftest import empty
from tests.unit.strategies import SLOW
from training_db import TrainingDB
from training_db.errors import InvalidInput, InvalidValue, UnknownName
from training_db.repository.listing import ORDERS, Cursor, Order

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Recorder


def ids(runs: Any) -> list[str]:
    return [run["run_id"] for run in runs]


VALUES: dict[str, list[Any]] = {
    "final_loss": [0.5, -1.0, 0.0, math.nan, math.inf, -math.inf, None],
    "batch_size": [1, 2, 2**63 - 1, -5, None],
    "host": ["a", "B", "ü", "b", None],
    "mixed_precision": [True, False, None],
    "created_at": ["2024-01-01", "2024-01-01T00:00:00.000001Z", "2023-12-31T23:59:59+00:00"],
    "status": ["launched", "failed"],
    "ended_at": ["2024-01-01", None],
}


def expected(runs: list[dict[str, Any]], column: str, *, descending: bool) -> list[str]:
    """Sort in Python: values by value, then run id; those without a finite value last, by id."""
    from training_db.timestamps import parse_timestamp

    def value(run: dict[str, Any]) -> Any:
        found = run.get(column)
        if isinstance(found, float) and not math.isfinite(found):
            return None
        is_time = column in ("created_at", "ended_at") and found is not None
        return parse_timestamp(found) if is_time else found

    valued = [run for run in runs if value(run) is not None]
    rest = sorted(run["run_id"] for run in runs if value(run) is None)
    valued.sort(key=lambda run: (value(run), run["run_id"]), reverse=descending)
    return ids(valued) + rest


@settings(SLOW, max_examples=torture.rounds(12, 400))
@given(data=st.data())
def test_pages_of_any_size_in_any_order_add_up_to_the_whole_listing(
    both: tuple[TrainingDB, TrainingDB], data: st.DataObject
) -> None:
    column = data.draw(st.sampled_from([*VALUES, "run_id"]))
    descending = data.draw(st.booleans())
    size = data.draw(st.integers(1, 6))
    drawn = data.draw(st.lists(st.sampled_from(VALUES.get(column, [None])), max_size=12))
    runs = [
        {"run_id": f"r{number:02}", "created_at": "2024-01-01"}
        | ({column: value} if column != "run_id" else {})
        for number, value in enumerate(drawn)
    ]
    order = f"{column} {'DESC' if descending else 'ASC'}"
    wanted = expected(runs, column, descending=descending)
    for db in both:
        empty(db)
        db.runs.insert_many(runs)
        assert ids(db.runs.query(None, order, None)) == wanted
        found: list[str] = []
        after = None
        while len(found) <= len(wanted):
            page = db.runs.page(None, order, size, after)
            assert len(page.items) == size or page.next is None
            found += ids(page.items)
            after = page.next
            if after is None:
                break
        assert found == wanted
        assert ids(db.runs.iterate(None, order, size)) == wanted
        for offset in range(len(wanted) + 2):
            part = ids(db.runs.query(None, order, size, offset))
            assert part == wanted[offset : offset + size]
        assert ids(db.runs.query(None, order, None, 1)) == wanted[1:]


def test_every_column_orders_a_listing_both_ways_and_by_pages(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": f"r{n}", "batch_size": n % 2} for n in range(4))
    for column in ORDERS:
        for direction in ("ASC", "DESC"):
            whole = ids(db.runs.query(None, f"{column} {direction}"))
            assert sorted(whole) == ["r0", "r1", "r2", "r3"], column
            assert ids(db.runs.iterate(None, f"{column} {direction}", 1)) == whole, column


def test_runs_are_listed_newest_first_and_a_hundred_at_most(db: TrainingDB) -> None:
    db.runs.insert_many(
        {"run_id": f"r{n:03}", "created_at": f"2024-01-01T00:{n // 60:02}:{n % 60:02}"}
        for n in range(130)
    )
    assert ids(db.runs.query()) == [f"r{n:03}" for n in range(129, 29, -1)]
    assert ids(db.runs.query(offset=125)) == ["r004", "r003", "r002", "r001", "r000"]
    assert len(db.runs.query(limit=None)) == 130
    assert db.runs.query(limit=0) == []
    assert len(list(db.runs.iterate(page_size=50))) == 130


def test_the_same_filter_goes_for_every_page(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": f"r{n}", "batch_size": n} for n in range(10))
    assert ids(db.runs.iterate("batch_size >= 4", "batch_size", 4)) == [
        f"r{n}" for n in range(4, 10)
    ]
    assert db.runs.count("batch_size >= 4") == 6


def test_a_run_that_comes_between_two_pages_moves_none(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": f"r{n}", "batch_size": n} for n in (2, 4, 6, 8))
    first = db.runs.page(None, "batch_size", 2)
    db.runs.insert("early", batch_size=1)
    db.runs.insert("between", batch_size=5)
    second = db.runs.page(None, "batch_size", 10, first.next)
    assert ids(first.items) == ["r2", "r4"]
    assert ids(second.items) == ["between", "r6", "r8"]


@pytest.mark.parametrize(
    "order",
    [
        "created_at; DROP TABLE training_runs", "created_at DESC; --", "(SELECT 1)", "1",
        "created_at DESC, run_id", "run_id COLLATE NOCASE", '"run_id"', "run_id--", "CASE", "",
        "random()", "created_at SIDEWAYS", "config_json", "history_json", "history_layout",
        "config_document",
        "training_runs.run_id", "run_id/**/DESC", "RUN_ID", None, 5,
    ],
)  # fmt: skip
def test_an_order_is_a_column_and_nothing_else(db: TrainingDB, order: Any) -> None:
    db.runs.insert("r1")
    for ask in (db.runs.query, db.runs.page):
        with pytest.raises(UnknownName, match="valid are"):
            ask(None, order)
    with pytest.raises(UnknownName):
        list(db.runs.iterate(None, order))
    assert db.runs.count() == 1


@pytest.mark.parametrize(
    "text", ["'; DROP TABLE training_runs; --", "' OR '1'='1", "a' UNION SELECT 1 --", "%", "\\"]
)
def test_nothing_that_a_caller_types_becomes_sql(db: TrainingDB, text: str) -> None:
    db.runs.insert("r1", config={"a": "x"})
    quoted = text.replace("\\", "\\\\").replace("'", "''")
    key = text.replace("\\", "\\\\").replace('"', '\\"')
    asked: list[Any] = [
        {"host": text}, {"run_id": text}, {"run_id": [text]}, {"config.a": text},
        {f'config."{key}"': 1}, {f'objective."{key}"': 1}, f"host = '{quoted}'",
        f"config.\"{key}\" = '{quoted}'", f"config.a in ('{quoted}')",
    ]  # fmt: skip
    for filters in asked:
        assert db.runs.query(filters) == []
    assert db.objectives.query(objective_name=text) == []
    assert db.scaffolds.query(scaffold_id=text) == []
    assert db.runs.count() == 1


@pytest.mark.parametrize("limit", [-1, True, "10", 1.5, 2**63])
def test_a_limit_is_a_whole_number(db: TrainingDB, limit: Any) -> None:
    with pytest.raises(InvalidValue, match="limit"):
        db.runs.query(limit=limit)
    with pytest.raises(InvalidValue, match="offset"):
        db.runs.query(offset=limit)
    with pytest.raises(InvalidValue, match="limit"):
        db.runs.page(limit=limit)


def test_a_page_has_at_least_one_run(db: TrainingDB) -> None:
    for limit in (0, None):
        with pytest.raises(InvalidValue, match="at least 1"):
            db.runs.page(limit=limit)  # type: ignore[arg-type]


def test_a_cursor_is_good_for_its_own_order_only(db: TrainingDB) -> None:
    db.runs.insert_many({"run_id": f"r{n}"} for n in range(3))
    cursor = db.runs.page(limit=1).next
    with pytest.raises(InvalidInput, match="created_at DESC"):
        db.runs.page(None, "created_at ASC", 1, cursor)
    with pytest.raises(InvalidInput, match="no cursor"):
        db.runs.page(after="somewhere")


@pytest.mark.parametrize("value", ["text", {"a": 1}, [1], True, 1e300, "2024-01-01"])
@pytest.mark.parametrize("column", ["final_loss", "batch_size", "created_at", "mixed_precision"])
def test_a_forged_cursor_gives_a_page_or_an_error_of_this_library(
    db: TrainingDB, column: str, value: Any
) -> None:
    from training_db.errors import TrainingDBError

    db.runs.insert("r1", batch_size=1)
    forged = Cursor(Order(column, descending=False), value, "r0").encode()
    try:
        assert len(db.runs.page(None, column, 10, forged).items) <= 1
    except TrainingDBError:
        assert db.runs.count() == 1


@pytest.mark.parametrize("length", [1, 120])
def test_a_listing_takes_at_most_three_statements_whatever_its_length(
    db: TrainingDB, recorded: Recorder, length: int
) -> None:
    db.runs.insert_many(
        {"run_id": f"r{n}", "config": {"objectives": ["QED"]}, "history_json": {"loss": [1.0]},
         "final_loss": n if n % 2 else None}
        for n in range(length)
    )  # fmt: skip
    for order in ("created_at DESC", "final_loss", "host", "run_id"):
        for offset in (0, length // 2, length):
            with recorded(db) as statements:
                db.runs.query("batch_size is missing", order, None, offset)
            assert 1 <= len(statements) <= 3, statements
            assert "history" not in "".join(statements)
    with recorded(db) as statements:
        page = db.runs.page(None, "final_loss", length)
    assert len(statements) <= 3
    assert len(page.items) == length
    for ask in (db.objectives.query, db.scaffolds.query, db.statistics.by_method):
        with recorded(db) as statements:
            ask()
        assert len(statements) <= 3


def test_history_is_fetched_when_it_is_asked_for_and_once(
    db: TrainingDB, recorded: Recorder
) -> None:
    db.runs.insert("r1", history_json={"loss": [1.0]})
    with recorded(db) as statements:
        run = db.runs.get("r1")
        assert "history_json" not in run
        assert "run_history" not in "".join(statements)
        assert run["history_json"] == '{"loss":[1.0]}'
        fetching = len(statements)
        assert any("run_history_segments" in one for one in statements)
        assert run["history_json"] == '{"loss":[1.0]}'
    assert len(statements) == fetching


def test_runs_whose_old_time_is_no_time_are_paged_like_others(
    migrated_file: Path, tmp_path: Path
) -> None:
    # On SQLite only: PostgreSQL's column cannot hold such a text.
    with TrainingDB(shutil.copy(migrated_file, tmp_path / "old.db")) as db:
        for number in range(4):
            db.runs.insert(f"r{number}")
        with db.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE training_runs SET created_at = 'in May' WHERE run_id > 'r1'"
            )
        first = db.runs.page(limit=1)
        second = db.runs.page(limit=2, after=first.next)

    assert [run["run_id"] for run in first.items + second.items] == ["r3", "r2", "r1"]
    assert first.items[0]["created_at"] == "in May"
