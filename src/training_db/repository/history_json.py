"""The whole history of a run as one value: how people hand it over, and get it back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from training_db.documents import is_storable, plain_json
from training_db.errors import InvalidValue
from training_db.models.types import LONGEST_INDEXED
from training_db.records import history_columns
from training_db.repository.base import run_key
from training_db.repository.history_deletion import delete_history
from training_db.repository.history_layout import MOVED, read_layout, write_layout
from training_db.repository.history_names import known_metrics
from training_db.repository.history_reading import stored_columns
from training_db.repository.history_rows import row_count
from training_db.repository.history_writing import lock_run, write_rows
from training_db.segments import Column, column, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

    from training_db.repository.history_reading import Writers

_SEPARATORS = (",", ":")


def replace_history(connection: Connection, run_id: str, history: Any) -> None:
    """Put a history in the place of the one that a run has.

    Args:
        connection: A connection inside a transaction.
        run_id: The run.
        history: A mapping of metric to list, a list of row mappings, a DataFrame, or JSON text.

    Raises:
        RunNotFound: There is no such run.
        InvalidValue: The history is none of these, or holds what cannot be stored.
    """
    given: dict[str, Any] = {}
    for key, values in history_columns(history).items():
        name = _text_key(key)
        if name in given:
            raise InvalidValue(f"history has two keys that are {name!r} as text; rename one")
        given[name] = values
    lists = {name: values for name, values in given.items() if _is_column(name, values)}
    length = max(map(len, lists.values()), default=0)
    columns = {name: _column(name, values) for name, values in lists.items()}
    layout: dict[str, Any] = {"form": "columns"}
    others = {name: values for name, values in given.items() if name not in lists}
    if others:
        layout["other"] = others
    lengths = {name: len(values) for name, values in lists.items() if len(values) != length}
    if lengths:
        layout["lengths"] = lengths
    if others or not all(map(len, columns.values())) or not lists:
        layout["keys"] = list(given)
    if not any(len(cells) and cells.rows[-1] == length - 1 for cells in columns.values()):
        layout["length"] = length
    number = lock_run(connection, run_id)
    delete_history(connection, run_id, number)
    write_layout(connection, run_id, layout if len(layout) > 1 else None)
    write_rows(connection, run_id, MOVED, columns, (0, length), longest_tail=0)


def _text_key(name: object) -> str:
    # As JSON writes it, so that a history reads back as one that went through a file.
    return name if isinstance(name, str) else json.dumps(name, default=str)


def _is_column(name: str, values: object) -> bool:
    if not name or not is_storable(name) or len(name.encode()) > LONGEST_INDEXED:
        return False
    return is_list(values)


def is_list(values: object) -> bool:
    """Tell whether values stand one a row: a sequence, array or Series."""
    if isinstance(values, Sequence):
        return not isinstance(values, (str, bytes, bytearray))
    return getattr(values, "ndim", 0) == 1 and hasattr(values, "tolist")


def _column(name: str, values: Any) -> Column:
    try:
        return column(values)
    except InvalidValue as error:
        raise InvalidValue(f"history.{name}: {error}") from None


def history_text(connection: Connection, run_id: str) -> str | None:
    """Return the history of a run as JSON text, with bare ``NaN`` and ``Infinity`` in it.

    Args:
        connection: A connection.
        run_id: The run.

    Returns:
        An object of one list a metric, or whatever form the history had before it was moved here;
        ``None`` where there is none.
    """
    layout = read_layout(connection, run_key(run_id))
    writers = stored_columns(connection, [run_id]).get(run_id, {})
    if not writers and not isinstance(layout, dict):
        return None if layout is None else plain_json(layout)
    if layout is None:
        layout = {"form": "columns"}
    elif isinstance(layout, str):  # what was logged later stands beside it
        layout = {"form": "columns", "other": {"history_json": layout}}
    names = layout.get("keys") or _names_in_order(connection, writers)
    parts = _placed(writers, int(layout.get("length", 0)))
    if layout["form"] == "rows":
        return _rows_text(parts)
    return _columns_text(parts, layout, names)


@dataclass(frozen=True)
class _Table:
    """The cells of a run by column, their rows numbered through all writers."""

    columns: dict[str, Column]
    length: int


def _placed(writers: Writers, length: int) -> _Table:
    parts: dict[str, list[Column]] = {}
    start = 0
    for writer, columns in writers.items():
        rows = row_count(columns)
        for name, cells in columns.items():
            parts.setdefault(name, []).append(Column(cells.rows + start, cells.values))
        start += max(rows, length) if writer == MOVED else rows
    return _Table({name: joined(some) for name, some in parts.items()}, max(start, length))


def _names_in_order(connection: Connection, writers: Writers) -> list[str]:
    """Return the columns in the order in which the database came to know their names."""
    names = {name for columns in writers.values() for name in columns}
    ids = known_metrics(connection, names)
    return sorted(names, key=lambda name: ids[name])


def _columns_text(table: _Table, layout: Mapping[str, Any], names: Iterable[str]) -> str:
    others, lengths = layout.get("other", {}), layout.get("lengths", {})
    members = []
    for name in dict.fromkeys([*names, *table.columns, *others]):
        if name in others and name not in table.columns:
            value = _dumps(others[name])
        else:
            value = _list_text(table.columns.get(name), table.length, lengths.get(name))
        members.append(f"{_dumps(name)}:{value}")
    return "{" + ",".join(members) + "}"


def _list_text(cells: Column | None, length: int, own_length: int | None) -> str:
    last = -1 if cells is None else int(cells.rows[-1])
    if own_length is not None and last < own_length:
        length = own_length
    if cells is None:
        return _dumps([None] * length)
    if (
        len(cells) == length
        and cells.values.dtype == np.float64
        and np.isfinite(cells.values).all()
    ):
        return orjson.dumps(cells.values, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    values: list[Any] = [None] * length
    for row, value in zip(cells.rows.tolist(), cells.values.tolist(), strict=True):
        values[row] = value
    return _dumps(values)


def _rows_text(table: _Table) -> str:
    rows: list[dict[str, Any]] = [{} for _ in range(table.length)]
    for name, cells in table.columns.items():
        for row, value in zip(cells.rows.tolist(), cells.values.tolist(), strict=True):
            rows[row][name] = value
    return _dumps(rows)


def _dumps(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)
    # Half of a surrogate pair can be in a text, but not be encoded.
    return text if is_storable(text) else json.dumps(value, separators=_SEPARATORS)
