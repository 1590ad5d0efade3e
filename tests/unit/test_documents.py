from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import Enum, IntEnum, StrEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from pydantic import BaseModel

from tests.unit.strategies import QUICK, documents, same
from training_db.documents import (
    check_text,
    decode,
    encode,
    look_up,
    plain_json,
    strict_json,
)
from training_db.errors import InvalidValue


def reject_constant(name: str) -> None:
    raise AssertionError(f"{name} is no strict JSON")


def strictly(text: str) -> object:
    return json.loads(text, parse_constant=reject_constant)


@QUICK
@given(documents)
def test_any_document_comes_back_as_it_went_in(document: object) -> None:
    assert same(decode(encode(document)), document)


@QUICK
@given(documents)
def test_what_is_stored_is_strict_json_that_jsonb_can_hold(document: object) -> None:
    text = encode(document)
    strictly(text)
    text.encode()  # no lone surrogate
    assert "\x00" not in text
    assert r"\u0000" not in text.replace(r"\\u0000", "")


@QUICK
@given(documents)
def test_plain_json_is_read_by_json_loads_as_the_values_that_went_in(document: object) -> None:
    assert same(json.loads(plain_json(encode(document))), document)


@QUICK
@given(documents)
def test_json_of_someone_else_is_made_searchable_without_a_change(document: object) -> None:
    theirs = json.dumps(document)
    if "$" not in theirs:
        searchable = strict_json(theirs)
        assert searchable is not None
        strictly(searchable)
        assert same(decode(searchable), document)


@pytest.mark.parametrize(
    ("number", "name"),
    [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")],
)
def test_a_number_that_is_not_finite_is_told_apart_from_its_name(number: float, name: str) -> None:
    as_number, as_text = encode({"x": number}), encode({"x": name})
    assert as_number != as_text
    assert same(decode(as_number), {"x": number})
    assert decode(as_text) == {"x": name}


def test_none_is_told_apart_from_nan() -> None:
    assert same(decode(encode({"a": None, "b": math.nan})), {"a": None, "b": math.nan})


@pytest.mark.parametrize(
    "document",
    [
        {"$float": "NaN"},
        {"$float": "NaN", "x": 1},
        {"$text": "a\\u0000b"},
        {"$$float": "NaN"},
        {"$text": 'a"b'},
        {"$float": [1, {"$float": math.nan}]},
        {"$text": {"$text": "\x00"}},
    ],
)
def test_a_document_that_looks_like_a_tag_is_no_tag(document: dict[str, object]) -> None:
    assert same(decode(encode(document)), document)
    assert same(json.loads(plain_json(encode(document))), document)


@pytest.mark.parametrize(
    "theirs",
    ['{"$float": [1]}', '{"$float": {"a": 1}}', '{"$text": "a\\"b"}', '{"$text": "\\\\"}'],
)
def test_a_tag_that_nobody_here_wrote_is_left_as_it_is(theirs: str) -> None:
    assert decode(theirs) == json.loads(theirs)
    assert json.loads(plain_json(theirs)) == json.loads(theirs)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**300, 10**4000])
def test_an_integer_keeps_every_digit(number: int) -> None:
    assert decode(encode({"n": number})) == {"n": number}


def test_an_integer_too_long_for_python_to_print_is_refused_by_name() -> None:
    with pytest.raises(InvalidValue, match=r"config\.n"):
        encode({"n": 10**5000}, "config")


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Method(StrEnum):
    MGDA = "mgda"


@dataclass
class Optimizer:
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    _hidden: int = 7
    extra: dict[str, float] = field(default_factory=dict)


class Model(BaseModel):
    layers: int
    name: str = "net"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(1.5), 1.5),
        (np.float64("nan"), math.nan),
        (np.array([1.0, math.inf]), [1.0, math.inf]),
        (np.datetime64("2024-05-06"), "2024-05-06"),
        (Path("runs") / "a.yaml", "runs/a.yaml"),
        (PurePosixPath("/x"), "/x"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC), "2024-05-06T07:08:09+00:00"),
        (date(2024, 5, 6), "2024-05-06"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Method.MGDA, "mgda"),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset({"a"}), ["a"]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Optimizer(0.1), {"lr": 0.1, "betas": [0.9, 0.999], "_hidden": 7, "extra": {}}),
        (Model(layers=2), {"layers": 2, "name": "net"}),
        ({2: "a", None: "b", True: "c", 1.5: "d", Colour.RED: "e"},
         {"2": "a", "null": "b", "true": "c", "1.5": "d", "red": "e"}),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_of_other_kinds_are_written_as_what_they_stand_for(
    value: object, plain: object
) -> None:
    assert same(decode(encode({"x": value})), {"x": plain})


