"""Names and values that mean something to SQL are names and values, in every call that has some."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import inspect, text

from tests.migrations.test_adoption import RUNS
from tests.migrations.test_adoption import WORDS as TYPES
from training_db import TrainingDB
from training_db.db.migrations import check, upgrade

if TYPE_CHECKING:
    from pathlib import Path

WORDS = (
    "'; DROP TABLE training_runs; -- \"`", "%s %(x)s % :name ? $1 {0}", "\\' \\\" */ OR 1=1 /*",
    "\x1b[31m\n\t損失",
)  # fmt: skip


def quoted(word: str) -> str:
    """Write a text as the filter language takes it."""
    return '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"'))


def put_everywhere(db: TrainingDB, word: str) -> None:
    """Store a text wherever a text can stand."""
    db.runs.insert(
        word, wandb_run_id=word, config={word: word, "objectives": [word]}, summary={word: word},
        host=word, gradient_method=word, run_name=word, notes=word, group_name=word,
    )  # fmt: skip
    db.objectives.insert(word, word, raw_mean=0.5, objective_alias=word)
    db.scaffolds.insert(word, [{"scaffold_id": word, "scores": {word: 0.5}}])
    db.history.append(word, {word: [1.0, 0.5], "texts": [word, word]})
    db.artifacts.add(word, word, word, {word: word})
    db.events.add(word, word, word, {word: word}, event_key=word)
    db.tags.add(word, word, word)


def filters_on(word: str) -> list[object]:
    """Return filters, each of which only the run of this text passes."""
    name = quoted(word)
    fields = ["host", "run_id", "notes", f"config.{name}", f"summary.{name}", f"tag.{name}"]
    texts: list[object] = [f"{field} = {name}" for field in fields]
    texts += [f"{field} in ({name}, 'else')" for field in fields]
    texts += [f"objective.{name} > 0.1", f"metric.{name}.last = 0.5", f"metric.{name}.min <= 0.5"]
    return [*texts, {"host": word}, {"gradient_method": [word, "else"]}, {"run_name": word}]


@pytest.fixture
def bystander(db: TrainingDB) -> TrainingDB:
    """A database with a run that no other text is about."""
    db.runs.insert("bystander", config={"a": 1}, host="h")
    db.history.append("bystander", {"loss": [1.0]})
    return db


def tables_of(db: TrainingDB) -> set[str]:
    return set(inspect(db.engine).get_table_names())


@pytest.mark.parametrize("word", WORDS)
def test_a_text_is_found_by_every_way_to_ask_and_harms_nothing(
    bystander: TrainingDB, word: str
) -> None:
    db, tables = bystander, tables_of(bystander)
    put_everywhere(db, word)

    for one in filters_on(word):
        assert db.runs.ids(one) == [word], one
        assert db.runs.count(one) == 1
    assert db.runs.get(word)["notes"] == word
    assert [row["objective_name"] for row in db.objectives.of_run(word)] == [word]
    scores = db.objectives.scores([word])
    assert dict(zip(scores.run_ids, scores.values[:, 0].tolist(), strict=True))[word] == 0.5
    assert [row["scaffold_id"] for row in db.scaffolds.query(word, scaffold_id=word)] == [word]
    assert db.scaffolds.scores([word], run_id=word).values.tolist() == [[0.5]]
    assert db.history.arrays(word, [word])[word][word].values.tolist() == [1.0, 0.5]
    assert db.history.arrays(word, ["texts"])[word]["texts"].values.tolist() == [word, word]
    assert db.metrics.best(word)[0]["run_id"] == word
    assert db.metrics.names(word) == [word]
    assert db.artifacts.list(word, word)[0]["filepath"] == word
    assert db.events.list(word, word)[0]["message"] == word
    assert db.tags.of(word) == {word: word}
    assert db.statistics.overview()["by_host"] == {"h": 1, word: 1}
    assert [one.name for one in db.statistics.metric_values("host", word)] == [word]
    assert [found["run_id"] for found in db.history.search(word, below=0.75)] == [word]

    db.tags.remove(word, word)
    db.history.delete(word, [word])
    assert db.runs.delete(word) == 1
    assert db.runs.ids() == ["bystander"]
    assert db.history.counts("bystander") == {"loss": 1}
    assert tables_of(db) == tables


@pytest.mark.parametrize("word", WORDS)
def test_where_a_word_of_ours_is_asked_for_a_text_is_refused_and_harms_nothing(
    bystander: TrainingDB, word: str
) -> None:
    db = bystander
    for call in (
        lambda: db.runs.query(order_by=word),
        lambda: db.runs.query(order_by=f"created_at {word}"),
        lambda: db.runs.query({word: 1}),
        lambda: db.runs.query({f"min_{word}": 1}),
        lambda: db.runs.update("bystander", **{word: 1}),
        lambda: db.runs.update_status("bystander", word),
        lambda: db.statistics.counts(f"column.{word}"),
        lambda: db.metrics.best("loss", mode=word),
        lambda: db.metrics.best("loss", statistic=word),
        lambda: db.objectives.update_metric("bystander", "QED", word, 1.0),
        lambda: db.objectives.insert("bystander", "QED", **{word: 1}),
    ):
        with pytest.raises(ValueError, match=r"\w"):
            call()
    assert db.runs.ids() == ["bystander"]
    assert db.runs.get("bystander")["status"] == "launched"


def test_a_column_of_a_foreign_file_may_have_any_name_and_type(tmp_path: Path) -> None:
    path = tmp_path / "foreign.db"
    column = ', "a:b ""; --" "x"" DEFAULT (1)); DROP TABLE others; -- :a"'
    with closing(sqlite3.connect(path, isolation_level=None)) as foreign:
        foreign.execute(RUNS.format(more=column, **TYPES["sqlite"]))
        foreign.execute("CREATE TABLE others (a)")
        foreign.execute('INSERT INTO training_runs (run_id, "a:b ""; --") VALUES (1, 2)')

    upgrade(path)

    assert check(path).sound
    with TrainingDB(path) as db, db.engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM training_runs")).mappings().one()
        assert row['a:b "; --'] in (2, "2")
        assert "others" in tables_of(db)
