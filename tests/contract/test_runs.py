from __future__ import annotations

import copy
import json
import math
import pickle
import shutil
from argparse import Namespace
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from training_db import TrainingDB
from training_db.errors import InvalidValue, RunExists, RunNotFound, UnknownName
from training_db.extraction import ExtractionRules
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {
    "gradient_method": "mgda",
    "training": {"batch_size": 64, "mixed_precision": "bf16"},
    "optimizer": {"lr": 3e-4},
    "objectives": [{"name": "QED", "weight": 2, "direction": "maximize"}, "SA_minimize"],
}
SUMMARY = {
    "loss": 0.25,
    "train/grad_norm": 1.5,
    "lr": 1e-5,
    "_step": 1000,
    "objectives/QED_maximize/raw_mean": 0.7,
    "objectives/minimize_risk_minimize/raw_std": 0.1,
    "objectives/QED_maximize/histogram": [1, 2],
}


def test_a_run_comes_back_with_what_was_said_of_it(db: TrainingDB) -> None:
    before = now()
    assert db.runs.insert("r1", "w1", CONFIG, chain_of_custody_id="c1", host="gpu-1") == "r1"
    run = db.runs.get("r1")
    assert (run["run_id"], run["wandb_run_id"], run["chain_of_custody_id"]) == ("r1", "w1", "c1")
    assert (run["status"], run["host"]) == ("launched", "gpu-1")
    assert json.loads(run["config_json"]) == CONFIG
    for name in ("created_at", "created_at_db", "updated_at_db"):
        assert before <= parse_timestamp(run[name]) <= now()
        assert run[name].endswith("Z")
        assert len(run[name]) == 27
    assert run["ended_at"] is None


def test_columns_and_objectives_are_filled_from_the_config(db: TrainingDB) -> None:
    db.runs.insert("r1", config=CONFIG)
    run = db.runs.get("r1")
    assert (run["gradient_method"], run["batch_size"], run["learning_rate"]) == ("mgda", 64, 3e-4)
    assert run["mixed_precision"] is True
    assert run["num_objectives"] == 2
    qed, sa = db.objectives.of_run("r1")
    assert (qed["objective_name"], qed["weight"], qed["direction"]) == ("QED", 2.0, "maximize")
    assert (sa["objective_name"], sa["weight"], sa["direction"]) == ("SA", None, "minimize")


def test_what_is_given_wins_over_what_the_config_says(db: TrainingDB) -> None:
    db.runs.insert("r1", config=CONFIG, batch_size=8, learning_rate=None)
    run = db.runs.get("r1")
    assert run["batch_size"] == 8
    assert run["learning_rate"] == 3e-4


def test_rules_of_ones_own_are_used(db: TrainingDB) -> None:
    rules = ExtractionRules()
    rules.add("learning_rate", "solver.base_lr")
    with type(db)(db.url, rules=rules) as mine:
        mine.runs.insert("r1", config={"solver": {"base_lr": 0.5}, "lr": 0.1})
    assert db.runs.get("r1")["learning_rate"] == 0.5


@dataclass
class Dataclass:
    lr: float = 0.1


class LikeWandb:
    def as_dict(self) -> dict[str, float]:
        return {"lr": 0.1}


@pytest.mark.parametrize(
    "config",
    [{"lr": 0.1}, Namespace(lr=0.1), Dataclass(), LikeWandb(), '{"lr": 0.1}'],
    ids=lambda config: type(config).__name__,
)
def test_a_config_may_have_any_form_that_people_have(db: TrainingDB, config: object) -> None:
    db.runs.insert("r1", config=config)
    run = db.runs.get("r1")
    assert json.loads(run["config_json"]) == {"lr": 0.1}
    assert run["learning_rate"] == 0.1


