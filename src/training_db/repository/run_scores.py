"""Numbers of runs as one table: objectives, metrics, columns, and places in their documents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
from sqlalchemy import select

from training_db.documents import decode
from training_db.errors import InvalidValue, UnknownName
from training_db.models import (
    METRIC_STATISTICS,
    OBJECTIVE_STATISTICS,
    metric_names,
    run_metrics,
    run_objectives,
    training_runs,
)
from training_db.repository.filter_sql import condition
from training_db.repository.filters import (
    COLUMNS,
    ColumnField,
    DocumentField,
    Field,
    Filter,
    MetricField,
    ObjectiveField,
    TagField,
    field,
)
from training_db.repository.metrics import metric_id
from training_db.repository.selectivity import finds_few

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import ColumnElement, Connection, Select

_RUN = training_runs.c
_PREFIXES = ("objective.", "metric.", "tag.", "config.", "summary.")
STATISTICS: Mapping[type[Field], tuple[str, ...]] = {
    ObjectiveField: OBJECTIVE_STATISTICS,
    MetricField: METRIC_STATISTICS,
}
"""Which numbers there are of an objective, and of a metric."""
_AT_ONCE, _MANY = 2_000, 20_000  # runs
_SUGGESTED = 1_000  # names among which a mistyped one is looked for


@dataclass(frozen=True, slots=True, eq=False)
class RunScores:
    """Numbers of runs.

    Attributes:
        run_ids: The runs, by their numbers.
        values: Shape (runs, names); NaN where a run has no such number.
    """

    run_ids: tuple[str, ...]
    values: NDArray[np.float64]


def score_field(connection: Connection, name: str, statistic: str | None = None) -> Field:
    """Say which number of a run a name means, see ``db.objectives.score_field``."""
    meant = _meant(connection, name)
    if statistic is not None and not isinstance(statistic, str):
        raise InvalidValue(f"the statistic {statistic!r} is no text")
    match meant:
        case ObjectiveField(objective) if not _has_objective(connection, objective):
            raise UnknownName("objective", objective, _objectives(connection))
        case MetricField(metric):
            metric_id(connection, metric)
        case ColumnField(column) if _kind(column) not in (int, float):
            raise InvalidValue(
                f"{column} is no number; name an objective, a metric or a column that is one"
            )
        case TagField(tag):
            raise InvalidValue(f"tag.{tag} is text; name an objective, a metric or a column")
    if isinstance(meant, (ObjectiveField, MetricField)):
        is_said = name != meant.name and name.endswith(f".{meant.statistic}")
        if statistic in STATISTICS[type(meant)] and not is_said:
            return replace(meant, statistic=statistic)
    return meant


def run_scores(connection: Connection, fields: Sequence[Field], tree: Filter) -> RunScores:
    """Read numbers of the runs that match.

    Args:
        connection: A connection inside a transaction.
        fields: As :func:`score_field` returns them.
        tree: The filter.
    """
    matches = condition(tree, few=finds_few(connection, tree))
    runs = connection.execute(
        select(_RUN.number, _RUN.run_id).where(matches).order_by(_RUN.number)
    ).all()
    values = np.full((len(runs), len(fields)), np.nan)
    by_number = {number: place for place, (number, _) in enumerate(runs)}
    by_id = {run_id: place for place, (_, run_id) in enumerate(runs)}
    for index, one in enumerate(fields):
        places: Mapping[Any, int] = by_id if isinstance(one, ObjectiveField) else by_number
        for key, number in _numbers(connection, one, list(places)):
            place = places.get(key)
            if place is not None:  # of a run that matches
                values[place, index] = number
    return RunScores(tuple(by_id), values)


def plain_number(value: Any) -> float:
    """Return a number as a float, and NaN for all else, bools and endless integers among it."""
    if value.__class__ is float:
        return float(value)
    if value.__class__ is not int:
        return np.nan
    try:
        return float(value)
    except OverflowError:
        return np.nan


def value_at(text: str | None, paths: Iterable[tuple[str, ...]]) -> Any:
    """Return what a document has at the first of some paths that it has; ``None`` for nothing.

    Args:
        text: The document, as JSON.
        paths: As a :class:`~training_db.repository.filters.DocumentField` has them.

    Example:
        >>> value_at('{"optimizer": {"lr": 0.1}}', [("optimizer", "lr")])
        0.1
    """
    try:
        document = decode(text or "{}")
    except InvalidValue:  # a row of somebody else
        return None
    for path in paths:
        node = document
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        if node is not None:
            return node
    return None


def _numbers(
    connection: Connection, one: Field, keys: Sequence[Any]
) -> Iterator[tuple[Any, float]]:
    """Go through the numbers of some runs at least, by the ids or numbers of the runs.

    Where they are many, those of all runs come out of an index in less time than the filter takes
    once more: 100,000 runs took 4 s with it, and 1 s without.
    """
    statement, key = _statement(one)
    parts = [statement]
    if len(keys) <= _MANY:
        starts = range(0, len(keys), _AT_ONCE)
        parts = [statement.where(key.in_(keys[at : at + _AT_ONCE])) for at in starts]
    for part in parts:
        for rows in connection.execute(part).partitions(_AT_ONCE):
            for whose, value in rows:
                found = value_at(value, one.paths) if isinstance(one, DocumentField) else value
                yield whose, plain_number(found)


def _statement(one: Field) -> tuple[Select[Any], ColumnElement[Any]]:
    """Select the numbers of all runs, and say by which column they tell whose they are."""
    objective, metric = run_objectives.c, run_metrics.c
    match one:
        case ObjectiveField(name, statistic):
            named = objective.objective_name == name
            return select(objective.run_id, objective[statistic]).where(named), objective.run_id
        case MetricField(name, statistic):
            known = select(metric_names.c.id).where(metric_names.c.name == name)
            named = metric.metric_id == known.scalar_subquery()
            return select(metric.run_number, metric[statistic]).where(named), metric.run_number
        case ColumnField(name) | DocumentField(name):
            return select(_RUN.number, _RUN[name]).where(_RUN[name].is_not(None)), _RUN.number
        case TagField(name):
            raise InvalidValue(f"tag.{name} is text; name an objective, a metric or a column")
        case _:
            assert_never(one)


def _meant(connection: Connection, name: str) -> Field:
    if _has_objective(connection, name):
        return ObjectiveField(name)
    if name in COLUMNS or name.startswith(_PREFIXES):
        return field(name)
    metric = metric_names.c.name
    if not _is_there(connection, metric, name):
        known = [*_objectives(connection), *_names(connection, metric)]
        raise UnknownName("objective or metric", name, known)
    return MetricField(name)


def _kind(column: str) -> type | None:
    return None if column not in _RUN else _RUN[column].type.python_type


def _has_objective(connection: Connection, name: str) -> bool:
    return _is_there(connection, run_objectives.c.objective_name, name)


def _objectives(connection: Connection) -> list[str]:
    return _names(connection, run_objectives.c.objective_name)


def _is_there(connection: Connection, column: ColumnElement[str], name: str) -> bool:
    return connection.execute(select(column).where(column == name).limit(1)).first() is not None


def _names(connection: Connection, column: ColumnElement[str]) -> list[str]:
    statement = select(column).distinct().order_by(column).limit(_SUGGESTED)
    return list(connection.execute(statement).scalars())
