"""JSON values with the tags of this library, taken off and put on, as v3 did it: frozen.

It must agree with training_db.documents: NaN is ``{"$float": "NaN"}``, a text with a NUL character
or half a surrogate pair is ``{"$text": "..."}``, and a key that looks like a tag has a dollar more.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
DEEPEST = 240  # this library writes documents of up to 250, and a history has three around a cell
LONGEST_INTEGER = 14_000  # bits; what is longer, no reader takes
LONGEST_KEY = 1_000  # bytes of UTF-8; an index row of PostgreSQL ends at 2,704
TAG_LIKE = re.compile(r"\$+(?:float|text)\Z")
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotATable(ValueError):
    """A history that cannot be cut into columns and come back as it was."""


class Reader:
    """Takes tags off, and finds out in which form the text was written.

    Attributes:
        tagged: Whether what was read so far, written with tags, is what was read.
        bare: The same for text without tags, with bare NaN and Infinity.
    """

    def __init__(self) -> None:
        self.tagged = self.bare = True

    def check(self) -> None:
        """Raise NotATable where neither form gives the text back."""
        if not (self.tagged or self.bare):
            raise NotATable

    def name(self, raw: str) -> str:
        """Return the key of a column as it was before it was written."""
        if len(raw.encode(errors="surrogatepass")) > LONGEST_KEY:
            raise NotATable
        return self._key(raw)

    def _key(self, raw: str) -> str:
        key = raw
        if TAG_LIKE.match(raw):
            if raw.startswith("$$"):
                key = raw[1:]
                self.bare = False
            else:
                self.tagged = False
        if UNSTORABLE.search(key):
            raise NotATable
        return key

    def cells(self, raw: list[Any], *, marked: bool) -> list[Any]:
        """Return the cells of one column.

        Args:
            raw: Values as json read them.
            marked: Whether there may be tags among them.
        """
        kinds = set(map(type, raw))
        there = [value for value in raw if value is not None] if type(None) in kinds else raw
        kinds.discard(type(None))
        if kinds == {float}:
            self.tagged = self.tagged and all(map(math.isfinite, there))
            return raw
        if kinds == {int} and max(there).bit_length() < 64 and min(there).bit_length() < 64:
            return raw
        if kinds <= {bool} or (kinds == {str} and not marked):
            return raw
        return [self.value(value) for value in raw]

    def value(self, raw: Any, depth: int = 0) -> Any:
        """Return one value without its tags."""
        kind = type(raw)
        if kind is float:
            self.tagged = self.tagged and math.isfinite(raw)
        elif kind is int:
            if raw.bit_length() > LONGEST_INTEGER:
                raise NotATable
        elif kind is str:
            self.tagged = self.tagged and UNSTORABLE.search(raw) is None
        elif kind is list or kind is dict:
            if depth > DEEPEST:
                raise NotATable
            if kind is list:
                return [self.value(item, depth + 1) for item in raw]
            return self._mapping(raw, depth)
        return raw

    def _mapping(self, raw: dict[str, Any], depth: int) -> Any:
        if len(raw) == 1:
            ((tag, inner),) = raw.items()
            if tag == "$float" and isinstance(inner, str) and inner in FLOATS:
                self.bare = False
                return FLOATS[inner]
            if tag == "$text" and isinstance(inner, str):
                return self._text(inner)
        found = {self._key(key): self.value(item, depth + 1) for key, item in raw.items()}
        if len(found) != len(raw):
            raise NotATable
        return found

    def _text(self, inner: str) -> Any:
        try:
            text = json.loads(f'"{inner}"')
        except ValueError:
            # Text by someone else: with another dollar it would be another text.
            self.tagged = False
            return {"$text": self.value(inner)}
        self.bare = False
        if not UNSTORABLE.search(text) or json.dumps(text)[1:-1] != inner:
            self.tagged = False
        return text


def may_hold_tags(text: str) -> bool:
    """Tell whether a text may hold tags, or texts that are written as tags."""
    return "$" in text or "\\u" in text


def refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make an object of its members, for ``json.loads``; NotATable where a key is there twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotATable
    return found


def tagged(value: Any) -> Any:
    """Put the tags on."""
    kind = type(value)
    if kind is float:
        if math.isfinite(value):
            return value
        return {"$float": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}
    if kind is str:
        return {"$text": json.dumps(value)[1:-1]} if UNSTORABLE.search(value) else value
    if kind is list:
        return [tagged(item) for item in value]
    if kind is dict:
        return {stored_key(key): tagged(item) for key, item in value.items()}
    return value


def stored_key(key: str) -> str:
    """Return a key as it stands in text with tags."""
    return f"${key}" if TAG_LIKE.match(key) else key


def untagged(value: Any) -> Any:
    """Take the tags off what this library wrote."""
    if isinstance(value, list):
        return [untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((tag, inner),) = value.items()
        if tag == "$float" and isinstance(inner, str) and inner in FLOATS:
            return FLOATS[inner]
        if tag == "$text" and isinstance(inner, str):
            return json.loads(f'"{inner}"')
    return {
        key[1:] if key.startswith("$$") and TAG_LIKE.match(key) else key: untagged(item)
        for key, item in value.items()
    }


def dumps(value: Any, *, bare: bool = False) -> str:
    """Write a value as JSON text, with tags or with bare NaN and Infinity."""
    if bare:
        return json.dumps(value, separators=(",", ":"))
    return json.dumps(tagged(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
