"""A database, or some runs of it, as a dataset: Parquet files in folders, as Hive names them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from training_db.db.version import HEAD
from training_db.errors import InvalidValue
from training_db.extras import load
from training_db.repository.arguments import names_in, one_of
from training_db.repository.stored_rows import RUNS_AT_ONCE
from training_db.timestamps import format_timestamp, now
from training_db.transfer.dataset.cells import cell_columns
from training_db.transfer.dataset.files import TableFiles
from training_db.transfer.dataset.fitting import stored_form
from training_db.transfer.dataset.partitions import MONTHLY, Partitioning
from training_db.transfer.dataset.place import check_place, whole_folder, write_manifest
from training_db.transfer.dataset.tables import HISTORY, MISFITS, TABLES

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.db.report import Progress
    from training_db.repository.filters import Filter
    from training_db.repository.stored_rows import ChosenRun, StoredRows


@dataclass(frozen=True)
class DatasetTable:
    """One table of a dataset.

    Attributes:
        name: Its name, and that of its folder.
        rows: Its rows.
        files: Its files.
        bytes: Their size.
    """

    name: str
    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Dataset:
    """A dataset that was written.

    Attributes:
        folder: Where it is.
        runs: How many runs it has.
        tables: Its tables.
        misfits: For each column, such as ``"runs.batch_size"``, how many values are of another
            type, as SQLite allows. They are NULL there, and stand in the table ``misfits``.
    """

    folder: Path
    runs: int
    tables: list[DatasetTable]
    misfits: dict[str, int] = field(default_factory=dict)


def export_dataset(
    db: TrainingDB,
    folder: str | os.PathLike[str],
    filters: Mapping[str, Any] | str | Filter | None = None,
    *,
    partition_by: str | Iterable[str] = MONTHLY,
    duplicates: Literal["last", "all"] = "last",
    force: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Write runs as a Hive-partitioned dataset of Parquet files, which DuckDB and Spark read.

    Args:
        db: The database; all files show it at one moment.
        folder: Where the dataset goes. It has its name only once it is complete.
        filters: Which runs, as for ``db.runs.query``; ``None`` for all that are not in the trash.
        partition_by: What the folders are named by: ``created_year``, ``created_month``,
            ``created_day``, or columns of the runs.
        duplicates: Of steps that were logged more than once, the value of the writer who began
            last (``"last"``), or all.
        force: Replace a dataset that is there.
        progress: Is called with what is done, how many runs of it, and of how many.

    Returns:
        What was written.

    Raises:
        Conflict: The folder is there already, or another export writes to it.
        UnknownName: A column to partition by, or a filter, that does not exist.
        InvalidInput: A filter that cannot be used, or one folder for each of very many values.
        MissingExtra: pyarrow is not installed.
        OSError: The folder cannot be written; nothing is left there.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", gradient_method="mgda", created_at="2026-01-02T03:04:05Z")
        >>> _ = db.history.append("r1", {"loss": [2.0, 0.5]})
        >>> dataset = export_dataset(db, getfixture("tmp_path") / "dataset")
        >>> [(table.name, table.rows) for table in dataset.tables if table.rows]
        [('runs', 1), ('metrics', 1), ('key_metrics', 2), ('history', 2)]
        >>> sorted(path.name for path in (dataset.folder / "history").iterdir())
        ['_SUCCESS', 'created_month=2026-01']
    """
    load("pyarrow.parquet", "parquet")
    one_of("way with duplicates", duplicates, ("last", "all"))
    partitioning = Partitioning(tuple(names_in(partition_by, "column")))
    place = _resolved(folder)
    check_place(place, force=force)
    with db.snapshot():
        runs = db.stored.chosen(filters, partitioning.columns)
        folders = partitioning.split(runs)
        with whole_folder(place) as unfinished:
            writing = _Writing(unfinished, db.stored, last_only=duplicates == "last")
            for path, some in folders:
                writing.write(path, some, lambda done: _tell(progress, done, len(runs)))
            tables = writing.end(partitioning.nowhere)
            dataset = Dataset(place, len(runs), tables, writing.misfits)
            write_manifest(unfinished, _described(dataset, partitioning, duplicates))
    return dataset


def _resolved(folder: str | os.PathLike[str]) -> Path:
    try:
        return Path(folder).resolve()
    except (TypeError, ValueError):  # a NUL character, say
        raise InvalidValue(f"{folder!r} is no name of a folder") from None


def _tell(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress("export runs", done, total)


class _Writing:
    """Writes the tables of a dataset side by side, folder after folder."""

    def __init__(self, root: Path, stored: StoredRows, *, last_only: bool) -> None:
        self.misfits: dict[str, int] = {}
        self._done = 0
        self._stored, self._last_only = stored, last_only
        self._tables = [(one, TableFiles(root / one.name, one, self._note)) for one in TABLES]
        self._history = TableFiles(root / HISTORY.name, HISTORY, self._note)
        self._misfits = TableFiles(root / MISFITS.name, MISFITS, self._note)

    def write(self, path: str, runs: Sequence[ChosenRun], tell: Callable[[int], object]) -> None:
        """Write all there is of some runs, in each table into a folder of one name.

        Args:
            path: The folder.
            runs: The runs.
            tell: Takes how many runs are done, those of other folders among them.
        """
        with ExitStack() as folders:
            # The misfits first, so that theirs ends last: the others find some until their end.
            for files in reversed(self._all()):
                folders.enter_context(files.folder(path))
            for start in range(0, len(runs), RUNS_AT_ONCE):
                some = runs[start : start + RUNS_AT_ONCE]
                for shape, files in self._tables:
                    files.add(self._stored.rows(shape.source, shape.columns, some))
                for cells in self._stored.history(some, last_only=self._last_only):
                    self._history.write(cell_columns(cells, self._history.types))
                self._done += len(some)
                tell(self._done)

    def end(self, nowhere: str) -> list[DatasetTable]:
        """Finish all tables, and say what they hold."""
        for files in self._all():
            files.end(nowhere)
        return [
            DatasetTable(files.shape.name, files.rows, files.files, files.bytes)
            for files in self._all()
        ]

    def _all(self) -> list[TableFiles]:
        return [*(files for _, files in self._tables), self._history, self._misfits]

    def _note(self, run_id: str, table: str, column: str, value: object) -> None:
        where = f"{table}.{column}"
        self.misfits[where] = self.misfits.get(where, 0) + 1
        self._misfits.add([(run_id, table, column, stored_form(value))])


def _described(dataset: Dataset, partitioning: Partitioning, duplicates: str) -> dict[str, Any]:
    columns = {one.name: one.columns for one in (*TABLES, HISTORY, MISFITS)}
    return {
        "complete": True,
        "exported_at": format_timestamp(now()),
        "schema": HEAD,
        "runs": dataset.runs,
        "partitioned_by": list(partitioning.keys),
        "duplicates": duplicates,
        "tables": {
            table.name: {
                "rows": table.rows,
                "files": table.files,
                "bytes": table.bytes,
                "columns": columns[table.name],
            }
            for table in dataset.tables
        },
    }
