"""Any sequence of writes, and what can be read after it, against plain Python on both backends."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tests import torture
from tests.contract.conftest import empty
from tests.contract.history_oracle import (
    History,
    by_writer,
    equal,
    expected_totals,
    same_totals,
    step,
)
from tests.unit.strategies import SLOW, same
from training_db import segments
from training_db.repository import history, history_writing
from training_db.segments import column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db import TrainingDB

    Row = dict[str, Any]

NEWEST = 2**62
"""Stands in the oracle for the writer that append makes."""

floats = st.one_of(st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf, -0.0]))
integers = st.sampled_from([0, -3, 2**53 + 1, 2**63 - 1, 2**64])
rows = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "loss": floats,
            "tokens": integers,
            "ok": st.booleans(),
            "any": st.one_of(floats, st.integers(-9, 9), st.text("ab\x00\ud800", max_size=2),
                             st.just({"a": [1, None]}), st.just([1, 2])),
            "_step": st.integers(0, 40),
            "epoch": st.one_of(st.integers(0, 3), st.floats(0, 3)),
            "_timestamp": st.floats(1.7e9, 1.8e9),
        },
    ).filter(bool),
    min_size=1,
    max_size=20,
)  # fmt: skip
actions = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from([11, 13]), st.integers(0, 25), rows),
        st.tuples(st.just("append"), st.sampled_from(["rows", "columns"]), rows),
        st.tuples(st.just("compact"), st.sampled_from([None, 11, 0])),
        st.tuples(st.just("replace"), rows),
        st.tuples(st.just("tail")),
    ),
    min_size=1,
    max_size=10,
)
ranges = st.one_of(st.none(), st.tuples(st.integers(-2, 42), st.integers(-2, 42)).map(sorted))


@pytest.fixture
def short_segments() -> Iterator[None]:
    """Make tails and segments so short that a few rows fill them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history_writing, "TAIL_ROWS", 24)
        patch.setattr(history_writing, "SHORT", 4)
        patch.setattr(history, "_LONGEST_TAIL", 6)
        patch.setattr(segments, "SEGMENT_CELLS", 10)
        yield


