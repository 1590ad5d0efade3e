"""A filter tree as a SQL condition that finds the same rows on both backends.

A comparison is true or it is not: a value that is missing, not finite or of another type matches
neither a comparison nor its negation. So ``not`` is pushed down to the comparisons, where it turns
each into its opposite, and no condition depends on how SQL treats NULL.
"""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from sqlalchemy import and_, false, or_, select

from training_db.documents import check_text, stored_key
from training_db.errors import FilterSyntaxError, InvalidValue, UnknownName
from training_db.models import run_metrics, training_runs
from training_db.models.conditions import JSONPath, text_like
from training_db.models.run import DOCUMENTS
from training_db.models.types import by_backend
from training_db.repository.filter_rows import (
    Passes,
    RowField,
    comparer,
    exists,
    exists_apart,
    is_among,
    passing,
    present,
)
from training_db.repository.filter_values import (
    COMPARERS,
    Comparer,
    Condition,
    checked_pattern,
    each,
    joined,
    scalar,
)
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
    MetricField,
    Missing,
    Not,
    ObjectiveField,
    Or,
    TagField,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLANNED = 8  # lookups in other tables whose order is left to PostgreSQL
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
_JSON_COLUMNS = {*DOCUMENT_COLUMNS.values(), "history_json"}
_DEEPEST = 20
_DELETED = ColumnField("deleted_at")


def condition(tree: Filter, *, few: bool = False) -> Condition:
    """Write a filter as SQL over ``training_runs``.

    Runs in the trash match nothing but a filter that names ``deleted_at``.

    Args:
        tree: The filter.
        few: Whether few runs pass one of its thresholds on objectives, metrics or tags. The
            condition then starts from those, by an index, instead of looking each run up there.

    Returns:
        A condition whose values are all bound parameters.

    Raises:
        InvalidValue: A value cannot be compared with its field.
    """
    _check_depth(tree)
    fields = list(_fields(tree))
    lookups = sum(isinstance(field, RowField) for field in fields)
    looked_up = exists if lookups <= _PLANNED else exists_apart
    asked = _condition(tree, is_among if few else looked_up, negated=False)
    return asked if _DELETED in fields else and_(asked, _is_not_deleted())


def _is_not_deleted() -> Condition:
    # SQLite finds deleted_at behind the documents of a row, which it would read for it: a count of
    # 50,000 runs took 73 ms that way, and 5 ms by the index of the trash.
    other = training_runs.alias()
    trash = select(other.c.run_id).where(other.c.deleted_at.is_not(None))
    return by_backend(
        sqlite=training_runs.c.run_id.not_in(trash), postgresql=training_runs.c.deleted_at.is_(None)
    )


def _condition(tree: Filter, passes: Passes, *, negated: bool) -> Condition:
    match tree:
        case Not(part):
            return _condition(part, passes, negated=not negated)
        case And(parts) | Or(parts):
            conditions = [_condition(part, passes, negated=negated) for part in parts]
            return joined(conditions, every=isinstance(tree, And) != negated)
        case Compare(field, operator, value):
            if operator not in OPERATORS:
                raise UnknownName("operator", operator, OPERATORS)
            return _compare(field, _OPPOSITE[operator] if negated else operator, value, passes)
        case Among(field, values):
            return _among(field, values, passes, negated=tree.negated != negated)
        case Like(field, pattern):
            return _like(field, checked_pattern(pattern), passes, negated=tree.negated != negated)
        case Missing(field):
            return _missing(field, passes, negated=tree.negated != negated)
        case _:
            assert_never(tree)


def _fields(tree: Filter) -> Iterator[Field]:
    if isinstance(tree, Not):
        yield from _fields(tree.part)
    elif isinstance(tree, (And, Or)):
        for part in tree.parts:
            yield from _fields(part)
    else:
        yield tree.field


