"""Filters as a tree: what callers ask for, before it is SQL.

A tree comes out of a dict (:func:`from_mapping`) or a text
(:func:`training_db.repository.filter_language.parse`), and goes into
:func:`training_db.repository.filter_sql.condition`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training_db.errors import InvalidValue, UnknownName
from training_db.models import METRIC_STATISTICS, OBJECTIVE_STATISTICS, training_runs

_HIDDEN = {"history_layout"}
COLUMNS = (
    *(
        column.name
        for column in training_runs.c
        if column.computed is None and column.name not in _HIDDEN
    ),
    "history_json",
)
"""What a run has by name. ``history_json`` is put together when it is asked for."""
ATTACHMENTS = {
    "blog_post": ("blog_post_url",),
    "conversation": ("conversation_s3_key",),
    "crash_report": ("crash_report_s3_key",),
    "error_log": ("error_log_s3_key",),
    "crash_analysis": ("crash_analysis_s3_key",),
    "crash_data": ("crash_report_s3_key", "error_log_s3_key", "crash_analysis_s3_key"),
}
DOCUMENT_COLUMNS = {"config": "config_json", "summary": "final_metrics_json"}
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")
SECONDS_AN_HOUR = 3600
LONGEST_LIST = 10_000
_SHORTHANDS = ("min_duration_hours", "created_after", "created_before")


@dataclass(frozen=True)
class ColumnField:
    """A column of ``training_runs``."""

    name: str


@dataclass(frozen=True)
class ObjectiveField:
    """A statistic of an objective of the run."""

    name: str
    statistic: str = "raw_mean"


@dataclass(frozen=True)
class MetricField:
    """What a metric of the run's history came to."""

    name: str
    statistic: str = "last"


@dataclass(frozen=True)
class TagField:
    """A tag of the run, and the text that is its value."""

    name: str


@dataclass(frozen=True)
class DocumentField:
    """A place in the config or summary; any of the paths may be where the value stands."""

    column: str
    paths: tuple[tuple[str, ...], ...]


Field = ColumnField | ObjectiveField | MetricField | TagField | DocumentField


@dataclass(frozen=True)
class Compare:
    """A field against one value, by one of ``OPERATORS``."""

    field: Field
    operator: str
    value: Any


@dataclass(frozen=True)
class Among:
    """A field that is one of some values."""

    field: Field
    values: tuple[Any, ...]
    negated: bool = False


@dataclass(frozen=True)
class Like:
    """A text field that matches a pattern of ``%`` and ``_``."""

    field: Field
    pattern: str
    negated: bool = False


@dataclass(frozen=True)
class Missing:
    """A field that has no value."""

    field: Field
    negated: bool = False


@dataclass(frozen=True)
class Not:
    """What does not match."""

    part: Filter


