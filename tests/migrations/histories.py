"""Histories as v2.1 may hold them, odd and plain ones, and how they are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from tests.unit.strategies import documents, keys, numbers, same
from training_db.documents import encode

if TYPE_CHECKING:
    from tests.migrations.conftest import Database

TEXTS = {
    "nothing": None,
    "numbers": '{"loss": [1.5, 2.5, -0.0], "_step": [10, 20, 30]}',
    "gaps": '{"loss": [1.5, null, 2.5], "eval": [null, 7, null]}',
    "tags": '{"loss": [1.5, {"$float": "NaN"}, {"$float": "-Infinity"}]}',
    "bare": '{"loss": [1.5, NaN, -Infinity, Infinity]}',
    "bare and tags": '{"loss": [NaN, {"$float": "NaN"}]}',
    "overflow": '{"loss": [1e999, 1]}',
    "mixed": '{"n": [1, 2.0, 3, 0.5]}',
    "bools": '{"ok": [true, false, null]}',
    "mixed bools": '{"ok": [true, 1, 1.0]}',
    "large": f'{{"n": [{2**53 + 1}, {2**63 - 1}, {-(2**63)}], "m": [{2**64}, 1, {10**60}]}}',
    "too large": '{"n": [' + "9" * 5000 + "]}",
    "hardly large": '{"n": [' + "9" * 4250 + "]}",
    "text": '{"note": ["a", "", "ä€😀"]}',
    "text with NUL": '{"note": ["a\\u0000b"]}',
    "tagged text": '{"note": [{"$text": "a\\\\u0000b"}, {"$text": "\\\\ud800"}]}',
    "tagged text of somebody": '{"note": [{"$text": "plain"}]}',
    "half a pair": '{"note": ["\\ud800"]}',
    "nested": '{"image": [{"path": "a.png", "size": [1, 2]}, [1, [2]], {}, []]}',
    "nested with tags": '{"x": [{"$$float": 1, "y": {"$float": "NaN"}}]}',
    "nested with bare": '{"x": [{"$float": 1, "y": NaN}]}',
    "key like a tag": '{"$$float": [1], "b": [2]}',
    "bare key like a tag": '{"$float": [1], "b": [2]}',
    "both keys": '{"$float": [1], "$$float": [2]}',
    "one tag": '{"$float": "NaN"}',
    "one list in a tag": '{"$float": [1, 2]}',
    "unequal": '{"a": [1, 2, 3], "b": [1], "c": []}',
    "nulls at the end": '{"a": [1, null, null], "b": [null, null, null]}',
    "nulls and short": '{"a": [1, null], "b": [null, null, null], "c": [null]}',
    "no rows": '{"a": [], "b": []}',
    "empty object": "{}",
    "empty list": "[]",
    "blanks": ' { "a" : [ 1 , 2 ] } ',
    "order": '{"z": [1], "loss": [2], "a": [3]}',
    "members": '{"loss": [1, 2], "note": "x", "more": {"a": NaN}, "none": null}',
    "only members": '{"final": 1}',
    "rows": '[{"loss": 1}, {"loss": 2, "eval": 0.5}, {}]',
    "rows with null": '[{"loss": null}, {"loss": 2}, {"other": null}]',
    "rows in other order": '[{"z": 1, "a": 2}, {"a": 1, "z": 2}]',
    "rows with NaN": '[{"loss": NaN}, {"loss": 1}]',
    "rows with tags": '[{"loss": {"$float": "NaN"}}, {"$$text": "x"}]',
    "row that is a tag": '[{"$float": "NaN"}]',
    "row that is a text": '[{"loss": 1}, {"$text": "x"}]',
    "empty rows": "[{}, {}]",
    "list of lists": "[[1, 2], [3]]",
    "list of numbers": "[1, 2]",
    "list of both": '[{"a": 1}, 2]',
    "number": "7",
    "string": '"x"',
    "null": "null",
    "nan": "NaN",
    "malformed": '{"a": [1, 2',
    "malformed comma": '{"a": [1, 2,]}',
    "malformed end": '{"a": [1]} x',
    "no text": "",
    "empty key": '{"": [1, 2]}',
    "long key": json.dumps({"k" * 1001: [1]}),
    "longest key": json.dumps({"k" * 1000: [1]}),
    "key with NUL": '{"a\\u0000": [1]}',
    "nested key with NUL": '{"a": [{"a\\u0000": 1}]}',
    "one key twice": '{"a": [1], "a": [2]}',
    "nested key twice": '{"a": [{"b": 1, "b": 2}]}',
    "row with a key twice": '[{"a": 1, "a": 2}]',
    "deep": '{"a": [' + "[" * 300 + "]" * 300 + "]}",
    "too deep": "[" * 5000,
    "equals": "=",
}
KEPT = {
    "bare and tags", "too large", "hardly large", "tagged text of somebody", "both keys", "one tag",
    "row that is a tag", "row that is a text", "list of lists", "list of numbers", "list of both",
    "number", "string", "null", "nan", "malformed", "malformed comma", "malformed end", "no text",
    "long key", "key with NUL", "nested key with NUL", "one key twice", "nested key twice",
    "row with a key twice", "deep", "too deep", "equals", "nested with bare and tags",
}  # fmt: skip


histories_of_columns = st.dictionaries(
    keys, st.lists(st.none() | numbers, max_size=5) | st.lists(documents, max_size=3) | documents,
    max_size=4,
)  # fmt: skip
histories_of_rows = st.lists(st.dictionaries(keys, documents, max_size=3), max_size=4)
any_history = st.one_of(histories_of_columns, histories_of_rows, documents)
written = st.sampled_from([json.dumps, encode, lambda value: json.dumps(value, indent=1)])


def texts_of(drawn: list[tuple[Any, Any]]) -> list[str]:
    texts = []
    for value, write in drawn:
        try:
            texts.append(write(value))
        except ValueError:  # what the library refuses to write
            texts.append(json.dumps(value))
    return texts


def insert(database: Database, texts: dict[str, str | None]) -> None:
    rows = [{"id": name, "text": text} for name, text in texts.items()]
    database.run("INSERT INTO training_runs (run_id, history_json) VALUES (:id, :text)", *rows)


def histories(database: Database) -> dict[str, str | None]:
    rows = database.rows("SELECT run_id, history_json FROM training_runs")
    return {row["run_id"]: row["history_json"] for row in rows}


def read(text: str | None) -> Any:
    """Read a text as JSON, or as itself where it is none."""
    try:
        return None if text is None else (json.loads(text),)
    except (ValueError, RecursionError):
        return text


def unordered(value: Any) -> Any:
    """Sort the keys of all objects: JSON has no order of them."""
    if isinstance(value, dict):
        return {key: unordered(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple)):
        return [unordered(item) for item in value]
    return value


def lost(before: dict[str, str | None], after: dict[str, str | None]) -> dict[str, Any]:
    """Return what did not come back as the JSON value that it was."""
    return {
        name: (text, after[name])
        for name, text in before.items()
        if not same(unordered(read(text)), unordered(read(after[name])))
    }
