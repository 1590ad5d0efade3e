"""A filter tree as a SQL condition that finds the same rows on both backends.

A comparison is true or it is not: a value that is missing, not finite or of another type matches
neither a comparison nor its negation. So ``not`` is pushed down to the comparisons, where it turns
each into its opposite, and no condition depends on how SQL treats NULL.
"""

from __future__ import annotations

import math
import operator as operators
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Select, and_, false, or_, select, true
from sqlalchemy.sql.elements import Grouping

from training_db.documents import LONGEST_INTEGER, check_text, stored_key
from training_db.errors import FilterSyntaxError, InvalidValue, UnknownName
from training_db.models import RunStatus, run_objectives, training_runs
from training_db.models.run import DOCUMENTS
from training_db.models.types import LARGEST, SMALLEST, JSONPath, by_backend, text_like
from training_db.repository.filters import (
    DOCUMENT_COLUMNS,
    OPERATORS,
    Among,
    And,
    ColumnField,
    Compare,
    DocumentField,
    Field,
    Filter,
    Like,
    Missing,
    Not,
    ObjectiveField,
    Or,
)
from training_db.timestamps import parse_timestamp

Condition = ColumnElement[bool]
Comparer = Callable[[Any, str, Any], Condition]
Passes = Callable[[Select[Any]], Condition]
"""Turns the runs that have an objective of some kind into a condition on the run."""