@dataclass(frozen=True)
class And:
    """What matches every part; no parts match everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    """What matches at least one part; no parts match nothing."""

    parts: tuple[Filter, ...]


Filter = Compare | Among | Like | Missing | Not | And | Or


def field(text: str) -> Field:
    """Say which field a name means.

    Args:
        text: A column, ``objective.NAME[.STATISTIC]``, ``metric.NAME[.STATISTIC]``, ``tag.NAME``,
            ``config.PATH`` or ``summary.KEY``. Parts with dots or blanks of their own stand in
            double quotes.

    Raises:
        UnknownName: It means none.

    Example:
        >>> field("objective.QED")
        ObjectiveField(name='QED', statistic='raw_mean')
        >>> field("metric.train/loss.min")
        MetricField(name='train/loss', statistic='min')
        >>> field("config.optimizer.lr").paths
        (('optimizer', 'lr'), ('optimizer.lr',))
    """
    whole = _WHOLE.fullmatch(text)
    segments = [_unquoted(part) for part in _SEGMENT.findall(text)] if whole else []
    first, *rest = [part for part, _ in segments] or [""]
    if not rest and first in COLUMNS:
        return ColumnField(first)
    if rest and all(rest) and first in _STATISTICS:
        kind, statistics = _STATISTICS[first]
        if len(rest) > 1 and rest[-1] in statistics and not segments[-1][1]:
            return kind(".".join(rest[:-1]), rest[-1])
        return kind(".".join(rest))
    if rest and all(rest) and first == "tag":
        return TagField(".".join(rest))
    if rest and all(rest) and first in DOCUMENT_COLUMNS:
        paths = [tuple(rest)]
        if len(rest) > 1 and not any(quoted for _, quoted in segments):
            paths.append((".".join(rest),))  # W&B and Hydra flatten nested keys to dotted ones
        return DocumentField(DOCUMENT_COLUMNS[first], tuple(paths))
    raise UnknownName("field", text, (*COLUMNS, *_OTHERS))


_STATISTICS: dict[str, tuple[type[ObjectiveField | MetricField], tuple[str, ...]]] = {
    "objective": (ObjectiveField, OBJECTIVE_STATISTICS),
    "metric": (MetricField, METRIC_STATISTICS),
}
_OTHERS = ("objective.NAME", "metric.NAME", "tag.NAME", "config.PATH", "summary.KEY")
_SEGMENT = re.compile(r'"(?:[^"\\]|\\.)*"|[^.]+')
_WHOLE = re.compile(rf"(?:{_SEGMENT.pattern})(?:\.(?:{_SEGMENT.pattern}))*")


def _unquoted(segment: str) -> tuple[str, bool]:
    if segment.startswith('"') and segment.endswith('"') and len(segment) > 1:
        return re.sub(r"\\(.)", r"\1", segment[1:-1]), True
    return segment, False


def as_filter(filters: Mapping[str, Any] | str | Filter | None) -> Filter:
    """Take a dict, a text or a tree of filters as a tree."""
    if filters is None:
        return And(())
    if isinstance(filters, str):
        from training_db.repository.filter_language import parse

        return parse(filters)
    if isinstance(filters, Mapping):
        return from_mapping(filters)
    if isinstance(filters, Filter):
        return filters
    raise InvalidValue(f"the filter {filters!r} is no mapping and no text")


def from_mapping(filters: Mapping[str, Any]) -> Filter:
    """Turn a dict of filters into a tree.

    Args:
        filters: ``{name: value}``, all of which have to match. A name is a field (equality; a
            list means one of them, ``None`` missing), ``min_<column>`` or ``max_<column>`` (both
            inclusive), ``min_duration_hours``, ``created_after`` (inclusive), ``created_before``
            (exclusive), or ``has_<attachment>`` with ``True`` or ``False``.

    Raises:
        UnknownName: A name that is none of these.
        InvalidValue: A value that the filter cannot take.

    Example:
        >>> from_mapping({"max_final_loss": 0.5}).parts
        (Compare(field=ColumnField(name='final_loss'), operator='<=', value=0.5),)
    """
    return And(tuple(_from_item(name, plain(value)) for name, value in filters.items()))


def plain(value: Any) -> Any:
    """Take a number out of a numpy scalar, which is what computed thresholds come as."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _from_item(name: str, value: Any) -> Filter:
    if not isinstance(name, str):
        raise InvalidValue(f"the filter name {name!r} is no text")
    if name in COLUMNS or "." in name:
        return _equal(field(name), value)
    if name == "min_duration_hours":
        return Compare(ColumnField("duration_seconds"), ">=", _seconds(value))
    if name == "created_after":
        return Compare(ColumnField("created_at"), ">=", value)
    if name == "created_before":
        return Compare(ColumnField("created_at"), "<", value)
    prefix, _, rest = name.partition("_")
    if prefix in ("min", "max") and rest in COLUMNS:
        return Compare(ColumnField(rest), ">=" if prefix == "min" else "<=", value)
    if prefix == "has" and rest in ATTACHMENTS:
        if not isinstance(value, bool):
            raise InvalidValue(f"{name} is {value!r}; pass True or False")
        there = Or(tuple(Missing(ColumnField(one), negated=True) for one in ATTACHMENTS[rest]))
        return there if value else Not(there)
    bounds = ("min_<column>", "max_<column>", *(f"has_{one}" for one in ATTACHMENTS))
    raise UnknownName("filter", name, (*COLUMNS, *_SHORTHANDS, *bounds))


def _equal(target: Field, value: Any) -> Filter:
    if value is None:
        return Missing(target)
    if hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, (list, tuple, set, frozenset)):
        return Compare(target, "=", value)
    if len(value) > LONGEST_LIST:
        raise InvalidValue(f"a list of {len(value):,} values; ask for {LONGEST_LIST:,} at a time")
    among = Among(target, tuple(plain(one) for one in value if one is not None))
    return Or((among, Missing(target))) if None in value else among


def _seconds(hours: Any) -> float:
    if isinstance(hours, bool) or not isinstance(hours, (int, float)):
        raise InvalidValue(f"min_duration_hours is {hours!r}; pass a number of hours")
    return hours * SECONDS_AN_HOUR
