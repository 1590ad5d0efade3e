from __future__ import annotations

import math
import struct
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK, documents, same
from training_db.errors import InvalidValue
from training_db.segment_blocks import pack, unpack
from training_db.segments import (
    SEGMENT_CELLS,
    Column,
    column,
    decode,
    encode,
    is_number,
    joined,
    numbers,
    segments,
)

ODD_FLOATS = [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -2.2e-308, 1.8e-308, 1e308, 0.1]
ODD_INTS = [0, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]
LONG_INTS = [2**63, -(2**63) - 1, 2**64, 10**40, -(10**400)]

floats = st.one_of(st.floats(), st.sampled_from(ODD_FLOATS))
ints = st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from(ODD_INTS))
small_ints = st.integers(-(2**53), 2**53)
cells = st.one_of(
    st.lists(floats, min_size=1),
    st.lists(ints, min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.lists(st.one_of(floats, small_ints), min_size=1),
    st.lists(st.one_of(floats, st.booleans(), ints, st.sampled_from(LONG_INTS)), min_size=1),
    st.lists(st.lists(small_ints, min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(documents, min_size=1, max_size=6),
)
"""Values of a column: of each kind alone, and of several together."""

gaps = st.lists(st.integers(1, 50), min_size=1, max_size=12)
rows_begin = st.sampled_from([0, 1, 4095, 2**40])


def stored(cells: Column) -> Column:
    """Store a column as one segment, and read it."""
    one = encode(cells)
    return decode(one.kind, one.cells, one.first_row, one.count, one.row_numbers)


def same_column(left: Column, right: Column) -> bool:
    return left.rows.tolist() == right.rows.tolist() and same(
        left.values.tolist(), right.values.tolist()
    )


@QUICK
@given(cells, rows_begin)
def test_any_values_come_back_as_they_went_in(values: list[Any], first_row: int) -> None:
    given_cells = [value for value in values if value is not None]
    there = [first_row + at for at, value in enumerate(values) if value is not None]
    made = column(values, first_row)
    assert made.rows.tolist() == there
    assert same(made.values.tolist(), given_cells)
    if given_cells:
        back = stored(made)
        assert back.rows.tolist() == there
        assert same(back.values.tolist(), given_cells)


@QUICK
@given(gaps, rows_begin, st.data())
def test_sparse_rows_come_back(gap: list[int], first_row: int, data: st.DataObject) -> None:
    rows = first_row + np.cumsum(gap)
    values = data.draw(st.lists(floats, min_size=len(gap), max_size=len(gap)))
    made = Column(rows, np.array(values))
    assert same_column(stored(made), made)


def test_a_null_that_was_logged_as_such_is_a_cell_and_comes_back() -> None:
    values = np.empty(3, dtype=object)
    values[:] = [None, 1, "x"]
    made = Column(np.array([0, 2, 5]), values)
    assert same_column(stored(made), made)
    assert encode(made).kind == "json"
    assert (encode(made).min, encode(made).max) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, math.nan], "float"),
        ([1, -5], "int"),
        ([True, False], "bool"),
        ([1, 0.5], "mixed"),
        ([1, 0.5, 2**53], "mixed"),
        ([1, 0.5, 2**53 + 1], "json"),
        ([2**63], "json"),
        ([True, 1], "json"),
        (["a"], "json"),
        ([{"a": 1}], "json"),
        ([[1, 2], [3, 4]], "json"),
    ],
    ids=str,
)
def test_a_column_has_the_narrowest_kind_that_is_exact(values: list[Any], kind: str) -> None:
    made = column(values)
    assert encode(made).kind == kind
    assert same(stored(made).values.tolist(), values)


@pytest.mark.parametrize(
    "text", ["", "a\x00b", "\ud800", "\udc00x", "🙂", "é", '{"$float": "NaN"}']
)
def test_any_text_comes_back(text: str) -> None:
    assert stored(column([text, {"k": text}])).values.tolist() == [text, {"k": text}]


