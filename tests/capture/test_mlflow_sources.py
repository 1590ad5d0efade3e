"""A database of MLflow is found, read while it is in use, and explained where it is none."""

from __future__ import annotations

import json
import math
import socket
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.capture.mlflow_databases import MLflow, cells, only
from training_db.capture import import_mlflow
from training_db.errors import MissingExtra, SourceUnavailable, UnreadableSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

# What is told apart here does not depend on the database that the runs are in.
pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)


def test_a_database_that_mlflow_is_writing_can_be_read(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run()
    writer = sqlite3.connect(mlflow.url.removeprefix("sqlite:///"), isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE runs SET status = 'KILLED'")
    assert only(import_mlflow(db, mlflow.url)).run_id == run
    writer.execute("COMMIT")
    writer.close()
    assert only(import_mlflow(db, mlflow.url)).status == "crashed"


def test_a_reader_waits_while_mlflow_commits(db: TrainingDB, mlflow: MLflow) -> None:
    mlflow.run()
    path = mlflow.url.removeprefix("sqlite:///")
    writer = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    writer.execute("BEGIN EXCLUSIVE")
    ending = threading.Timer(0.5, writer.execute, ["COMMIT"])
    ending.start()
    assert only(import_mlflow(db, path)).is_good
    ending.join()
    writer.close()


def test_a_database_in_wal_mode_can_be_read(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run()
    path = mlflow.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE runs SET status = 'KILLED'")
        writer.commit()
        assert only(import_mlflow(db, path)).run_id == run
    writer.close()
    assert db.runs.get(run)["status"] == "crashed"


def test_a_folder_that_holds_an_mlflow_db_names_it(db: TrainingDB, mlflow: MLflow) -> None:
    mlflow.run()
    folder = Path(mlflow.url.removeprefix("sqlite:///")).parent
    assert only(import_mlflow(db, folder)).file == "mlflow.db"


def test_times_and_names_that_are_none_stop_no_import(db: TrainingDB, mlflow: MLflow) -> None:
    run = mlflow.run(experiment_id=7, start_time=math.inf)
    mlflow.experiment(7, "x")
    mlflow.execute("CREATE TABLE copied AS SELECT experiment_id, NULL AS name FROM experiments")
    mlflow.execute("DROP TABLE experiments")
    mlflow.execute("ALTER TABLE copied RENAME TO experiments")
    row = {"key": "loss", "run_uuid": run, "is_nan": False}
    for number, odd in enumerate(("soon", math.inf)):
        mlflow.insert("metrics", row | {"value": number, "timestamp": odd, "step": odd})
    assert only(import_mlflow(db, mlflow.url)).is_good
    assert db.tags.of(run)["mlflow.experiment"] == "7"
    assert cells(db, run)["_timestamp"] == [(0, 0.0), (1, 0.0)]


def test_a_server_that_says_nothing_is_not_waited_for(
    db: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_db.capture.mlflow.source.CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(SourceUnavailable, match="timeout expired"):
            import_mlflow(db, f"postgresql://ann@{place}/mlflow")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no SQLite database: it is empty"),
        (b"hello there", "no SQLite database: it begins with b'hello there'"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"SQLite format 3\x00 and then rubbish" + b"\x55" * 4096, "cannot be read"),
        (None, "there is no file"),
    ],
    ids=["empty", "text", "pointer", "damaged", "missing"],
)
def test_a_file_that_is_no_database_is_named_as_what_it_is(
    db: TrainingDB, tmp_path: Path, content: bytes | None, said: str
) -> None:
    path = tmp_path / "mlflow.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnreadableSource, match=said):
        import_mlflow(db, path)


def test_a_database_of_something_else_is_named_as_what_it_is(
    db: TrainingDB, tmp_path: Path, migrated_file: Path
) -> None:
    with pytest.raises(UnreadableSource, match="one of training-db itself"):
        import_mlflow(db, migrated_file)
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE films (title)")
    connection.close()
    with pytest.raises(UnreadableSource, match=r"no database of MLflow.*its tables are films"):
        import_mlflow(db, other)


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("http://ann:secret@localhost:5000", UnreadableSource, "--backend-store-uri"),
        ("file:./mlruns", UnreadableSource, "--backend-store-uri"),
        ("oracle9://x", UnreadableSource, "cannot be read"),
        ("mysql+nosuchdriver://ann:secret@h/d", UnreadableSource, "cannot be read"),
        ("postgresql://ann:secret@127.0.0.1:1/mlflow", SourceUnavailable, "cannot be read"),
        ("postgresql://h:port/d", UnreadableSource, "percent-encoded"),
        ("~nobody-has-this-name/mlflow.db", UnreadableSource, "there is no file"),
        ("mlflow\x00.db", UnreadableSource, "NUL"),
    ],
)
def test_a_source_that_cannot_work_is_explained(
    db: TrainingDB, source: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as raised:
        import_mlflow(db, source)
    assert "secret" not in str(raised.value)


def test_a_driver_that_is_missing_is_named(db: TrainingDB) -> None:
    try:
        import MySQLdb  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(MissingExtra, match=r"'MySQLdb'.*mysqlclient.*mysql\+pymysql"):
            import_mlflow(db, "mysql://ann:secret@localhost/mlflow")
    else:
        pytest.skip("the driver of MySQL is installed here")


@pytest.fixture
def here(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


def test_the_command_imports_and_compares(
    here: TrainingDB, mlflow: MLflow, cli: Callable[..., Answer]
) -> None:
    run = mlflow.run()
    mlflow.run(lifecycle_stage="deleted")
    mlflow.metric(run, "loss", (2.0, 0, 0))
    answer = cli("import", "mlflow", mlflow.url, "--no-deleted", "--json")
    assert answer.code == 0
    (told,) = json.loads(answer.out)
    assert (told["run_id"], told["new_rows"], told["is_good"]) == (run, 1, True)
    assert here.runs.count() == 1
    answer = cli("import", "mlflow", mlflow.url)
    assert answer.code == 0
    assert run in answer.out
    mlflow.execute("DELETE FROM metrics")
    assert cli("import", "mlflow", mlflow.url, "--quiet").code == 1


def test_the_command_names_what_is_wrong(
    here: TrainingDB, mlflow: MLflow, cli: Callable[..., Answer]
) -> None:
    mlflow.run()
    answer = cli("import", "mlflow", mlflow.url, "--experiment", "nowhere")
    assert answer.code == 2
    assert "unknown experiment 'nowhere'" in answer.err
    answer = cli("import", "mlflow", "no-such-file.db")
    assert answer.code == 1
    assert "there is no file" in answer.err
    (told,) = json.loads(cli("import", "mlflow", "no-such-file.db", "--json").out)
    assert "there is no file" in told["error"]
    (told,) = json.loads(cli("import", "mlflow", "postgresql://127.0.0.1:1/m", "--json").out)
    assert "check that it runs" in told["error"]
    assert here.runs.count() == 0
