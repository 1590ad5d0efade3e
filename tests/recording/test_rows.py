"""Rows go into a spool as they were logged, and come out by columns."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK, any_text, documents, numbers, same
from training_db.documents import decode, encode
from training_db.errors import InvalidValue
from training_db.models.types import LONGEST_INDEXED
from training_db.recording.complaints import Complaints
from training_db.recording.packing import Packer
from training_db.recording.rows import metric_name
from training_db.recording.spool import MOST_LAYOUTS, Spool
from training_db.segments import plain

META = {"writer": "1", "run_id": "r", "place": ""}


def no_complaints(kind: str, message: str, _data: object) -> None:
    raise AssertionError(f"{kind}: {message}")


def through_a_spool(rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, Any]]]:
    """Pack rows, read them again, and return the cells of each metric with their rows."""
    spool = Spool.create(None, META)
    packer = Packer(spool, Complaints(no_complaints))
    for row in rows:
        spool.add(*packer.packed(packer.plain(row)))
    batch = spool.read(10**9, spool.next_row)
    assert (batch.first, batch.stop) == (0, len(rows))
    spool.close()
    return {
        name: list(zip(column.rows.tolist(), column.values.tolist(), strict=True))
        for name, column in batch.columns().items()
    }


def expected(rows: list[dict[str, Any]]) -> dict[str, list[tuple[int, Any]]]:
    cells: dict[str, list[tuple[int, Any]]] = {}
    for number, row in enumerate(rows):
        for name, value in row.items():
            if value is not None:
                cells.setdefault(name, []).append((number, value))
    return cells


names = st.sampled_from(["loss", "acc", "phase", "a", "b", "$float"])
values = st.one_of(numbers, st.none(), st.booleans(), st.text("ab$", max_size=3), documents)


@QUICK
@given(st.lists(st.dictionaries(names, values, max_size=5), max_size=8))
def test_every_value_comes_back_as_it_went_in(rows: list[dict[str, Any]]) -> None:
    rows = [{name: decode(encode(value)) for name, value in row.items()} for row in rows]
    found, wanted = through_a_spool(rows), expected(rows)
    assert found.keys() == wanted.keys()
    for name, cells in wanted.items():
        assert [row for row, _ in found[name]] == [row for row, _ in cells]
        assert all(
            same(one, other) for (_, one), (_, other) in zip(found[name], cells, strict=True)
        )


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.array(1.5), 1.5),
        (np.longdouble(0.5), 0.5),
        (np.array([1, 2]), [1, 2]),
        ((1, "x"), [1, "x"]),
        (Path("a/b"), "a/b"),
        (SimpleNamespace(lr=0.1), {"lr": 0.1}),
    ],
)
def test_a_value_is_stored_as_the_plain_one_it_stands_for(value: object, stored: object) -> None:
    assert same(plain(value), stored)


class Text(str):
    __slots__ = ()


def test_a_subclass_is_stored_as_what_it_is_made_of() -> None:
    assert type(plain(Text("x"))) is str


def test_a_value_that_means_nothing_is_refused() -> None:
    with pytest.raises(InvalidValue, match="is a object"):
        plain(object())


@QUICK
@given(any_text)
def test_every_text_has_a_name_that_both_backends_can_hold(key: str) -> None:
    name = metric_name(key)
    assert name
    assert "\x00" not in name
    assert len(name.encode()) <= LONGEST_INDEXED


def test_names_stay_apart_where_they_are_cut() -> None:
    first, second = metric_name("é" * 700 + "a"), metric_name("é" * 700 + "b")
    assert first != second
    assert len(first.encode()) <= LONGEST_INDEXED
    assert [metric_name(key) for key in (1, 1.0, True, None)] == ["1", "1.0", "True", "None"]


def test_more_layouts_than_a_spool_keeps_become_rows_of_json() -> None:
    rows = [{f"m{number}": number, "text": "x"} for number in range(MOST_LAYOUTS + 50)]
    found = through_a_spool(rows)
    assert len(found) == len(rows) + 1
    assert found[f"m{MOST_LAYOUTS + 49}"] == [(MOST_LAYOUTS + 49, MOST_LAYOUTS + 49)]
    assert len(found["text"]) == len(rows)


def test_shapes_beyond_what_is_remembered_are_told_anew() -> None:
    spool = Spool.create(None, META)
    packer = Packer(spool, Complaints(no_complaints))
    first = packer.shape(("a",), (float,), type(None))
    assert packer.shape(("a",), (float,), type(None)) is first
    for number in range(1_000):
        packer.shape((f"m{number}",), (float,), int)
    again = packer.shape(("a",), (float,), type(None))
    assert again is not first
    assert again.number == first.number
    spool.close()


def test_two_keys_of_one_name_are_one_metric_and_a_complaint() -> None:
    told: list[str] = []
    spool = Spool.create(None, META)
    complaints = Complaints(lambda _kind, message, data: told.append(json.dumps([message, data])))
    with pytest.warns(UserWarning, match="two metrics of a row are named '1'"):
        row = Packer(spool, complaints).plain({"1": 0.5, 1: 0.75})
    assert row == {"1": 0.5}
    assert len(told) == 1
    spool.close()
