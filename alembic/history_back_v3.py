"""The history of v3, written as the text that v2.1 keeps, run by run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str, int, int], object] | None

documents: Any = None  # modules beside this one, given by who loads it
segments: Any = None

LONG = 2_000_000  # size of a run that is read a column at a time; its text is not much longer
BYTES = 8_000_000  # of a batch
WINDOW = 16_384  # cells of a column that are text at once
WIDE = 1_000_000  # cells of rows that are read at once
FIELDS = "kind, cells, first_row, count, row_numbers"


def move_back(store: Any, progress: Progress) -> int:
    """Write the history of all runs as text.

    Args:
        store: As for history_v3.move; the runs have a column ``history_json`` again.
        progress: Takes a label, the runs done and the runs there are.

    Returns:
        How many runs had rows by several writers.
    """
    store.give_back_what_was_kept()
    connection = store.connection
    names = {row.id: row.name for row in connection.execute(sa.text("SELECT * FROM metric_names"))}
    total = connection.scalar(sa.text("SELECT count(*) FROM training_runs"))
    several = done = 0
    last = -(2**63)
    while batch := store.layouts(last):
        first, last = batch[0][0], batch[-1][0]
        written = _written(connection, first, last)
        batch = [
            # A text that is no table stands as a member beside what was logged since.
            (number, documents.dumps({"other": {"history_json": store.kept(number)}}))
            if layout == "=" and number in written
            else (number, None if layout == "=" else layout)
            for number, layout in batch
        ]
        for group, is_long in _groups(batch, written):
            held = {} if is_long else _held(connection, group[0][0], group[-1][0])
            histories = (
                _History(connection, run, names, written.get(run[0], {}), held.get(run[0]))
                for run in group
            )
            if is_long:
                store.give_back_long(group[0][0], next(histories).pieces())
            else:
                store.give_back([(one.number, "".join(one.pieces())) for one in histories])
        several += sum(len(writers) > 1 for writers in written.values())
        done += len(batch)
        if progress:
            progress("moving the history back", done, total)
    return several


def read(connection: sa.Connection, number: int, names: dict[int, str]) -> _History:
    """Return the history of one run, to read its columns."""
    written = _written(connection, number, number).get(number, {})
    return _History(connection, (number, None), names, written, None)


def _written(connection: sa.Connection, first: int, last: int) -> dict[int, dict[int, Any]]:
    """Return for each run and writer how many rows there are, and about how much they are."""
    found: dict[int, dict[int, Any]] = {}
    for row in connection.execute(
        sa.text(
            "SELECT run_number, writer, max(last_row) + 1 AS row_count, "
            # A few bytes may be many cells, and a few cells may have many nulls between them.
            "sum(size) + 5 * (max(last_row) + 1) * count(DISTINCT metric_id) AS size FROM ("
            "SELECT run_number, metric_id, writer, last_row, "
            'length(cells) + 8 * "count" AS size FROM run_history_segments '
            "WHERE run_number BETWEEN :first AND :last UNION ALL "
            "SELECT run_number, NULL, writer, last_row, length(block) FROM run_history_tails "
            "WHERE run_number BETWEEN :first AND :last) AS pieces "
            "GROUP BY run_number, writer ORDER BY run_number, writer"
        ),
        {"first": first, "last": last},
    ):
        found.setdefault(row.run_number, {})[row.writer] = (row.row_count, row.size)
    return found


def _groups(
    batch: list[Any], written: dict[int, dict[int, Any]]
) -> Iterator[tuple[list[Any], bool]]:
    """Yield runs with history to be read together, and whether it is one with a long history."""
    group: list[Any] = []
    together = 0
    for number, layout in batch:
        if layout is None and number not in written:
            continue
        size = sum(size for _, size in written.get(number, {}).values())
        if group and together + size > BYTES:
            yield group, False
            group, together = [], 0
        if size > LONG:
            if group:
                yield group, False
                group, together = [], 0
            yield [(number, layout)], True
        else:
            group.append((number, layout))
            together += size
    if group:
        yield group, False


def _held(connection: sa.Connection, first: int, last: int) -> dict[int, dict[int, list[Any]]]:
    """Return for each run and metric its segments."""
    found: dict[int, dict[int, list[Any]]] = {}
    for number, metric, writer, *fields in connection.execute(
        sa.text(
            f"SELECT run_number, metric_id, writer, {FIELDS} FROM run_history_segments "  # nosec  # noqa: S608
            "WHERE run_number BETWEEN :first AND :last"
        ),
        {"first": first, "last": last},
    ):
        found.setdefault(number, {}).setdefault(metric, []).append((writer, *fields))
    return found


class _History:
    """The history of one run, on its way to text.

    Args:
        connection: Where to read.
        run: Its number and layout.
        names: The names of metrics by their ids.
        written: Its writers, in order, with how many rows and bytes each wrote.
        held: Its segments by metric, where they have been read already.

    Attributes:
        metrics: The names of its columns, and their ids, in the order of these.
        row_count: How many rows all writers wrote together.
    """

    def __init__(
        self, connection: sa.Connection, run: tuple[int, str | None], names: dict[int, str],
        written: dict[int, Any], held: dict[int, list[Any]] | None,
    ) -> None:  # fmt: skip
        self.number, layout = run
        self._connection = connection
        self._layout = documents.untagged(json.loads(layout)) if layout else {}
        self._bare = bool(self._layout.get("bare"))
        self._held = held
        self._offsets: dict[int, int] = {}
        self.row_count = 0
        for writer, (rows, _) in written.items():
            self._offsets[writer] = self.row_count
            self.row_count += rows
            if writer == 0:  # who knows of rows at the end in which nothing stands
                self.row_count = max(self.row_count, self._layout.get("length", 0))
        self.row_count = max(self.row_count, self._layout.get("length", 0))
        self._tails = self._read_tails()
        there = {*self._tails, *(held if held is not None else self._stored_metrics())}
        self.metrics = {names[metric]: metric for metric in sorted(there)}

    def pieces(self) -> Iterator[str]:
        """Yield the text, piece by piece."""
        if self._layout.get("form") == "rows":
            return self._by_rows()
        return self._by_columns()

    def _by_columns(self) -> Iterator[str]:
        other = self._layout.get("other", {})
        lengths = self._layout.get("lengths", {})
        opening = "{"
        for name in dict.fromkeys([*self._layout.get("keys", ()), *self.metrics, *other]):
            yield f"{opening}{documents.dumps(self._key(name), bare=self._bare)}:"
            opening = ","
            if name in other and name not in self.metrics:
                yield documents.dumps(other[name], bare=self._bare)
                continue
            parts = self.parts(name) if name in self.metrics else []
            length = self.row_count
            if name in lengths:  # which somebody may have gone on with since
                is_longer = parts and int(parts[-1].rows[-1]) >= lengths[name]
                length = self.row_count if is_longer else lengths[name]
            yield from self._list(parts, length)
        yield "{}" if opening == "{" else "}"

    def _list(self, parts: list[Any], length: int) -> Iterator[str]:
        opening = "["
        for start, stop, rows, values in _windows(parts, length):
            yield opening + self._cells(stop - start, rows - start, values)
            opening = ","
        yield "[]" if opening == "[" else "]"

    def _cells(self, length: int, places: Any, values: Any) -> str:
        """Write the cells of some rows, and null where there is none."""
        if values.dtype == np.float64 and np.isfinite(values).all():
            row = np.full(length, np.nan)  # which is written as null
            row[places] = values
            return orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY).decode()[1:-1]
        items: list[Any] = [None] * length
        for place, value in zip(places.tolist(), values.tolist(), strict=True):
            items[place] = value
        if values.dtype in (np.int64, np.bool_):
            return orjson.dumps(items).decode()[1:-1]
        return documents.dumps(items, bare=self._bare)[1:-1]

    def _by_rows(self) -> Iterator[str]:
        order = dict.fromkeys([*self._layout.get("keys", ()), *self.metrics])
        names = [name for name in order if name in self.metrics]
        window = max(WIDE // max(len(names), 1), 256)
        opening = "["
        for start in range(0, self.row_count, window):
            rows: list[dict[str, Any]] = [
                {} for _ in range(start, min(start + window, self.row_count))
            ]
            cells = self._between(start, start + len(rows))
            for name in names:
                for part in cells.get(self.metrics[name], ()):
                    for row, value in zip(
                        (part.rows - start).tolist(), part.values.tolist(), strict=True
                    ):
                        rows[row][name] = value
            yield opening + documents.dumps(rows, bare=self._bare)[1:-1]
            opening = ","
        yield "[]" if opening == "[" else "]"

    def _between(self, start: int, stop: int) -> dict[int, list[Any]]:
        """Return the cells of some rows, by metric."""
        if self._held is not None:
            found = {metric: self.parts(name) for name, metric in self.metrics.items()}
        else:
            found = {metric: self._tail_parts(metric) for metric in self.metrics.values()}
            for writer, offset in self._offsets.items():
                for metric, *fields in self._select(
                    f"metric_id, {FIELDS}",
                    "writer = :writer AND first_row < :stop AND last_row >= :start",
                    writer=writer, start=start - offset, stop=stop - offset,
                ):  # fmt: skip
                    found[metric].append(self._part(writer, fields))
        return {
            metric: [_cut(part, start, stop) for part in parts] for metric, parts in found.items()
        }

    def parts(self, name: str) -> list[Any]:
        """Return all cells of a metric, in the order of their rows."""
        metric = self.metrics[name]
        if self._held is not None:
            stored = self._held.get(metric, [])
        else:
            stored = self._select(f"writer, {FIELDS}", "metric_id = :metric", metric=metric)
        parts = [self._part(writer, fields) for writer, *fields in stored]
        parts += self._tail_parts(metric)
        return sorted(parts, key=lambda part: int(part.rows[0]))

    def _part(self, writer: int, fields: list[Any]) -> Any:
        return self._moved(writer, segments.decode(*fields))

    def _moved(self, writer: int, cells: Any) -> Any:
        return segments.Column(cells.rows + self._offsets[writer], cells.values)

    def _tail_parts(self, metric: int) -> list[Any]:
        return [self._moved(writer, cells) for writer, cells in self._tails.get(metric, ())]

    def _read_tails(self) -> dict[int, list[tuple[int, Any]]]:
        found: dict[int, list[tuple[int, Any]]] = {}
        for writer, first_row, block in self._connection.execute(
            sa.text(
                "SELECT writer, first_row, block FROM run_history_tails WHERE run_number = :number"
            ),
            {"number": self.number},
        ):
            for metric, cells in segments.unpack(block, first_row).items():
                if len(cells.rows):
                    found.setdefault(metric, []).append((writer, cells))
        return found

    def _stored_metrics(self) -> list[int]:
        return [row[0] for row in self._select("DISTINCT metric_id", "true")]

    def _select(self, columns: str, condition: str, **values: Any) -> Any:
        return self._connection.execute(
            sa.text(
                f"SELECT {columns} FROM run_history_segments "  # nosec  # noqa: S608 - constants
                f"WHERE run_number = :number AND {condition}"
            ),
            {"number": self.number, **values},
        )

    def _key(self, name: str) -> str:
        return name if self._bare else documents.stored_key(name)


def _cut(cells: Any, start: int, stop: int) -> Any:
    first, last = np.searchsorted(cells.rows, (start, stop))
    return segments.Column(cells.rows[first:last], cells.values[first:last])


def _windows(parts: list[Any], length: int) -> Iterator[tuple[int, int, Any, Any]]:
    """Yield first row, row after the last, and the cells between, for some rows at a time."""
    start = 0
    nothing = np.empty(0, dtype=np.int64), np.empty(0)
    for part in parts:
        while len(part.rows) and start <= int(part.rows[-1]):
            stop = min(int(part.rows[-1]) + 1, start + WINDOW)
            cells = _cut(part, start, stop)
            yield start, stop, cells.rows, cells.values
            start = stop
    while start < length:
        stop = min(length, start + WINDOW)
        yield start, stop, *nothing
        start = stop
