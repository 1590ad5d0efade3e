"""Histories out of a SQLite file and back into it, a piece at a time.

A row is written whole whenever a column of it changes. So the history of a run is read before
anything is written to its row, and comes back after everything else was: a long history would else
be in memory twice, each time.
"""

# ruff: noqa: S608 - what is put into these statements is constant

from __future__ import annotations

import codecs
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import sqlalchemy as sa

ROWS = 500
BYTES = 16_000_000  # of text in a batch
LONG = 4_000_000  # bytes of a history that is read in pieces, and of a piece
WITHOUT = "typeof(history_json) = 'null'"  # looks at the kind alone, and loads no text


class Run(NamedTuple):
    """A run, with its history unless that is long."""

    number: int
    run_id: str
    has_key_metrics: bool
    place: int
    text: bytes | None


class Store:
    """The database of one migration.

    Args:
        connection: A connection in the transaction of the migration.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection
        self._driver: Any = connection.connection.driver_connection
        self._encoding = codecs.lookup(self._driver.execute("PRAGMA encoding").fetchone()[0]).name

    def number_runs(self, *, anew: bool) -> None:
        """Note the number of each run, in the order in which they were created."""
        number, layout = (
            ("row_number() OVER (ORDER BY created_at, created_at_db, run_id)", "NULL")
            if anew
            else ("number", "history_layout")
        )
        self._driver.execute(
            "CREATE TEMPORARY TABLE training_db_numbers "
            "(number INTEGER PRIMARY KEY, place INTEGER NOT NULL, layout TEXT)"
        )
        self._driver.execute(
            "INSERT INTO training_db_numbers (number, place, layout) "  # nosec  # constants
            f"SELECT {number}, rowid, {layout} FROM training_runs"
        )

    def number_of_histories(self) -> int:
        """Return how many runs have a history to move."""
        query = f"SELECT count(*) FROM training_runs WHERE NOT {WITHOUT}"  # nosec  # constants
        return int(self._driver.execute(query).fetchone()[0])

    def batches(self) -> Iterator[list[Run]]:
        """Yield the runs that have a history, some at a time, in the order of their numbers."""
        last = -(2**63)
        while True:
            rows = self._driver.execute(
                "SELECT numbers.number, runs.run_id, "  # nosec  # constants
                "EXISTS (SELECT 1 FROM run_history_key_metrics WHERE run_id = runs.run_id), "
                "numbers.place FROM training_db_numbers AS numbers "
                "CROSS JOIN training_runs AS runs ON runs.rowid = numbers.place "  # in this order
                f"WHERE NOT {WITHOUT} AND numbers.number > ? "
                f"ORDER BY numbers.number LIMIT {ROWS}",
                (last,),
            ).fetchall()
            if not rows:
                return
            last = rows[-1][0]
            batch: list[Run] = []
            size = 0
            for number, run_id, has, place in rows:
                batch.append(Run(number, run_id, bool(has), place, self._short(place)))
                size += len(batch[-1].text or b"")
                if size > BYTES or batch[-1].text is None:
                    yield batch
                    batch, size = [], 0
            if batch:
                yield batch

    def _short(self, place: int) -> bytes | None:
        with self._open(place, readonly=True) as blob:
            return blob.read() if len(blob) <= LONG else None

    def text(self, run: Run) -> str:
        """Return a history that is not long."""
        return (run.text or b"").decode(self._encoding)

    def pieces(self, run: Run) -> Iterator[str]:
        """Yield a long history a piece at a time."""
        decoder = codecs.getincrementaldecoder(self._encoding)()
        with self._open(run.place, readonly=True) as blob:
            while data := blob.read(LONG):
                yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    def _open(self, place: int, *, readonly: bool) -> Any:
        return self._driver.blobopen("training_runs", "history_json", place, readonly=readonly)

    def insert(self, table: str, kinds: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows; of the kinds, only the names of the columns count."""
        names, marks = ", ".join(f'"{name}"' for name in kinds), ", ".join("?" * len(kinds))
        self._driver.executemany(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # nosec  # constants
            # SQLite would turn a NaN into NULL.
            ([("NaN" if value != value else value) for value in row] for row in rows),
        )

    def keep_layouts(self, layouts: list[tuple[int, str]]) -> None:
        """Note how the histories of runs were written, by their numbers."""
        self._driver.executemany(
            "UPDATE training_db_numbers SET layout = ? WHERE number = ?",
            [(layout, number) for number, layout in layouts],
        )

    def keep_as_it_is(self, run: Run) -> None:
        """Keep the text of a history that is no table."""
        self._driver.execute(
            "UPDATE training_db_numbers SET layout = (SELECT '=' || history_json "
            "FROM training_runs WHERE rowid = place) WHERE number = ?",
            (run.number,),
        )

    def finish_upgrade(self) -> None:
        """Write numbers and layouts into the rows, after the histories have gone from them."""
        self._driver.execute(
            "UPDATE training_runs SET number = noted.number, history_layout = noted.layout "
            "FROM training_db_numbers AS noted WHERE noted.place = training_runs.rowid"
        )
        self._driver.execute("DROP TABLE training_db_numbers")

    def layouts(self, after: int) -> list[tuple[int, str | None]]:
        """Return the next numbers, and the layouts; of those that are the text itself, ``=``."""
        return self._driver.execute(
            "SELECT number, CASE WHEN layout LIKE '=%' THEN '=' ELSE layout END "  # nosec  # constants
            f"FROM training_db_numbers WHERE number > ? ORDER BY number LIMIT {ROWS}",
            (after,),
        ).fetchall()

    def give_back_what_was_kept(self) -> None:
        """Write the histories that are no tables as they were."""
        self._driver.execute(
            "UPDATE training_runs SET history_json = substr(noted.layout, 2) "
            "FROM training_db_numbers AS noted "
            "WHERE noted.place = training_runs.rowid AND noted.layout LIKE '=%'"
        )

    def kept(self, number: int) -> str:
        """Return the text of a history that is no table."""
        (layout,) = self._driver.execute(
            "SELECT layout FROM training_db_numbers WHERE number = ?", (number,)
        ).fetchone()
        return str(layout[1:])

    def give_back(self, texts: list[tuple[int, str]]) -> None:
        """Write histories that are not long, by the numbers of their runs."""
        self._driver.executemany(
            "UPDATE training_runs SET history_json = ? WHERE rowid = "
            "(SELECT place FROM training_db_numbers WHERE number = ?)",
            [(text, number) for number, text in texts],
        )

    def give_back_long(self, number: int, pieces: Iterable[str]) -> None:
        """Write a history a piece at a time."""
        run = self._driver.execute
        run("CREATE TEMPORARY TABLE training_db_pieces (id INTEGER PRIMARY KEY, piece BLOB)")
        self._driver.executemany(
            "INSERT INTO training_db_pieces (piece) VALUES (?)",
            ((piece.encode(self._encoding),) for piece in pieces),
        )
        (size,) = run("SELECT sum(length(piece)) FROM training_db_pieces").fetchone()
        (place,) = run(
            "SELECT place FROM training_db_numbers WHERE number = ?", (number,)
        ).fetchone()
        # SQLite makes room for a text only with a text; a blob would stay a blob.
        run("UPDATE training_runs SET history_json = CAST(zeroblob(?) AS TEXT) WHERE rowid = ?",
            (size, place))  # fmt: skip
        with self._open(place, readonly=False) as blob, closing(self._driver.cursor()) as cursor:
            for (piece,) in cursor.execute("SELECT piece FROM training_db_pieces ORDER BY id"):
                blob.write(piece)
        run("DROP TABLE training_db_pieces")

    def finish_downgrade(self) -> None:
        """Forget the numbers."""
        self._driver.execute("DROP TABLE training_db_numbers")