@pytest.mark.parametrize(
    "code", ["e", "f", "d", ">f8", "b", "B", "h", "H", "i", "I", "q", "Q", "?"]
)
def test_arrays_of_each_type_of_numpy_keep_their_numbers(code: str) -> None:
    values = np.array([0, 1, 1, 0, 1], dtype=code)
    back = stored(column(values, 7))
    assert back.rows.tolist() == [7, 8, 9, 10, 11]
    assert same(back.values.tolist(), values.tolist())


@pytest.mark.parametrize("code", ["e", "f"])
@QUICK
@given(st.data())
def test_narrow_floats_keep_their_value(code: str, data: st.DataObject) -> None:
    width = {"e": 16, "f": 32}[code]
    values = np.array(data.draw(st.lists(st.floats(width=width), min_size=1)), dtype=code)
    assert same(stored(column(values)).values.tolist(), values.tolist())


def test_unsigned_integers_beyond_a_signed_one_keep_every_digit() -> None:
    values = np.array([0, 2**63, 2**64 - 1], dtype=np.uint64)
    assert same(stored(column(values)).values.tolist(), [0, 2**63, 2**64 - 1])
    assert column(np.array([5], dtype=np.uint64)).values.dtype == np.int64


def test_arrays_that_are_views_come_back() -> None:
    values = np.arange(20.0)
    assert stored(column(values[::-2])).values.tolist() == values[::-2].tolist()
    assert stored(column(np.arange(6).reshape(2, 3).T[:, 1])).values.tolist() == [3, 4, 5]


def test_arrays_of_objects_text_and_two_dimensions_are_columns_too() -> None:
    assert stored(column(np.array([1, None, "x"], dtype=object))).values.tolist() == [1, "x"]
    assert stored(column(np.array(["a", "b"]))).values.tolist() == ["a", "b"]
    assert stored(column(np.arange(4).reshape(2, 2))).values.tolist() == [[0, 1], [2, 3]]
    assert len(column(np.empty(0))) == len(column([])) == len(column([None])) == 0


class Colour(IntEnum):
    RED = 3


class Word(StrEnum):
    YES = "yes"


def test_scalars_of_numpy_and_enums_are_the_values_they_stand_for() -> None:
    values = [np.float32(0.5), np.float64(0.25), np.int8(3), np.bool_(True), Colour.RED, Word.YES]
    expected = [0.5, 0.25, 3, True, 3, "yes"]
    assert same(stored(column(values)).values.tolist(), expected)
    assert column([np.float32(0.5), np.float32(1.5)]).values.dtype == np.float64
    assert column([np.int16(5), 7]).values.dtype == np.int64
    assert same(column([np.array(2.0)]).values.tolist(), [2.0])


def test_what_json_can_write_is_stored_as_the_plain_value() -> None:
    values = [(1, 2), np.array([1.0, 2.0]), {"a": np.int64(1)}]
    assert same(stored(column(values)).values.tolist(), [[1, 2], [1.0, 2.0], {"a": 1}])


@pytest.mark.parametrize(
    "value", [object(), 1j, len, 10**5000], ids=["object", "complex", "function", "long"]
)
def test_what_no_json_holds_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue):
        encode(column([value, "x"]))


@QUICK
@given(st.lists(st.one_of(floats, small_ints, st.booleans(), st.text()), min_size=1))
def test_the_range_of_a_segment_is_that_of_its_finite_numbers(values: list[Any]) -> None:
    one = encode(column(values))
    found = [float(value) for value in values if isinstance(value, (int, float))]
    finite = [value for value in found if math.isfinite(value)]
    assert one.count == len(values)
    assert one.non_finite_count == len(found) - len(finite)
    assert one.min == (min(finite) if finite else None)
    assert one.max == (max(finite) if finite else None)


