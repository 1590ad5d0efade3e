"""Dicts and thresholds as filter trees, and what is refused; the contract says what they find."""

from __future__ import annotations

import math
from typing import Any

import pytest

from training_db.errors import InvalidInput, InvalidValue, UnknownName
from training_db.repository.filter_sql import condition
from training_db.repository.filters import (
    And,
    ColumnField,
    Compare,
    Filter,
    Like,
    ObjectiveField,
    as_filter,
    from_mapping,
)
from training_db.repository.listing import Cursor, Order
from training_db.repository.thresholds import from_thresholds

QED = ObjectiveField("QED")


@pytest.mark.parametrize(
    ("threshold", "tests"),
    [
        (0.6, [Compare(QED, ">=", 0.6)]),
        (1, [Compare(QED, ">=", 1)]),
        (("<", 3.5), [Compare(QED, "<", 3.5)]),
        (["=", 3.5], [Compare(QED, "=", 3.5)]),
        ({"min": 0.1, "max": 0.9}, [Compare(QED, ">=", 0.1), Compare(QED, "<=", 0.9)]),
        ({"min_raw_std": 1}, [Compare(ObjectiveField("QED", "raw_std"), ">=", 1)]),
        (
            {"max_normalized_mean": 1},
            [Compare(ObjectiveField("QED", "normalized_mean"), "<=", 1)],
        ),
        ({"raw_mean": 0.5}, [Compare(QED, "=", 0.5)]),
        ({}, []),
    ],
)
def test_a_threshold_has_one_meaning(threshold: object, tests: list[Filter]) -> None:
    assert from_thresholds({"QED": threshold}) == And(tuple(tests))


@pytest.mark.parametrize(
    "threshold", ["0.6", True, None, (), (">",), (">", 1, 2), object(), {"min": "high"}]
)
def test_a_threshold_that_is_none_names_its_objective(threshold: object) -> None:
    with pytest.raises(InvalidInput, match=r"QED|raw_mean"):
        condition(from_thresholds({"QED": threshold}))


@pytest.mark.parametrize("thresholds", [["QED"], "QED > 0.5", 0.6])
def test_thresholds_are_a_mapping(thresholds: Any) -> None:
    with pytest.raises(InvalidValue, match="mapping of objective"):
        from_thresholds(thresholds)


@pytest.mark.parametrize("bound", ["minimum", "min_median", "lt", 5])
def test_a_bound_that_does_not_exist_is_named_with_those_that_do(bound: Any) -> None:
    with pytest.raises(UnknownName, match="min_raw_mean"):
        from_thresholds({"QED": {bound: 1}})


@pytest.mark.parametrize("operator", ["==", "like", "; drop", None])
def test_an_operator_that_does_not_exist_is_named_with_those_that_do(operator: Any) -> None:
    with pytest.raises(UnknownName, match="<="):
        from_thresholds({"QED": (operator, 1)})
    with pytest.raises(UnknownName, match="<="):
        condition(Compare(ColumnField("host"), operator, "a"))


@pytest.mark.parametrize(
    "name",
    [
        "colour",
        "min_colour",
        "max_",
        "has_",
        "has_soul",
        "metrics.loss",
        "created_at; --",
        "",
        "id",
    ],
)
def test_a_filter_that_does_not_exist_is_named_with_those_that_do(name: str) -> None:
    with pytest.raises(UnknownName) as caught:
        from_mapping({name: 1})
    assert "gradient_method" in str(caught.value)
    assert repr(name) in str(caught.value)


def test_a_filter_name_is_text() -> None:
    with pytest.raises(InvalidValue, match="5"):
        from_mapping({5: 1})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "filters",
    [
        {"batch_size": "8"},
        {"batch_size": True},
        {"min_batch_size": math.nan},
        {"max_learning_rate": math.inf},
        {"learning_rate": [0.1, "x"]},
        {"host": 5},
        {"min_host": None, "host": b"a"},
        {"created_after": "yesterday"},
        {"created_before": True},
        {"mixed_precision": "yes"},
        {"min_mixed_precision": True},
        {"has_blog_post": 1},
        {"min_duration_hours": "two"},
        {"min_duration_hours": True},
        {"config_json": "{}"},
        {"history_json": "{}"},
        {"config.x": {"a": 1}},
        {"config.x": [[1]]},
        {"config.x": object()},
        {"host": "a\x00"},
        {"host": "\ud800"},
        {"config.x": "a\x00"},
        {"config.x\x00": 1},
        {"objective.QED\x00": 1},
        "batch_size = 'large'",
        "host = 5",
        "status like 5",
        "batch_size like '1%'",
        "objective.QED like '1%'",
        "objective.QED = 'high'",
        "metric.loss = 'low'",
        "metric.loss > true",
        "metric.loss.min like '1%'",
        "metric.loss.last < nan",
        "metric.loss.mean != inf",
        "tag.paper > 'a'",
        "tag.paper <= 'a'",
        "tag.paper = 5",
        "tag.paper in ('a', 5)",
        "history_json = 'x'",
        "history_json like 'x'",
        {"metric.a\x00": 1},
        {"tag.a\x00": "x"},
        {"tag.a": "x\x00"},
        "host like 'a\\'",
        "final_loss > inf",
        "final_loss != nan",
        "config.x < nan",
        "config.x != inf",
        "config.x not in (nan)",
        "created_at > 'soon'",
        "mixed_precision > false",
        Like(ColumnField("host"), 5),  # type: ignore[arg-type]
    ],
    ids=lambda asked: str(asked)[:30],
)
def test_a_value_that_a_field_cannot_be_compared_with_is_refused(filters: Any) -> None:
    with pytest.raises(InvalidInput):
        condition(as_filter(filters))


@pytest.mark.parametrize(
    "filters",
    [{"batch_size": 10**400}, {"learning_rate": -(10**400)}, {"config.x": 10**400},
     {"objective.QED": 10**400}, {"min_duration_hours": 1e308}, {"min_duration_hours": 10**400},
     {"config.x": 10**5000}, {"batch_size": 10**5000}],
    ids=["integer", "real", "config", "objective", "hours", "more hours", "digits", "more digits"],
)  # fmt: skip
def test_a_number_beyond_all_bounds_is_compared_or_refused(filters: dict[str, Any]) -> None:
    try:
        condition(as_filter(filters))
    except InvalidInput as error:
        assert len(str(error)) < 1000  # noqa: PT017 - to compare and to refuse are both right


@pytest.mark.parametrize("status", ["done", "", "COMPLETED", "failed "])
def test_an_unknown_status_is_named_with_those_that_exist(status: str) -> None:
    with pytest.raises(UnknownName, match="launched, running, completed, failed, crashed"):
        condition(as_filter({"status": status}))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("created_at", Order("created_at", descending=False)),
        ("created_at DESC", Order("created_at", descending=True)),
        (" final_loss   asc ", Order("final_loss", descending=False)),
    ],
)
def test_an_order_is_a_column_and_a_direction(text: str, order: Order) -> None:
    assert Order.parse(text) == order
    assert Order.parse(str(order)) == order


def test_a_cursor_comes_back_as_it_was() -> None:
    cursor = Cursor(Order("final_loss", descending=True), 0.25, 'run "ü" 1')
    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize("text", ["", "abc", "é", "W10=", "bnVsbA==", "WzEsMiwzXQ==", 5, None])
def test_a_cursor_of_someone_else_is_refused(text: Any) -> None:
    with pytest.raises(InvalidInput, match="is no cursor"):
        Cursor.decode(text)
