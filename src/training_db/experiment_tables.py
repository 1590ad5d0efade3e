"""The tables that ExperimentDB answers with, as DataFrames of the same types every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from training_db.repository.experiments import Compared, Logged

_LOSSES = ("final_train_loss", "final_val_loss", "best_val_loss")
_COMPARED = ("run_id", "run_name", *_LOSSES, "best_epoch", "total_epochs")
_LISTED = (
    "run_name", "status", "created_at", "started_at", "ended_at", "duration_seconds",
    "notes",
)  # fmt: skip
_YEARS_1_TO_9999 = (-62_135_596_800, 253_402_300_799)
_MOMENT = "datetime64[us, UTC]"


def metrics_table(pandas: Any, logged: Logged) -> pd.DataFrame:
    """Make the table of what a run logged, one row a value."""
    return pandas.DataFrame(
        {
            "metric_name": pandas.Series(logged.names, dtype="str"),
            "value": logged.values,
            "step": logged.steps,
            "epoch": _whole_if_possible(pandas, logged.epochs),
            "timestamp": _moments(pandas, logged.timestamps),
        }
    )


def comparison_table(pandas: Any, rows: Sequence[Compared]) -> pd.DataFrame:
    """Make the table of runs side by side."""
    cells = {name: [getattr(row, name) for row in rows] for name in _COMPARED}
    table = pandas.DataFrame(
        {
            "run_id": np.array(cells["run_id"], dtype=np.int64),
            "run_name": pandas.Series(cells["run_name"], dtype="str"),
        }
    )
    for name in _LOSSES:
        table[name] = np.array(cells[name], dtype=np.float64)
    for name in ("best_epoch", "total_epochs"):
        table[name] = _whole_if_possible(pandas, np.array(cells[name], dtype=np.float64))
    return table


def runs_table(pandas: Any, runs: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make the table of a listing of runs."""
    table = pandas.DataFrame({"run_id": np.array([run["number"] for run in runs], dtype=np.int64)})
    for name in _LISTED:
        cells = [run[name] for run in runs]
        if name.endswith("_at"):
            texts = pandas.Series(cells, dtype="str")
            # Old text that is no time is as good as none.
            moments = pandas.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
            table[name] = moments.astype(_MOMENT)
        else:
            kind = "Int64" if name == "duration_seconds" else "str"
            table[name] = pandas.Series(cells, dtype=kind)
    return table


def _whole_if_possible(pandas: Any, numbers: NDArray[np.float64]) -> Any:
    """Return numbers with a missing value that is none of them, as integers if all are."""
    known = numbers[~np.isnan(numbers)]
    is_whole = bool((np.isfinite(known) & (known == np.floor(known))).all())
    floats = pandas.array(numbers, dtype="Float64")
    return floats.astype("Int64") if is_whole else floats


def _moments(pandas: Any, seconds: NDArray[np.float64]) -> Any:
    """Return Unix seconds as times; what no calendar holds is missing."""
    first, last = _YEARS_1_TO_9999
    there = (seconds >= first) & (seconds <= last)
    moments = np.full(len(seconds), np.datetime64("NaT", "us"))
    moments[there] = np.round(seconds[there] * 1e6).astype(np.int64).astype("datetime64[us]")
    return pandas.DatetimeIndex(moments).tz_localize("UTC")
