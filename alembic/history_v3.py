"""The history of v2.1, moved into the segments of v3, run by run.

What a history is worth as JSON comes back by history_back_v3, and so does how NaN was written.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str, int, int], object] | None

SEGMENTS = {
    "run_number": "int8", "metric_id": "int8", "writer": "int8", "first_row": "int8",
    "last_row": "int8", "count": "int8", "min": "float8", "max": "float8",
    "non_finite_count": "int8", "kind": "text", "row_numbers": "bytea", "cells": "bytea",
}  # fmt: skip
TABLES = ("run_history_segments", "run_metrics", "run_history_key_metrics")
WRITER = 0  # of all that was there before anybody logged live
HELD_CELLS = 400_000  # of a run; of a longer one, the summaries are made of what was stored
BUFFERED_ROWS = 20_000
BUFFERED_BYTES = 16_000_000


def _load(name: str, **given: Any) -> Any:
    spec = spec_from_file_location(f"training_db_{name}", Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    vars(module).update(given)
    return module


documents = _load("documents_v3")
segments = _load("segments_v3", documents=documents)
reading = _load("reading_v3", documents=documents)
metrics = _load(
    "metrics_v3", documents=documents, segments=segments, one_form=_load("backfill_v2").one_form
)

back = _load("history_back_v3", documents=documents, segments=segments)


def open_store(connection: sa.Connection) -> Any:
    """Return what reads and writes histories on this backend."""
    return _load(f"{connection.dialect.name}_v3").Store(connection)


def finish(connection: sa.Connection, note: Callable[[str], object], progress: Progress) -> None:
    """Move the history of a database that has v3 and ``history_json`` as well, where it has both.

    So it is after a script of ``--sql``, and where a database made by hand was adopted.

    Args:
        connection: A connection inside the transaction of the migration.
        note: As for :func:`move`.
        progress: As for :func:`move`.
    """
    columns = {column["name"] for column in sa.inspect(connection).get_columns("training_runs")}
    if "history_json" not in columns:
        return
    store = open_store(connection)
    if connection.dialect.name == "sqlite":
        store.number_runs(anew=False)
    else:
        # The rows of an adopted table may have come with a column of numbers that has gaps.
        connection.execute(
            sa.text(
                "UPDATE training_runs SET number = nextval('training_runs_number_seq') "
                "WHERE number IS NULL"
            )
        )
    move(store, note, progress)
    connection.execute(sa.text("ALTER TABLE training_runs DROP COLUMN history_json"))
    if connection.dialect.name == "sqlite":
        store.finish_upgrade()


def move(store: Any, note: Callable[[str], object], progress: Progress) -> None:
    """Move the history of all runs that have one.

    Args:
        store: What :func:`open_store` returned; the runs have their numbers.
        note: Takes each line of what is to be told at the end.
        progress: Takes a label, the runs done and the runs there are.
    """
    total = store.number_of_histories()
    if not total:
        return
    mover = _Mover(store)
    done = 0
    for batch in store.batches():
        for run in batch:
            mover.move(run)
            done += 1
        mover.flush()
        if progress:
            progress("moving the history", done, total)
    mover.finish()
    tally = mover.tally
    note(f"moved the history of {total} runs: {tally['cells']} values of {tally['names']} metrics")
    if tally["kept"]:
        note(f"history_json: {tally['kept']} that are no table of metrics, kept as they are")


class _Mover:
    """The runs, on their way from text to segments."""

    def __init__(self, store: Any) -> None:
        self.tally: Counter[str] = Counter()
        self._store = store
        self._layouts: list[tuple[int, str]] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in TABLES}
        self._bytes = 0
        known = store.connection.execute(sa.text("SELECT name, id FROM metric_names"))
        # Logged live after a script of --sql, and before the upgrade that moves what was there.
        self._live = set(
            store.connection.scalars(sa.text("SELECT DISTINCT run_number FROM run_metrics")).all()
        )
        self._ids: dict[str, int] = {name: number for name, number in known}  # noqa: C416 - rows
        self._new: list[tuple[int, str]] = []
        self._known = self._last = max(self._ids.values(), default=0)

    def move(self, run: Any) -> None:
        """Move the history of one run; what is no table stays as it is."""
        table = _Table(self, run.number)
        try:
            if run.text is not None:
                table.read(reading.Whole(self._store.text(run)))
            else:
                with closing(self._store.pieces(run)) as pieces:
                    table.read(reading.Pieces(pieces))
            layout = table.layout()
        except (documents.NotATable, UnicodeError):
            self._drop(run.number)
            self._store.keep_as_it_is(run)
            self.tally["kept"] += 1
            return
        if layout is not None:
            self._layouts.append((run.number, layout))
        self._summarize(run, table)
        self.tally["cells"] += table.count

    def metric(self, name: str) -> int:
        """Return the number of a metric, which it gets when it is first seen."""
        number = self._ids.get(name)
        if number is None:
            self._last += 1
            number = self._ids[name] = self._last
            self._new.append((number, name))
            self.tally["names"] += 1
        return number

    def add(self, number: int, metric: int, segment: Any) -> None:
        """Take a segment to be stored."""
        self._rows["run_history_segments"].append((number, metric, WRITER, *segment))
        self._bytes += len(segment.cells)
        if self._bytes > BUFFERED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Store what was taken."""
        insert = self._store.insert
        if self._new:
            insert("metric_names", {"id": "int8", "name": "text"}, self._new)
        for table, kinds in zip(
            TABLES, (SEGMENTS, metrics.METRICS, metrics.KEY_METRICS), strict=True
        ):
            if self._rows[table]:
                insert(table, kinds, self._rows[table])
        self._store.keep_layouts(self._layouts)
        self._new, self._layouts, self._bytes = [], [], 0
        self._rows = {table: [] for table in TABLES}

    def finish(self) -> None:
        """Store the rest, and take care of what comes after."""
        self.flush()
        run = self._store.connection.execute
        if self.tally["kept"]:  # some of them may have seemed to be tables at first
            run(sa.text("DELETE FROM metric_names WHERE id NOT IN "
                        "(SELECT metric_id FROM run_history_segments) AND id > :known"),
                {"known": self._known})  # fmt: skip
        if self._store.connection.dialect.name == "postgresql":
            run(sa.text("SELECT setval(pg_get_serial_sequence('metric_names', 'id'), "
                        "greatest((SELECT max(id) FROM metric_names), 1))"))  # fmt: skip

    def stored(self, number: int, name: str) -> Iterator[Any]:
        """Yield the cells of a metric from where they are stored."""
        self.flush()
        found = self._store.connection.execute(
            sa.text(
                "SELECT kind, cells, first_row, count, row_numbers FROM run_history_segments "
                "WHERE run_number = :number AND metric_id = :metric AND writer = :writer "
                "ORDER BY first_row"
            ),
            {"number": number, "metric": self._ids[name], "writer": WRITER},
        )
        for row in found:
            yield segments.decode(*row)

    def _summarize(self, run: Any, table: _Table) -> None:
        if run.number in self._live:
            self._summarize_live(run.number)
            return
        names = list(table.filled)

        def parts_of(name: str) -> Any:
            return table.held[name] if table.held else self.stored(run.number, name)

        at = metrics.steps(names, parts_of, table.rows)
        # To read what was stored is to flush first: no row may be on its way meanwhile.
        summaries = metrics.summaries(names, parts_of, at)
        key_metrics = [] if run.has_key_metrics else metrics.key_metrics(names, parts_of, at)
        self._rows["run_metrics"] += [
            (run.number, self._ids[name], *row) for name, row in summaries.items()
        ]
        self._rows["run_history_key_metrics"] += [(run.run_id, *row) for row in key_metrics]
        if sum(map(len, self._rows.values())) > BUFFERED_ROWS:
            self.flush()

    def _summarize_live(self, number: int) -> None:
        """Make the summaries of a run anew, of all its writers."""
        self.flush()
        connection = self._store.connection
        connection.execute(
            sa.text("DELETE FROM run_metrics WHERE run_number = :number"), {"number": number}
        )
        history = back.read(connection, number, {id_: name for name, id_ in self._ids.items()})
        at = metrics.steps(history.metrics, history.parts, history.row_count)
        self._rows["run_metrics"] += [
            (number, self._ids[name], *row)
            for name, row in metrics.summaries(history.metrics, history.parts, at).items()
        ]

    def _drop(self, number: int) -> None:
        table = "run_history_segments"
        self._rows[table] = [row for row in self._rows[table] if row[0] != number]
        self._store.connection.execute(
            sa.text("DELETE FROM run_history_segments WHERE run_number = :number"),
            {"number": number},
        )


