"""PostgreSQL's training_db_document makes of a text what documents.strict_json makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import torture
from training_db.db.migrations import upgrade
from training_db.documents import strict_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgres import Server

letters = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
tricky = st.sampled_from(
    ["NaN", 'say "NaN"', "\\", '\\"', "-Infinity", "a:", "$float", "$text", "$$float", "\n\t", "é"]
)
texts = letters | tricky
scalars = (
    st.none() | st.booleans() | st.integers() | texts | st.floats(allow_subnormal=False, width=32)
)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def connection(postgres: Server) -> Iterator[psycopg.Connection[Any]]:
    with postgres.database() as url:
        upgrade(url)
        with psycopg.connect(url, autocommit=True) as opened:
            yield opened


def in_sql(connection: psycopg.Connection[Any], text: str) -> Any:
    row = connection.execute("SELECT training_db_document(%s)::text", [text]).fetchone()
    assert row is not None
    return None if row[0] is None else read(row[0])


def read(text: str) -> Any:
    # JSONB writes 5e16 with all its digits, so only as a float are the two the same number.
    return json.loads(text, parse_int=float)


@given(documents, st.booleans(), st.sampled_from([None, 2]))
@settings(
    max_examples=torture.rounds(60, 2000),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_both_make_the_same_document_of_any_json_with_nan(
    connection: psycopg.Connection[Any], document: Any, ascii_only: bool, indent: int | None
) -> None:
    # A NaN beside it makes sure that no side may take the text as it stands.
    text = json.dumps([document, float("nan")], ensure_ascii=ascii_only, indent=indent)

    strict = strict_json(text)

    assert strict is not None
    assert in_sql(connection, text) == read(strict)


@pytest.mark.parametrize(
    "text",
    [
        "{broken", "", "NaNx", "-NaN", "1NaN", "[NaN NaN]", "{NaN: 1}", '{"a": NaN', "nan",
        '"NaN', "Infinity2", "+Infinity", '{"\\u0000": 1}', '["a\nb"]', "--Infinity",
    ],
)  # fmt: skip
def test_what_is_no_json_is_null_in_both(connection: psycopg.Connection[Any], text: str) -> None:
    assert strict_json(text) is None
    assert in_sql(connection, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "NaN", " [ Infinity , -Infinity ] ", '{"a": "NaN", "b": NaN}', '["\\\\", NaN, "\\""]',
        '["a\\u0000b"]', '["\\ud800"]', '["\\udc00 x"]', '["\\ud83d\\ude00", NaN]',
        '["\\\\u0000", NaN]', '{"$float": NaN, "$$text" : 1}', '{"k": "$float", "l": NaN}',
    ],
)  # fmt: skip
def test_odd_but_readable_json_is_the_same_in_both(
    connection: psycopg.Connection[Any], text: str
) -> None:
    strict = strict_json(text)

    assert strict is not None
    assert in_sql(connection, text) == read(strict)


def test_a_large_text_with_nan_is_read_too(connection: psycopg.Connection[Any]) -> None:
    document = {f"key {index}": index + 0.5 for index in range(40_000)} | {"last": float("nan")}

    assert in_sql(connection, json.dumps(document))["last"] == {"$float": "NaN"}
