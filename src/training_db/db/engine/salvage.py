"""Everything that can still be read out of a damaged SQLite file, row by row."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from training_db.db.engine.sqlite import quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FETCHED = 50
_TOUCHING = 4_096  # row ids that are tried one by one where no index says which there are


class Lost(NamedTuple):
    """A row that could not be read, or not all of it.

    Attributes:
        rowid: Its number inside SQLite.
        known: The columns that could be read, some of them from indexes.
        missing: The columns that are lost.
    """

    rowid: int
    known: dict[str, Any]
    missing: tuple[str, ...]


@dataclass
class Salvaged:
    """What became of one table.

    Attributes:
        table: Its name.
        whole: Rows that were read whole.
        partly: Rows of which some columns are lost: they are there without them.
        lost: Rows that are not there.
        is_counted: Whether an index said which rows there were; else more may be lost.
    """

    table: str
    whole: int = 0
    partly: list[Lost] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    is_counted: bool = True


def salvage(source: sqlite3.Connection, target: sqlite3.Connection) -> list[Salvaged]:
    """Copy tables, rows, indexes and triggers, as far as they can be read.

    Args:
        source: The damaged file, opened for reading.
        target: An empty database.

    Returns:
        What became of each table.

    Raises:
        sqlite3.DatabaseError: Not even the list of the tables can be read.
        OSError: The target cannot be written.
    """
    source.text_factory = _text
    schema = source.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema "
        "WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).fetchall()
    target.execute("PRAGMA foreign_keys = OFF")
    tables = [name for kind, name, _, sql in schema if kind == "table" and _made(target, sql)]
    found = []
    for name in tables:
        target.execute("BEGIN")
        found.append(_Table(source, target, name).copy())
        target.execute("COMMIT")
    for wanted in ("index", "view", "trigger"):
        for kind, _, _, sql in schema:
            if kind == wanted:
                _made(target, sql)
    return found


def _made(target: sqlite3.Connection, sql: str) -> bool:
    try:
        target.execute(sql)
    except sqlite3.DatabaseError:  # the text itself may be damaged, or an index no longer unique
        return False
    return True


def _text(stored: bytes) -> str:
    # What is no UTF-8 keeps its bytes as escapes, instead of stopping the rescue.
    return stored.decode("utf-8", "backslashreplace")


class _Table:
    def __init__(self, source: sqlite3.Connection, target: sqlite3.Connection, name: str) -> None:
        self._source, self._target = source, target
        self._name, self._quoted = name, quoted_name(name)
        self._report = Salvaged(name)
        self._columns = [
            row[1]
            for row in target.execute(f"PRAGMA table_xinfo({self._quoted})")
            if row[6] == 0  # generated columns are made anew
        ]
        self._needed = {
            row[1]
            for row in target.execute(f"PRAGMA table_xinfo({self._quoted})")
            if row[3] and row[4] is None
        }
        self._has_rowid = _made(target, f"SELECT rowid FROM {self._quoted} LIMIT 0")  # nosec  # noqa: S608 - quoted

    def copy(self) -> Salvaged:
        if not self._has_rowid:
            self._copy_in_order()
            return self._report
        done: set[int] = set()
        try:
            for row in self._rows(""):
                self._put(row)
                done.add(row[0])
        except sqlite3.DatabaseError:
            self._copy_around(done)
        self._report.whole -= len(self._report.partly)
        return self._report

    def _copy_in_order(self) -> None:
        """Copy a table that has nothing but its primary key, up to the damage."""
        try:
            for row in self._source.execute(self._select(self._columns, "")):
                self._insert(self._columns, row)
        except sqlite3.DatabaseError:
            self._report.is_counted = False

    def _copy_around(self, done: set[int]) -> None:
        with suppress(sqlite3.DatabaseError):
            for row in self._rows("ORDER BY rowid DESC"):
                if row[0] in done:
                    break
                self._put(row)
                done.add(row[0])
        known = self._from_indexes()
        self._report.is_counted = known is not None
        wanted = self._gaps(done) if known is None else iter(sorted(known.keys() - done))
        for rowid in wanted:
            try:
                found = self._source.execute(
                    self._select(["rowid", *self._columns], "WHERE rowid = ?"), (rowid,)
                ).fetchone()
            except sqlite3.DatabaseError:
                found = None
                if known is None:
                    self._put_parts(rowid, {})
            if found is not None:
                self._put(found)
            elif known is not None:
                self._put_parts(rowid, known[rowid])

    def _gaps(self, done: set[int]) -> Iterator[int]:
        """Yield the row ids that lie between those that were read, where these are not too many."""
        if not done:
            yield from range(1, _TOUCHING + 1)
            return
        ordered = sorted(done)
        for before, after in zip([0, *ordered], ordered, strict=False):
            if after - before > 1:
                yield from range(before + 1, min(after, before + 1 + _TOUCHING))
        yield from range(ordered[-1] + 1, ordered[-1] + 1 + _TOUCHING)

    def _put_parts(self, rowid: int, known: dict[str, Any]) -> None:
        """Put a row together from its columns that can be read, and from the indexes."""
        values = dict(known)
        for column in self._columns:
            if column not in values:
                with suppress(sqlite3.DatabaseError):
                    query = self._select([column], "NOT INDEXED WHERE rowid = ?")
                    found = self._source.execute(query, (rowid,)).fetchone()
                    if found is not None:
                        values[column] = found[0]
        missing = tuple(name for name in self._columns if name not in values)
        row = Lost(rowid, values, missing)
        names = ["rowid", *values]
        if (
            values
            and not self._needed & set(missing)
            and self._insert(names, [rowid, *values.values()])
        ):
            self._report.partly.append(row)
        elif values:
            self._report.lost.append(row)

    def _from_indexes(self) -> dict[int, dict[str, Any]] | None:
        """Return what whole indexes know of the rows; ``None`` where no index can be read."""
        known: dict[int, dict[str, Any]] | None = None
        indexes = self._source.execute(f"PRAGMA index_list({self._quoted})").fetchall()
        for _, index, _, _, is_partial in indexes:
            info = self._source.execute(f"PRAGMA index_info({quoted_name(index)})").fetchall()
            names = [name for _, _, name in info]
            if is_partial or None in names:
                continue
            query = (
                f"SELECT rowid, {', '.join(map(quoted_name, names))} "  # nosec  # noqa: S608 - quoted
                f"FROM {self._quoted} INDEXED BY {quoted_name(index)} "
                f"ORDER BY {quoted_name(names[0])}"
            )
            rows: dict[int, dict[str, Any]] = {}
            with suppress(sqlite3.DatabaseError):
                for rowid, *values in self._source.execute(query):
                    rows[rowid] = dict(zip(names, values, strict=True))
                known = {} if known is None else known
                for rowid, row in rows.items():
                    known.setdefault(rowid, {}).update(row)
        return known

    def _rows(self, order: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._source.execute(
            self._select(["rowid", *self._columns], f"NOT INDEXED {order}")
        )
        while True:
            row = cursor.fetchone()
            if row is None:
                return
            yield row

    def _put(self, row: Sequence[Any]) -> None:
        if self._insert(["rowid", *self._columns], row):
            return
        known = dict(zip(self._columns, row[1:], strict=True))
        self._report.lost.append(Lost(row[0], known, ()))

    def _insert(self, names: Sequence[str], row: Sequence[Any]) -> bool:
        columns = ", ".join(name if name == "rowid" else quoted_name(name) for name in names)
        marks = ", ".join("?" * len(names))
        statement = f"INSERT INTO {self._quoted} ({columns}) VALUES ({marks})"  # nosec  # noqa: S608 - quoted
        try:
            self._target.execute(statement, row)
        except (sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.DataError):
            return False  # damage may have made two rows alike, or a value that is none
        except sqlite3.OperationalError as error:
            # Not the source's fault, which the rest of the rescue would take it for.
            raise OSError(f"the new file cannot be written: {error}") from error
        self._report.whole += 1
        return True

    def _select(self, columns: Sequence[str], rest: str) -> str:
        listed = ", ".join(name if name == "rowid" else quoted_name(name) for name in columns)
        return f"SELECT {listed} FROM {self._quoted} {rest}"  # nosec  # noqa: S608 - quoted
