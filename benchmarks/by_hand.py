"""History by the bare drivers: one row a point, and a bare table of compressed columns."""

from __future__ import annotations

import struct
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np
from pcodec import ChunkConfig
from pcodec.standalone import simple_compress, simple_decompress
from sqlalchemy import make_url

from benchmarks.curves import METRICS
from benchmarks.databases import bare

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Series = tuple["NDArray[Any]", "NDArray[Any]"]

POINTS = """
    CREATE TABLE points (run INTEGER, metric INTEGER, step INTEGER, value DOUBLE PRECISION{key})
"""
POINT_KEY = ", PRIMARY KEY (run, metric, step)"
COLUMNS = """
    CREATE TABLE columns (
        run INTEGER, metric INTEGER, steps {blob}, cells {blob}, PRIMARY KEY (run, metric)
    )
"""
NUMBERS = {name: number for number, name in enumerate(METRICS)}
# A point as PostgreSQL's binary COPY takes it: the number of fields, then the length and the bytes
# of each, big-endian. Made by numpy, a point costs a fifth of what psycopg's write_row takes.
COPIED = np.dtype(
    [("fields", ">i2")]
    + [(name, kind) for field, kind in (("run", ">i4"), ("metric", ">i4"), ("step", ">i4"))
       for name, kind in ((f"{field}_length", ">i4"), (field, kind))]
    + [("value_length", ">i4"), ("value", ">f8")]
)  # fmt: skip
COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_END = b"\xff\xff"


class Bare:
    """A connection of one's own, and what differs between the two drivers."""

    def __init__(self, url: str) -> None:
        self.connection = bare(make_url(url))
        self.is_sqlite = hasattr(self.connection, "create_function")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def execute(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Run a statement, and return its rows as they come."""
        if not self.is_sqlite:
            statement = statement.replace("?", "%s")
        cursor = self.connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def begin(self) -> None:
        """Begin a transaction where the driver does not by itself."""
        if self.is_sqlite:
            self.connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """Commit it."""
        self.connection.commit()


class Points(Bare):
    """One row a point in the fastest layout known: integer keys, no second tree.

    Args:
        url: An empty database.
        keyed: Whether a metric can be found again without reading all of them.
    """

    def __init__(self, url: str, *, keyed: bool = True) -> None:
        super().__init__(url)
        self.begin()
        table = POINTS.format(key=POINT_KEY if keyed else "")
        self.execute(table + ("WITHOUT ROWID" if self.is_sqlite else ""))
        self.commit()

    def append(self, run: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Insert whole curves and commit: executemany, or binary COPY."""
        self.begin()
        if self.is_sqlite:
            points = chain.from_iterable(
                zip(repeat(run), repeat(NUMBERS[name]), range(len(values)), values.tolist())
                for name, values in columns.items()
            )
            self.connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", points)
        else:
            self._copy(_copied(run, columns))
        self.commit()

    def log(self, run: int, step: int, row: Mapping[str, float]) -> None:
        """Insert the points of one step and commit."""
        self.begin()
        points = [(run, NUMBERS[name], step, value) for name, value in row.items()]
        if self.is_sqlite:
            self.connection.executemany("INSERT INTO points VALUES (?, ?, ?, ?)", points)
        else:
            with self.connection.cursor().copy("COPY points FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "int4", "int4", "float8"])
                for point in points:
                    copy.write_row(point)
        self.commit()

    def read(self, run: int, metric: str) -> Series:
        """Read one metric of a run with its steps, as arrays."""
        found = self.execute(
            "SELECT step, value FROM points WHERE run = ? AND metric = ? ORDER BY step",
            (run, NUMBERS[metric]),
        )
        steps, values = zip(*found, strict=True)
        return np.array(steps), np.array(values)

    def read_many(self, runs: Sequence[int], metric: str) -> dict[int, Series]:
        """Read one metric of many runs in one statement."""
        marks = ", ".join("?" * len(runs))
        found = self.execute(
            f"SELECT run, step, value FROM points WHERE run IN ({marks}) AND metric = ? "
            "ORDER BY run, step",
            (*runs, NUMBERS[metric]),
        )
        of, steps, values = (np.array(each) for each in zip(*found, strict=True))
        ends = np.flatnonzero(np.diff(of)) + 1
        parts = zip(np.split(of, ends), np.split(steps, ends), np.split(values, ends), strict=True)
        return {int(run[0]): (step, value) for run, step, value in parts}

    def _copy(self, blocks: Iterator[bytes]) -> None:
        with self.connection.cursor().copy("COPY points FROM STDIN (FORMAT BINARY)") as copy:
            for block in (COPY_HEAD, *blocks, COPY_END):
                copy.write(block)


class Columns(Bare):
    """A bare table of columns: a blob of the codec for each run and metric, and nothing else."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.begin()
        kind = "BLOB" if self.is_sqlite else "BYTEA STORAGE EXTERNAL"
        self.execute(COLUMNS.format(blob=kind))
        self.commit()

    def append(self, run: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Encode and insert whole curves and commit."""
        self.begin()
        config = ChunkConfig()
        for name, values in columns.items():
            steps = simple_compress(np.arange(len(values)), config)
            cells = simple_compress(values, config)
            self.execute(
                "INSERT INTO columns VALUES (?, ?, ?, ?)", (run, NUMBERS[name], steps, cells)
            )
        self.commit()

    def read(self, run: int, metric: str) -> Series:
        """Read one metric of a run with its steps, as arrays."""
        return self.read_many([run], metric)[run]

    def read_many(self, runs: Sequence[int], metric: str) -> dict[int, Series]:
        """Read one metric of many runs in one statement."""
        marks = ", ".join("?" * len(runs))
        found = self.execute(
            f"SELECT run, steps, cells FROM columns WHERE run IN ({marks}) AND metric = ?",
            (*runs, NUMBERS[metric]),
        )
        return {run: (_decompressed(steps), _decompressed(cells)) for run, steps, cells in found}


class Spool(Bare):
    """The least that keeps a step: its values as one packed row of a local file."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"sqlite:///{path}")
        self.execute("PRAGMA synchronous = OFF")
        self.execute("CREATE TABLE rows (row INTEGER PRIMARY KEY, cells BLOB)")
        self._pack = struct.Struct(f"<{len(METRICS)}d").pack

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """Pack and insert one step."""
        cells = self._pack(*row.values())
        self.connection.execute("INSERT INTO rows VALUES (?, ?)", (step, cells))


def _decompressed(data: bytes) -> NDArray[Any]:
    return np.asarray(simple_decompress(data))


def _copied(run: int, columns: Mapping[str, NDArray[Any]]) -> Iterator[bytes]:
    for name, values in columns.items():
        points = np.zeros(len(values), dtype=COPIED)
        points["fields"] = 4
        for field, value in (("run", run), ("metric", NUMBERS[name])):
            points[f"{field}_length"], points[field] = 4, value
        points["step_length"], points["step"] = 4, np.arange(len(values))
        points["value_length"], points["value"] = 8, values
        yield points.tobytes()