def test_a_value_is_written_the_same_whatever_stands_beside_it() -> None:
    alone = decode(encode({"x": Optimizer(0.1)}))["x"]
    beside_nan = decode(encode({"x": Optimizer(0.1), "y": math.nan}))["x"]
    assert alone == beside_nan


def test_a_dataclass_that_holds_nan_keeps_it() -> None:
    read = decode(encode({"opt": Optimizer(math.nan, extra={"x": math.inf})}))
    assert same(read["opt"]["lr"], math.nan)
    assert read["opt"]["extra"] == {"x": math.inf}


@pytest.mark.parametrize(
    ("document", "place", "kind"),
    [
        ({"model": {"act": max}}, "config.model.act", "builtin_function_or_method"),
        ({"a": [1, {"b": b"bytes"}]}, "config.a.1.b", "bytes"),
        ({"a": 1j}, "config.a", "complex"),
        ({"a": object()}, "config.a", "object"),
        ({"a": Optimizer}, "config.a", "type"),
        ({"a": np.array([1j])}, "config.a.0", "complex"),
    ],
)
def test_a_value_that_cannot_be_written_is_refused_by_its_path(
    document: object, place: str, kind: str
) -> None:
    with pytest.raises(InvalidValue) as caught:
        encode(document, "config")
    assert str(caught.value).startswith(f"{place} ")
    assert kind in str(caught.value)


@pytest.mark.parametrize("key", [(1, 2), b"a", "a\x00b", "\ud800"])
def test_a_key_that_cannot_be_written_is_refused_by_its_path(key: object) -> None:
    with pytest.raises(InvalidValue, match=r"config\.model has the key"):
        encode({"model": {key: 1}}, "config")


@pytest.mark.parametrize("bottom", [1, math.nan], ids=["plain", "nan"])
def test_a_deep_document_is_stored_and_an_absurdly_deep_one_refused(bottom: float) -> None:
    def nested(depth: int) -> object:
        return bottom if not depth else {"a": nested(depth - 1)}

    assert same(decode(encode(nested(90))), nested(90))
    with pytest.raises(InvalidValue, match=r"config\.a\.a\.a\.\.\. is nested over 250 deep"):
        encode(nested(500), "config")


def test_a_document_that_holds_itself_is_refused() -> None:
    loop: dict[str, object] = {}
    loop["self"] = loop
    with pytest.raises(InvalidValue, match=r"config\.self\.self"):
        encode(loop, "config")


@pytest.mark.parametrize("text", ["{broken", "", "[" * 100_000, "1" * 5000, "{'a': 1}"])
def test_text_that_is_no_json_is_refused_when_read_and_left_when_shown(text: str) -> None:
    with pytest.raises(InvalidValue, match="is no JSON"):
        decode(text)
    assert plain_json(text) == text
    assert strict_json(text) is None


def test_broken_text_with_a_tag_in_it_is_shown_as_it_is() -> None:
    assert plain_json('{"$float": ') == '{"$float": '


def test_bare_nan_of_old_rows_is_read_and_its_text_is_kept() -> None:
    assert same(decode('{"a": NaN, "b": -Infinity}'), {"a": math.nan, "b": -math.inf})
    assert plain_json('{"a": NaN}') == '{"a": NaN}'


def test_a_place_in_a_document_is_looked_up_by_its_keys() -> None:
    text = '{"a": {"b.c": [1, NaN]}, "n": null}'
    assert look_up(text, ["a", "b.c"]) == '[1, {"$float": "NaN"}]'
    assert look_up(text, ["n"]) == "null"
    assert look_up(text, ["a", "nothing"]) is None
    assert look_up(text, ["n", "deeper"]) is None
    assert look_up("{broken", ["a"]) is None


@pytest.mark.parametrize(
    ("text", "fault"), [("ab\x00", "a NUL character"), ("\udfff", "the lone surrogate")]
)
def test_text_that_no_column_can_hold_is_refused(text: str, fault: str) -> None:
    with pytest.raises(InvalidValue, match=fault):
        check_text(text, "host")
    assert check_text("ü 😀 \x1b", "host") == "ü 😀 \x1b"


def test_two_keys_that_are_the_same_as_text_are_refused() -> None:
    with pytest.raises(InvalidValue, match="config has two keys that are '1' as text"):
        encode({1: "a", "1": "b"}, "config")
