"""A history document read member by member, or row by row: a long one without ever being whole.

A short text is parsed at once. A long one comes in pieces, and at any time a few of them are held.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

documents: Any = None  # documents_v3, given by who loads this module

BLANKS = " \t\n\r"
AFTER = {*BLANKS, *",:]}"}  # what can stand after a key or a value
LONGEST_ITEM = 16_000_000
"""Characters of one cell, row or member that is no list; what is longer is kept as it is."""
ROWS = 2_000  # of a list of rows, read at once


class Whole:
    """A document that is read at once.

    Args:
        text: JSON text.

    Attributes:
        form: ``"columns"`` for an object, ``"rows"`` for a list.
    """

    def __init__(self, text: str) -> None:
        self._marked = documents.may_hold_tags(text)
        try:
            self._document = json.loads(text, object_pairs_hook=documents.refuse_duplicates)
        except (ValueError, RecursionError):
            raise documents.NotATable from None
        self.form = {dict: "columns", list: "rows"}.get(type(self._document))
        if self.form is None:
            raise documents.NotATable

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield each key with a value, or with a :class:`Cells` where it has a list."""
        for key, value in self._document.items():
            if type(value) is list:
                yield key, Cells(iter([(value, self._marked)] if value else []))
            else:
                yield key, value

    def rows(self) -> Iterator[tuple[list[Any], bool]]:
        """Yield the elements of the list, and whether there may be tags among them."""
        for start in range(0, len(self._document), ROWS):
            yield self._document[start : start + ROWS], self._marked


class Cells:
    """The cells of one column: lists of them, and whether there may be tags among them."""

    def __init__(self, lists: Iterator[tuple[list[Any], bool]]) -> None:
        self.lists = lists


class Pieces:
    """A document that comes in pieces; its parts have to be taken in their order.

    Args:
        pieces: The text, some millions of characters at a time.
    """

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text, self._at = "", 0
        self._marked = False  # whether there may be tags in the text at hand
        self._wanted = 1  # pieces to read next: more each time that one was not enough
        decoder = json.JSONDecoder(object_pairs_hook=documents.refuse_duplicates)
        self._scan = decoder.scan_once
        forms = {"{": "columns", "[": "rows"}
        self.form = forms.get(self._next())
        if self.form is None:
            raise documents.NotATable
        self._at += 1

    def members(self) -> Iterator[tuple[str, Any]]:
        """Yield each key with a value, or with a :class:`Cells` where it has a list."""
        if self._next() == "}":
            self._at += 1
            self._end()
            return
        while True:
            if self._next() != '"':
                raise documents.NotATable
            key = self._item()
            self._expect(":")
            if self._next() == "[":
                self._at += 1
                yield key, Cells(self._elements())
            else:
                yield key, self._item()
            if self._expect(",}") == "}":
                self._end()
                return

    def rows(self) -> Iterator[tuple[list[Any], bool]]:
        """Yield the elements of the list, and whether there may be tags among them."""
        yield from self._elements()
        self._end()

    def _elements(self) -> Iterator[tuple[list[Any], bool]]:
        """Yield the elements of the list that begins here, and go past its bracket."""
        if self._next() == "]":
            self._at += 1
            return
        while True:
            numbers, follows = self._numbers()
            if numbers:
                yield numbers, False
            if follows == "]":
                return
            items, marked, follows = self._items()
            yield items, marked
            if follows == "]":
                return

    def _numbers(self) -> tuple[list[Any], str]:
        """Read on to the next element that is no number, but not past the pieces at hand."""
        text, at = self._text, self._at
        end = text.find("]", at)
        stop = len(text) if end < 0 else end
        for mark in '"[{':
            found = text.find(mark, at, stop)
            if found >= 0:
                stop, end = found, -1
        if end < 0:
            stop = text.rfind(",", at, stop)
            if stop < 0:
                return [], ","
        try:
            numbers = json.loads(f"[{text[at:stop]}]")
        except ValueError:
            raise documents.NotATable from None
        if not numbers:  # nothing before a comma or the bracket, as in [1,]
            raise documents.NotATable
        self._at = stop + 1
        return numbers, text[stop]

    def _items(self) -> tuple[list[Any], bool, str]:
        """Read elements of any kind one by one: as many as there are rows in a batch."""
        items: list[Any] = []
        marked = self._marked
        while True:
            self._next()
            items.append(self._item())
            marked = marked or self._marked
            follows = self._expect(",]")
            if follows == "]" or len(items) == ROWS:
                return items, marked, follows

    def _item(self) -> Any:
        """Read the value that begins here."""
        while True:
            try:
                value, end = self._scan(self._text, self._at)
                # A number may go on in the next piece, as 1 in 1.5 does.
                if self._text[end : end + 1] in AFTER or not self._more():
                    self._at, self._wanted = end, 1
                    return value
            except (StopIteration, json.JSONDecodeError):
                if not self._more():
                    raise documents.NotATable from None
            except (ValueError, RecursionError):
                raise documents.NotATable from None

    def _more(self) -> bool:
        """Read further; return whether there was anything to read."""
        if len(self._text) - self._at > LONGEST_ITEM:
            raise documents.NotATable
        read = list(islice(self._pieces, self._wanted))
        self._wanted *= 2
        if not read:
            return False
        self._text = "".join([self._text[self._at :], *read])
        self._at = 0
        self._marked = documents.may_hold_tags(self._text)
        return True

    def _next(self) -> str:
        """Go to the next character that is not blank, and return it; nothing at the end."""
        while True:
            text, at = self._text, self._at
            while at < len(text) and text[at] in BLANKS:
                at += 1
            self._at = at
            if at < len(text):
                self._wanted = 1
                return text[at]
            if not self._more():
                return ""

    def _expect(self, characters: str) -> str:
        """Go past the next character, which is one of these."""
        found = self._next()
        if not found or found not in characters:
            raise documents.NotATable
        self._at += 1
        return found

    def _end(self) -> None:
        if self._next():
            raise documents.NotATable
