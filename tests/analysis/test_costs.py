"""Compute hours, costs, and runs without a blog post, on both backends."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from training_db.analysis.comparison.costs import costs_of
from training_db.cli.analyze_costs import read_prices
from training_db.errors import InvalidValue, UnknownName, UnreadableSource

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

PRICES = {"p4d.24xlarge": 32.0, "g5.xlarge": 1.0}


def test_hours_are_added_up_and_priced_by_instance_type(db: TrainingDB) -> None:
    types = {"a": "p4d.24xlarge", "b": "p4d.24xlarge", "c": "g5.xlarge", "d": "trn1"}
    for run_id, name in types.items():
        db.runs.insert(run_id, status="completed", duration_seconds=5400)
        db.tags.add(run_id, "instance_type", name)
    db.runs.insert("e", status="crashed", duration_seconds=3600)
    found = db.analysis.costs(PRICES)
    shown = [(one.instance_type, one.runs, one.hours, one.cost) for one in found.types]
    assert shown == [
        ("p4d.24xlarge", 2, 3.0, 96.0), ("g5.xlarge", 1, 1.5, 1.5), ("trn1", 1, 1.5, None),
        (None, 1, 1.0, None),
    ]  # fmt: skip
    assert (found.hours, found.cost, found.unpriced_hours) == (7.0, 97.5, 2.5)
    assert found.types[2].price is None
    json.dumps(found.as_dict())


@pytest.mark.parametrize("place", ["tag", "config", "nested config", "summary"])
def test_a_run_may_say_its_instance_type_in_several_places(db: TrainingDB, place: str) -> None:
    said: dict[str, Any] = {
        "config": {"config": {"instance_type": "g5.xlarge"}},
        "nested config": {"config": {"compute": {"instance_type": "g5.xlarge"}}},
        "summary": {"summary": {"instance_type": "g5.xlarge"}},
    }.get(place, {"config": {"instance_type": "another, by an older config"}})
    db.runs.insert("a", status="completed", duration_seconds=3600, **said)
    if place == "tag":
        db.tags.add("a", "instance_type", "g5.xlarge")
    assert db.analysis.costs(PRICES).cost == 1.0


def test_the_user_may_say_where_the_type_stands(db: TrainingDB) -> None:
    db.runs.insert("a", status="completed", duration_seconds=3600, host="g5.xlarge")
    db.runs.insert("b", status="completed", duration_seconds=3600, config={"node": "p4d.24xlarge"})
    assert db.analysis.costs(PRICES, by="host").cost == 1.0
    assert db.analysis.costs(PRICES, by=["config.node", "host"]).cost == 33.0
    assert db.analysis.costs(PRICES, "host = 'g5.xlarge'", by="host").hours == 1.0
    with pytest.raises(UnknownName):
        db.analysis.costs(PRICES, by="instance")


def test_a_run_that_ended_without_a_duration_took_from_start_to_end(db: TrainingDB) -> None:
    db.runs.insert(
        "a", status="failed", started_at="2024-01-01T00:00:00Z", ended_at="2024-01-01T02:00:00Z"
    )
    db.runs.insert(
        "b", status="completed", duration_seconds=-1,
        started_at="2024-01-01T00:00:00Z", ended_at="2024-01-01T03:00:00Z",
    )  # fmt: skip
    (one,) = db.analysis.costs({}).types
    assert (one.runs, one.hours, one.running, one.unknown) == (2, 5.0, 0, 0)


def test_a_run_at_work_counts_until_now(db: TrainingDB) -> None:
    began = datetime.now(UTC) - timedelta(hours=3)
    db.runs.insert("a", status="running", started_at=began)
    db.runs.insert("b", status="running", started_at=began, heartbeat_at=datetime.now(UTC))
    (one,) = db.analysis.costs({}).types
    assert (one.runs, one.running) == (2, 2)
    assert one.hours == pytest.approx(6.0, abs=0.1)


def test_a_run_whose_heart_stopped_counts_until_then(db: TrainingDB) -> None:
    began = datetime.now(UTC) - timedelta(hours=300)
    db.runs.insert(
        "a", status="running", started_at=began, heartbeat_at=began + timedelta(hours=1),
        duration_seconds=5,
    )  # fmt: skip
    (one,) = db.analysis.costs({}).types
    assert one.hours == pytest.approx(1.0)


def test_runs_that_do_not_say_how_long_are_counted_apart(db: TrainingDB) -> None:
    db.runs.insert("never began")
    db.runs.insert("no times", status="completed")
    db.runs.insert(
        "before it began", status="failed", started_at="2024-01-02", ended_at="2024-01-01"
    )
    db.runs.insert("known", status="completed", duration_seconds=3600)
    (one,) = db.analysis.costs({}).types
    assert (one.runs, one.unknown, one.running, one.hours) == (4, 3, 0, 1.0)


@pytest.mark.parametrize("price", [-1, math.nan, math.inf, "3", None, True, 10**400])
def test_a_price_is_a_number_from_nothing_on(price: Any) -> None:
    with pytest.raises(InvalidValue, match=r"the price of 'g5\.xlarge'"):
        costs_of([], {"g5.xlarge": price})


@pytest.mark.parametrize("prices", [5, [("p4d", 1.0)], "p4d"])
def test_prices_are_a_mapping(prices: Any) -> None:
    with pytest.raises(InvalidValue, match="by type"):
        costs_of([], prices)


def test_a_start_that_is_no_time_is_not_known(db: TrainingDB) -> None:
    db.runs.insert("a", status="failed", ended_at="2024-01-01T02:00:00Z")
    if db.url.get_backend_name() == "sqlite":  # a row of somebody else
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE training_runs SET started_at = 'yesterday'")
    (one,) = db.analysis.costs({}).types
    assert (one.runs, one.unknown, one.hours) == (1, 1, 0.0)


def test_a_price_has_a_name() -> None:
    with pytest.raises(InvalidValue, match="the price of 3"):
        costs_of([], {3: 1.0})  # type: ignore[dict-item]


def test_an_empty_database_costs_nothing(db: TrainingDB) -> None:
    found = db.analysis.costs(PRICES)
    assert (found.types, found.hours, found.cost) == ((), 0, 0)


def test_runs_without_a_blog_post_are_listed_newest_first(db: TrainingDB) -> None:
    for run_id, created in {"a": "2024-01-01", "b": "2024-01-03", "c": "2024-01-02"}.items():
        db.runs.insert(run_id, created_at=created, status="completed", ended_at="2024-02-01")
    db.runs.update("c", blog_post_url="https://example.org/c")
    db.runs.insert("d", created_at="2024-01-04", run_name="the trashed one")
    db.runs.delete("d")
    found = db.analysis.without_blog_post()
    assert [run["run_id"] for run in found] == ["b", "a"]
    assert found[1] == {
        "run_id": "a", "number": 1, "run_name": None, "status": "completed",
        "ended_at": "2024-02-01T00:00:00.000000Z",
    }  # fmt: skip
    assert db.analysis.without_blog_post("status = 'running'") == []


@pytest.mark.parametrize(
    "text",
    [
        '{"p4d": 32.5}', "p4d,32.5,8", "instance_type,price\np4d,32.5\n", "p4d, 32.5 ,USD\n\n",
        "\ufeffp4d,32.5\r\n", 'type,price\n"p4d",3.25e1',
    ],
)  # fmt: skip
def test_prices_are_read_as_people_write_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prices"
    path.write_text(text, encoding="utf-8")
    assert read_prices(path) == {"p4d": 32.5}


@pytest.mark.parametrize(
    "text",
    ['{"p4d": ', None, b"\xff\xfe", '{"a":' * 10**5, '"' + "p" * 140_000 + '",1'],
    ids=range(5),
)
def test_prices_that_cannot_be_read_are_an_error_of_ours(
    tmp_path: Path, text: str | bytes | None
) -> None:
    path = tmp_path / "prices"
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UnreadableSource, match="price"):
        read_prices(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p4d\n", "line 1 of .* is 'p4d': it has no price; write .* as p4d.24xlarge,32.77"),
        (",3.5\n", "line 1 .*: it has no type"),
        ("type,price\np4d,1.0\n\ng5,much\n", "line 4 .*: the price 'much' is no number; write"),
        ("a,b\np4d,much\n", "line 1 .*: the price 'b' is no number"),
        ("p4d,3o.5\ng5,1.0\n", "line 1 .*: the price '3o.5' is no number"),
        ("p4d,nan\ng5,1.0\n", "line 1 .*: the price 'nan' is no number from 0 on"),
        ("p4d,1.0\ng5,-1\n", "line 2 .*: the price '-1' is no number from 0 on"),
        ("p4d;32,77\n", "line 1 of .* is 'p4d;32,77': it has a semicolon; write"),
        ("type;price\np4d;32.77\n", "line 1 .*: it has a semicolon"),
        ("p4d,32,77\n", "line 1 .*: '32,77' may be one number or two"),
        ('p4d,"32,77"\n', "line 1 .*: the price '32,77' is no number"),
        ("type,price\n", "line 1 .*: the price 'price' is no number"),
        ("p4d,1\ng5,2\np4d,3\n", "line 3 .* is 'p4d,3': 'p4d' has a price already"),
        ('{"p4d": 1, "p4d": 3}', "have 'p4d' twice"),
        ("\n \n", "there are no prices in .*; write a type and what an hour costs"),
        ("", "there are no prices in"),
        ("{}", "there are no prices in"),
    ],
    ids=repr,
)
def test_prices_with_a_fault_are_refused_by_line_and_value(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "prices"
    path.write_text(text)
    with pytest.raises(InvalidValue, match=said):
        read_prices(path)
