"""Histories out of PostgreSQL and back into it, a piece at a time."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROWS = 500
BYTES = 16_000_000  # of text in a batch
LONG = 1_000_000  # bytes of a history that is read in pieces
PIECE = 4_000_000
PIECES = "CREATE TEMPORARY TABLE training_db_pieces (id serial, piece {kind}) ON COMMIT DROP"


class Run(NamedTuple):
    """A run, with its history unless that is long."""

    number: int
    run_id: str
    has_key_metrics: bool
    text: str | None


class Store:
    """The database of one migration.

    Args:
        connection: A connection in the transaction of the migration.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    def number_of_histories(self) -> int:
        """Return how many runs have a history to move."""
        return int(self._value("SELECT count(*) FROM training_runs WHERE history_json IS NOT NULL"))

    def batches(self) -> Iterator[list[Run]]:
        """Yield the runs that have a history, some at a time, in the order of their numbers."""
        query = sa.text(
            "SELECT number, run_id, "
            "EXISTS (SELECT 1 FROM run_history_key_metrics AS k WHERE k.run_id = runs.run_id), "
            "CASE WHEN octet_length(history_json) <= :long THEN history_json END "
            "FROM training_runs AS runs WHERE history_json IS NOT NULL AND number > :last "
            "ORDER BY number LIMIT :rows"
        ).execution_options(stream_results=True, max_row_buffer=50)
        last = -(2**63)
        while True:
            batch: list[Run] = []
            size = 0
            with self.connection.execute(
                query, {"long": LONG, "last": last, "rows": ROWS}
            ) as result:
                while size < BYTES and (row := result.fetchone()) is not None:
                    batch.append(Run(*row))
                    size += len(row[3] or "")
                    if row[3] is None:
                        break
            if not batch:
                return
            last = batch[-1].number
            yield batch

    def text(self, run: Run) -> str | None:
        """Return a history that is not long."""
        return run.text

    def pieces(self, run: Run) -> Iterator[str]:
        """Yield a long history a piece at a time."""
        # Of a compressed text the server would unpack all for each piece. As bytes that are not
        # compressed, it reads the piece alone.
        self._run("DROP TABLE IF EXISTS training_db_pieces")
        self._run(PIECES.format(kind="bytea"))
        self._run("ALTER TABLE training_db_pieces ALTER COLUMN piece SET STORAGE EXTERNAL")
        self._run(
            "INSERT INTO training_db_pieces (piece) SELECT convert_to(history_json, 'UTF8') "
            "FROM training_runs WHERE number = :number",
            number=run.number,
        )
        decoder = codecs.getincrementaldecoder("utf-8")()
        start = 1
        while data := self._value(
            "SELECT substring(piece FROM :start FOR :length) FROM training_db_pieces",
            start=start,
            length=PIECE,
        ):
            yield decoder.decode(data)
            start += PIECE

    def insert(self, table: str, kinds: dict[str, str], rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows.

        Args:
            table: The table.
            kinds: The names of the columns, and their types.
            rows: Values in the order of the columns.
        """
        names = ", ".join(f'"{name}"' for name in kinds)
        binary = "timestamptz" not in kinds.values()  # which goes as text
        form = "(FORMAT BINARY)" if binary else ""
        with (
            self.connection.connection.driver_connection.cursor() as cursor,  # type: ignore[union-attr]
            cursor.copy(f"COPY {table} ({names}) FROM STDIN {form}") as copy,
        ):
            if binary:
                copy.set_types(list(kinds.values()))
            for row in rows:
                copy.write_row(row)

    def keep_layouts(self, layouts: list[tuple[int, str]]) -> None:
        """Note how the histories of runs were written, by their numbers."""
        self._by_number("history_layout", layouts)

    def keep_as_it_is(self, run: Run) -> None:
        """Keep the text of a history that is no table."""
        self._run(
            "UPDATE training_runs SET history_layout = '=' || history_json WHERE number = :number",
            number=run.number,
        )

    def layouts(self, after: int) -> list[Any]:
        """Return the next numbers, and the layouts; of those that are the text itself, ``=``."""
        return list(
            self.connection.execute(
                sa.text(
                    "SELECT number, "
                    "CASE WHEN history_layout LIKE '=%' THEN '=' ELSE history_layout END "
                    "FROM training_runs WHERE number > :after ORDER BY number LIMIT :rows"
                ),
                {"after": after, "rows": ROWS},
            )
        )

    def give_back_what_was_kept(self) -> None:
        """Write the histories that are no tables as they were."""
        self._run(
            "UPDATE training_runs SET history_json = substr(history_layout, 2) "
            "WHERE history_layout LIKE '=%'"
        )

    def kept(self, number: int) -> str:
        """Return the text of a history that is no table."""
        query = "SELECT substr(history_layout, 2) FROM training_runs WHERE number = :number"
        return str(self._value(query, number=number))

    def give_back(self, texts: list[tuple[int, str]]) -> None:
        """Write histories that are not long, by the numbers of their runs."""
        self._by_number("history_json", texts)

    def give_back_long(self, number: int, pieces: Iterable[str]) -> None:
        """Write a history a piece at a time."""
        self._run("DROP TABLE IF EXISTS training_db_pieces")
        self._run(PIECES.format(kind="text"))
        for piece in pieces:
            self._run("INSERT INTO training_db_pieces (piece) VALUES (:piece)", piece=piece)
        self._run(
            "UPDATE training_runs SET history_json = "
            "(SELECT string_agg(piece, '' ORDER BY id) FROM training_db_pieces) "
            "WHERE number = :number",
            number=number,
        )

    def _by_number(self, column: str, texts: list[tuple[int, str]]) -> None:
        if texts:
            self._run(
                f"UPDATE training_runs AS old SET {column} = new.text "  # nosec  # noqa: S608 - a constant
                "FROM unnest(CAST(:numbers AS bigint[]), CAST(:texts AS text[])) "
                "AS new (number, text) WHERE old.number = new.number",
                numbers=[number for number, _ in texts],
                texts=[text for _, text in texts],
            )

    def _run(self, statement: str, **values: Any) -> None:
        self.connection.execute(sa.text(statement), values)

    def _value(self, query: str, **values: Any) -> Any:
        return self.connection.scalar(sa.text(query), values)
