"""A database made by hand, put under migrations: its tables made anew, its rows carried over.

Nothing is ever changed in place. The old tables are set aside, the migrations make the new ones,
each row goes through Python from one to the other, and the old ones go only when the counts agree;
all in one transaction.
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from training_db.db.aside import PREFIX, Aside
from training_db.db.conversion import Converter, Unreadable
from training_db.db.row_checks import refuse_rows
from training_db.db.shapes import MOVED, NEEDED, SHAPES, STAMPED
from training_db.db.version import VERSIONS
from training_db.errors import MigrationFailed
from training_db.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training_db.db.inspection import State
    from training_db.db.report import Note, Progress

_ROWS = 1_000
_BYTES = 16_000_000
_NAMED = 5  # rows that an error names
_PLAIN_TYPE = re.compile(r"[\w ]*(?:\(\s*\d+\s*(?:,\s*\d+\s*)?\))?")
_GENERATED = {"config_document", "summary_document"}


def adopt_tables(
    connection: Connection,
    state: State,
    migrate: Callable[[str], None],
    note: Note,
    progress: Progress | None,
) -> str:
    """Carry the rows of hand-made tables over to tables that migrations made.

    Args:
        connection: A connection in the transaction of the migration.
        state: What the database holds; its tables are known to be ours.
        migrate: Migrates up to a version, in the same transaction.
        note: Takes a line for each difference.
        progress: Takes the rows done and the rows there are.

    Returns:
        The version that the tables were taken for.

    Raises:
        MigrationFailed: Rows cannot be carried over as they are; the message names them.
    """
    version = state.resembles
    tables = [table for table in SHAPES if state.has(table)]
    note(f"adopted as schema {version}, made by hand: {', '.join(tables)}")
    refuse_rows(connection, state, tables)
    copies = [_Copy(connection, table, state, version, note) for table in tables]
    aside = Aside(connection, tables, note)
    aside.put()
    migrate(version)
    for copy in copies:
        copy.run(progress)
    aside.drop()
    return version


class _Copy:
    """The rows of one table, on their way from the old table to the new one."""

    def __init__(
        self, connection: Connection, table: str, state: State, version: str, note: Note
    ) -> None:
        self._connection = connection
        self._table = table
        self._note = note
        self._converter = Converter(connection.dialect.name)
        self._types = _declared_types(connection, table)
        self._kinds = self._own_columns(state.tables[table], version)
        self._moved = self._moved_columns(state.tables[table], version)
        self._kinds |= self._moved
        skipped = set(self._kinds) | _GENERATED | {"id"}
        self._extras = [name for name in state.tables[table] if name not in skipped]
        self._tally: Counter[str] = Counter()
        self._faults: list[str] = []
        if self._extras:
            note(f"{table}: kept the columns {', '.join(self._extras)}, which no schema has")

    def run(self, progress: Progress | None) -> None:
        """Copy all rows."""
        for name in self._moved:  # the migration moves what is in it, and drops it
            self._connection.execute(text(f"ALTER TABLE {self._table} ADD COLUMN {name} TEXT"))
        for name in self._extras:
            adds = f"ADD COLUMN {self._quoted(name)} {self._types[name]}"
            self._connection.execute(text(f"ALTER TABLE {self._table} {adds}"))
        total = self._count(PREFIX + self._table)
        insert = text(self._insert())
        done = 0
        for batch in self._batches():
            rows = [self._converted(row) for row in batch]
            if not self._faults:
                self._connection.execute(insert, rows)
            done += len(rows)
            if progress:
                progress(f"adopting {self._table}", done, total)
        self._finish(total)

    def _finish(self, total: int) -> None:
        if self._faults:
            raise MigrationFailed(
                f"nothing was changed: {self._table} holds values that cannot be read: "
                f"{'; '.join(self._faults)}. Correct them or set them to NULL, and run the "
                "command again"
            )
        if self._count(self._table) != total:
            raise MigrationFailed(f"not all rows of {self._table} arrived; nothing was changed")
        for what, rows in sorted(self._tally.items()):
            self._note(f"{self._table}: {rows} {what}")
        if self._connection.dialect.name == "postgresql" and "id" in self._kinds:
            numbered = f"greatest((SELECT max(id) FROM {self._table}), 1)"  # nosec  # noqa: S608 - our table
            sequence = f"pg_get_serial_sequence('{self._table}', 'id')"
            self._connection.execute(text(f"SELECT setval({sequence}, {numbered})"))
        if self._connection.dialect.name == "postgresql" and "number" in self._kinds:
            self._number_runs()

    def _number_runs(self) -> None:
        """Go on numbering after the numbers that came along, and number who came without."""
        for statement in (
            (
                "SELECT setval('training_runs_number_seq', "
                "(SELECT coalesce(max(number), 0) + 1 FROM training_runs), false)"
            ),
            (
                "UPDATE training_runs SET number = nextval('training_runs_number_seq') "
                "WHERE number IS NULL"
            ),
        ):
            self._connection.execute(text(statement))

    def _own_columns(self, present: tuple[str, ...], version: str) -> dict[str, str]:
        """Return the columns that both tables have, with their kinds, and name the missing."""
        newest = VERSIONS.index(version)
        wanted = {
            name: kind
            for added, columns in SHAPES[self._table].items()
            if VERSIONS.index(added) <= newest
            for name, kind in columns.items()
            if name not in self._gone(version)
        }
        if "id" in wanted and not self._keeps_ids(present):
            del wanted["id"]
        missing = [name for name in wanted if name not in present]
        if missing:
            self._note(f"{self._table}: added the columns {', '.join(missing)}, which were missing")
        return {name: kind for name, kind in wanted.items() if name in present}

    def _moved_columns(self, present: tuple[str, ...], version: str) -> dict[str, str]:
        """Return the columns of older versions that this one has in another place."""
        return {name: "json" for name in self._gone(version) if name in present}

    def _gone(self, version: str) -> list[str]:
        newest = VERSIONS.index(version)
        gone = MOVED.get(self._table, {})
        return [name for name, by in gone.items() if VERSIONS.index(by) <= newest]

    def _keeps_ids(self, present: tuple[str, ...]) -> bool:
        if "id" not in present:
            return False
        if self._table == "metric_names":  # other rows refer to them; they differ, as was checked
            return True
        whole = "int" in self._types["id"].lower() or "serial" in self._types["id"].lower()
        differ = f"SELECT count(*) = count(DISTINCT id) FROM {self._table}"  # nosec  # noqa: S608 - our table
        if whole and self._connection.scalar(text(differ)):
            return True
        self._note(f"{self._table}: the rows got new ids, because theirs are not all whole numbers")
        return False

    def _batches(self) -> Iterator[list[dict[str, Any]]]:
        columns = [self._selected(name) for name in [*self._kinds, *self._extras]]
        # A run without a number gets the next one, which must not be another one's.
        order = " ORDER BY number IS NULL" if "number" in self._kinds else ""
        query = text(f"SELECT {', '.join(columns)} FROM {PREFIX}{self._table}{order}")  # nosec  # noqa: S608 - quoted
        streamed = query.execution_options(stream_results=True, max_row_buffer=50)
        batch, size = [], 0
        with self._connection.execute(streamed) as result:
            while (row := result.fetchone()) is not None:
                batch.append(dict(zip([*self._kinds, *self._extras], row, strict=True)))
                size += sum(len(value) for value in row if isinstance(value, (str, bytes)))
                if len(batch) == _ROWS or size > _BYTES:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    def _selected(self, name: str) -> str:
        # PostgreSQL's own types, JSON among them, go as their text: nothing of theirs changes.
        as_text = self._kinds.get(name, "json") == "json" and not self._is_sqlite()
        return f"CAST({self._quoted(name)} AS text)" if as_text else self._quoted(name)

    def _insert(self) -> str:
        names = [*self._kinds, *self._extras, *self._defaulted()]
        values = [f":c{index}" for index in range(len(names))]
        if not self._is_sqlite():
            for index, name in enumerate(self._extras, len(self._kinds)):
                values[index] = f"CAST({values[index]} AS {self._types[name]})"
        quoted = ", ".join(self._quoted(name) for name in names)
        return f"INSERT INTO {self._table} ({quoted}) VALUES ({', '.join(values)})"  # nosec  # noqa: S608 - quoted

    def _defaulted(self) -> list[str]:
        """Return the columns that may not be NULL and that the old table has not."""
        return [name for name in STAMPED.get(self._table, ()) if name not in self._kinds]

    def _converted(self, row: dict[str, Any]) -> dict[str, Any]:
        for name, kind in self._kinds.items():
            row[name] = self._value(row, name, kind)
        if self._table == "training_runs" and row["status"] is None:
            row["status"] = "launched"
            self._tally["rows without a status, taken as launched"] += 1
        for name in STAMPED.get(self._table, ()):
            row[name] = (
                row.get(name) or row.get("created_at") or format_timestamp(datetime.now(UTC))
            )
        names = [*self._kinds, *self._extras, *self._defaulted()]
        return {f"c{index}": row[name] for index, name in enumerate(names)}

    def _value(self, row: dict[str, Any], name: str, kind: str) -> Any:
        value = row[name]
        try:
            converted = self._converter.convert(kind, value)
        except Unreadable:
            if self._is_sqlite():
                self._tally[f"values of {name} that cannot be read, left as they are"] += 1
                return value
            if len(self._faults) < _NAMED:
                of_run = NEEDED[self._table][0]
                what = "run" if of_run == "run_id" else of_run
                self._faults.append(f"{name} {value!r} of {what} {row[of_run]!r}")
            return None
        if kind == "rounded" and isinstance(value, float) and value != converted:
            self._tally[f"values of {name} rounded to whole seconds"] += 1
        return converted

    def _count(self, table: str) -> int:
        return int(self._connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0)  # nosec  # noqa: S608 - our table's name

    def _is_sqlite(self) -> bool:
        return self._connection.dialect.name == "sqlite"

    def _quoted(self, name: str) -> str:
        # A colon would begin a parameter of text().
        return self._connection.dialect.identifier_preparer.quote(name).replace(":", r"\:")


def _declared_types(connection: Connection, table: str) -> dict[str, str]:
    """Return the type of each column in the words of the database."""
    if connection.dialect.name == "sqlite":
        found = connection.execute(text("SELECT name, type FROM pragma_table_xinfo(:table)"),
                                   {"table": table})  # fmt: skip
        return {name: _as_type(kind) for name, kind in found}
    found = connection.execute(
        text(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
        ),
        {"table": table},
    )
    return {name: kind for name, kind in found}  # noqa: C416 - rows, not pairs


def _as_type(declared: str) -> str:
    """Return what SQLite knows as the type of a column, which may be any text, as one token."""
    if _PLAIN_TYPE.fullmatch(declared):
        return declared
    quoted = declared.replace('"', '""').replace(":", r"\:")
    return f'"{quoted}"'