class _Table:
    """The history of one run, as columns.

    Attributes:
        rows: How many rows there are.
        filled: The columns that have cells, and how many each has, in their order.
        held: The cells by column, in pieces; empty where there are too many to hold.
        count: How many cells there are.
    """

    def __init__(self, mover: _Mover, number: int) -> None:
        self.rows = self.count = 0
        self.filled: dict[str, int] = {}
        self.held: dict[str, list[Any]] = {}
        self._mover, self._number = mover, number
        self._is_held = True
        self._waiting: dict[str, list[Any]] = {}  # cells that do not fill a segment yet
        self._lengths: dict[str, int] = {}
        self._other: dict[str, Any] = {}
        self._order: dict[str, None] = {}
        self._reader = documents.Reader()
        self._form = "columns"
        self._last_row = -1

    def read(self, document: Any) -> None:
        """Read a document to its end."""
        self._form = document.form
        if self._form == "rows":
            self._read_rows(document.rows())
        else:
            self._read_members(document.members())
        self._reader.check()
        for name, waiting in self._waiting.items():
            self._store(name, waiting)

    def _read_members(self, members: Iterator[tuple[str, Any]]) -> None:
        number = 0
        for number, (key, value) in enumerate(members, 1):
            name = self._reader.name(key)
            self._order[name] = None
            if type(value) is not reading.Cells:
                if number == 1:
                    # It may be the tag of one value.
                    self._single = key, value
                self._other[name] = self._reader.value(value)
                continue
            length = 0
            for raw, marked in value.lists:
                cells = self._reader.cells(raw, marked=marked)
                self._take(name, segments.column(cells, length))
                length += len(cells)
            self._lengths[name] = length
            self._reader.check()
        if number != len(self._order):  # one key twice
            raise documents.NotATable
        if number == 1 and self._other:
            self._refuse_tag(dict([self._single]))
        self.rows = max(self._lengths.values(), default=0)

    def _refuse_tag(self, raw: dict[str, Any]) -> None:
        if type(documents.Reader().value(raw)) is not dict:
            raise documents.NotATable

    def _read_rows(self, batches: Iterator[tuple[list[Any], bool]]) -> None:
        names: dict[str, str] = {}
        for batch, marked in batches:
            columns: dict[str, tuple[list[int], list[Any]]] = {}
            for row, raw in enumerate(batch, self.rows):
                if type(raw) is not dict:
                    raise documents.NotATable
                if marked and len(raw) == 1:
                    self._refuse_tag(raw)
                for key, value in raw.items():
                    found = columns.get(key)
                    if found is None:
                        found = columns[key] = ([], [])
                    found[0].append(row)
                    found[1].append(value)
            self.rows += len(batch)
            for key, (rows, values) in columns.items():
                if key not in names:
                    names[key] = self._reader.name(key)
                    if names[key] in self._order:  # as "$float" and "$$float" are one
                        raise documents.NotATable
                    self._order[names[key]] = None
                cells = segments.narrowed(self._reader.cells(values, marked=marked))
                self._take(
                    names[key], segments.Column(segments.np.array(rows, dtype="int64"), cells)
                )
            self._reader.check()

    def _take(self, name: str, cells: Any) -> None:
        if not len(cells.rows):
            return
        self._mover.metric(name)  # in the order of the columns, which is then not to be kept
        self._last_row = max(self._last_row, int(cells.rows[-1]))
        self.filled[name] = self.filled.get(name, 0) + len(cells.rows)
        self.count += len(cells.rows)
        if self.count > HELD_CELLS:
            self._is_held, self.held = False, {}
        if self._is_held:
            self.held.setdefault(name, []).append(cells)
        waiting = self._waiting.setdefault(name, [])
        waiting.append(cells)
        size = segments.SEGMENT_CELLS
        there = sum(len(part.rows) for part in waiting)
        if there > size:
            whole = segments.joined(waiting)
            full = there - there % size
            self._store(name, [segments.Column(whole.rows[:full], whole.values[:full])])
            self._waiting[name] = (
                [segments.Column(whole.rows[full:], whole.values[full:])] if full < there else []
            )

    def _store(self, name: str, parts: list[Any]) -> None:
        if parts:
            metric = self._mover.metric(name)
            for segment in segments.segments(segments.joined(parts)):
                self._mover.add(self._number, metric, segment)

    def layout(self) -> str | None:
        """Return how the history was written, where the segments alone do not say it."""
        layout: dict[str, Any] = {"form": self._form}
        by_number = sorted(self.filled, key=self._mover.metric)
        if [*self._order] != [*by_number, *self._other]:
            layout["keys"] = [*self._order]
        if self.rows != self._last_row + 1:
            layout["length"] = self.rows
        lengths = {name: count for name, count in self._lengths.items() if count != self.rows}
        if lengths:
            layout["lengths"] = lengths
        if self._other:
            layout["other"] = self._other
        if not self._reader.tagged:
            layout["bare"] = True
        if layout == {"form": "columns"} and self.filled:
            return None
        return documents.dumps(layout)
