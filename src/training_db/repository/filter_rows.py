"""Filters on what belongs to a run in other tables: its objectives, metrics and tags.

Such a field asks whether the run has a row that passes a test. That is looked up run by run, or
answered from the rows that pass; which of the two is short is told by
:mod:`training_db.repository.selectivity`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Select, and_, select, true

from training_db.documents import check_text
from training_db.errors import InvalidValue
from training_db.models import metric_names, run_metrics, run_objectives, run_tags, training_runs
from training_db.repository.filter_values import (
    Comparer,
    Condition,
    compare_real,
    compare_text,
)
from training_db.repository.filters import (
    Among,
    Compare,
    Filter,
    Like,
    MetricField,
    Missing,
    ObjectiveField,
    TagField,
)

MODES = ("min", "max")
"""The statistics of a metric that have an index."""
RowField = ObjectiveField | MetricField | TagField
_USUAL = 1e300
_ROUNDING = 1e-9  # of a mean, relatively: it may pass what it is the mean of by that much


@dataclass(frozen=True)
class Rows:
    """Rows of another table that belong to runs.

    Attributes:
        select: Selects their keys.
        key: The column by which they say whose they are.
        run: The column of ``training_runs`` that it refers to.
    """

    select: Select[Any]
    key: Any
    run: Any


Passes = Callable[[Rows], Condition]
"""Turns rows into the condition that a run has one of them."""


def is_among(rows: Rows) -> Condition:
    """Start from the rows."""
    return rows.run.in_(rows.select)  # type: ignore[no-any-return]


def exists(rows: Rows) -> Condition:
    """Start from the run, and look its rows up."""
    return rows.select.where(rows.key == rows.run).correlate(training_runs).exists()


def exists_apart(rows: Rows) -> Condition:
    """Look them up in the order in which they are asked for.

    An offset keeps PostgreSQL from weighing every order of the lookups, which takes the square of
    their number: 0.2 s for 20, and 44 s for 200.
    """
    return exists(Rows(rows.select.limit(1).offset(0), rows.key, rows.run))


def passing(field: RowField, test: Callable[[Any], Condition]) -> Rows:
    """Return the rows of a field whose value passes a test."""
    rows, column = _named(field)
    return Rows(rows.select.where(test(column)), rows.key, rows.run)


def present(field: RowField) -> Rows:
    """Return the rows of a field that has a value; a tag is there without one too."""
    return passing(
        field,
        lambda column: true() if isinstance(field, TagField) else column.is_not(None),
    )


def comparer(field: RowField) -> Comparer:
    """Return how the values of a field are compared."""
    match field:
        case ObjectiveField():
            return compare_real
        case MetricField():
            return _compare_statistic
        case TagField():
            return partial(_compare_tag, field.name)


def threshold_rows(tree: Filter, *, exact: bool = False) -> Select[Any] | None:
    """Return a short way to the runs that may pass a test; ``None`` where there is none.

    Args:
        tree: The test.
        exact: Whether to leave out those that do not. For a metric's last, first or mean the index
            tells only what its least or greatest value lets through.
    """
    match tree:
        case Compare(ObjectiveField() | MetricField() | TagField() as field, operator, value):
            is_bounded = isinstance(field, MetricField) and field.statistic not in MODES
            compare = within if is_bounded and not exact else comparer(field)
            return passing(field, lambda column: compare(column, operator, value)).select
        case (
            Missing(TagField() as field, negated=True)
            | Among(TagField() as field, negated=False)
            | Like(TagField() as field, negated=False)
        ):
            return present(field).select
    return None


def _named(field: RowField) -> tuple[Rows, Any]:
    run = training_runs.c
    match field:
        case ObjectiveField(name, statistic):
            of_objective = run_objectives.c
            named = of_objective.objective_name == check_text(name, "the objective's name")
            key = of_objective.run_id
            return Rows(select(key).where(named), key, run.run_id), of_objective[statistic]
        case MetricField(name, statistic):
            of_metric, names = run_metrics.c, metric_names.c
            asked = select(names.id).where(names.name == check_text(name, "the metric's name"))
            named, key = of_metric.metric_id == asked.scalar_subquery(), of_metric.run_number
            return Rows(select(key).where(named), key, run.number), of_metric[statistic]
        case TagField(name):
            of_tag = run_tags.c
            named, key = of_tag.name == check_text(name, "the tag's name"), of_tag.run_number
            return Rows(select(key).where(named), key, run.number), of_tag.value


def _compare_statistic(column: Any, operator: str, value: Any) -> Condition:
    compared = compare_real(column, operator, value)
    # The indexes of those two are of no use before the statement says what follows for them.
    return compared if column.name in MODES else and_(within(column, operator, value), compared)


def within(column: Any, operator: str, value: Any) -> Condition:
    """Say what follows for min and max, between which the other statistics of a metric lie.

    Args:
        column: A statistic of a metric.
        operator: How it compares.
        value: With what.
    """
    bounds = []
    if _is_usual(value):
        number = float(value)
        slack = abs(number) * _ROUNDING if column.name == "mean" else 0.0
        if operator in ("<", "<=", "="):
            at_most = "<" if operator == "<" and not slack else "<="
            bounds.append(compare_real(run_metrics.c.min, at_most, number + slack))
        if operator in (">", ">=", "="):
            at_least = ">" if operator == ">" and not slack else ">="
            bounds.append(compare_real(run_metrics.c.max, at_least, number - slack))
    return and_(true(), *bounds)


def _is_usual(value: Any) -> bool:
    """Tell whether it is a number that stays one with the slack added; NaN is not."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and abs(value) <= _USUAL


def _compare_tag(name: str, column: Any, operator: str, value: Any) -> Condition:
    if operator not in ("=", "!="):
        raise InvalidValue(
            f"tag.{name} cannot be compared by {operator}; use = != in like or is missing"
        )
    if not isinstance(value, str):
        raise InvalidValue(f"tag.{name} is text; put {value!r} in quotes")
    return compare_text(column, operator, value)
