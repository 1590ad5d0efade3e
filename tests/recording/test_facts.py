"""Facts of a run: told through the spool, stored once, and never in the way of the rows."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from training_db.recording import RecorderWarning
from training_db.recording.drafting import DraftingRecorder
from training_db.recording.facts import tell

if TYPE_CHECKING:
    from training_db import TrainingDB

FACTS = {
    "defaults": {"run_name": "a", "wandb_run_id": "w1"},
    "fields": {"notes": "n"},
    "config": {"lr": 0.1, "nan": math.nan},
    "summary": {"loss": 0.5, "old": 1},
    "tags": {"keep": None, "project": "p"},
    "artifacts": [{"type": "file", "path": "/x", "metadata": {"step": 1}}],
    "event": {"kind": "k", "message": "m", "data": {"a": 1}, "event_key": "one"},
    "started_at": "2026-01-01T00:00:00Z",
}


def test_facts_are_stored_once_however_often_they_are_told(db: TrainingDB) -> None:
    db.runs.insert("r1", config={"seed": 1})
    for _ in range(2):
        tell(db, "r1", FACTS)
    run = db.runs.get("r1")
    assert (run["run_name"], run["notes"], run["wandb_run_id"]) == ("a", "n", "w1")
    config = json.loads(run["config_json"])
    assert (config["seed"], config["lr"], math.isnan(config["nan"])) == (1, 0.1, True)
    assert run["learning_rate"] == 0.1
    assert run["started_at"] == "2026-01-01T00:00:00.000000Z"
    assert db.tags.of("r1") == {"keep": None, "project": "p"}
    assert len(db.artifacts.list("r1")) == len(db.events.list("r1")) == 1


def test_what_is_known_wins_over_a_default_and_the_earlier_start_over_the_later(
    db: TrainingDB,
) -> None:
    db.runs.insert("r1", run_name="mine", started_at="2026-01-02T00:00:00Z")
    tell(db, "r1", FACTS)
    tell(db, "r1", {"started_at": "2026-01-03T00:00:00Z"})
    run = db.runs.get("r1")
    assert (run["run_name"], run["started_at"]) == ("mine", "2026-01-01T00:00:00.000000Z")


def test_what_is_gone_is_taken_away(db: TrainingDB) -> None:
    db.runs.insert("r1")
    tell(db, "r1", FACTS)
    tell(db, "r1", {"summary": {"loss": 0.4}, "unsummarized": ["old"], "untagged": ["keep"]})
    assert json.loads(db.runs.get("r1")["final_metrics_json"]) == {"loss": 0.4}
    assert db.tags.of("r1") == {"project": "p"}


def test_a_key_may_leave_the_summary_and_nothing_else_change(db: TrainingDB) -> None:
    db.runs.insert("r1", summary={"loss": 0.4, "old": 1})
    tell(db, "r1", {"unsummarized": ["old"]})
    assert json.loads(db.runs.get("r1")["final_metrics_json"]) == {"loss": 0.4}


def test_a_fact_that_is_refused_costs_no_other(db: TrainingDB) -> None:
    db.runs.insert("other", "w1")
    db.runs.insert("r1")
    facts = FACTS | {"tags": {"": None, "keep": None}}
    with pytest.warns(RecorderWarning):
        tell(db, "r1", facts)
    run = db.runs.get("r1")
    assert (run["wandb_run_id"], run["run_name"], run["notes"]) == (None, "a", "n")
    assert db.tags.of("r1") == {"keep": None}


def test_a_recorder_tells_facts_with_its_rows(db: TrainingDB) -> None:
    with DraftingRecorder(db, "r1") as recorder:
        recorder.log({"loss": 1.0})
        recorder.tell(FACTS)
        recorder.tell({"config": {"odd": object()}})
        recorder.log({"loss": 0.5})
    assert db.history.arrays("r1", "loss")["r1"]["loss"].values.tolist() == [1.0, 0.5]
    assert db.runs.get("r1")["learning_rate"] == 0.1
    assert [event["kind"] for event in db.events.list("r1")] == ["k"]
