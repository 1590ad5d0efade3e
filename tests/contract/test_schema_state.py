"""A schema that is absent, old or new: every call of a repository says what to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from training_db import TrainingDB
from training_db.db.version import HEAD
from training_db.errors import SchemaError, SchemaMissing, SchemaNewer, SchemaOutdated
from training_db.repository.scaffold_ranks import ScaffoldScores

if TYPE_CHECKING:
    from pathlib import Path

SCORES = ScaffoldScores(np.array([1]), (("r1", "indole"),), np.array([[0.5]]))
CALLS: dict[str, Any] = {
    "runs.insert": lambda db: db.runs.insert("r1"),
    "runs.insert_many": lambda db: db.runs.insert_many([{"run_id": "r1"}]),
    "runs.update": lambda db: db.runs.update("r1", host="a"),
    "runs.update_status": lambda db: db.runs.update_status("r1", "failed"),
    "runs.get": lambda db: db.runs.get("r1"),
    "runs.find": lambda db: db.runs.find("r1"),
    "runs.history_json": lambda db: db.runs.history_json("r1"),
    "runs.query": lambda db: db.runs.query(),
    "runs.page": lambda db: db.runs.page(),
    "runs.iterate": lambda db: list(db.runs.iterate()),
    "runs.ids": lambda db: db.runs.ids(),
    "runs.count": lambda db: db.runs.count(),
    "runs.ensure": lambda db: db.runs.ensure("r1"),
    "runs.beat": lambda db: db.runs.beat("r1"),
    "runs.reap": lambda db: db.runs.reap(),
    "runs.delete": lambda db: db.runs.delete("r1"),
    "runs.restore": lambda db: db.runs.restore("r1"),
    "runs.number": lambda db: db.runs.number("r1"),
    "runs.by_number": lambda db: db.runs.by_number(1),
    "runs.resolve": lambda db: db.runs.resolve("1"),
    "runs.with_wandb_id": lambda db: db.runs.with_wandb_id("3ojed7lz"),
    "metrics.best": lambda db: db.metrics.best("loss"),
    "metrics.of": lambda db: db.metrics.of("r1"),
    "metrics.runs_with": lambda db: db.metrics.runs_with("loss"),
    "metrics.names": lambda db: db.metrics.names(),
    "events.add": lambda db: db.events.add("r1", "note", "it began"),
    "events.list": lambda db: db.events.list("r1"),
    "artifacts.add": lambda db: db.artifacts.add("r1", "plot", "loss.png"),
    "artifacts.list": lambda db: db.artifacts.list("r1"),
    "tags.add": lambda db: db.tags.add("r1", "keep"),
    "tags.add_many": lambda db: db.tags.add_many("r1", {"keep": None}),
    "tags.remove": lambda db: db.tags.remove("r1", "keep"),
    "tags.of": lambda db: db.tags.of("r1"),
    "objectives.insert": lambda db: db.objectives.insert("r1", "QED"),
    "objectives.update_metric": lambda db: db.objectives.update_metric("r1", "QED", "raw_mean", 1),
    "objectives.update_from_summary": lambda db: db.objectives.update_from_summary("r1", {}),
    "objectives.of_run": lambda db: db.objectives.of_run("r1"),
    "objectives.query": lambda db: db.objectives.query(),
    "objectives.directions": lambda db: db.objectives.directions(),
    "objectives.score_field": lambda db: db.objectives.score_field("QED"),
    "objectives.scores": lambda db: db.objectives.scores(["QED"]),
    "scaffolds.insert": lambda db: db.scaffolds.insert("r1", []),
    "scaffolds.query": lambda db: db.scaffolds.query(),
    "scaffolds.directions": lambda db: db.scaffolds.directions(),
    "scaffolds.scores": lambda db: db.scaffolds.scores(["QED"]),
    "scaffolds.set_pareto_ranks": lambda db: db.scaffolds.set_pareto_ranks(SCORES, [1]),
    "statistics.overview": lambda db: db.statistics.overview(),
    "statistics.by_method": lambda db: db.statistics.by_method(),
    "statistics.counts": lambda db: db.statistics.counts("host"),
    "statistics.members": lambda db: db.statistics.members("host"),
    "statistics.objective_values": lambda db: db.statistics.objective_values("host"),
    "statistics.metric_values": lambda db: db.statistics.metric_values("host", "loss"),
    "statistics.endings": lambda db: db.statistics.endings("host"),
    "statistics.lengths": lambda db: db.statistics.lengths("host"),
    "statistics.without_blog_post": lambda db: db.statistics.without_blog_post(),
    "transaction": lambda db: db.transaction().__enter__(),
}

REPOSITORIES = (
    "runs", "objectives", "scaffolds", "statistics", "metrics", "events", "artifacts", "tags",
)  # fmt: skip


def test_the_list_of_calls_is_whole() -> None:
    with TrainingDB("sqlite://") as db:
        methods = {
            f"{repository}.{name}"
            for repository in REPOSITORIES
            for name in dir(getattr(db, repository))
            if not name.startswith("_")
        }
    assert methods | {"transaction"} == set(CALLS)


def set_version(db: TrainingDB, version: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(text("UPDATE training_db_version SET version_num = :v"), {"v": version})


@pytest.mark.parametrize(
    ("version", "error", "command"),
    [
        ("v1", SchemaOutdated, "training-db upgrade"),
        ("v2", SchemaOutdated, "training-db upgrade"),
        ("v99", SchemaNewer, "pip install --upgrade training-db"),
    ],
)
def test_every_call_on_another_version_says_what_to_run(
    db: TrainingDB, version: str, error: type[SchemaError], command: str
) -> None:
    set_version(db, version)
    for name, call in CALLS.items():
        with pytest.raises(error, match=command) as caught:
            call(db)
        assert version in str(caught.value), name


def test_every_call_on_an_empty_database_says_what_to_run(database_url: str) -> None:
    with TrainingDB(database_url) as db:
        for call in CALLS.values():
            with pytest.raises(SchemaMissing, match="training-db upgrade"):
                call(db)


def test_looking_into_a_file_that_is_not_there_makes_none(tmp_path: Path) -> None:
    with TrainingDB(tmp_path / "new" / "runs.db") as db:
        for call in CALLS.values():
            with pytest.raises(SchemaMissing, match="training-db upgrade"):
                call(db)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_upgraded_meanwhile_is_used_at_the_next_call(db: TrainingDB) -> None:
    set_version(db, "v2")
    with pytest.raises(SchemaOutdated):
        db.runs.count()
    set_version(db, HEAD)
    assert db.runs.count() == 0
