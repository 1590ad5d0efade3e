"""Histories as DataFrames, which need pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.errors import MissingExtra
from training_db.segments import EXACT

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from training_db.repository.history_series import Points


def frame_of(histories: Mapping[str, Mapping[str, Points]], x: str) -> Any:
    """Put the metrics of runs side by side.

    Args:
        histories: For each run its metrics.
        x: The name of the axis.

    Returns:
        A ``pandas.DataFrame``; see :meth:`HistoryQueries.frame`.

    Raises:
        MissingExtra: pandas is not installed.
    """
    pd = load_pandas(", or take db.history.arrays")
    taken = {
        name
        for history in histories.values()
        for name, one in history.items()
        if name != x or not np.array_equal(one.x, one.values)  # the axis itself needs no name twice
    }
    names = free_name("run_id", taken), free_name(x, taken)
    tables = [_table(pd, run_id, names, x, history) for run_id, history in histories.items()]
    tables = [table for table in tables if len(table)] or tables[:1]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def load_pandas(otherwise: str = "") -> Any:
    """Return pandas.

    Args:
        otherwise: What else the caller may do, for the error.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra(
            f"DataFrames need pandas; run: pip install 'training-db[analysis]'{otherwise}"
        ) from None
    return pd


def _table(
    pd: Any, run_id: str, names: tuple[str, str], x: str, history: Mapping[str, Points]
) -> Any:
    some = [one for one in history.values() if len(one)]
    keys = np.unique(np.concatenate([one.keys for one in some])) if some else np.empty(0)
    places = np.full(len(keys), np.nan) if x != "step" else np.zeros(len(keys), dtype=np.int64)
    for one in some:
        places[np.searchsorted(keys, one.keys)] = one.x
    metrics = {name: _filled(pd, one, keys) for name, one in history.items()}
    return pd.DataFrame(metrics | dict(zip(names, ([run_id] * len(keys), places), strict=True)))[
        [*names, *(name for name in metrics if name not in names)]
    ]


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name for a column beside those of the metrics.

    Example:
        >>> free_name("step", ["step", "loss"])
        '_step'
    """
    while name in taken:
        name = f"_{name}"
    return name


def _filled(pd: Any, one: Points, keys: Any) -> Any:
    if len(one) == len(keys):
        return one.values
    values = one.values
    if values.dtype == np.int64 and (np.abs(values) > EXACT).any():
        values = pd.array(values, dtype="Int64")  # floats, which have NaN, would round them
    return pd.Series(values, index=one.keys).reindex(keys).array
