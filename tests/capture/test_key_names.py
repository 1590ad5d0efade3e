"""Keys of W&B and names of metrics: each key has a name of its own, and finds back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK, documents, same
from training_db.capture.key_names import KeyNames, leaves, nested

if TYPE_CHECKING:
    from random import Random

    Path = tuple[str, ...]

parts = st.sampled_from(["n", "d", "n.d", "a/b", "Epoch ", ".", "", "_type", '["n","d"]', "é"])
paths = st.lists(
    st.lists(parts | st.text(max_size=4), min_size=1, max_size=3).map(tuple), unique=True
)


def path_of(names: KeyNames, name: str) -> Path:
    """Return the path that a name stands for."""
    return tuple(names.paths.get(name, [name]))


def test_a_key_of_one_part_keeps_its_text() -> None:
    names = KeyNames()

    for key in ("loss", "Epoch ", "train/loss", "n.d", '["n","d"]', "a:b"):
        assert names.name((key,)) == key

    assert names.paths == {}


def test_a_path_is_joined_by_dots_as_wandb_shows_it() -> None:
    names = KeyNames()

    assert names.name(("n", "d", "e")) == "n.d.e"
    assert names.paths == {"n.d.e": ["n", "d", "e"]}


def test_a_nested_key_and_a_literal_key_with_a_dot_are_two_metrics() -> None:
    names = KeyNames()

    assert names.name(("n.d",)) == "n.d"
    assert names.name(("n", "d")) == '["n","d"]'
    assert names.paths == {'["n","d"]': ["n", "d"]}


def test_a_literal_key_that_comes_after_the_nested_one_is_another_metric() -> None:
    names = KeyNames()

    assert names.name(("n", "d")) == "n.d"
    literal = names.name(("n.d",))

    assert literal != "n.d"
    assert path_of(names, "n.d") == ("n", "d")
    assert path_of(names, literal) == ("n.d",)


def test_paths_that_join_alike_are_different_metrics() -> None:
    names = KeyNames()
    given = [("a", "b.c"), ("a.b", "c"), ("a", "b", "c"), ("a.b.c",)]

    assert len({names.name(path) for path in given}) == len(given)
    assert names.name(("a", "b.c")) == "a.b.c", "first come keeps the plain name"


@QUICK
@given(given=paths)
def test_each_path_has_one_name_that_leads_back_to_it(given: list[Path]) -> None:
    names = KeyNames()

    found = {path: names.name(path) for path in given}

    assert len(set(found.values())) == len(given)
    assert {path: path_of(names, name) for path, name in found.items()} == {
        path: path for path in given
    }
    assert {path: names.name(path) for path in given} == found, "asked again"


@QUICK
@given(given=paths, chance=st.randoms(use_true_random=False))
def test_what_an_earlier_part_of_the_import_called_a_path_it_is_called_again(
    given: list[Path], chance: Random
) -> None:
    earlier = KeyNames()
    found = {path: earlier.name(path) for path in given}
    nested_ones = [path for path in given if found[path] in earlier.paths]
    chance.shuffle(nested_ones)

    later = KeyNames(earlier.paths)

    assert {path: later.name(path) for path in nested_ones} == {
        path: found[path] for path in nested_ones
    }


def test_a_name_no_column_can_hold_is_changed_and_remembered() -> None:
    names = KeyNames()

    changed = [names.name((key,)) for key in ("a\x00b", "x" * 2_000, "")]

    assert changed == ["a\ufffdb", changed[1], "(empty)"]
    assert len(changed[1].encode()) <= 1_000
    assert [path_of(names, name) for name in changed] == [("a\x00b",), ("x" * 2_000,), ("",)]


def test_a_row_is_taken_apart_into_leaves() -> None:
    image = {"_type": "image-file", "path": "media/x.png", "size": {"w": 1}}
    row = {"loss": 1, "n": {"d": {"e": 2}, "empty": {}}, "picture": image, 3: {"x": [1, {"y": 2}]}}

    assert dict(leaves(row)) == {
        ("loss",): 1,
        ("n", "d", "e"): 2,
        ("n", "empty"): {},
        ("picture",): image,
        ("3", "x"): [1, {"y": 2}],
    }


@QUICK
@given(row=st.dictionaries(st.text(max_size=4), documents, max_size=5))
def test_leaves_put_together_again_are_the_row(row: dict[str, Any]) -> None:
    assert same(nested(leaves(row)), row)


@pytest.mark.parametrize(
    "cells",
    [
        [(("a",), 1), (("a", "b"), 2)],
        [(("a", "b"), 2), (("a",), 1)],
    ],
)
def test_a_key_that_is_a_value_and_a_mapping_too_stops_nothing(cells: list[Any]) -> None:
    assert "a" in nested(cells)
