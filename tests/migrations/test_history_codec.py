"""The frozen codec of the migration and the one of the library read each other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK, documents, numbers, same
from training_db import segment_blocks, segments
from training_db.db.scripts import load_script

frozen = load_script("history_v3").segments
columns = st.one_of(
    st.lists(st.none() | st.floats(), max_size=20),
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), max_size=20),
    st.lists(st.none() | st.booleans(), max_size=20),
    st.lists(st.none() | numbers, max_size=20),
    st.lists(documents, max_size=8),
)


def taken_out(codec: Any, segment: Any) -> tuple[list[int], list[Any]]:
    cells = codec.decode(
        segment.kind, segment.cells, segment.first_row, segment.count, segment.row_numbers
    )
    return cells.rows.tolist(), cells.values.tolist()


@given(columns, st.integers(0, 10_000))
@QUICK
def test_each_decodes_what_the_other_encoded(values: list[Any], first_row: int) -> None:
    by_library, by_migration = (codec.column(values, first_row) for codec in (segments, frozen))
    if not len(by_library):
        return
    for writer, cells, reader in (
        (segments, by_library, frozen),
        (frozen, by_migration, segments),
        (frozen, by_migration, frozen),
    ):
        rows, found = taken_out(reader, writer.encode(cells))
        assert rows == by_library.rows.tolist()
        assert same(found, by_library.values.tolist())
    ours, theirs = segments.encode(by_library), frozen.encode(by_migration)
    assert [getattr(ours, name) for name in frozen.Segment._fields[:7]] == [*theirs[:7]]


@given(st.dictionaries(st.integers(1, 9), columns, max_size=4))
@QUICK
def test_a_block_of_the_library_is_unpacked_by_the_migration(
    drawn: dict[int, list[Any]],
) -> None:
    cells = {key: segments.column(values, 7) for key, values in drawn.items()}
    there = {key: some for key, some in cells.items() if len(some)}

    found = frozen.unpack(segment_blocks.pack(there, 7), 7)

    assert found.keys() == there.keys()
    for key, some in there.items():
        assert found[key].rows.tolist() == some.rows.tolist()
        assert same(found[key].values.tolist(), some.values.tolist())


@pytest.mark.parametrize("count", [1, 4096, 4097, 10_000])
def test_a_column_is_cut_into_full_segments(count: int) -> None:
    cut = list(frozen.segments(frozen.column([index / 2 for index in range(count)], 0)))

    assert sum(segment.count for segment in cut) == count
    assert {segment.count for segment in cut[:-1]} <= {frozen.SEGMENT_CELLS}
    assert frozen.SEGMENT_CELLS == segments.SEGMENT_CELLS


def test_a_column_of_many_kinds_has_each_segment_in_the_narrowest() -> None:
    values = [*range(4096), *([0.5] * 4096), *(["x"] * 10)]

    cut = list(frozen.segments(frozen.column(values, 0)))

    assert [segment.kind for segment in cut] == ["int", "float", "json"]