LONGEST_PATTERN = 10_000
_PLANNED = 8  # lookups of objectives whose order is left to PostgreSQL
_PYTHON_OPERATORS = {
    "=": operators.eq,
    "!=": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_JSON_COLUMNS = {*DOCUMENT_COLUMNS.values(), "history_json"}
_WIDEST, _DEEPEST = 200, 20


def condition(tree: Filter, *, few: bool = False) -> Condition:
    """Write a filter as SQL over ``training_runs``.

    Args:
        tree: The filter.
        few: Whether few runs pass one of its objective thresholds. The condition then starts from
            those, by the objectives' index, instead of looking each run up there.

    Returns:
        A condition whose values are all bound parameters.

    Raises:
        InvalidValue: A value cannot be compared with its field.
    """
    _check_depth(tree)
    looked_up = _exists if _objective_tests(tree) <= _PLANNED else _exists_apart
    return _condition(tree, _is_among if few else looked_up, negated=False)


def _condition(tree: Filter, passes: Passes, *, negated: bool) -> Condition:
    match tree:
        case Not(part):
            return _condition(part, passes, negated=not negated)
        case And(parts) | Or(parts):
            conditions = [_condition(part, passes, negated=negated) for part in parts]
            return _joined(conditions, every=isinstance(tree, And) != negated)
        case Compare(field, operator, value):
            if operator not in OPERATORS:
                raise UnknownName("operator", operator, OPERATORS)
            return _compare(field, _OPPOSITE[operator] if negated else operator, value, passes)
        case Among(field, values):
            return _among(field, values, passes, negated=tree.negated != negated)
        case Like(field, pattern):
            return _like(field, _checked_pattern(pattern), negated=tree.negated != negated)
        case Missing(field):
            return _missing(field, passes, negated=tree.negated != negated)
        case _:
            assert_never(tree)


def _check_depth(tree: Filter, depth: int = 0) -> None:
    if depth > _DEEPEST:  # SQLite's parser has a small stack, and Python's own is not endless
        raise FilterSyntaxError(f"the filter is nested over {_DEEPEST} deep; use fewer parentheses")
    parts = (tree.part,) if isinstance(tree, Not) else getattr(tree, "parts", ())
    for part in parts:
        _check_depth(part, depth + 1)


def _joined(conditions: Iterable[Condition], *, every: bool) -> Condition:
    """Join by AND or OR, in groups: SQLite refuses an expression of 1,000 parts in a row."""
    parts = list(conditions)
    while len(parts) > _WIDEST:
        starts = range(0, len(parts), _WIDEST)
        groups = (Grouping(_join(parts[at : at + _WIDEST], every=every)) for at in starts)
        # by_backend hides what is in a group from SQLAlchemy, which would take it out again.
        parts = [by_backend(sqlite=group, postgresql=group) for group in groups]
    return _join(parts, every=every)


def _join(parts: Iterable[Condition], *, every: bool) -> Condition:
    return and_(true(), *parts) if every else or_(false(), *parts)


def _compare(field: Field, operator: str, value: Any, passes: Passes) -> Condition:
    if isinstance(field, DocumentField):
        return or_(*(_json_compare(path, operator, value) for path in _paths(field)))
    if isinstance(field, ObjectiveField):
        return _of_objective(field, passes, lambda column: _compare_real(column, operator, value))
    column, compare = _comparer(field)
    return compare(column, operator, value)


def _among(field: Field, values: tuple[Any, ...], passes: Passes, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        if negated:
            scalars = [_scalar(value) for value in values]
            return or_(false(), *(path.differs(scalars) for path in _paths(field)))
        equals = (_json_compare(path, "=", one) for path in _paths(field) for one in values)
        return _joined(equals, every=False)
    if isinstance(field, ObjectiveField):
        return _of_objective(field, passes, partial(_each, _compare_real, values, negated))
    column, compare = _comparer(field)
    return _each(compare, values, negated, column)


def _comparer(field: ColumnField) -> tuple[Any, Comparer]:
    if field.name in _JSON_COLUMNS:
        raise InvalidValue(
            f"{field.name} is a JSON document; compare a place in it, like config.optimizer.lr"
        )
    column = training_runs.c[field.name]
    return column, _COMPARERS[column.type.python_type]


def _each(
    compare: Comparer,
    values: tuple[Any, ...],
    negated: bool,
    column: Any,
) -> Condition:
    if negated:
        differs = (compare(column, "!=", value) for value in values)
        return and_(column.is_not(None), _joined(differs, every=True))
    return _joined((compare(column, "=", value) for value in values), every=False)


def _like(field: Field, pattern: str, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        return or_(*(path.like(pattern, negated=negated) for path in _paths(field)))
    if isinstance(field, ColumnField):
        column = training_runs.c[field.name]
        if column.type.python_type is str:
            return text_like(column, pattern, negated=negated)
    raise InvalidValue(f"{_shown(field)} is no text; compare it with = < > instead of like")


def _missing(field: Field, passes: Passes, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        combine = or_ if negated else and_
        return combine(*(path.missing(negated=negated) for path in _paths(field)))
    if isinstance(field, ObjectiveField):
        there = _of_objective(field, passes, lambda column: column.is_not(None))
        return there if negated else ~there
    column = training_runs.c[field.name]
    return column.is_not(None) if negated else column.is_(None)


def objective_rows(tree: Compare) -> Select[Any] | None:
    """Return the ids of the runs that pass a threshold, or ``None`` where it is of no objective."""
    if not isinstance(tree.field, ObjectiveField):
        return None
    column = run_objectives.c[tree.field.statistic]
    return _objective_rows(tree.field, _compare_real(column, tree.operator, tree.value))


def _of_objective(
    field: ObjectiveField, passes: Passes, test: Callable[[Any], Condition]
) -> Condition:
    return passes(_objective_rows(field, test(run_objectives.c[field.statistic])))


def _is_among(rows: Select[Any]) -> Condition:
    return training_runs.c.run_id.in_(rows)


def _exists(rows: Select[Any]) -> Condition:
    of_run = rows.where(run_objectives.c.run_id == training_runs.c.run_id)
    return of_run.correlate(training_runs).exists()


def _exists_apart(rows: Select[Any]) -> Condition:
    # An offset keeps PostgreSQL from weighing every order of the lookups, which takes the square
    # of their number: 0.2 s for 20, and 44 s for 200.
    return _exists(rows.limit(1).offset(0))


def _objective_tests(tree: Filter) -> int:
    if isinstance(tree, (And, Or)):
        return sum(map(_objective_tests, tree.parts))
    if isinstance(tree, Not):
        return _objective_tests(tree.part)
    return isinstance(tree.field, ObjectiveField)


def _objective_rows(field: ObjectiveField, test: Condition) -> Select[Any]:
    name = check_text(field.name, "the objective's name")
    rows = select(run_objectives.c.run_id)
    return rows.where(run_objectives.c.objective_name == name, test)


def _compare_integer(column: Any, operator: str, value: Any) -> Condition:
    """Compare exactly, also with fractions and with what no 64-bit integer can hold."""
    number = _finite(column.name, value)
    low, high = math.floor(number), math.ceil(number)
    if operator in ("=", "!="):
        equal = column == low if low == high and SMALLEST <= low <= LARGEST else false()
        return equal if operator == "=" else and_(column.is_not(None), ~equal)
    bound = low if operator in (">", "<=") else high
    if bound > LARGEST or bound < SMALLEST:
        always = (bound > LARGEST) == (operator in ("<", "<="))
        return column.is_not(None) if always else false()
    return _applied(column, operator, bound)


def _compare_real(column: Any, operator: str, value: Any) -> Condition:
    if operator == "=" and isinstance(value, float) and not math.isfinite(value):
        return _applied(column, "=", value)
    number = _finite(column.name, value)
    try:
        number = float(number)
    except OverflowError:
        number = math.inf if number > 0 else -math.inf
    compared = _applied(column, operator, number)
    # NaN sorts above every number on both backends, and infinity is no result to be found by one.
    match operator:
        case "=":
            return compared if math.isfinite(number) else false()
        case ">" | ">=":
            return and_(compared, column < math.inf)
        case _:
            return and_(compared, column > -math.inf, column < math.inf)


def _compare_flag(column: Any, operator: str, value: Any) -> Condition:
    if operator not in ("=", "!=") or not isinstance(value, int) or value not in (0, 1):
        raise InvalidValue(f"{column.name} is true or false; {operator} {value!r} cannot be asked")
    return _applied(column, "=", bool(value) == (operator == "="))


def _compare_text(column: Any, operator: str, value: Any) -> Condition:
    if column.name == "status" and value not in list(RunStatus):
        raise UnknownName("status", value, list(RunStatus))
    if not isinstance(value, str):
        raise InvalidValue(f"{column.name} is text; put {value!r} in quotes")
    return _applied(column, operator, check_text(str(value), column.name))


def _compare_moment(column: Any, operator: str, value: Any) -> Condition:
    return _applied(column, operator, parse_timestamp(value, column.name))


_COMPARERS: dict[type, Comparer] = {
    int: _compare_integer,
    float: _compare_real,
    bool: _compare_flag,
    str: _compare_text,
    datetime: _compare_moment,
}


def _applied(column: Any, operator: str, value: Any) -> Condition:
    return _PYTHON_OPERATORS[operator](column, value)  # type: ignore[no-any-return]


def _finite(name: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidValue(f"{name} is a number and cannot be compared with {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidValue(f"{name} cannot be compared with {value!r}; only = can ask for it")
    return value


def _json_compare(path: JSONPath, operator: str, value: Any) -> Condition:
    if isinstance(value, float) and not math.isfinite(value):
        if operator != "=":
            raise InvalidValue(f"{value!r} can be asked for by = only")
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return JSONPath(path.text, path.document, (*path.keys, "$float")).compare("=", name)
    return path.compare(operator, _scalar(value))


def _scalar(value: Any) -> bool | int | float | str:
    if isinstance(value, str):
        return check_text(str(value), "the value")
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= LONGEST_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    raise InvalidValue(f"{_short(value)} is no number, text, true or false to compare with")


def _short(value: object) -> str:
    return "an integer of that length" if isinstance(value, int) else repr(value)[:80]


def _paths(field: DocumentField) -> list[JSONPath]:
    column = training_runs.c[field.column]
    document = training_runs.c[DOCUMENTS[field.column]]
    for path in field.paths:
        for key in path:
            check_text(key, "the key")
    return [JSONPath(column, document, tuple(map(stored_key, path))) for path in field.paths]


def _checked_pattern(pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise InvalidValue(f"the pattern {pattern!r} is no text")
    if len(pattern) > LONGEST_PATTERN:
        raise InvalidValue(
            f"a pattern of {len(pattern):,} characters; {LONGEST_PATTERN:,} can be matched"
        )
    trailing = len(pattern) - len(pattern.rstrip("\\"))
    if trailing % 2:
        raise InvalidValue(f"the pattern {pattern!r} ends in a lone backslash; double it")
    return check_text(pattern, "the pattern")


def _shown(field: ColumnField | ObjectiveField) -> str:
    if isinstance(field, ColumnField):
        return field.name
    return f"objective.{field.name}.{field.statistic}"
