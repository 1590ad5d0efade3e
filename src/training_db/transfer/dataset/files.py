"""The Parquet files of one table: a few large ones a folder."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from training_db.extras import load
from training_db.transfer.dataset.fitting import fitted
from training_db.transfer.dataset.tables import FLAG, FLOAT, INTEGER, TEXT, TIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from training_db.transfer.dataset.tables import DatasetShape

    Note = Callable[[str, str, str, object], object]
    """Takes the run, table and column of a value that does not fit, and the value."""

FILE_BYTES = 256 * 2**20
"""At about this size a file ends and the next one begins."""

_ROWS_AT_ONCE = 50_000
_CHARACTERS_AT_ONCE = 16_000_000
_ROW_GROUP = 250_000
_GROUP_BYTES = 32 * 2**20  # as they are in memory


class TableFiles:
    """Writes the rows of one table, folder after folder.

    Args:
        place: The folder of the table; it is made.
        shape: The table.
        note: Is told each value that does not fit its column, which stays empty there.

    Attributes:
        rows: How many rows were written.
        files: How many files.
        bytes: Their size.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, place: Path, shape: DatasetShape, note: Note) -> None:
        self.shape = shape
        self.rows = self.files = self.bytes = 0
        self.types = arrow_types(shape)
        self._schema = load("pyarrow", "parquet").schema(list(self.types.items()))
        self._place, self._note = place, note
        self._folder = place
        self._file: BinaryIO | None = None
        self._writer: Any = None
        self._waiting: list[Sequence[Any]] = []
        self._characters = 0
        self._group: list[Any] = []
        place.mkdir()

    @contextmanager
    def folder(self, path: str) -> Iterator[None]:
        """Let all that is added in the block go into one folder."""
        self._folder = self._place / path
        try:
            yield
            self._convert()
            self._end_file()
        except BaseException:
            self._abandon_file()
            raise

    def add(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take rows of stored values, in the order of the columns."""
        for row in rows:
            self._waiting.append(row)
            self._characters += sum(len(value) for value in row if isinstance(value, (str, bytes)))
            if len(self._waiting) >= _ROWS_AT_ONCE or self._characters >= _CHARACTERS_AT_ONCE:
                self._convert()

    def write(self, columns: Sequence[Any]) -> None:
        """Take columns of Arrow, in their order."""
        arrow = load("pyarrow", "parquet")
        self._group.append(arrow.Table.from_arrays(list(columns), schema=self._schema))
        rows = sum(part.num_rows for part in self._group)
        if rows >= _ROW_GROUP or sum(part.nbytes for part in self._group) >= _GROUP_BYTES:
            self._write_group()

    def end(self, nowhere: str) -> None:
        """Finish the table, one without rows by an empty file that has its columns.

        Args:
            nowhere: The folder of such a file.
        """
        if not self.files:
            with self.folder(nowhere):
                self._start_file()
        (self._place / "_SUCCESS").touch()

    def _convert(self) -> None:
        rows, self._waiting, self._characters = self._waiting, [], 0
        if not rows:
            return
        arrow = load("pyarrow", "parquet")
        of_run = list(self.shape.columns).index("run_id")
        columns = []
        for (name, kind), values in zip(
            self.shape.columns.items(), zip(*rows, strict=True), strict=True
        ):
            fit, misfits = fitted(values, kind)
            for position in misfits:
                self._note(rows[position][of_run], self.shape.name, name, values[position])
            columns.append(arrow.array(fit, self.types[name]))
        self.write(columns)

    def _write_group(self) -> None:
        parts, self._group = self._group, []
        if not parts:
            return
        if self._file is None:
            self._start_file()
        table = load("pyarrow", "parquet").concat_tables(parts)
        self._writer.write_table(table, row_group_size=_ROW_GROUP)
        self.rows += table.num_rows
        if self._file is not None and self._file.tell() >= FILE_BYTES:
            self._close_file()

    def _start_file(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        # One count for all folders: on some file systems two of their names are one.
        self._file = (self._folder / f"part-{self.files:05d}.parquet").open("xb")
        self.files += 1
        parquet = load("pyarrow.parquet", "parquet")
        # Steps, rows and times rise: their differences are a hundredth of them.
        rising = [name for name, kind in self.shape.columns.items() if kind in (INTEGER, TIME)]
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            use_dictionary=[name for name in self.shape.columns if name not in rising],
            column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        )

    def _end_file(self) -> None:
        self._write_group()
        self._close_file()

    def _close_file(self) -> None:
        if self._file is None:
            return
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self.bytes += self._file.tell()
        self._file.close()
        self._file = self._writer = None

    def _abandon_file(self) -> None:
        if self._file is not None and self._writer is not None:
            with suppress(OSError, ValueError):  # a full disk takes no footer
                self._writer.close()
            self._writer.is_open = False  # or it would try again when it is collected
            with suppress(OSError):
                self._file.close()
        self._file = self._writer = None


def arrow_types(shape: DatasetShape) -> dict[str, Any]:
    """Return the type of Arrow of each column."""
    arrow = load("pyarrow", "parquet")
    types = {
        TEXT: arrow.string(),
        INTEGER: arrow.int64(),
        FLOAT: arrow.float64(),
        FLAG: arrow.bool_(),
        TIME: arrow.timestamp("us", tz="UTC"),
    }
    return {name: types[kind] for name, kind in shape.columns.items()}
