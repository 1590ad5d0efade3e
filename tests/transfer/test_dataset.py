"""A dataset holds what the database holds: every row and value, with its type."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet
from sqlalchemy import select

from tests.transfer.databases import fill
from tests.transfer.dataset_readers import DuckDB, tables_of
from training_db import TrainingDB
from training_db.documents import decode
from training_db.errors import InvalidValue, MissingExtra, UnknownName
from training_db.models import Base, metric_names, training_runs
from training_db.repository import stored_rows
from training_db.transfer.dataset import export_dataset, files
from training_db.transfer.dataset.tables import HISTORY, MISFITS, TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training_db.transfer.dataset.tables import StoredShape

Row = dict[str, Any]


def read(folder: Path, table: str) -> list[Row]:
    """Return the rows of a table by what is in its files alone."""
    return [
        row
        for file in sorted((folder / table).rglob("*.parquet"))
        for row in parquet.ParquetFile(file).read().to_pylist()
    ]


def alike(rows: list[Row]) -> list[str]:
    """Return rows as they can be compared: in one order, and NaN equal to itself."""
    return sorted(
        repr(sorted((name, _shown(value)) for name, value in row.items())) for row in rows
    )


def _shown(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else repr(value)


def in_the_database(db: TrainingDB, shape: StoredShape) -> list[Row]:
    """Return the rows of a table, read by the types of the models."""
    table = Base.metadata.tables[shape.source]
    columns = [column for column in table.c if column.computed is None]
    statement = select(training_runs.c.run_id, training_runs.c.deleted_at, *columns)
    if table is not training_runs:
        by_number = "run_number" in table.c
        key = training_runs.c.number if by_number else training_runs.c.run_id
        statement = statement.join(
            table, key == (table.c.run_number if by_number else table.c.run_id)
        )
    with db.engine.connect() as connection:
        names = dict(connection.execute(select(metric_names.c.id, metric_names.c.name)).all())
        rows = connection.execute(statement).all()
    found = []
    for run_id, deleted_at, *rest in rows:
        if deleted_at is None:
            row = {one.name: value for one, value in zip(columns, rest, strict=True)}
            row["run_id"] = run_id
            if "metric_id" in row:
                row["metric"] = names[row["metric_id"]]
            found.append({name: row[name] for name in shape.columns})
    return found


def value_of(row: Row) -> Any:
    """Return what was logged, by what the page on datasets says of value, kind and text."""
    assert (row["value"] is None) == (row["kind"] in ("text", "json", "null"))
    match row["kind"]:
        case "float":
            return row["value"]
        case "int":
            return int(row["text"]) if row["text"] is not None else int(row["value"])
        case "bool":
            return bool(row["value"])
        case "text":
            return row["text"]
        case "json":
            return decode(row["text"])
        case "null":
            return None
    raise AssertionError(row["kind"])


def series_of(rows: list[Row]) -> dict[tuple[str, str], list[str]]:
    series: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = row["run_id"], row["metric"]
        series.setdefault(key, []).append(repr((row["step"], value_of(row))))
    return series


def logged(db: TrainingDB, duplicates: str) -> dict[tuple[str, str], list[str]]:
    histories = db.history.arrays(db.runs.ids(), duplicates=duplicates)
    return {
        (run_id, name): [
            repr(pair) for pair in zip(one.x.tolist(), one.values.tolist(), strict=True)
        ]
        for run_id, history in histories.items()
        for name, one in history.items()
    }


def test_every_row_and_value_is_there_with_its_type(migrated_url: str, tmp_path: Path) -> None:
    fill(migrated_url)
    with TrainingDB(migrated_url) as db:
        dataset = export_dataset(db, tmp_path / "dataset")
        for shape in TABLES:
            expected = in_the_database(db, shape)
            assert expected, shape.name
            assert alike(read(dataset.folder, shape.name)) == alike(expected)
        assert dataset.runs == db.runs.count()
        assert series_of(read(dataset.folder, "history")) == logged(db, "last")
        assert "run-1" not in {row["run_id"] for row in read(dataset.folder, "runs")}
        everything = export_dataset(db, tmp_path / "other", duplicates="all")
        cells = read(everything.folder, "history")
        assert series_of(cells) == logged(db, "all")
        # Each row of each writer has a number of its own, in the order in which they were logged.
        assert len({(row["run_id"], row["metric"], row["row"]) for row in cells}) == len(cells)
        assert {row["writer"] for row in cells} == {1, 2}
        trash = export_dataset(db, tmp_path / "trash", "deleted_at is not missing")
        assert {row["run_id"] for row in read(trash.folder, "history")} == {"run-1"}
    assert dataset.misfits == {}
    assert read(dataset.folder, "misfits") == []


def test_the_types_are_those_that_engines_expect(db: TrainingDB, tmp_path: Path) -> None:
    folder = export_dataset(db, tmp_path / "dataset").folder
    runs, history = (DuckDB(folder).columns(name) for name in ("runs", "history"))
    assert runs["created_at"] == history["timestamp"] == "TIMESTAMP WITH TIME ZONE"
    assert runs["git_dirty"] == "BOOLEAN"
    assert runs["batch_size"] == history["step"] == "BIGINT"
    assert runs["learning_rate"] == history["value"] == "DOUBLE"
    assert runs["config_json"] == history["metric"] == "VARCHAR"
    assert {*runs} == {column.name for column in training_runs.c if column.computed is None} - {
        "history_layout"
    } | {"created_month"}


def test_a_cell_says_where_it_stands_on_every_axis(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("run")
    moments = [1.7e9, 1.7e9 + 0.123456, 1e300, math.nan, -1.0]
    logged = {"_step": [0, 10, 20, 20, 30], "_timestamp": moments, "_epoch": [0.5, 1, None, 2, 3]}
    db.history.append("run", logged | {"loss": [4.0, 3.0, 2.0, 1.0, 0.0]})
    db.history.append("run", {"_step": [30], "loss": [-1.0]})
    folder = export_dataset(db, tmp_path / "dataset", duplicates="all").folder
    cells = [row for row in read(folder, "history") if row["metric"] == "loss"]
    assert [row["step"] for row in cells] == [0, 10, 20, 20, 30, 30]
    assert [row["epoch"] for row in cells] == [0.5, 1, None, 2, 3, None]
    assert [row["timestamp"] for row in cells] == [
        datetime.fromtimestamp(1.7e9, UTC), datetime.fromtimestamp(1.7e9 + 0.123456, UTC), None,
        None, datetime.fromtimestamp(-1, UTC), None,
    ]  # fmt: skip
    assert [row["row"] for row in cells] == [0, 1, 2, 3, 4, 5]
    assert len({row["writer"] for row in cells}) in (1, 2)
    last = export_dataset(db, tmp_path / "last").folder
    kept = [row for row in read(last, "history") if row["metric"] == "loss"]
    assert [(row["step"], row["value"], row["row"]) for row in kept] == [
        (0, 4, 0), (10, 3, 1), (20, 1, 3), (30, -1, 5),
    ]  # fmt: skip


def test_long_integers_have_all_their_digits(db: TrainingDB, tmp_path: Path) -> None:
    exact = [-(2**53) - 1, 2**53 + 1, 2**53, -(2**53), 7]
    db.runs.insert("run")
    db.history.append("run", {"n": exact, "among others": [*exact[:2], 0.5, 10**400, True]})
    folder = export_dataset(db, tmp_path / "dataset").folder
    cells = [row for row in read(folder, "history") if row["metric"] == "n"]
    assert [value_of(row) for row in cells] == exact
    assert [row["text"] is None for row in cells] == [False, False, True, True, True]
    mixed = [row for row in read(folder, "history") if row["metric"] == "among others"]
    assert [value_of(row) for row in mixed] == [*exact[:2], 0.5, 10**400, True]


def test_it_is_the_same_in_small_portions(
    migrated_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(migrated_url, runs=6)
    with TrainingDB(migrated_url) as db:
        at_once = export_dataset(db, tmp_path / "at once", partition_by=())
        assert all(table.files == 1 for table in at_once.tables)
        for module, name, size in (
            (stored_rows, "CELLS_AT_ONCE", 6_000), (files, "FILE_BYTES", 10_000),
            (files, "_ROW_GROUP", 3_000), (files, "_CHARACTERS_AT_ONCE", 3_000),
        ):  # fmt: skip
            monkeypatch.setattr(module, name, size)
        chosen = db.stored.chosen()
        with db.snapshot():
            for portion in db.stored.history(chosen):
                assert sum(map(len, portion)) <= 6_000 or len({one.metric for one in portion}) == 1
        portioned = export_dataset(db, tmp_path / "portioned", partition_by=())
    for table in tables_of(at_once.folder):
        assert alike(read(portioned.folder, table)) == alike(read(at_once.folder, table))
    by_name = {table.name: table for table in portioned.tables}
    assert by_name["history"].files > 3
    sizes = [file.stat().st_size for file in (portioned.folder / "history").rglob("*.parquet")]
    assert by_name["history"].bytes == sum(sizes)


def test_what_is_not_of_its_column_s_type_is_kept_beside(
    migrated_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "odd.db").write_bytes(migrated_file.read_bytes())
    odd = {"batch_size": "many", "learning_rate": b"\xff", "git_dirty": 7, "created_at": "soon"}
    with TrainingDB(tmp_path / "odd.db") as db:
        db.runs.insert("odd", host="gpu")
        db.runs.insert("even", batch_size=8, git_dirty=True)
        sets = ", ".join(f"{name} = ?" for name in odd)
        with db.engine.begin() as connection:
            update = f"UPDATE training_runs SET {sets}, host = x'6162' WHERE run_id = 'odd'"
            connection.exec_driver_sql(update, tuple(odd.values()))
        dataset = export_dataset(db, tmp_path / "dataset")
        by = export_dataset(db, tmp_path / "by", partition_by=["batch_size", "git_dirty"])
    misfits = {row["column_name"]: row["stored"] for row in read(dataset.folder, "misfits")}
    assert misfits == {
        "batch_size": "many", "learning_rate": "X'FF'", "git_dirty": "7", "created_at": "soon",
        "host": "X'6162'",
    }  # fmt: skip
    assert dataset.misfits == {f"runs.{name}": 1 for name in misfits}
    (run,) = (row for row in read(dataset.folder, "runs") if row["run_id"] == "odd")
    assert {run[name] for name in misfits} == {None}
    assert {row["table_name"] for row in read(dataset.folder, "misfits")} == {"runs"}
    folders = {str(file.parent.relative_to(by.folder)) for file in by.folder.rglob("runs/**/*.p*")}
    nowhere = "__HIVE_DEFAULT_PARTITION__"
    assert folders == {
        f"runs/by_batch_size={nowhere}/by_git_dirty={nowhere}",
        "runs/by_batch_size=8/by_git_dirty=true",
    }


@pytest.mark.parametrize("migrated_url", ["postgresql"], indirect=True)
def test_times_that_only_postgresql_has_are_kept_beside(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("run")
    with db.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE training_runs SET created_at = 'infinity', ended_at = '0044-03-15 12:00 BC'"
        )
        connection.exec_driver_sql("UPDATE training_runs SET started_at = '20000-01-01'")
    folder = export_dataset(db, tmp_path / "dataset").folder
    columns = {row["column_name"]: row["stored"] for row in read(folder, "misfits")}
    assert {*columns} == {"created_at", "started_at", "ended_at"}
    assert columns["created_at"] == "infinity"
    assert columns["ended_at"].endswith("BC")


def test_the_manifest_says_what_there_is(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("run")
    dataset = export_dataset(db, tmp_path / "dataset", partition_by=["status"])
    manifest = json.loads((dataset.folder / "manifest.json").read_text())
    assert (manifest["complete"], manifest["runs"], manifest["schema"]) == (True, 1, "v3")
    assert manifest["partitioned_by"] == ["by_status"]
    assert [*manifest["tables"]] == [one.name for one in (*TABLES, HISTORY, MISFITS)]
    for name, told in manifest["tables"].items():
        found = sorted((dataset.folder / name).rglob("*.parquet"))
        assert told["files"] == len(found)
        assert told["bytes"] == sum(file.stat().st_size for file in found)
        assert told["rows"] == len(read(dataset.folder, name))
        assert [*told["columns"]] == parquet.read_schema(found[0]).names


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda db, to: export_dataset(db, to, "hots = 'x'"), UnknownName),
        (lambda db, to: export_dataset(db, to, partition_by=["config_json"]), UnknownName),
        (lambda db, to: export_dataset(db, to, partition_by=["created_at"]), UnknownName),
        (lambda db, to: export_dataset(db, to, partition_by=[None]), InvalidValue),
        (lambda db, to: export_dataset(db, to, partition_by=7), InvalidValue),
        (lambda db, _: export_dataset(db, "a\0b"), InvalidValue),
        (lambda db, to: export_dataset(db, to, duplicates="some"), UnknownName),
        (lambda db, _: db.stored.chosen(columns=["hots"]), UnknownName),
        (lambda db, _: list(db.stored.rows("metric_names", ["name"], [])), UnknownName),
        (lambda db, _: list(db.stored.rows("run_tags", ["metric"], [])), UnknownName),
        (lambda db, _: list(db.stored.rows("run_tags", [], [])), InvalidValue),
        (lambda db, _: list(db.stored.history(["run"])), InvalidValue),
    ],
)
def test_what_cannot_be_asked_for_is_an_error(
    migrated_file: Path, tmp_path: Path, call: Callable[..., object], error: type[Exception]
) -> None:
    with TrainingDB(migrated_file) as db, pytest.raises(error):
        call(db, tmp_path / "dataset")
    assert not (tmp_path / "dataset").exists()
    assert list(tmp_path.iterdir()) == []


def test_one_folder_for_each_of_very_many_values_is_refused(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs.db").write_bytes(migrated_file.read_bytes())
    monkeypatch.setattr("training_db.transfer.dataset.partitions._MOST", 2)
    with TrainingDB(tmp_path / "runs.db") as db:
        for number in range(3):
            db.runs.insert(f"run-{number}")
        with pytest.raises(InvalidValue, match="run_id would make 3 folders"):
            export_dataset(db, tmp_path / "dataset", partition_by=["run_id"])
        assert len(export_dataset(db, tmp_path / "dataset").tables) == len(TABLES) + 2


def test_without_pyarrow_it_says_what_to_install(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with TrainingDB(migrated_file) as db, pytest.raises(MissingExtra, match=r"training-db\[parq"):
        export_dataset(db, tmp_path / "dataset")
