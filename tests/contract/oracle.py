"""What a filter means, written a second time in plain Python."""

from __future__ import annotations

import math
import operator
import re
from functools import reduce
from typing import Any

from training_db.models import training_runs
from training_db.repository.filters import (
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

OPERATORS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
NOTHING = object()


def found_by(tree: Filter, run: dict[str, Any]) -> bool:
    """Tell whether a listing shows a run: one in the trash only where the filter speaks of that."""
    hidden = run.get("deleted_at") is not None and not names(tree, "deleted_at")
    return matches(tree, run) and not hidden


def names(tree: Filter, column: str) -> bool:
    match tree:
        case Not(part):
            return names(part, column)
        case And(parts) | Or(parts):
            return any(names(part, column) for part in parts)
    return tree.field == ColumnField(column)


def matches(tree: Filter, run: dict[str, Any], *, negated: bool = False) -> bool:
    """Tell whether a run matches.

    Args:
        tree: The filter.
        run: Columns by name, ``config`` and ``summary`` as dicts, ``objectives`` as a dict of
            name to statistics, ``metrics`` as a dict of name to the values logged, ``tags`` as a
            dict of name to value.
        negated: Whether a ``not`` stands in front, which turns each comparison into its opposite.
    """
    match tree:
        case Not(part):
            return matches(part, run, negated=not negated)
        case And(parts) | Or(parts):
            combine = all if isinstance(tree, And) != negated else any
            return combine(matches(part, run, negated=negated) for part in parts)
        case Compare(field, symbol, value):
            symbol = OPPOSITE[symbol] if negated else symbol
            value = as_compared(field, value)
            return any(compare(found, symbol, value) for found in values(field, run))
        case Among(field, given):
            found, wanted = values(field, run), tuple(as_compared(field, one) for one in given)
            if tree.negated == negated:
                return any(compare(one, "=", value) for one in found for value in wanted)
            return any(differs(one, wanted) for one in found)
        case Like(field, pattern):
            wanted = tree.negated == negated
            return any(isinstance(one, str) and like(one, pattern) == wanted
                       for one in values(field, run))  # fmt: skip
        case Missing(field):
            is_tag = isinstance(field, TagField)  # which is there without a value too
            there = any(is_tag or one is not None for one in values(field, run))
            return there == (tree.negated != negated)
    raise AssertionError(tree)


def as_compared(field: Field, value: Any) -> Any:
    """Return an integer as the float it is compared as, where the field holds floats."""
    is_float = isinstance(field, (ObjectiveField, MetricField)) or (
        isinstance(field, ColumnField)
        and field.name in training_runs.c
        and training_runs.c[field.name].type.python_type is float
    )
    if not is_float or isinstance(value, bool) or not isinstance(value, int):
        return value
    try:
        return float(value)
    except OverflowError:  # beyond every float there is, but no infinity to be asked for
        return value


def values(field: Field, run: dict[str, Any]) -> list[Any]:
    """Return what stands at each place that a field may mean, without the places not there."""
    if isinstance(field, ColumnField):
        return [run.get(field.name)]
    if isinstance(field, ObjectiveField):
        return [run.get("objectives", {}).get(field.name, {}).get(field.statistic)]
    if isinstance(field, MetricField):
        logged = run.get("metrics", {}).get(field.name)
        return [] if logged is None else [statistics(logged)[field.statistic]]
    if isinstance(field, TagField):
        tags = run.get("tags", {})
        return [tags[field.name]] if field.name in tags else []
    document = run.get({"config_json": "config", "final_metrics_json": "summary"}[field.column])
    assert isinstance(field, DocumentField)
    found = [at(document, path) for path in field.paths]
    return [one for one in found if one is not NOTHING]


def statistics(logged: list[float]) -> dict[str, float | None]:
    """Say what a metric came to."""
    finite = [value for value in logged if math.isfinite(value)]
    return {
        "first": logged[0],
        "last": logged[-1],
        "min": min(finite, default=None),
        "max": max(finite, default=None),
        # Rounding does not carry it past what it is the mean of.
        "mean": sorted([min(finite), reduce(operator.add, finite) / len(finite), max(finite)])[1]
        if finite
        else None,
    }


def at(node: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return NOTHING
        node = node[key]
    return node


def kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "flag"
    if isinstance(value, (int, float)):
        return "number"
    return "text" if isinstance(value, str) else None


def compare(found: Any, symbol: str, value: Any) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        assert symbol == "="
        return isinstance(found, float) and repr(found) == repr(value)
    if kind(found) != kind(value) or kind(found) is None:
        return False
    if isinstance(found, float) and not math.isfinite(found):
        return False
    return bool(OPERATORS[symbol](found, value))


def differs(found: Any, wanted: tuple[Any, ...]) -> bool:
    alike = [value for value in wanted if kind(value) == kind(found)]
    return bool(alike) and all(compare(found, "!=", value) for value in alike)


def like(text: str, pattern: str) -> bool:
    pieces, characters = [], iter(pattern)
    for one in characters:
        if one == "\\":
            pieces.append(re.escape(next(characters)))
        else:
            pieces.append({"%": ".*", "_": "."}.get(one, re.escape(one)))
    return re.fullmatch("".join(pieces), text, re.DOTALL) is not None
