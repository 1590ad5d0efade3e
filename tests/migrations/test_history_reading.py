"""A text that comes in pieces is read as the same text is that comes whole."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.migrations.histories import TEXTS, any_history, texts_of, written
from tests.unit.strategies import QUICK, same
from training_db.db.scripts import load_script

history_v3 = load_script("history_v3")


def taken_apart(document: Any) -> Any:
    """Read a document to its end, and return all there was in it."""
    if document.form == "rows":
        return [row for rows, _ in document.rows() for row in rows]
    members = [
        (key, [cell for cells, _ in value.lists for cell in cells])
        if type(value) is history_v3.reading.Cells
        else (key, value)
        for key, value in document.members()
    ]
    # Of members that are read one by one, only who takes them sees that a key comes again.
    return members if len(dict(members)) == len(members) else "no table"


def outcome(read_document: Any) -> Any:
    try:
        return taken_apart(read_document())
    except history_v3.documents.NotATable:
        return "no table"


@given(any_history, written, st.integers(1, 9), st.integers(0, 400), st.sampled_from('",]}[1 x'))
@QUICK
def test_a_text_in_pieces_is_read_as_the_whole_is(
    value: Any, write: Any, size: int, at: int, instead: str
) -> None:
    (text,) = texts_of([(value, write)])
    for candidate in (text, text[:at] + instead + text[at + 1 :], text[:at]):
        pieces = [candidate[start : start + size] for start in range(0, len(candidate), size)]
        left = outcome(lambda text=candidate: history_v3.reading.Whole(text))
        right = outcome(lambda pieces=pieces: history_v3.reading.Pieces(iter(pieces)))
        assert same(listed(left), listed(right)), candidate


def listed(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [listed(item) for item in value]
    return value


@pytest.mark.parametrize("name", TEXTS)
def test_each_odd_text_in_pieces_is_read_as_the_whole_is(name: str) -> None:
    text = TEXTS[name] or ""
    left = outcome(lambda: history_v3.reading.Whole(text))
    for size in (1, 2, 3, 7, 100):
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        right = outcome(lambda pieces=pieces: history_v3.reading.Pieces(iter(pieces)))
        assert same(listed(left), listed(right))
