"""DuckDB and Spark answer the questions that the database answers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.torture import on_one_backend
from tests.transfer.dataset_readers import DuckDB, Spark, spark_session
from training_db.transfer.dataset import export_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db import TrainingDB

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "datasets.md").read_text()
SCORES = (0.9, 0.61, 0.6, 0.1, math.nan, math.inf, -math.inf, None)
LOSSES = ([2.0, 0.05], [math.nan, 0.09], [0.1], [math.nan], [math.inf, -math.inf], ["none"], None)
METHODS = ("mgda", "pcgrad", "007", "a/b=c: 'd' %20\n", "MGDA", "röb", "none", None)


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    with spark_session(tmp_path_factory.mktemp("spark")) as session:
        yield session


@pytest.fixture
def questioned(db: TrainingDB) -> TrainingDB:
    """A database of runs of which each fits the README's question in another part."""
    with db.transaction():
        for number in range(112):
            run_id = f"run-{number}"
            db.runs.insert(
                run_id, gradient_method=METHODS[number // 56 if number < 100 else number % 8],
                created_at=f"2026-{number % 2 + 1:02}-28T23:59:59.999999Z",
                final_loss=SCORES[number % 5],
            )  # fmt: skip
            db.objectives.insert(run_id, "QED", raw_mean=SCORES[number % 8])
            loss = LOSSES[number // 8 % 7]
            if loss is not None:
                db.history.append(run_id, {"loss": loss})
        db.runs.delete("run-0")
    with db.engine.begin() as connection:  # as it may stand in a database that was adopted
        connection.exec_driver_sql(
            "UPDATE training_runs SET gradient_method = '' WHERE gradient_method = 'none'"
        )
    return db


def the_readme_s_filter() -> str:
    (text,) = re.findall(r'"(gradient_method = .*?)"\n', README)
    return text


def the_same_in_sql() -> str:
    """The question as the page on datasets asks it of any engine."""
    (text,) = re.findall(r"```sql\n(SELECT run_id, final_loss.*?)```", PAGE, re.DOTALL)
    return text


def in_order(rows: list[tuple[str, float | None]]) -> list[str]:
    return sorted(map(repr, rows))  # NaN equals nothing, not even itself


def test_the_readme_s_question_has_one_answer(
    questioned: TrainingDB, spark: Spark, tmp_path: Path
) -> None:
    own = questioned.runs.query(the_readme_s_filter(), limit=None)
    expected = in_order([(run["run_id"], run["final_loss"]) for run in own])
    assert {run["run_id"] for run in own} == {"run-1", "run-8", "run-9"}  # run-0 is in the trash
    folder = export_dataset(questioned, tmp_path / "dataset").folder
    for ask in (DuckDB(folder), spark.open(folder)):
        assert in_order(ask(the_same_in_sql())) == expected
        ((runs,),) = ask("SELECT count(*) FROM runs")
        assert runs == questioned.runs.count()
        ((cells,),) = ask("SELECT count(*) FROM runs JOIN history USING (run_id)")
        assert cells == sum(
            one["count"] for run in questioned.runs.ids() for one in questioned.history.keys(run)
        )


@on_one_backend
def test_folders_of_odd_names_say_the_same_to_both(
    questioned: TrainingDB, spark: Spark, tmp_path: Path
) -> None:
    by = ("gradient_method", "created_year")
    folder = export_dataset(questioned, tmp_path / "dataset", partition_by=by).folder
    methods = "SELECT DISTINCT gradient_method, by_gradient_method FROM runs"
    for ask in (DuckDB(folder), spark.open(folder)):
        assert set(ask(methods)) == {
            *((one, one) for one in METHODS[:-2]),
            ("", None),
            (None, None),
        }
        assert ask("SELECT DISTINCT created_year FROM history") == [(2026,)]
        (found,) = ask("SELECT count(*) FROM runs WHERE by_gradient_method = '007'")
        assert found == (questioned.runs.count("gradient_method = '007'"),)


@on_one_backend
def test_a_table_without_rows_has_its_columns(db: TrainingDB, spark: Spark, tmp_path: Path) -> None:
    folder = export_dataset(db, tmp_path / "dataset").folder
    for ask in (DuckDB(folder), spark.open(folder)):
        assert ask(the_same_in_sql()) == []
        assert ask("SELECT metric, value, created_month FROM history") == []


@on_one_backend
def test_long_histories_are_the_same_series_in_both(
    db: TrainingDB, spark: Spark, tmp_path: Path
) -> None:
    db.runs.insert("long")
    steps = np.arange(50_000)
    db.history.append("long", {"_step": steps, "_timestamp": steps / 4, "loss": np.sin(steps)})
    folder = export_dataset(db, tmp_path / "dataset").folder
    question = (
        "SELECT count(*), min(step), max(step), min(value), max(value), {}(max(timestamp)) "
        "FROM history WHERE metric = 'loss' AND step >= 100"
    )
    series = db.history.arrays("long", "loss", steps=(100, math.inf))["long"]["loss"]
    answer = (
        len(series), series.x[0], series.x[-1], series.values.min(), series.values.max(),
        49_999 * 250_000,
    )  # fmt: skip
    for ask in (DuckDB(folder), spark.open(folder)):
        assert ask(question.format(ask.microseconds)) == [answer]
