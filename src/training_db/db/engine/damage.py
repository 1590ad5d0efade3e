"""What a SQLite file says of its own damage, table by table."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from training_db.db.engine.sqlite import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST_MESSAGES = 128
_PAGE = re.compile(r"\bpage (\d+)", re.IGNORECASE)
_OF_INDEX = re.compile(r"\b(?:missing from|entries in|entry in) index ")
_LEFT_OVER = re.compile(r"^Page \d+ is never used$|^\*\*\* in database")


@dataclass(frozen=True)
class Damage:
    """What is wrong with one table, or with the file as a whole.

    Attributes:
        table: The table; ``None`` for what belongs to none.
        messages: SQLite's own words.
        pages: The pages that it names.
        is_readable: Whether every row of the table can be read all the same: then only indexes are
            damaged, and can be made anew.
    """

    table: str | None
    messages: tuple[str, ...]
    pages: tuple[int, ...]
    is_readable: bool


def read_only(path: Path) -> sqlite3.Connection:
    """Open a file to look at it, without changing a byte of it.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def damages(path: Path, *, is_quick: bool = False) -> list[Damage]:
    """Let SQLite check a file.

    Args:
        path: The file.
        is_quick: Whether to leave out that indexes and tables agree, which takes most of the time.

    Returns:
        What is wrong; empty where nothing is.

    Raises:
        sqlite3.Error: The file cannot be read at all, or is no database.
    """
    pragma = "quick_check" if is_quick else "integrity_check"
    with closing(read_only(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        whole = _messages(connection, f"PRAGMA {pragma}({{}})")
        if not whole:
            return []
        found = [
            damage
            for (name,) in names
            if not name.startswith("sqlite_")
            and (damage := _of_table(connection, name)) is not None
        ]
        return _with_the_rest(found, whole)


def _of_table(connection: sqlite3.Connection, table: str) -> Damage | None:
    quoted = quoted_name(table)
    messages: list[str] = []
    for pragma in ("quick_check", "integrity_check"):  # the one breaks off where the other does not
        try:
            rows = connection.execute(f"PRAGMA {pragma}({quoted})").fetchall()
            messages += [text for text in _lines([row[0] for row in rows]) if text not in messages]
        except sqlite3.DatabaseError as error:
            messages = messages or [str(error)]
    is_readable = _can_be_read(connection, quoted)
    if not messages and is_readable:
        return None
    return Damage(table, tuple(messages), _pages(messages), is_readable)


def _with_the_rest(found: list[Damage], whole: list[str]) -> list[Damage]:
    """Add what the check of the whole file said and no table's: the check of a table breaks off."""
    said = {text for damage in found for text in damage.messages}
    rest = tuple(text for text in whole if text not in said)
    unplaced = [damage for damage in found if not damage.pages]
    if not rest:
        return found
    if len(unplaced) == 1 and _pages(rest):
        (one,) = unplaced
        named = replace(one, messages=rest, pages=_pages(rest))
        return [named if damage is one else damage for damage in found]
    if found and not _pages(rest):
        return found
    return [*found, Damage(None, rest, _pages(rest), is_readable=True)]


def _can_be_read(connection: sqlite3.Connection, quoted: str) -> bool:
    # Text as bytes: whether it is sound UTF-8 is no matter of pages.
    connection.text_factory = bytes
    try:
        cursor = connection.execute(f"SELECT * FROM {quoted} NOT INDEXED")  # nosec  # noqa: S608 - quoted
        while cursor.fetchmany(100):
            pass
    except sqlite3.DatabaseError:
        return False
    finally:
        connection.text_factory = str
    return True


def _messages(connection: sqlite3.Connection, pragma: str) -> list[str]:
    """Return the messages of a check, or as many as there are before it breaks off.

    Where it breaks off, Python's driver drops what was said before. But a check that is told to
    stop earlier does not come so far.
    """
    few, many = 0, _MOST_MESSAGES + 1
    middle, found = _MOST_MESSAGES, []
    while many - few > 1:
        try:
            rows = connection.execute(pragma.format(middle)).fetchall()
            found, few = _lines([row[0] for row in rows]), middle
        except sqlite3.DatabaseError as error:
            found, many = found or [str(error)], middle
        middle = (few + many) // 2
    return found


def _lines(texts: list[str]) -> list[str]:
    lines = [line for text in texts for line in text.splitlines()]
    return [line for line in lines if line != "ok" and not _LEFT_OVER.match(line)]


def _pages(messages: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted({int(page) for text in messages for page in _PAGE.findall(text)}))


def only_indexes(damage: Damage) -> bool:
    """Tell whether rows and indexes disagree, and no page is damaged.

    Example:
        >>> only_indexes(Damage("t", ("row 7 missing from index ix_t_a",), (), True))
        True
    """
    return all(_OF_INDEX.search(text) for text in damage.messages)