@pytest.mark.parametrize("name", ["config", "config_dict", "config_json"])
def test_a_config_may_be_given_under_each_of_its_names(db: TrainingDB, name: str) -> None:
    db.runs.insert_many([{"run_id": "r1", name: {"lr": 0.1}}])
    assert db.runs.get("r1")["learning_rate"] == 0.1
    with pytest.raises(InvalidValue, match="one of"):
        db.runs.insert("r2", config={"a": 1}, config_json={"a": 2})


@pytest.mark.parametrize("config", [[1], 5, "text", "[1]", "5", object(), Dataclass])
def test_a_config_that_is_no_mapping_is_refused(db: TrainingDB, config: object) -> None:
    with pytest.raises(InvalidValue):
        db.runs.insert("r1", config=config)
    assert db.runs.find("r1") is None


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"hots": "gpu-1"}, "host"),
        ({"status": "done"}, "completed"),
        ({"status": None}, "completed"),
        ({"updated_at_db": "2024-01-01"}, "created_at"),
        ({"config_document": "{}"}, "config_json"),
    ],
)
def test_an_unknown_column_or_status_is_refused_with_the_valid_ones(
    db: TrainingDB, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnknownName, match=named):
        db.runs.insert("r1", **fields)
    db.runs.insert("r1")
    with pytest.raises(UnknownName, match=named):
        db.runs.update("r1", **fields)


def test_a_run_that_is_there_is_not_inserted_again(db: TrainingDB) -> None:
    db.runs.insert("r1", "w1", {"lr": 0.1})
    with pytest.raises(RunExists, match="'r1'"):
        db.runs.insert("r1")
    with pytest.raises(RunExists, match="'w1'"):
        db.runs.insert("r2", "w1")
    assert db.runs.count() == 1
    db.runs.insert("r2", "w2")
    with pytest.raises(RunExists, match="'r2'"):
        db.runs.update("r2", wandb_run_id="w1")
    db.runs.insert("r3")
    db.runs.insert("r4")  # many runs may lack a W&B id


def test_a_run_that_is_not_there_is_a_missing_key(db: TrainingDB) -> None:
    assert db.runs.find("r1") is None
    assert db.runs.history_json("r1") is None
    asks: list[Any] = [
        lambda: db.runs.get("r1"),
        lambda: db.runs.update("r1", host="a"),
        lambda: db.runs.update("r1"),
        lambda: db.runs.update_status("r1", "failed"),
        lambda: db.objectives.of_run("r1"),
        lambda: db.objectives.insert("r1", "QED"),
        lambda: db.objectives.update_metric("r1", "QED", "raw_mean", 1.0),
        lambda: db.objectives.update_from_summary("r1", SUMMARY),
        lambda: db.scaffolds.insert("r1", {"c1": {}}),
        lambda: db.scaffolds.query("r1"),
    ]
    for ask in asks:
        with pytest.raises(RunNotFound, match="no run 'r1'") as caught:
            ask()
        assert isinstance(caught.value, KeyError)


@pytest.mark.parametrize("run_id", [None, 5, "", "x" * 1001, "ü" * 501, "a\x00", "\ud800"])
def test_a_run_id_that_cannot_be_one_is_refused(db: TrainingDB, run_id: Any) -> None:
    with pytest.raises(InvalidValue, match=r"run_id|run id"):
        db.runs.insert(run_id)
    with pytest.raises(InvalidValue, match=r"run_id|run id"):
        db.runs.insert_many([{"run_id": run_id}])
    assert db.runs.count() == 0


@pytest.mark.parametrize(
    "run_id", ["x" * 1000, "ü" * 500, "a b", "it's", '"', "\x1b[31m", "日本/1"]
)
def test_a_run_id_may_be_any_other_text(db: TrainingDB, run_id: str) -> None:
    db.runs.insert(run_id)
    assert db.runs.get(run_id)["run_id"] == run_id
    assert [run["run_id"] for run in db.runs.query({"run_id": run_id})] == [run_id]