class Pair:
    """A run in a database, and what it should be; each thing is done to both."""

    def __init__(self, db: TrainingDB) -> None:
        empty(db)
        db.runs.insert("r1")
        self.db, self.history, self.oracle = db, db.history, History()
        self.cursor: str | None = None
        self.seen: dict[int, int] = {}

    def write(self, writer: int, overlap: int, new: list[Row]) -> None:
        there = self.oracle.writers[writer]
        first = max(0, len(there) - overlap)
        batch = there[first:] + new
        stop = self.history.write("r1", writer, columns(batch, first), (first, first + len(batch)))
        self.oracle.write(writer, batch, first)
        assert stop == len(there) == self.history.progress("r1", writer)

    def append(self, form: str, new: list[Row]) -> None:
        latest = max((key for key, some in self.oracle.writers.items() if some), default=None)
        writer = NEWEST if latest is None or latest % 2 else latest
        cells = self.history.append("r1", new if form == "rows" else as_columns(new))
        assert cells == sum(map(len, new))
        self.oracle.write(writer, new, len(self.oracle.writers[writer]))

    def compact(self, writer: int | None) -> None:
        self.history.compact("r1", writer)

    def replace(self, new: list[Row]) -> None:
        self.db.runs.update("r1", history_json=as_columns(new))
        self.oracle.replace(new)
        self.cursor, self.seen = None, {}

    def tail(self) -> None:
        tail = self.history.tail("r1", self.cursor)
        expected: dict[str, list[list[Any]]] = {}
        for writer, some in sorted(self.oracle.writers.items()):
            for number, row in enumerate(some):
                if number >= self.seen.get(writer, 0):
                    for name, value in row.items():
                        expected.setdefault(name, []).append([step(row, number), value])
            self.seen[writer] = len(some)
        assert tail.series.keys() == expected.keys()
        for name, points in expected.items():
            assert same(pairs(tail.series[name]), points)
        self.cursor = tail.cursor

    def check(self, span: tuple[int, int] | None) -> None:
        self._check_arrays(span)
        self._check_counts()
        found = self.history.json("r1")
        if found is None:
            assert not self.oracle.metrics()
        else:
            found = json.loads(found)
            assert same({name: found[name] for name in sorted(found)}, self.oracle.columns())

    def _check_arrays(self, span: tuple[int, int] | None) -> None:
        for x in ("step", "epoch", "timestamp"):
            for duplicates in ("last", "all"):
                found = self.history.arrays("r1", steps=span, x=x, duplicates=duplicates)["r1"]
                for name in self.oracle.metrics():
                    expected = self.oracle.points(name, x, duplicates, span)
                    given_back = pairs(found[name]) if name in found else []
                    assert same(given_back, expected), (name, x, duplicates, span)

    def _check_counts(self) -> None:
        written = {name: by_writer(some) for name, some in self.oracle.written.items()}
        assert {one["metric"]: one["count"] for one in self.history.keys("r1")} == {
            name: len(points) for name, points in written.items()
        }
        stored = {one["metric"]: one for one in self.db.metrics.of("r1")}
        for name, points in written.items():
            assert same_totals(stored[name], expected_totals(points)), name
        with self.db.engine.connect() as connection:
            query = "SELECT step, loss FROM run_history_key_metrics ORDER BY id"
            rows = [tuple(row) for row in connection.execute(text(query))]
        assert len(rows) == len(self.oracle.key_rows)
        for (at, loss), expected in zip(rows, self.oracle.key_rows, strict=True):
            assert at == expected[0]
            # SQLite keeps NaN as text, and so tells it from NULL.
            assert equal(math.nan if loss == "NaN" else loss, expected[1])


def as_columns(some: list[Row]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in some for name in row)
    return {name: [row.get(name) for row in some] for name in names}


def columns(batch: list[Row], first: int) -> dict[str, Any]:
    return {name: column(values, first) for name, values in as_columns(batch).items()}


def pairs(series: Any) -> list[list[Any]]:
    return [list(pair) for pair in zip(series.x.tolist(), series.values.tolist(), strict=True)]


def run(pair: Pair, sequence: list[tuple[Any, ...]]) -> None:
    for name, *arguments in sequence:
        getattr(pair, name)(*arguments)


@pytest.mark.usefixtures("short_segments")
@settings(SLOW, max_examples=torture.rounds(10, 250))
@given(actions, ranges)
def test_any_sequence_of_writes_reads_as_plain_python_says(
    both: tuple[TrainingDB, TrainingDB],
    sequence: list[tuple[Any, ...]],
    span: tuple[int, int] | None,
) -> None:
    for db in both:
        pair = Pair(db)
        run(pair, sequence)
        pair.check(span)
        pair.check(None)


@pytest.mark.usefixtures("short_segments")
@SLOW
@given(actions)
def test_compaction_changes_nothing_that_can_be_read(
    both: tuple[TrainingDB, TrainingDB], sequence: list[tuple[Any, ...]]
) -> None:
    for db in both:
        pair = Pair(db)
        run(pair, sequence)
        db.history.compact("r1")
        pair.check(None)
        pair.tail()
        pair.tail()


@settings(SLOW, max_examples=torture.rounds(3, 30))
@given(actions, ranges, st.integers(1, 5))
def test_a_long_run_reads_as_plain_python_says(
    db: TrainingDB, sequence: list[tuple[Any, ...]], span: tuple[int, int] | None, every: int
) -> None:
    pair = Pair(db)
    for start in (0, 2_500):
        new = [
            {"_step": number // 100, "loss": number / 7}
            | ({} if number % every else {"any": number})
            for number in range(start, start + 2_500)
        ]  # fmt: skip
        pair.write(11, 3, new)
        run(pair, sequence)
    pair.check(span)
