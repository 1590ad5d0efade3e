"""How histories are written: CSV, JSON and Parquet, a run in memory at a time."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training_db.cli.history_table import HistoryTable, read_table
from training_db.documents import encode
from training_db.errors import Conflict, MetricNotFound, MissingExtra
from training_db.repository.history_frame import free_name
from training_db.segments import EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    import numpy as np
    from numpy.typing import NDArray

    from training_db.database import TrainingDB
    from training_db.repository.history_queries import Axis


@dataclass
class Histories:
    """The histories of some runs, of which each is read when it is its turn.

    Attributes:
        db: Where they are.
        run_ids: The runs.
        asked: The metrics; ``None`` for all that any of them has.
        steps: Both ends of a range of steps, if not all.
        x: The axis.
        duplicates: ``"last"`` or ``"all"``.
        metrics: The metrics, each of which becomes a column.

    Raises:
        MetricNotFound: A metric that none of the runs has.
    """

    db: TrainingDB
    run_ids: list[str]
    asked: list[str] | None
    steps: tuple[float, float] | None
    x: Axis
    duplicates: str
    metrics: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self._of_run = {
            run_id: [key["metric"] for key in self.db.history.keys(run_id)]
            for run_id in self.run_ids
        }
        present = list(dict.fromkeys(name for some in self._of_run.values() for name in some))
        self.metrics = present if self.asked is None else list(dict.fromkeys(self.asked))
        for name in self.metrics:
            if name not in present:
                raise MetricNotFound(name, present)

    @property
    def headings(self) -> list[str]:
        """The names of the columns: the run, the axis, and the metrics."""
        first = [free_name(name, self.metrics) for name in ("run_id", self.x)]
        return [*first, *self.metrics]

    def tables(self) -> Iterator[tuple[str, HistoryTable]]:
        """Go through the runs that have any of the metrics."""
        for run_id, names in self._of_run.items():
            there = [name for name in self.metrics if name in names]
            if there:
                yield (
                    run_id,
                    read_table(self.db, run_id, there, self.steps, self.x, self.duplicates),
                )


def write_csv(histories: Histories, file: BinaryIO) -> int:
    """Write CSV with a heading; what was not logged is empty.

    Returns:
        The rows.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    try:
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow(histories.headings)
        count = 0
        for run_id, table in histories.tables():
            for place, cells in table.rows():
                values = [_csv_cell(cells.get(name)) for name in histories.metrics]
                lines.writerow([run_id, _csv_cell(place), *values])
                count += 1
    finally:
        text.detach()  # or it would close what was passed
    return count


def write_json(histories: Histories, file: BinaryIO) -> int:
    """Write one array of objects, one a line; what was not logged is left out.

    NaN and infinities stand in tagged objects, as everywhere in this program's JSON.
    """
    run, axis = histories.headings[:2]
    count = 0
    file.write(b"[")
    for run_id, table in histories.tables():
        for place, cells in table.rows():
            file.write(b",\n" if count else b"\n")
            file.write(encode({run: run_id, axis: place} | cells).encode())
            count += 1
    file.write(b"\n]\n")
    return count


def parquet_writer() -> Callable[[Histories, BinaryIO], int]:
    """Return what writes Parquet.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra(
            "Parquet needs pyarrow; run: pip install 'training-db[parquet]', or export as csv"
        ) from None

    def write(histories: Histories, file: BinaryIO) -> int:
        types = _types(histories)
        kinds = {"i": pa.int64(), "f": pa.float64(), "b": pa.bool_(), "O": pa.string()}
        run, axis = histories.headings[:2]
        place = pa.int64() if histories.x == "step" else pa.float64()
        fields = [(run, pa.string()), (axis, place)]
        fields += [(name, kinds[types[name]]) for name in histories.metrics]
        schema = pa.schema(fields)
        count = 0
        with parquet.ParquetWriter(file, schema) as rows:
            for run_id, table in histories.tables():
                filled = [pa.array([run_id] * len(table), pa.string()), pa.array(table.places)]
                for name in histories.metrics:
                    try:
                        values, missing = _spread(table, name, types[name])
                    except TypeError:
                        raise Conflict(
                            f"{name!r} of run {run_id!r} got values of another kind while it was "
                            "exported; try again"
                        ) from None
                    filled.append(pa.array(values, kinds[types[name]], mask=missing))
                rows.write_table(pa.table(filled, schema=schema))
                count += len(table)
        return count

    return write


def _types(histories: Histories) -> dict[str, str]:
    """Return for each metric the kind of numpy type that holds its values in all the runs.

    Integers beside floats become floats, and whatever is no number makes all of them text.
    """
    found: dict[str, set[str]] = {name: set() for name in histories.metrics}
    for _, table in histories.tables():
        for name, (_, values) in table.columns.items():
            if values.dtype != object:
                found[name].add(values.dtype.kind)
            elif all(_is_float(value) for value in values):
                found[name].add("f")
            else:
                found[name].add("O")
    return {
        name: kinds.pop() if len(kinds) == 1 else ("f" if kinds <= {"i", "f"} else "O")
        for name, kinds in found.items()
    }


def _is_float(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) <= EXACT)


def _spread(table: HistoryTable, name: str, kind: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return a value for each row of a table, and which of them are not there."""
    import numpy as np

    missing = np.ones(len(table), dtype=np.bool_)
    kinds = {"i": np.int64, "f": np.float64, "b": np.bool_, "O": object}
    spread: NDArray[Any] = np.zeros(len(table), dtype=kinds[kind])
    if name in table.columns:
        rows, values = table.columns[name]
        if kind == "O":
            cells = values.tolist()
            spread[rows] = [_text(value) for value in cells]
            missing[rows] = [value is None for value in cells]
        else:
            spread[rows] = _safely(values, spread.dtype)
            missing[rows] = False
    return spread, missing


def _safely(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return values as another type that holds each of them.

    Raises:
        TypeError: It does not.
    """
    if values.dtype == object:
        if dtype.kind != "f" or not all(map(_is_float, values)):
            raise TypeError(f"some are no {dtype}")
        return values.astype(dtype)
    return values.astype(dtype, casting="safe")


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return repr(value) if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
    return _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else encode(value)