def test_a_summary_fills_the_final_columns_and_the_objectives(db: TrainingDB) -> None:
    db.runs.insert("r1", config=CONFIG)
    db.runs.update_status("r1", "completed", summary=SUMMARY)
    run = db.runs.get("r1")
    assert (run["status"], run["final_loss"], run["final_grad_norm"]) == ("completed", 0.25, 1.5)
    assert (run["final_learning_rate"], run["total_training_steps"]) == (1e-5, 1000)
    assert run["learning_rate"] == 3e-4
    assert json.loads(run["final_metrics_json"]) == SUMMARY
    assert json.loads(run["config_json"]) == CONFIG
    of_run = {one["objective_name"]: one for one in db.objectives.of_run("r1")}
    assert set(of_run) == {"QED", "SA", "minimize_risk"}
    assert (of_run["QED"]["raw_mean"], of_run["QED"]["weight"]) == (0.7, 2.0)
    assert of_run["minimize_risk"]["direction"] == "minimize"
    assert of_run["minimize_risk"]["raw_std"] == 0.1


@pytest.mark.parametrize("name", ["summary", "final_metrics", "final_metrics_json"])
def test_a_summary_may_be_given_under_each_of_its_names(db: TrainingDB, name: str) -> None:
    db.runs.insert("r1")
    db.runs.update_status("r1", "running", **{name: {"loss": 1}})
    assert db.runs.get("r1")["final_loss"] == 1.0


def test_an_update_leaves_what_it_does_not_speak_of(db: TrainingDB) -> None:
    db.runs.insert("r1", "w1", CONFIG, host="gpu-1", started_at="2024-05-06")
    before = db.runs.get("r1")
    db.runs.update("r1", run_name="best")
    after = db.runs.get("r1")
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"run_name", "updated_at_db"}
    assert after["updated_at_db"] > before["updated_at_db"]


def test_a_column_can_be_set_back_to_missing(db: TrainingDB) -> None:
    db.runs.insert("r1", host="gpu-1")
    db.runs.update("r1", host=None)
    assert db.runs.get("r1")["host"] is None


def test_a_run_keeps_its_id(db: TrainingDB) -> None:
    db.runs.insert("r1")
    with pytest.raises(TypeError):
        db.runs.update("r1", run_id="r2")  # type: ignore[misc]


