"""W&B's own client takes what is exported, and what it wrote itself comes out again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.capture.exported import CONFIG, HISTORY, STARTED, a_run, read_back
from tests.capture.oracle import alike, differences, read
from tests.capture.stored import imported
from tests.capture.upload_server import upload_server, wandb_command
from training_db.capture import export_wandb
from training_db.capture.export.folders import exported_runs
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


on_one_backend = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
"""For what the client makes of an export, which is the same from either."""


@on_one_backend
def test_the_clients_own_inspector_reads_an_export(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db, status="failed", run_name="a name")
    (folder,) = export_wandb(db, "r1", tmp_path)
    shown = wandb_command("leet", "inspect", str(folder), "--json", home=tmp_path)
    records = [json.loads(line) for line in shown.splitlines() if line.startswith("{")]
    kinds = [record["type"] for record in records]
    assert kinds == ["header", "run", "environment", *["history"] * 3, "summary", "exit"]
    assert [record["num"] for record in records] == list(range(1, 9))
    assert records[1]["run"]["config"]["update"]["optimizer"] == CONFIG["optimizer"]
    rows = [record["history"] for record in records if record["type"] == "history"]
    assert [row["step"]["num"] for row in rows] == HISTORY["_step"]
    for name in ("a/b", "_timestamp", "_runtime", "_step"):
        assert [row["item"][name] for row in rows] == HISTORY[name]
    assert [row["item"]["loss"] for row in rows] == [0.1, "NaN", 5e-324]


@on_one_backend
@pytest.mark.parametrize("status", ["completed", "crashed"])
def test_wandb_sync_uploads_an_export(db: TrainingDB, tmp_path: Path, status: str) -> None:
    a_run(
        db, status=status, run_name="a name", notes="notes", group_name="group",
        summary={"best": 0.5}, git_branch="trunk",
    )  # fmt: skip
    db.tags.add("r1", "keep")
    media = tmp_path / "wandb" / "run-20200101_000000-r1" / "files" / "media" / "one.txt"
    media.parent.mkdir(parents=True)
    media.write_text("an image")
    db.artifacts.add("r1", "image-file", media)
    db.artifacts.add("r1", "wandb-file", media.parents[1] / "config.yaml")
    db.runs.insert("empty", started_at=STARTED)
    folders = export_wandb(db, ["r1", "empty"], tmp_path / "out", project="chem")
    with upload_server() as server:
        said = wandb_command("sync", *map(str, folders), home=tmp_path, url=server.url)
    assert "ERROR" not in said
    assert said.count("Finished syncing") == 2
    assert server.runs.keys() == {"r1", "empty"}
    run = server.runs["r1"]
    assert (run["project"], run["displayName"], run["notes"]) == ("chem", "a name", "notes")
    assert (run["groupName"], run["tags"]) == ("group", ["keep"])
    config = json.loads(run["config"])
    assert {key: config[key]["value"] for key in ("optimizer", "a.b", "text")} == {
        key: CONFIG[key] for key in ("optimizer", "a.b", "text")
    }
    rows = server.rows["r1"]
    for name in ("loss", "inf", "count", "flag", "list", "a/b", "_step", "_timestamp", "_runtime"):
        found = [row.get(name) for row in rows]
        assert alike(found, HISTORY[name]), name
    assert server.summaries["r1"]["best"] == 0.5
    assert (server.exit_codes["r1"] == 0) == (status == "completed")
    assert server.files["media/one.txt"] == b"an image"


@pytest.mark.parametrize("name", ["whole", "failed", "typed"])
def test_a_log_of_the_client_comes_out_again_as_it_went_in(
    db: TrainingDB, tmp_path: Path, client_logs: dict[str, Path], name: str
) -> None:
    log = client_logs[name]
    (outcome,) = imported(db, log)
    (one,) = exported_runs(db, [outcome.run_id], tmp_path / "out")
    before = WandbLog(log)
    was = read(before)
    cells, run = read_back(one.folder)
    assert differences(was, cells) == []
    # The client names the folder a moment before the run starts, maybe in the second before.
    assert one.folder.name.rpartition("-")[2] == log.parent.name.rpartition("-")[2]
    for field in ("wandb_run_id", "name", "notes", "group", "job_type", "tags", "project", "host"):
        assert getattr(run, field) == getattr(before.run, field), field
    for field in ("started_at", "git_commit", "exit_code", "status", "metric_paths"):
        assert getattr(run, field) == getattr(before.run, field), field
    assert differences(before.run.summary, run.summary) == []
    config = {key: value for key, value in before.run.config.items() if key != "nan"}
    assert differences(config, {k: v for k, v in run.config.items() if k != "nan"}) == []


def test_an_export_that_is_imported_where_it_came_from_brings_nothing_new(
    db: TrainingDB, tmp_path: Path, client_logs: dict[str, Path]
) -> None:
    (outcome,) = imported(db, client_logs["whole"])
    before, run = db.history.counts(outcome.run_id), db.runs.get(outcome.run_id)
    for _ in range(2):
        (one,) = exported_runs(db, outcome.run_id, tmp_path, force=True)
        (again,) = imported(db, one.folder)
        assert (again.run_id, again.source) == (outcome.run_id, "wandb-export")
        assert db.history.counts(outcome.run_id) == before
    after = db.runs.get(outcome.run_id)
    for field in ("status", "started_at", "ended_at", "final_metrics_json", "notes", "git_commit"):
        assert after[field] == run[field], field


def test_real_logs_come_out_again_as_they_went_in(
    db: TrainingDB, tmp_path: Path, real_logs: Path
) -> None:
    for log in sorted(real_logs.rglob("run-*.wandb")):
        (outcome,) = imported(db, log)
        (one,) = exported_runs(db, [outcome.run_id], tmp_path)
        before = WandbLog(log)
        was = read(before)
        cells, run = read_back(one.folder)
        assert differences(was, {name: cells[name] for name in was}) == [], log
        assert set(cells) - set(was) <= {"_timestamp", "_runtime", "_step"}
        assert differences(before.run.summary, run.summary) == [], log
        assert differences(before.run.config, run.config) == [], log
        assert (run.status, run.exit_code) == (before.run.status, before.run.exit_code)
        assert run.started_at == before.run.started_at
