"""Odd values, media of W&B, and what W&B's environment and settings say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.contexts import Begin, begin, document, quiet_wandb, series, the_log
from tests.capture.pipelines import LEAN, run
from training_db.capture import WandBContext, save_wandb_context
from training_db.recording import RecorderWarning

if TYPE_CHECKING:
    from training_db import TrainingDB

__all__ = ["begin", "quiet_wandb"]
pytestmark = pytest.mark.usefixtures("spool_dir", "quiet_wandb")


def test_what_holds_itself_is_stored_as_far_as_text_can_hold_it(
    begin: Begin, db: TrainingDB
) -> None:
    whole: dict[str, Any] = {"lr": 0.1, "model": {"layers": 2}, "data": {"size": 3}}
    whole["model"]["root"] = whole["data"]["root"] = whole
    with begin() as ctx:
        ctx.update_config(whole)
        ctx.log_eval_summary(whole, "eval")
    config = document(db, "config_json")
    assert (config["lr"], config["model"]["layers"], config["data"]["size"]) == (0.1, 2, 3)
    assert type(config["model"]["root"]["model"]) is str
    summary = document(db, "final_metrics_json")
    assert (summary["eval/lr"], summary["eval/model/layers"], summary["eval/data/size"]) == (
        0.1, 2, 3,
    )  # fmt: skip


def test_a_key_that_nothing_can_hold_is_changed_and_costs_no_other(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin(tags=["good", "bad\x00"]) as ctx:
        ctx.log_training_metric("train", "loss", 0.5, 0)
        ctx.log_training_metric("train", "odd\ud800", 0.25, 0)
        ctx.log_eval_summary({"acc": 0.9, "by": {"\x00": 1}}, "eval")
        ctx.update_config({"lr": 0.1, "a\x00": {"b\ud800": 2}})
    assert document(db, "final_metrics_json") == {
        "train/loss": 0.5, "train/odd\ufffd": 0.25, "eval/acc": 0.9, "eval/by/\ufffd": 1,
    }  # fmt: skip
    assert document(db, "config_json") == {"lr": 0.1, "a\ufffd": {"b\ufffd": 2}}
    assert "good" in db.tags.of("p1")
    assert the_log(tmp_path).cells("train/odd\ufffd") == [(0, 0.25)]


def test_media_of_wandb_are_stored_as_what_wandb_says_of_them(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    import wandb
    from PIL import Image

    picture = Image.new("RGB", (3, 2))
    with begin() as ctx:
        ctx.log_training_metric("eval", "sizes", wandb.Histogram(np_histogram=([2, 1], [0, 1, 2])))
        ctx.log_training_metric("eval", "sample", wandb.Image(picture), 1)
        ctx.log_eval_summary({"acc": 0.9, "last": wandb.Image(picture)}, "eval")
    steps, (sizes,) = series(db, "eval/sizes")
    assert (steps, sizes["_type"], sizes["values"]) == ([0], "histogram", [2, 1])
    assert series(db, "eval/sample")[1][0]["_type"] == "image-file"
    artifacts = db.artifacts.list("p1")
    assert [one["artifact_type"] for one in artifacts] == ["image-file", "image"]
    assert all(Path(one["filepath"]).is_file() for one in artifacts)
    assert document(db, "final_metrics_json").keys() == {"eval/sizes", "eval/sample", "eval/acc"}
    assert the_log(tmp_path).cells("eval/sizes")[0][1]["values"] == [2, 1]


def test_tables_of_wandb_are_tables(begin: Begin, db: TrainingDB) -> None:
    import wandb

    with begin() as ctx:
        ctx.log_table("eval/samples", None, wandb.Table(columns=["a", "b"], data=[[1, 2]]))
        ctx.log_eval_summary({"rows": wandb.Table(columns=["a"], data=[[3]])}, "eval")
    tables = [json.loads(one["metadata_json"]) for one in db.artifacts.list("p1", "table")]
    assert [(one["name"], one["columns"], one["data"]) for one in tables] == [
        ("eval/samples", ["a", "b"], [[1, 2]]),
        ("eval/rows", ["a"], [[3]]),
    ]


def test_text_is_no_table(begin: Begin, db: TrainingDB) -> None:
    with begin() as ctx, pytest.warns(RecorderWarning, match="a str is no table"):
        ctx.log_table("t", None, "text")
    assert db.artifacts.list("p1") == []


def test_ids_that_wandb_refuses_stay_two_runs_there(begin: Begin, db: TrainingDB) -> None:
    ids = ["seed/7", "seed#7", "seed-7", "s" * 200 + "1", "s" * 200 + "2"]
    for run_id in ids:
        begin(run_id=run_id).finish()
    known = {db.runs.get(run_id)["wandb_run_id"] for run_id in ids}
    assert len(known) == len(ids)
    assert "seed-7" in known
    assert max(map(len, known)) <= 128


@torture.on_one_backend
def test_what_the_environment_tells_wandb_is_known_in_the_database_too(db: TrainingDB) -> None:
    url = db.url.render_as_string(hide_password=False)
    options = {"cfg": {"worst": 1e400}, "run_id": "p1", "mode": "offline", "db": url}
    environment = os.environ | {
        "WANDB_PROJECT": "moo", "WANDB_RUN_GROUP": "sweep", "WANDB_NAME": "a name",
        "WANDB_NOTES": "why", "WANDB_TAGS": "first,second", "WANDB_JOB_TYPE": "all",
    }  # fmt: skip
    code, _, errors = run(environment, create=options | {"settings": LEAN}, end=0)
    assert (code, errors) == (0, "")
    stored = db.runs.get("p1")
    assert [stored[name] for name in ("run_name", "group_name", "notes")] == [
        "a name", "sweep", "why",
    ]  # fmt: skip
    assert db.tags.of("p1") == {
        "first": None, "second": None, "wandb.project": "moo", "wandb.job_type": "all",
    }  # fmt: skip
    assert document(db, "config_json") == {"worst": float("inf")}


def test_settings_that_are_an_object_reach_the_children(begin: Begin, tmp_path: Path) -> None:
    import wandb

    settings = wandb.Settings(**LEAN, base_url="http://127.0.0.1:9", api_key="s" * 40)
    with begin(settings=settings) as ctx:
        place = save_wandb_context(ctx, tmp_path / "context.json")["WANDB_CONTEXT_FILE"]
    saved = json.loads(Path(place).read_text())["wandb"]["settings"]
    assert saved == LEAN | {"base_url": "http://127.0.0.1:9"}


def test_a_context_that_nobody_began_does_nothing() -> None:
    ctx = WandBContext("p1", "online")
    with pytest.warns(RecorderWarning, match="not kept"):
        ctx.log_training_metric("train", "loss", 0.5)
    ctx.finish()
    assert ctx.run is None
