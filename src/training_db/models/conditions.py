"""Conditions on text and on places in JSON that find the same on SQLite and on PostgreSQL.

Each is written for both backends; :class:`training_db.models.types.by_backend` chooses.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Integer,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
    type_coerce,
)

from training_db.models.types import JSONB, JSONPATH, LARGEST, SMALLEST, TEXT_ARRAY, by_backend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.sql.elements import ColumnElement

    JSONScalar = bool | int | float | str


def text_like(column: ColumnElement[Any], pattern: str, *, negated: bool) -> ColumnElement[bool]:
    r"""Match text against a pattern, upper and lower case told apart.

    Args:
        column: The text.
        pattern: ``%`` stands for any characters, ``_`` for one, and ``\`` takes the next as it is.
        negated: Whether to ask for what does not match.
    """
    return by_backend(
        sqlite=_glob(column, pattern, negated=negated),
        postgresql=column.not_like(pattern) if negated else column.like(pattern),
    )


@dataclass(frozen=True)
class JSONPath:
    """The place of a value inside a column of JSON text.

    Each condition is true where it holds, and not true where the value is missing, not finite, or
    of another JSON type than what it is compared with.

    Args:
        text: The column with the JSON text, which SQLite reads.
        document: The same as JSONB, which PostgreSQL alone has.
        keys: The keys from the top of the document down to the value.
    """

    text: ColumnElement[Any]
    document: ColumnElement[Any]
    keys: tuple[str, ...]

    def compare(self, operator: str, value: JSONScalar) -> ColumnElement[bool]:
        """Compare with a value by one of ``= != < <= > >=``."""
        kind, stored_types = _JSON_TYPES[type(value)]
        stored_type, stored = self._on_sqlite()
        symbol = json.dumps(value, ensure_ascii=False)
        # The literal goes through SQLite's own number parser too: equal texts, equal numbers.
        given: ColumnElement[Any] = func.json_extract(symbol, "$")
        if operator in ("=", "!=") and isinstance(value, int) and not SMALLEST <= value <= LARGEST:
            # That parser makes floats of such integers; their digits tell them apart.
            stored, given = func.training_db_lookup(self.text, json.dumps(self.keys)), _text(symbol)
        on_sqlite = and_(
            stored_type.in_(stored_types), stored.op(operator, is_comparison=True)(given)
        )
        on_postgresql = self._where(f'@.type() == "{kind}" && @ {operator} {symbol}')
        if operator == "=":  # containment is what the GIN index answers
            nested = cast(_text(_nested(self.keys, symbol)), JSONB)
            on_postgresql = self.document.op("@>", is_comparison=True)(nested)
        return by_backend(sqlite=on_sqlite, postgresql=on_postgresql)

    def differs(self, values: Iterable[JSONScalar]) -> ColumnElement[bool]:
        """Ask for another value than these, of one of their types."""
        by_type: dict[str, list[ColumnElement[bool]]] = {}
        for value in values:
            by_type.setdefault(_JSON_TYPES[type(value)][0], []).append(self.compare("!=", value))
        return or_(false(), *(and_(*differs) for differs in by_type.values()))

    def like(self, pattern: str, *, negated: bool) -> ColumnElement[bool]:
        """Match a text against a pattern, as :func:`text_like` does."""
        stored_type, stored = self._on_sqlite()
        text = func.jsonb_path_query_first(
            self.document,
            cast(_text(f'strict {_jsonpath(self.keys)} ? (@.type() == "string")'), JSONPATH),
            cast(_text("{}"), JSONB),
            True,  # a missing key is no error
        ).op("#>>")(cast(_text("{}"), TEXT_ARRAY))
        return by_backend(
            sqlite=and_(stored_type == "text", _glob(stored, pattern, negated=negated)),
            postgresql=text.not_like(pattern) if negated else text.like(pattern),
        )

    def missing(self, *, negated: bool) -> ColumnElement[bool]:
        """Ask whether there is no such key, or null at it."""
        stored_type, _ = self._on_sqlite()
        there = self._where('@.type() != "null"')
        absent = func.coalesce(stored_type, "null") == "null"
        return by_backend(
            sqlite=not_(absent) if negated else absent,
            postgresql=there.is_(True) if negated else there.is_not(True),
        )

    def node(self) -> ColumnElement[str | None]:
        """Return the JSON text of what stands there, or NULL where nothing does, or null.

        Equal values may be written in different ways, such as ``1`` and ``1.0``.
        """
        strict = cast(_text(f"strict {_jsonpath(self.keys)}"), JSONPATH)
        found: ColumnElement[Any] = func.jsonb_path_query_first(
            self.document, strict, cast(_text("{}"), JSONB), True
        )
        on_postgresql: ColumnElement[Any] = cast(found, Text)
        either = by_backend(sqlite=self._node_on_sqlite(), postgresql=on_postgresql)
        return func.nullif(type_coerce(either, Text), "null", type_=Text)

    def _node_on_sqlite(self) -> ColumnElement[Any]:
        if not all(_is_plain(key) for key in self.keys):
            return func.training_db_lookup(self.text, json.dumps(self.keys))
        # Of several places it returns the JSON text of each, with all digits: [0.1,0.1].
        both = func.json_extract(self._valid(), self._path(), self._path())
        return func.substr(both, 2, (func.length(both, type_=Integer) - 3) // 2)

    def _where(self, test: str) -> ColumnElement[bool]:
        path = f"strict {_jsonpath(self.keys)} ? ({test})"
        return self.document.op("@?", is_comparison=True)(cast(_text(path), JSONPATH))

    def _on_sqlite(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Return the JSON type and the value."""
        if not all(_is_plain(key) for key in self.keys):
            # SQLite compares such keys as they are escaped, which differs from text to text.
            node = func.training_db_lookup(self.text, json.dumps(self.keys))
            return func.json_type(node), func.json_extract(node, "$")
        valid, path = self._valid(), self._path()
        return func.json_type(valid, path), func.json_extract(valid, path)

    def _path(self) -> str:
        return "$" + "".join(f'."{key}"' for key in self.keys)

    def _valid(self) -> ColumnElement[Any]:
        # json_extract fails on text that is no JSON, as old rows may hold.
        return case(
            (func.json_valid(self.text) == 1, self.text),
            else_=func.training_db_document(self.text),
        )


