"""A WandBContext in one process: what is logged is in the database, and in the log of W&B."""

from __future__ import annotations

import json
import math
import os
import threading
import warnings
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.capture.contexts import Begin, begin, document, quiet_wandb, series, the_log
from tests.capture.pipelines import LEAN, logs_in, run
from training_db import TrainingDB, init_db
from training_db.capture import create_wandb_context
from training_db.capture.export.names import tag_of, wandb_id
from training_db.errors import ConfigurationError, InvalidValue, UnknownName
from training_db.recording import RecorderWarning, sync

if TYPE_CHECKING:
    from training_db.capture import WandBContext

pytestmark = pytest.mark.usefixtures("spool_dir", "quiet_wandb")
__all__ = ["begin", "quiet_wandb"]


def test_metrics_of_a_step_that_come_one_by_one_are_one_row_at_wandb(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin() as ctx:
        for step in range(3):
            ctx.log_training_metric("train", "loss", 1 / (step + 1), step)
            ctx.log_training_metric("train", "acc", np.float32(step / 4), step)
    log = the_log(tmp_path)
    assert [row["_step"] for row in log.rows] == [0, 1, 2]
    assert log.cells("train/loss") == [(0, 1), (1, 0.5), (2, 1 / 3)]
    assert log.cells("train/acc") == [(0, 0), (1, 0.25), (2, 0.5)]
    assert log.axes == {"train/*": "train/step"}
    assert series(db, "train/loss") == ([0, 1, 2], [1.0, 0.5, 1 / 3])
    assert series(db, "train/acc") == ([0, 1, 2], [0.0, 0.25, 0.5])


def test_stages_that_count_their_own_steps_lose_nothing_on_either_side(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin() as ctx:
        for step in (100, 200, 300):
            ctx.log_training_metric("pretrain", "loss", float(step), step)
            for epoch in range(3):
                ctx.log_training_metric("eval", "acc", step + epoch / 10, epoch)
        ctx.log_training_metric("pretrain", "loss", 0.5, 100)
        ctx.log_training_metric("pretrain", "step", 77, 100)
        ctx.log_training_metric("pretrain", "loss", 0.25)
    log = the_log(tmp_path)
    again = [(100, 0.5), (101, 0.25)]
    assert log.cells("pretrain/loss") == [(step, step) for step in (100, 200, 300)] + again
    accuracies = [(n, step + n / 10) for step in (100, 200, 300) for n in range(3)]
    assert log.cells("eval/acc") == accuracies
    assert 77 in [row.get("pretrain/step") for row in log.rows]
    assert db.history.counts("p1")["eval/acc"] == 9
    assert db.history.counts("p1")["pretrain/loss"] == 5
    assert series(db, "eval/acc") == ([0, 1, 2], [300.0, 300.1, 300.2])


def test_a_metric_without_a_stage_has_no_prefix(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin() as ctx:
        ctx.log_training_metric("", "loss", 0.5, 7)
        ctx.log_training_metric("", "loss", 0.25, 3)
    assert series(db, "loss") == ([3, 7], [0.25, 0.5])
    log = the_log(tmp_path)
    assert [(row["step"], row["loss"]) for row in log.rows] == [(7, 0.5), (3, 0.25)]


def test_the_run_has_what_was_said_at_the_beginning(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    config = {"lr": 0.1, "objectives": ["QED_maximize"], "wandb": {"project": "moo"}}
    with begin(
        config, name="a name", group="sweep", tags=["first", "x" * 80], notes="why", job_type="all"
    ):
        assert db.runs.find("p1") is None or db.runs.get("p1")["status"] in ("launched", "running")
    stored = db.runs.get("p1")
    assert document(db, "config_json") == config
    assert (stored["learning_rate"], stored["status"]) == (0.1, "completed")
    assert [stored[name] for name in ("run_name", "group_name", "notes", "wandb_run_id")] == [
        "a name", "sweep", "why", "p1",
    ]  # fmt: skip
    assert db.tags.of("p1") == {
        "first": None, "x" * 80: None, "wandb.project": "moo", "wandb.job_type": "all",
    }  # fmt: skip
    log = the_log(tmp_path)
    assert (log.group, log.job_type, log.config["lr"]) == ("sweep", "all", 0.1)
    assert log.tags == ["first", tag_of("x" * 80)]
    assert log.exit_codes == [0]


@dataclass
class Settings:
    lr: float = 0.1


class Lazy(Mapping[str, Any]):
    """A config as OmegaConf has them: it is asked for each value, and one is missing."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if self._values[key] == "???":
            raise RuntimeError("Missing mandatory value")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (None, {}),
        (Namespace(lr=0.1), {"lr": 0.1}),
        (Settings(), {"lr": 0.1}),
        (Lazy({"o": Lazy({"lr": 0.1, "x": "???"})}), {"o": {"lr": 0.1, "x": "<RuntimeError>"}}),
        ({"act": max, "n": math.nan}, {"act": "<built-in function max>", "n": math.nan}),
    ],
    ids=["none", "namespace", "dataclass", "lazy", "odd"],
)
def test_a_config_of_any_kind_is_taken(cfg: Any, expected: Any, begin: Begin, db: Any) -> None:
    begin(cfg).finish()
    assert repr(document(db, "config_json") if cfg else {}) == repr(expected)


def test_a_summary_goes_to_both_sides_and_fills_the_objectives(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin({"objectives": ["QED_maximize"]}) as ctx:
        ctx.log_training_metric("train", "loss", 0.5, 3)
        ctx.log_eval_summary({"QED_maximize": {"raw_mean": np.float64(0.7)}}, "objectives")
        ctx.log_eval_summary({"acc": 0.9, "confusion": np.eye(2), "best": None}, prefix="eval")
        ctx.log_eval_summary({"acc": 0.95, "nan": math.nan, "note": "good"}, "eval")
    summary = document(db, "final_metrics_json")
    assert math.isnan(summary.pop("eval/nan"))
    assert summary == {
        "objectives/QED_maximize/raw_mean": 0.7,
        "eval/acc": 0.95,
        "eval/confusion": [[1.0, 0.0], [0.0, 1.0]],
        "eval/best": None,
        "eval/note": "good",
        "train/loss": 0.5,
    }
    assert db.runs.get("p1")["final_loss"] == 0.5
    (run,) = db.runs.query("objective.QED.raw_mean > 0.6")
    assert run["run_id"] == "p1"
    log = the_log(tmp_path)
    assert log.summary["eval/acc"] == 0.95
    assert log.summary["objectives/QED_maximize/raw_mean"] == 0.7
    assert log.summary["eval/confusion"] == [[1.0, 0.0], [0.0, 1.0]]


def test_a_config_that_is_updated_keeps_its_other_keys(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with begin({"lr": 0.1, "seed": 1}) as ctx:
        ctx.update_config({"lr": 0.2, "model": {"depth": 3}})
        ctx.update_config(Namespace(late=True))
    expected = {"lr": 0.2, "seed": 1, "model": {"depth": 3}, "late": True}
    assert document(db, "config_json") == expected
    assert db.runs.get("p1")["learning_rate"] == 0.2
    log = the_log(tmp_path)
    assert {key: log.config[key] for key in expected} == expected


def test_a_run_that_is_there_already_keeps_what_it_has(begin: Begin, db: TrainingDB) -> None:
    db.runs.insert("p1", config={"seed": 1, "lr": 0.5}, summary={"old": 1})
    with begin({"lr": 0.1}) as ctx:
        ctx.log_eval_summary({"new": 2})
    assert document(db, "config_json") == {"seed": 1, "lr": 0.1}
    assert document(db, "final_metrics_json") == {"old": 1, "new": 2}


def test_an_alert_is_an_event_too(begin: Begin, db: TrainingDB, tmp_path: Path) -> None:
    with begin() as ctx:
        ctx.alert("hot", "it melts", "warn")
        with pytest.warns(RecorderWarning, match="unknown level 'loud'"):
            ctx.alert("odd", level="loud")
    events = db.events.list("p1", "alert")
    assert [(one["message"], json.loads(one["data_json"])) for one in events] == [
        ("hot: it melts", {"title": "hot", "text": "it melts", "level": "WARN"}),
        ("odd", {"title": "odd", "text": "", "level": "INFO"}),
    ]
    assert the_log(tmp_path).alerts == [("hot", "it melts", "WARN"), ("odd", "", "INFO")]


@pytest.mark.parametrize(("code", "status"), [(None, "completed"), (0, "completed"), (3, "failed")])
def test_finish_says_on_both_sides_how_it_ended(
    code: int | None, status: str, begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    begin().finish(code)
    assert db.runs.get("p1")["status"] == status
    assert the_log(tmp_path).exit_codes == [code or 0]
    assert len(db.events.list("p1", "error")) == bool(code)


def test_an_exception_in_the_block_fails_the_run(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="too hot"), begin() as ctx:
        ctx.log_training_metric("train", "loss", 0.5, 0)
        raise ValueError("too hot")
    assert db.runs.get("p1")["status"] == "failed"
    assert [one["message"] for one in db.events.list("p1", "error")] == ["ValueError: too hot"]
    assert document(db, "final_metrics_json") == {"train/loss": 0.5}
    log = the_log(tmp_path)
    assert log.exit_codes == [1]
    assert log.cells("train/loss") == [(0, 0.5)]


def test_a_disabled_context_does_nothing_at_all(db: TrainingDB, tmp_path: Path) -> None:
    before = {*threading.enumerate()}
    with create_wandb_context({"lr": 0.1}, run_id="p1", mode="disabled", db=db) as ctx:
        everything_on(ctx)
    assert {*threading.enumerate()} <= before
    assert db.runs.count() == 0
    assert list(tmp_path.glob("wandb*")) == []
    assert not (tmp_path / "spool").exists()


def everything_on(ctx: WandBContext) -> None:
    ctx.log_training_metric("train", "loss", 0.5, 0)
    ctx.log_eval_summary({"acc": 1.0}, "eval")
    ctx.update_config({"a": 1})
    ctx.log_table("t", ["a"], [[1]])
    ctx.log_image("i", np.zeros((2, 2)))
    ctx.save_file(__file__)
    ctx.alert("title", "text")


def test_a_disabled_context_loads_neither_wandb_nor_numpy() -> None:
    code, said, errors = run(os.environ, create={"mode": "disabled"}, end=0)
    assert (code, said["disabled"], said["loaded"], errors) == (0, True, [], "")


@pytest.mark.parametrize("name", ["WANDB_MODE", "WANDB_DISABLED"])
def test_the_environment_can_disable_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, {"WANDB_MODE": "disabled", "WANDB_DISABLED": "true"}[name])
    assert create_wandb_context().is_disabled


def test_without_wandb_the_database_has_everything(db: TrainingDB, tmp_path: Path) -> None:
    url = db.url.render_as_string(hide_password=False)
    code, _, errors = run(
        os.environ,
        create={"cfg": {"lr": 0.1}, "run_id": "p1", "mode": "offline", "db": url},
        missing=["wandb"],
        calls=[
            ["log_training_metric", "train", "loss", 0.5, 0],
            ["log_eval_summary", {"acc": 1.0}, "eval"],
            ["log_table", "t", ["a"], [[1]]],
            ["log_table", "t", ["a"], [[2]]],
            ["log_image", "i", [[0.0, 0.5], [0.5, 1.0]]],
            ["alert", "title"],
        ],
        end=0,
    )
    assert code == 0
    assert errors.count("pip install 'training-db[wandb]'") == 1
    assert db.runs.get("p1")["status"] == "completed"
    assert document(db, "config_json") == {"lr": 0.1}
    assert document(db, "final_metrics_json") == {"eval/acc": 1.0, "train/loss": 0.5}
    assert [one["artifact_type"] for one in db.artifacts.list("p1")] == ["table", "table", "image"]
    (image,) = db.artifacts.list("p1", "image")
    assert Path(image["filepath"]).is_relative_to(tmp_path)
    assert image["size_bytes"] > 0


def test_what_a_database_that_is_away_misses_is_in_the_spool(tmp_path: Path) -> None:
    path = tmp_path / "later.db"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ctx = create_wandb_context(
            {"lr": 0.1}, run_id="p1", mode="offline", db=path, dir=tmp_path, settings=LEAN
        )
        ctx.recorder._close_seconds = 0.5
        ctx.log_training_metric("train", "loss", 0.5, 0)
        ctx.log_eval_summary({"acc": 1.0}, "eval")
        ctx.log_table("t", ["a"], [[1]])
        ctx.finish()
    assert [one for one in said if "no database at" in str(one.message)]
    assert the_log(tmp_path).cells("train/loss") == [(0, 0.5)]
    init_db(path)
    with TrainingDB(path) as db:
        sync(db)
        assert db.runs.get("p1")["status"] == "completed"
        assert document(db, "config_json") == {"lr": 0.1}
        assert document(db, "final_metrics_json") == {"eval/acc": 1.0, "train/loss": 0.5}
        assert series(db, "train/loss") == ([0], [0.5])
        assert len(db.artifacts.list("p1")) == 1


class Odd:
    """A value that does as it likes."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    def __float__(self) -> float:
        raise RuntimeError("no number")


def test_nothing_that_is_logged_raises(begin: Begin, db: TrainingDB) -> None:
    ctx = begin()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        ctx.log_training_metric("train", "odd", Odd(), 0)
        ctx.log_training_metric("train", "loss", 0.5, Odd())  # type: ignore[arg-type]
        ctx.log_training_metric("*", "", None, -1)
        ctx.log_training_metric("train", "half", 1.0, 0.5)  # type: ignore[arg-type]
        ctx.log_eval_summary(3)  # type: ignore[arg-type]
        ctx.log_eval_summary({"odd": Odd()})
        ctx.update_config("no JSON")
        ctx.log_table("t", 3, Odd())  # type: ignore[arg-type]
        ctx.log_image("i", Odd())
        ctx.save_file(3)  # type: ignore[arg-type]
        ctx.alert(Odd())  # type: ignore[arg-type]
        ctx.log_training_metric()  # type: ignore[call-arg]
        ctx.finish()
    assert {one.category for one in said} == {RecorderWarning}
    assert db.runs.get("p1")["status"] == "completed"
    assert series(db, "train/loss")[1] == [0.5]


def test_what_is_logged_after_the_end_is_said_not_to_be_kept(begin: Begin) -> None:
    ctx = begin()
    ctx.finish()
    with pytest.warns(RecorderWarning, match="after finish"):
        ctx.log_training_metric("train", "loss", 0.5, 0)
    ctx.finish(3)
    assert ctx.run is None


def test_contexts_of_one_process_are_runs_of_their_own(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    first, second = begin(run_id="a/1"), begin(run_id="b")
    first.log_training_metric("train", "loss", 1.0, 0)
    second.log_training_metric("train", "loss", 2.0, 0)
    first.finish()
    with second, begin(run_id="c") as third:
        third.log_training_metric("train", "loss", 3.0, 0)
    assert series(db, "train/loss", "a/1") == ([0], [1.0])
    assert series(db, "train/loss", "b") == ([0], [2.0])
    logs = {log.run_id: log.cells("train/loss") for log in logs_in(tmp_path)}
    assert logs == {wandb_id("a/1"): [(0, 1)], "b": [(0, 2)], "c": [(0, 3)]}


def test_threads_share_a_context(begin: Begin, db: TrainingDB, tmp_path: Path) -> None:
    def work(stage: str) -> None:
        for step in range(50):
            ctx.log_training_metric(stage, "loss", float(step), step)

    with begin() as ctx:
        threads = [threading.Thread(target=work, args=(f"s{n}",)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    log = the_log(tmp_path)
    for stage in ("s0", "s1", "s2"):
        assert log.cells(f"{stage}/loss") == [(step, step) for step in range(50)]
        assert series(db, f"{stage}/loss")[1] == [float(step) for step in range(50)]


def test_arguments_that_cannot_work_are_refused(db: TrainingDB) -> None:
    with pytest.raises(UnknownName, match="unknown mode 'on'"):
        create_wandb_context(mode="on", db=db)
    with pytest.raises(InvalidValue, match="the config is a int"):
        create_wandb_context(3, mode="offline", db=db)
    with pytest.raises(ConfigurationError):
        create_wandb_context(mode="offline", db="mysql://host/name")
    with pytest.raises(InvalidValue, match="run id"):
        create_wandb_context(mode="offline", db=db, run_id="x" * 2_000)