def test_a_dense_segment_stores_no_row_numbers() -> None:
    dense, sparse = encode(column([1.0, 2.0], 5)), encode(column([1.0, None, 2.0], 5))
    assert (dense.first_row, dense.last_row, dense.row_numbers) == (5, 6, None)
    assert (sparse.first_row, sparse.last_row, sparse.count) == (5, 7, 2)
    assert sparse.row_numbers is not None


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 8192, 10_000])
def test_a_column_is_cut_into_segments_of_4096_cells(length: int) -> None:
    assert SEGMENT_CELLS == 4096
    made = column(np.arange(length) * 0.5)
    cut = list(segments(made))
    assert [one.count for one in cut[:-1]] == [4096] * (len(cut) - 1)
    assert 0 < cut[-1].count <= 4096
    back = joined(
        decode(one.kind, one.cells, one.first_row, one.count, one.row_numbers) for one in cut
    )
    assert same_column(back, made)
    assert list(segments(column([]))) == []


def test_smooth_curves_are_small() -> None:
    curve = np.exp(-np.arange(4096) / 1000).astype(np.float32)
    assert len(encode(column(curve)).cells) < 4096 * 4
    assert len(encode(column(np.arange(4096))).cells) < 200


@QUICK
@given(st.dictionaries(st.integers(1, 2**40), cells, max_size=6), rows_begin)
def test_columns_packed_side_by_side_come_back(given_cells: dict[int, Any], first: int) -> None:
    columns = {key: column(values, first) for key, values in given_cells.items()}
    columns = {key: one for key, one in columns.items() if len(one)}
    block = pack(columns, first)
    back = unpack(block, first)
    assert back.keys() == columns.keys()
    assert all(same_column(back[key], columns[key]) for key in columns)
    some = set(list(columns)[::2])
    assert unpack(block, first, some).keys() == some
    assert unpack(block, first, []) == {}
    assert unpack(block, first, {-5}) == {}


def test_columns_with_the_same_rows_share_them_in_a_block() -> None:
    rows = np.sort(np.random.default_rng(0).permutation(4000)[:1000])
    one = Column(rows, np.zeros(1000))
    alone, together = pack({1: one}, 0), pack(dict.fromkeys(range(1, 11), one), 0)
    assert len(together) < 2 * len(alone)
    assert all(same_column(found, one) for found in unpack(together, 0).values())


def test_a_column_that_begins_after_its_block_keeps_its_rows() -> None:
    late, early = column([1.0, 2.0], 13), column([1.0, 2.0], 10)
    back = unpack(pack({1: late, 2: early}, 10), 10)
    assert back[1].rows.tolist() == [13, 14]
    assert back[2].rows.tolist() == [10, 11]


@QUICK
@given(st.lists(cells, max_size=5))
def test_columns_of_several_kinds_are_put_together_exactly(parts: list[list[Any]]) -> None:
    columns, start = [], 0
    for values in parts:
        columns.append(column(values, start))
        start += len(values)
    whole = joined(columns)
    assert whole.rows.tolist() == [row for one in columns for row in one.rows.tolist()]
    assert same(whole.values.tolist(), [value for one in columns for value in one.values.tolist()])


def test_numbers_of_what_is_none_are_nan_and_those_too_long_are_infinite() -> None:
    values = column([1, "x", True, None, 0.5, 10**400, -(10**400), [1]]).values
    assert same(numbers(values).tolist(), [1.0, math.nan, 1.0, 0.5, math.inf, -math.inf, math.nan])
    assert is_number(values).tolist() == [True, False, True, True, True, True, False]
    assert numbers(np.array([True, False])).tolist() == [1.0, 0.0]
    assert is_number(np.array([1, 2])).all()


def test_nan_of_any_making_is_nan_again() -> None:
    (odd,) = struct.unpack("<d", struct.pack("<Q", 0xFFF8_0000_0000_0001))
    back = stored(column([odd, 1.0])).values
    assert math.isnan(back[0])
    assert back[1] == 1.0


def test_a_part_of_a_column_has_its_rows_and_values() -> None:
    part = column([1.0, None, 3.0, 4.0]).part(1, 3)
    assert (part.rows.tolist(), part.values.tolist(), len(part)) == ([2, 3], [3.0, 4.0], 2)