def test_times_follow_the_status_where_nobody_gives_them(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.runs.update_status("r1", "running")
    started = db.runs.get("r1")["started_at"]
    db.runs.update_status("r1", "running")
    assert db.runs.get("r1")["started_at"] == started
    db.runs.update_status("r1", "completed")
    run = db.runs.get("r1")
    assert run["ended_at"] >= started
    assert run["duration_seconds"] == 0


def test_times_that_are_given_win(db: TrainingDB) -> None:
    db.runs.insert("r1", started_at="2024-05-06 07:00:00+02:00")
    db.runs.update_status("r1", "failed", ended_at=datetime(2024, 5, 6, 6, 30, tzinfo=UTC))
    run = db.runs.get("r1")
    assert run["started_at"] == "2024-05-06T05:00:00.000000Z"
    assert run["ended_at"] == "2024-05-06T06:30:00.000000Z"
    assert run["duration_seconds"] == 5400
    db.runs.insert("r2", started_at="2024-05-06")
    db.runs.update_status("r2", "crashed", summary={"_runtime": 12.6})
    assert db.runs.get("r2")["duration_seconds"] == 13


@pytest.mark.parametrize("year", ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999"])
def test_the_first_and_last_moments_come_back(db: TrainingDB, year: str) -> None:
    db.runs.insert("r1", created_at=f"{year}Z")
    assert db.runs.get("r1")["created_at"].startswith(year)


def test_a_run_is_a_plain_dict_that_json_writes(db: TrainingDB) -> None:
    db.runs.insert("r1", config=CONFIG | {"x": math.nan}, summary=SUMMARY, history_json={"a": [1]})
    for run in (db.runs.get("r1"), db.runs.query()[0]):
        assert isinstance(run, dict)
        written = json.loads(json.dumps(run))
        assert "history_json" not in written
        assert written["run_id"] == "r1"
        assert run["history_json"] == '{"a":[1]}'
        assert json.loads(json.dumps(run))["history_json"] == '{"a":[1]}'


def test_a_run_crosses_process_borders_as_a_plain_dict(db: TrainingDB) -> None:
    db.runs.insert("r1")
    run = db.runs.get("r1")
    assert pickle.loads(pickle.dumps(run)) == run  # noqa: S301 - written here
    assert copy.deepcopy(run) == run


def test_deleting_a_run_takes_along_what_belongs_to_it(db: TrainingDB) -> None:
    from sqlalchemy import text

    db.runs.insert("r1", config=CONFIG)
    db.scaffolds.insert("r1", {"c1": {"QED": 1}})
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs"))
    assert db.objectives.query() == db.scaffolds.query() == []


class Summary:
    """As W&B's: it has keys and items, and is no mapping."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def keys(self) -> list[str]:
        return list(self._fields)

    def __getitem__(self, key: str) -> Any:
        return self._fields[key]


def test_a_summary_with_keys_and_items_alone_is_taken_whole(db: TrainingDB) -> None:
    db.runs.insert("r1")

    db.runs.update_status("r1", "completed", summary=Summary(loss=0.5, eval=Summary(acc=0.9)))

    run = db.runs.get("r1")
    assert run["final_loss"] == 0.5
    assert json.loads(run["final_metrics_json"]) == {"loss": 0.5, "eval": {"acc": 0.9}}


def test_a_run_that_goes_on_after_a_failure_has_not_ended_and_ends_anew(db: TrainingDB) -> None:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    db.runs.insert("r1", started_at=started)
    db.runs.update_status("r1", "failed", ended_at=datetime(2026, 1, 1, 1, tzinfo=UTC))
    assert db.runs.get("r1")["duration_seconds"] == 3600

    db.runs.update_status("r1", "running")
    assert db.runs.get("r1")["ended_at"] is None
    assert db.runs.get("r1")["duration_seconds"] is None

    db.runs.update_status("r1", "completed", ended_at=datetime(2026, 1, 1, 3, tzinfo=UTC))
    run = db.runs.get("r1")
    assert run["duration_seconds"] == 3 * 3600
    assert parse_timestamp(run["started_at"]) == started


def test_a_run_with_an_old_time_that_is_none_can_still_be_changed(
    migrated_file: Path, tmp_path: Path
) -> None:
    # On SQLite only: PostgreSQL's column cannot hold such a text.
    with TrainingDB(shutil.copy(migrated_file, tmp_path / "old.db")) as db:
        db.runs.insert("r1")
        with db.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE training_runs SET started_at = 'yesterday'")
        db.runs.update_status("r1", "completed", blog_post_url="post")
        run = db.runs.get("r1")

    assert (run["status"], run["started_at"], run["duration_seconds"]) == (
        "completed",
        "yesterday",
        None,
    )


def test_a_run_inserted_as_running_has_started(db: TrainingDB) -> None:
    db.runs.insert("r1", status="running", created_at="2026-01-01")
    assert db.runs.get("r1")["started_at"] == "2026-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("value", [5, None, b"r1", ["r1"]])
def test_an_id_that_is_no_text_is_refused_everywhere(db: TrainingDB, value: Any) -> None:
    for call in (
        lambda: db.runs.get(value),
        lambda: db.runs.history_json(value),
        lambda: db.runs.update_status(value, "failed"),
        lambda: db.objectives.insert(value, "QED"),
        lambda: db.objectives.of_run(value),
        lambda: db.objectives.update_metric(value, "QED", "raw_mean", 1.0),
        lambda: db.scaffolds.insert(value, {"s": {}}),
    ):
        with pytest.raises(InvalidValue, match="is no text"):
            call()