def _check_depth(tree: Filter, depth: int = 0) -> None:
    if depth > _DEEPEST:  # SQLite's parser has a small stack, and Python's own is not endless
        raise FilterSyntaxError(f"the filter is nested over {_DEEPEST} deep; use fewer parentheses")
    parts = (tree.part,) if isinstance(tree, Not) else getattr(tree, "parts", ())
    for part in parts:
        _check_depth(part, depth + 1)


def _compare(field: Field, operator: str, value: Any, passes: Passes) -> Condition:
    if isinstance(field, DocumentField):
        return or_(*(_json_compare(path, operator, value) for path in document_paths(field)))
    if isinstance(field, RowField):
        test = comparer(field)
        return passes(passing(field, lambda column: test(column, operator, value)))
    column, compare = _comparer(field)
    return compare(column, operator, value)


def _among(field: Field, values: tuple[Any, ...], passes: Passes, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        if negated:
            scalars = [scalar(value) for value in values]
            return or_(false(), *(path.differs(scalars) for path in document_paths(field)))
        equals = (_json_compare(path, "=", one) for path in document_paths(field) for one in values)
        return joined(equals, every=False)
    if isinstance(field, RowField):
        return passes(passing(field, partial(each, comparer(field), values, negated)))
    column, compare = _comparer(field)
    return each(compare, values, negated, column)


def _comparer(field: ColumnField) -> tuple[Any, Comparer]:
    if field.name in _JSON_COLUMNS:
        raise InvalidValue(
            f"{field.name} is a JSON document; compare a place in it, like config.optimizer.lr"
        )
    column = training_runs.c[field.name]
    return column, COMPARERS[column.type.python_type]


def _like(field: Field, pattern: str, passes: Passes, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        return or_(*(path.like(pattern, negated=negated) for path in document_paths(field)))
    if isinstance(field, TagField):
        return passes(passing(field, lambda text: text_like(text, pattern, negated=negated)))
    if isinstance(field, ColumnField) and field.name != "history_json":
        column = training_runs.c[field.name]
        if column.type.python_type is str:
            return text_like(column, pattern, negated=negated)
    raise InvalidValue(f"{_shown(field)} is no text; compare it with = < > instead of like")


def _missing(field: Field, passes: Passes, *, negated: bool) -> Condition:
    if isinstance(field, DocumentField):
        combine = or_ if negated else and_
        return combine(*(path.missing(negated=negated) for path in document_paths(field)))
    if isinstance(field, RowField) or field.name == "history_json":
        there = passes(present(field)) if isinstance(field, RowField) else _has_history()
        return there if negated else ~there
    column = training_runs.c[field.name]
    return column.is_not(None) if negated else column.is_(None)


def _has_history() -> Condition:
    run = training_runs.c
    of_run = select(run_metrics.c.metric_id).where(run_metrics.c.run_number == run.number)
    return or_(run.history_layout.is_not(None), of_run.correlate(training_runs).exists())


def _json_compare(path: JSONPath, operator: str, value: Any) -> Condition:
    if isinstance(value, float) and not math.isfinite(value):
        if operator != "=":
            raise InvalidValue(f"{value!r} can be asked for by = only")
        name = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return JSONPath(path.text, path.document, (*path.keys, "$float")).compare("=", name)
    return path.compare(operator, scalar(value))


def document_paths(field: DocumentField) -> list[JSONPath]:
    """Return the places where the value of a field may stand, best first."""
    column = training_runs.c[field.column]
    document = training_runs.c[DOCUMENTS[field.column]]
    for path in field.paths:
        for key in path:
            check_text(key, "the key")
    return [JSONPath(column, document, tuple(map(stored_key, path))) for path in field.paths]


def _shown(field: Field) -> str:
    match field:
        case ColumnField(name):
            return name
        case ObjectiveField(name, statistic):
            return f"objective.{name}.{statistic}"
        case MetricField(name, statistic):
            return f"metric.{name}.{statistic}"
    return "the field"