_JSON_TYPES = {
    bool: ("boolean", ("true", "false")),
    int: ("number", ("integer", "real")),
    float: ("number", ("integer", "real")),
    str: ("string", ("text",)),
}


def _text(value: str) -> ColumnElement[str]:
    # A bare parameter would take the type it is cast to.
    return literal(value, Text)


def _is_plain(key: str) -> bool:
    return key.isascii() and key.isprintable() and bool(key) and not {'"', "\\"} & set(key)


def _jsonpath(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f".{json.dumps(key, ensure_ascii=False)}" for key in keys)


def _nested(keys: tuple[str, ...], symbol: str) -> str:
    opening = "".join(f"{{{json.dumps(key, ensure_ascii=False)}:" for key in keys)
    return opening + symbol + "}" * len(keys)


def _glob(text: ColumnElement[Any], pattern: str, *, negated: bool) -> ColumnElement[bool]:
    """Match by GLOB, which is SQLite's LIKE that tells upper from lower case."""
    wildcards = {"%": "*", "_": "?"}
    plain = {"*": "[*]", "?": "[?]", "[": "[[]"}
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            character = next(characters, "\\")  # noqa: PLW2901 - the one that is taken as it is
            parts.append(plain.get(character, character))
        else:
            parts.append(wildcards.get(character) or plain.get(character, character))
    operator = "NOT GLOB" if negated else "GLOB"
    return text.op(operator, is_comparison=True)("".join(parts))
