"""What callers pass in, checked by pydantic before a database sees it.

The models are made from the tables, so a column is declared once.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
)

from training_db.documents import check_text, decode, encode, unwrapped
from training_db.errors import InvalidValue, UnknownName
from training_db.models import (
    DIRECTIONS,
    RunStatus,
    run_artifacts,
    run_events,
    run_objectives,
    run_scaffolds,
    run_tags,
    training_runs,
)
from training_db.models.types import LARGEST, LONGEST_INDEXED, SMALLEST
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Column, Table

_KEPT_BY_US = {"id", "created_at_db", "updated_at_db", "number", "history_layout"}
# No column any more: segments hold it, and what it is, is checked where they are made.
_HISTORY = {"history_json": Any}


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("a bool is no number")  # noqa: TRY004 - what pydantic turns into its own
    return value


def _exact(value: object) -> object:
    """Take numpy's integers as they are; pydantic would make floats of them."""
    try:
        return operator.index(_no_bool(value))  # type: ignore[arg-type]
    except TypeError:
        return value


def _rounded(value: object) -> object:
    return round(value) if isinstance(value, float) and abs(value) < LARGEST else value


def _storable(text: str) -> str:
    return check_text(text, "the text")


def _indexable(text: str) -> str:
    if not text:
        raise ValueError("an empty text names nothing")
    if len(text.encode()) > LONGEST_INDEXED:
        raise ValueError(f"it is longer than {LONGEST_INDEXED} bytes; shorten it")
    return text


def _json_text(value: object) -> str:
    return encode(decode(value) if isinstance(value, str) else value)


_Text = Annotated[str, AfterValidator(_storable)]
_IndexedText = Annotated[_Text, AfterValidator(_indexable)]
_Integer = Annotated[int, BeforeValidator(_exact), Field(ge=SMALLEST, le=LARGEST)]
_BY_TYPE: dict[type, Any] = {
    int: _Integer,
    float: Annotated[float, BeforeValidator(_no_bool)],
    bool: bool,
    str: _Text,
    datetime: Annotated[datetime, BeforeValidator(parse_timestamp)],
}
_BY_NAME: dict[str, Any] = {
    "status": RunStatus,
    "direction": Literal[DIRECTIONS],
    "duration_seconds": Annotated[_Integer, BeforeValidator(_rounded)],
}


def _model(
    name: str,
    table: Table,
    without: Iterable[str] = (),
    more: Mapping[str, Any] = MappingProxyType({}),
) -> type[BaseModel]:
    indexed = {column.name for index in table.indexes for column in index.columns}
    indexed |= {column.name for key in table.constraints for column in key.columns}  # type: ignore[attr-defined]
    fields: dict[str, Any] = {
        column.name: (_field_type(column, indexed), None)
        for column in table.c
        if column.name not in {*without, *_KEPT_BY_US} and column.computed is None
    }
    fields |= {field: (kind, None) for field, kind in more.items()}
    return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)


def _field_type(column: Column[Any], indexed: set[str]) -> Any:
    kind = _BY_NAME.get(column.name)
    if kind is None and column.name.endswith("_json"):
        kind = Annotated[str, BeforeValidator(_json_text)]
    if kind is None and column.type.python_type is str and column.name in indexed:
        kind = _IndexedText
    kind = kind or _BY_TYPE[column.type.python_type]
    return kind | None if column.nullable else kind


RunFields = _model("RunFields", training_runs, more=_HISTORY)
ObjectiveFields = _model("ObjectiveFields", run_objectives, ["run_id"])
ScaffoldFields = _model("ScaffoldFields", run_scaffolds, ["run_id"])
EventFields = _model("EventFields", run_events, ["run_number"])
ArtifactFields = _model("ArtifactFields", run_artifacts, ["run_number"])
TagFields = _model("TagFields", run_tags, ["run_number"])


def checked(model: type[BaseModel], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Check fields and bring them to the types of their columns.

    Args:
        model: One of the models of this module.
        fields: Column names and values; nothing is filled in for what is not there.

    Returns:
        The same names, with values the database can hold.

    Raises:
        UnknownName: A field or a status that does not exist.
        InvalidValue: A value that its column cannot hold.

    Example:
        >>> checked(RunFields, {"status": "failed", "duration_seconds": 12.6})
        {'status': 'failed', 'duration_seconds': 13}
    """
    try:
        record = model.model_validate(fields)
    except ValidationError as error:
        raise _explained(error, model) from None
    values = ((name, getattr(record, name)) for name in fields)
    return {name: value.value if isinstance(value, RunStatus) else value for name, value in values}


def _explained(error: ValidationError, model: type[BaseModel]) -> InvalidValue | UnknownName:
    fault = error.errors(include_url=False)[0]
    name = str(fault["loc"][0])
    if fault["type"] == "extra_forbidden":
        return UnknownName("column", name, model.model_fields)
    if fault["type"] == "enum":
        return UnknownName(name, fault["input"], list(RunStatus))
    if fault["type"] == "literal_error":
        return UnknownName(name, fault["input"], DIRECTIONS)
    shown = repr(fault["input"])
    return InvalidValue(
        f"{name} cannot be {shown if len(shown) < 80 else shown[:77] + '...'}: "
        f"{fault['msg'].removeprefix('Value error, ')}"
    )


def as_mapping(value: object, name: str) -> Mapping[str, Any]:
    """Take what people call a config or a summary as a mapping.

    Args:
        value: A mapping, ``argparse.Namespace``, dataclass, pydantic model, the config or summary
            of a W&B run, or JSON text of an object.
        name: What it is, for the error.

    Raises:
        InvalidValue: It is none of these.

    Example:
        >>> from argparse import Namespace
        >>> as_mapping(Namespace(lr=0.1), "config")
        {'lr': 0.1}
    """
    if isinstance(value, str):
        value = decode(value)
    mapping = value if isinstance(value, Mapping) else unwrapped(value)
    if isinstance(mapping, Mapping):
        return mapping
    raise InvalidValue(
        f"the {name} is a {type(value).__name__}; pass a mapping, or JSON text of an object"
    )


def history_columns(history: Any) -> Mapping[Any, Any]:
    """Bring a history to one list a metric.

    Args:
        history: A mapping of metric to list, a list of row mappings, a DataFrame, or JSON text.

    Returns:
        A mapping of metric to list. Rows that lack a metric have ``None`` for it.

    Example:
        >>> history_columns([{"loss": 2.0}, {"loss": 1.0, "lr": 0.1}])
        {'loss': [2.0, 1.0], 'lr': [None, 0.1]}
    """
    if hasattr(history, "to_dict") and not isinstance(history, Mapping):
        history = history.to_dict("list")
    if isinstance(history, str):
        try:
            history = decode(history)
        except InvalidValue as error:
            raise InvalidValue(f"the history cannot be read: {error}") from None
    if isinstance(history, (list, tuple)) and all(isinstance(row, Mapping) for row in history):
        metrics = dict.fromkeys(metric for row in history for metric in row)
        return {metric: [row.get(metric) for row in history] for metric in metrics}
    if isinstance(history, Mapping):
        return history
    raise InvalidValue(
        f"the history is a {type(history).__name__}; pass a mapping of metric to list, "
        "a list of row mappings, or a DataFrame"
    )
