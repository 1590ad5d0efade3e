"""Cells of history as columns of Arrow: one row a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.documents import encode
from training_db.extras import load
from training_db.segments import EXACT, is_number, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training_db.repository.history_series import RunCells

KINDS = ("float", "int", "bool", "text", "json", "null")
_OF_DTYPE = {"f": 0, "i": 1, "b": 2}
_OF_TYPE = {float: 0, int: 1, bool: 2, str: 3, type(None): 5}
_JSON = KINDS.index("json")
_MICROSECONDS = 1e6
# From the year 1 to the year 9999, in which every engine can write a time.
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799


def cell_columns(cells: Sequence[RunCells], types: dict[str, Any]) -> list[Any]:
    """Put cells one after another.

    Args:
        cells: Metrics of runs.
        types: The types of Arrow of the columns of ``history``.

    Returns:
        These columns, in their order. The rows are sorted by metric, then as the runs were given:
        a reader that wants one metric passes over the others.
    """
    arrow = load("pyarrow", "parquet")
    ordered = sorted(cells, key=lambda one: one.metric)
    sizes = [len(one) for one in ordered]
    timestamps = _joined([one.timestamps for one in ordered])
    there = (timestamps >= _EARLIEST) & (timestamps <= _LATEST)
    moments = np.round(np.where(there, timestamps, 0) * _MICROSECONDS).astype(np.int64)
    epochs = _joined([one.epochs for one in ordered])
    values = _joined([numbers(one.values) for one in ordered])
    no_number = ~_joined([is_number(one.values) for one in ordered])
    kinds = _joined([_kinds(one.values) for one in ordered])
    return [
        _repeated([one.run_id for one in ordered], sizes),
        _repeated([one.metric for one in ordered], sizes),
        arrow.array(_joined([one.steps for one in ordered])),
        arrow.array(epochs, mask=np.isnan(epochs)),
        arrow.array(moments, mask=~there).cast(types["timestamp"]),
        arrow.array(values, mask=no_number),
        arrow.DictionaryArray.from_arrays(kinds, list(KINDS)).cast(types["kind"]),
        _texts(ordered, types["text"]),
        arrow.array(_joined([one.writers for one in ordered])),
        arrow.array(_joined([one.rows for one in ordered])),
    ]


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(parts)


def _repeated(names: Sequence[str], sizes: Sequence[int]) -> Any:
    arrow = load("pyarrow", "parquet")
    places = np.repeat(np.arange(len(names), dtype=np.int32), sizes)
    return arrow.DictionaryArray.from_arrays(places, list(names)).cast(arrow.string())


def _kinds(values: NDArray[Any]) -> NDArray[np.int8]:
    if values.dtype != object:
        return np.full(len(values), _OF_DTYPE[values.dtype.kind], dtype=np.int8)
    return np.array([_OF_TYPE.get(type(value), _JSON) for value in values], dtype=np.int8)


def _texts(cells: Sequence[RunCells], kind: Any) -> Any:
    """Return the text of each cell that a float cannot say in full."""
    arrow = load("pyarrow", "parquet")
    start = 0
    texts: dict[int, str] = {}
    for one in cells:
        for position in _maybe_long(one.values):
            text = _text(one.values[position])
            if text is not None:
                texts[start + position] = text
        start += len(one)
    if not texts:
        return arrow.nulls(start, kind)
    column: NDArray[Any] = np.full(start, None, dtype=object)
    column[list(texts)] = list(texts.values())
    return arrow.array(column, kind)


def _maybe_long(values: NDArray[Any]) -> list[int]:
    """Return where values may stand that a float cannot say in full."""
    if values.dtype == object:
        return list(range(len(values)))
    if values.dtype.kind != "i":
        return []
    found: list[int] = np.flatnonzero((values > EXACT) | (values < -EXACT)).tolist()
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, (bool, float)):
        return None
    if isinstance(value, (int, np.integer)):
        return None if -EXACT <= value <= EXACT else str(value)
    return encode(value)
