"""One pipeline of several processes: one run of the database, and linked runs at W&B."""

from __future__ import annotations

import json
import os
import signal
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.contexts import quiet_wandb
from tests.capture.pipelines import DEADLINE, LEAN, logs_in, run, start
from training_db import TrainingDB
from training_db.capture import (
    WandBContext,
    create_wandb_context,
    load_wandb_context_from_env,
    save_wandb_context,
)
from training_db.capture.context.file import _url
from training_db.recording import RecorderWarning, sync
from training_db.recording.facts import tell
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


__all__ = ["quiet_wandb"]
pytestmark = [torture.on_one_backend, pytest.mark.usefixtures("spool_dir", "quiet_wandb")]


def pipeline(db: TrainingDB, folder: Path, **options: Any) -> WandBContext:
    """Begin a pipeline, offline."""
    given = {"run_id": "p1", "mode": "offline", "dir": folder, "settings": LEAN} | options
    return create_wandb_context({"lr": 0.1}, db=db, **given)


def losses(stage: str, steps: int) -> list[list[Any]]:
    return [["log_training_metric", stage, "loss", step / 8, step] for step in range(steps)]


def test_stages_in_processes_log_to_one_run_and_to_linked_runs_of_wandb(
    db: TrainingDB, tmp_path: Path
) -> None:
    with pipeline(db, tmp_path, project="moo", name="pipe") as ctx:
        environment = save_wandb_context(ctx, tmp_path / "new" / "context.json")
        ctx.log_training_metric("prepare", "rows", 10, 0)
        _, said, _ = run(environment, calls=losses("train", 20), end=0)
        _, named, errors = run(
            environment,
            stage="judge",
            calls=[
                ["log_training_metric", "eval", "acc", 0.5, 3],
                ["log_eval_summary", {"QED_maximize/raw_mean": 0.7}, "objectives"],
                ["update_config", {"judge": {"n": 5}}],
                ["alert", "done"],
            ],
            end=0,
        )
    assert (said["inherited"], named["inherited"], errors) == (None, None, "")
    assert db.runs.count() == 1
    stored = db.runs.get("p1")
    assert stored["status"] == "completed"
    assert json.loads(stored["config_json"]) == {"lr": 0.1, "judge": {"n": 5}}
    summary = json.loads(stored["final_metrics_json"])
    assert summary == {
        "objectives/QED_maximize/raw_mean": 0.7, "prepare/rows": 10, "train/loss": 2.375,
        "eval/acc": 0.5,
    }  # fmt: skip
    assert len(db.history.writers("p1")) == 3
    counts = db.history.counts("p1")
    assert (counts["train/loss"], counts["eval/acc"], counts["prepare/rows"]) == (20, 1, 1)
    assert [one["message"] for one in db.events.list("p1", "alert")] == ["done"]
    parent, train, judge = logs_in(tmp_path)
    assert (parent.run_id, parent.group) == ("p1", "p1")
    assert [(one.group, one.job_type, one.tags) for one in (train, judge)] == [
        ("p1", "train", ["parent:p1"]),
        ("p1", "judge", ["parent:p1"]),
    ]
    assert train.config["parent_run_id"] == judge.config["parent_run_id"] == "p1"
    assert judge.config["judge"] == {"n": 5}
    assert len({parent.run_id, train.run_id, judge.run_id}) == 3
    assert train.cells("train/loss") == [(step, step / 8) for step in range(20)]
    assert judge.summary["objectives/QED_maximize/raw_mean"] == 0.7
    linked = [json.loads(one["data_json"]) for one in db.events.list("p1", "wandb")]
    assert [(one["id"], one["job_type"]) for one in linked] == [
        (train.run_id, "train"),
        (judge.run_id, "judge"),
    ]


def test_processes_at_the_same_time_lose_nothing_of_each_other(
    db: TrainingDB, tmp_path: Path
) -> None:
    with pipeline(db, tmp_path) as ctx:
        environment = save_wandb_context(ctx, tmp_path / "context.json")
        stages = [f"s{n}" for n in range(3)]
        processes = [
            start(
                environment,
                missing=["wandb"],
                waits=True,
                last=[
                    *(["update_config", {f"{stage}-{n}": n}] for n in range(20)),
                    *(["log_eval_summary", {f"{n}": n}, stage] for n in range(20)),
                    *losses(stage, 50),
                ],
                end=0,
            )
            for stage in stages
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            process.communicate(timeout=DEADLINE)
    stored = db.runs.get("p1")
    config, summary = json.loads(stored["config_json"]), json.loads(stored["final_metrics_json"])
    wanted = {f"{stage}-{n}" for stage in stages for n in range(20)}
    assert wanted - {*config} == set()
    assert {name.replace("-", "/") for name in wanted} - {*summary} == set()
    assert [db.history.counts("p1")[f"{stage}/loss"] for stage in stages] == [50] * 3


def test_a_child_that_outlives_its_parent_loses_no_row(db: TrainingDB, tmp_path: Path) -> None:
    url = db.url.render_as_string(hide_password=False)
    context = str(tmp_path / "context.json")
    options = {"run_id": "p1", "mode": "offline", "db": url, "settings": LEAN}
    parent = start(os.environ, create=options, save=context, waits=True, end=0)
    assert parent.stdout is not None
    service = json.loads(parent.stdout.readline())["service"]
    # As a child has it that is started without the environment that save_wandb_context() returns.
    inherited = os.environ | {"WANDB_SERVICE": service, "WANDB_CONTEXT_FILE": context}
    child = start(
        inherited, stage="late", waits=True, calls=losses("late", 5),
        last=[["log_training_metric", "late", "loss", 1.0, step] for step in range(5, 60)], end=0,
    )  # fmt: skip
    assert child.stdout is not None
    said = json.loads(child.stdout.readline())
    assert said["inherited"] == service != said["service"]
    parent.communicate("go\n", timeout=DEADLINE)
    _, errors = child.communicate("go\n", timeout=DEADLINE)
    assert (parent.returncode, child.returncode, errors) == (0, 0, "")
    (late,) = [log for log in logs_in(tmp_path) if log.job_type == "late"]
    assert [step for step, _ in late.cells("late/loss")] == list(range(60))
    assert db.history.counts("p1")["late/loss"] == 60
    assert db.runs.get("p1")["status"] == "completed"


@pytest.mark.parametrize(("end", "code"), [("raise", 1), (3, 0)])
def test_a_child_that_fails_is_an_event_and_leaves_the_status_alone(
    end: Any, code: int, db: TrainingDB, tmp_path: Path
) -> None:
    ctx = pipeline(db, tmp_path)
    environment = save_wandb_context(ctx, tmp_path / "context.json")
    returned, _, errors = run(environment, calls=losses("train", 2), end=end)
    assert (returned, "Warning" in errors) == (code, False), errors
    assert db.runs.get("p1")["status"] == "running"
    (event,) = db.events.list("p1", "error")
    assert "as ordered" in event["message"] or "exit code 3" in event["message"]
    ctx.finish()
    assert db.runs.get("p1")["status"] == "completed"
    parent, child = logs_in(tmp_path)
    assert (parent.exit_codes, child.exit_codes) == ([0], [3 if end == 3 else 1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_child_that_is_killed_loses_no_row_of_the_database(
    number: signal.Signals, db: TrainingDB, tmp_path: Path
) -> None:
    with pipeline(db, tmp_path) as ctx:
        environment = save_wandb_context(ctx, tmp_path / "context.json")
        child = start(
            environment,
            calls=[*losses("train", 30), ["log_eval_summary", {"acc": 0.5}, "eval"]],
            waits=True,
        )
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(number)
        child.communicate(timeout=DEADLINE)
        assert child.returncode == -number
    assert db.runs.get("p1")["status"] == "completed"
    assert db.history.counts("p1")["train/loss"] == 30
    summary = json.loads(db.runs.get("p1")["final_metrics_json"])
    assert summary["eval/acc"] == 0.5
    if number == signal.SIGTERM:
        assert summary["train/loss"] == 29 / 8
        assert "SIGTERM" in db.events.list("p1", "error")[0]["message"]
        _, log = logs_in(tmp_path)
        assert log.exit_codes == [128 + number]
        assert len(log.cells("train/loss")) == 30


def test_a_parent_that_is_told_to_end_has_crashed_on_both_sides(
    db: TrainingDB, tmp_path: Path
) -> None:
    url = db.url.render_as_string(hide_password=False)
    options = {"run_id": "p1", "mode": "offline", "db": url, "settings": LEAN}
    parent = start(os.environ, create=options, calls=losses("train", 30), waits=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.terminate()
    parent.communicate(timeout=DEADLINE)
    assert parent.returncode == -signal.SIGTERM
    stored = db.runs.get("p1")
    assert stored["status"] == "crashed"
    assert json.loads(stored["final_metrics_json"]) == {"train/loss": 29 / 8}
    (log,) = logs_in(tmp_path)
    assert log.exit_codes == [128 + signal.SIGTERM]
    assert len(log.cells("train/loss")) == 30


def test_a_pipeline_that_nobody_finishes_is_whole_when_its_program_ends(
    db: TrainingDB, tmp_path: Path
) -> None:
    url = db.url.render_as_string(hide_password=False)
    options = {"run_id": "p1", "mode": "offline", "db": url, "settings": LEAN}
    code, _, _ = run(os.environ, create=options, calls=losses("train", 30))
    assert code == 0
    stored = db.runs.get("p1")
    assert stored["status"] == "completed"
    assert json.loads(stored["final_metrics_json"]) == {"train/loss": 29 / 8}
    (log,) = logs_in(tmp_path)
    assert (log.exit_codes, len(log.cells("train/loss"))) == ([0], 30)


def test_what_a_killed_pipeline_logged_is_sent_by_the_next_sync(db: TrainingDB) -> None:
    url = db.url.render_as_string(hide_password=False)
    options = {"cfg": {"lr": 0.1}, "run_id": "p1", "mode": "offline", "db": url}
    parent = start(
        os.environ,
        create=options,
        missing=["wandb"],
        calls=[*losses("train", 30), ["log_eval_summary", {"acc": 0.5}, "eval"]],
        waits=True,
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    parent.kill()
    parent.communicate(timeout=DEADLINE)
    sync(db)
    stored = db.runs.get("p1")
    assert json.loads(stored["config_json"]) == {"lr": 0.1}
    assert json.loads(stored["final_metrics_json"]) == {"eval/acc": 0.5}
    assert db.history.counts("p1")["train/loss"] == 30


def test_a_fork_logs_to_the_database_and_costs_wandb_no_row_of_its_parent(
    db: TrainingDB, tmp_path: Path
) -> None:
    url = db.url.render_as_string(hide_password=False)
    options = {"run_id": "p1", "mode": "offline", "db": url, "settings": LEAN}
    code, _, errors = run(
        os.environ, create=options, calls=losses("train", 2), forks=losses("fork", 5),
        last=[["log_training_metric", "train", "loss", 1.0, 2]], end=0,
    )  # fmt: skip
    assert (code, errors.count("goes to the database only")) == (0, 1)
    counts = db.history.counts("p1")
    assert (counts["train/loss"], counts["fork/loss"]) == (3, 5)
    assert db.runs.get("p1")["status"] == "completed"
    (log,) = logs_in(tmp_path)
    assert [step for step, _ in log.cells("train/loss")] == [0, 1, 2]


def test_a_childs_child_is_linked_to_the_pipeline(db: TrainingDB, tmp_path: Path) -> None:
    with pipeline(db, tmp_path, group="sweep") as ctx:
        first = save_wandb_context(ctx, tmp_path / "first.json")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WANDB_CONTEXT_FILE", first["WANDB_CONTEXT_FILE"])
            with load_wandb_context_from_env("middle") as child:
                assert (child.is_child, child.run_id) == (True, "p1")
                second = save_wandb_context(child, tmp_path / "second.json")
                run(second, calls=losses("leaf", 2), end=0)
    assert [(one.group, one.job_type, one.tags) for one in logs_in(tmp_path)] == [
        ("sweep", "", []),
        ("sweep", "middle", ["parent:p1"]),
        ("sweep", "leaf", ["parent:p1"]),
    ]
    assert db.history.counts("p1")["leaf/loss"] == 2
    assert db.runs.get("p1")["status"] == "completed"


def test_without_the_variable_there_is_a_context_that_does_nothing(tmp_path: Path) -> None:
    code, said, errors = run(os.environ, calls=losses("train", 2), end=0)
    assert (code, said["disabled"], said["loaded"], errors) == (0, True, [], "")
    assert list(tmp_path.glob("wandb*")) == []


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", '{"format": 99}', '{"format": 1, "mode": "loud", "run_id": "x"}']
)
def test_a_file_that_cannot_be_used_is_said_and_nothing_raises(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "context.json"
    if text is not None:
        path.write_text(text)
    monkeypatch.setenv("WANDB_CONTEXT_FILE", str(path))
    with pytest.warns(RecorderWarning, match=r"nothing is logged here, .*context\.json"):
        ctx = load_wandb_context_from_env()
    assert ctx.is_disabled
    ctx.log_training_metric("train", "loss", 1.0, 0)
    ctx.finish()


def test_the_children_of_a_disabled_pipeline_are_disabled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = create_wandb_context(mode="disabled")
    environment = save_wandb_context(ctx, tmp_path / "context.json")
    monkeypatch.setenv("WANDB_CONTEXT_FILE", environment["WANDB_CONTEXT_FILE"])
    assert load_wandb_context_from_env("train").is_disabled


def test_a_file_that_cannot_be_written_is_said_and_nothing_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_CONTEXT_FILE", "of somebody else")
    (tmp_path / "file").write_text("")
    ctx = create_wandb_context(mode="disabled")
    with pytest.warns(RecorderWarning, match="subprocesses log nothing"):
        environment = save_wandb_context(ctx, tmp_path / "file" / "context.json")
    assert "WANDB_CONTEXT_FILE" not in environment


SECRET_URL = "postgresql://ann:s3cret@127.0.0.1:1/runs?sslmode=prefer"  # noqa: S105


@pytest.mark.parametrize(
    ("parent", "child", "added"),
    [
        ({}, {}, {"TRAINING_DB_CONTEXT_PASSWORD": "s3cret"}),
        ({"TRAINING_DB_PASSWORD": "s3cret"}, {"TRAINING_DB_PASSWORD": "s3cret"}, {}),
        ({"TRAINING_DB_URL": SECRET_URL}, {"TRAINING_DB_URL": SECRET_URL}, {}),
        (
            {"TRAINING_DB_URL": "postgresql://ann:other@db.example.org/runs"},
            {},
            {"TRAINING_DB_CONTEXT_PASSWORD": "s3cret"},
        ),
    ],
    ids=["in code", "variable", "url", "another database"],
)
def test_the_file_holds_no_password_and_a_child_has_it_from_its_environment(
    parent: Mapping[str, str],
    child: Mapping[str, str],
    added: Mapping[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in parent.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "context.json"
    # It is never begun, for there is no such server.
    ctx = WandBContext("p1", "offline", parent={"id": "p1"})
    ctx.db = TrainingDB(SECRET_URL)
    environment = save_wandb_context(ctx, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "s3cret" not in path.read_text()
    assert list(tmp_path.glob(".context*")) == []
    ours = {name: value for name, value in environment.items() if name not in os.environ}
    assert ours == {"WANDB_CONTEXT_FILE": str(path), **added}
    for name in parent:
        monkeypatch.delenv(name)
    for name, value in {**child, **ours}.items():
        monkeypatch.setenv(name, value)
    assert _url(json.loads(path.read_text())["database"]) == resolve_url(SECRET_URL)


def test_facts_that_several_processes_tell_at_once_are_all_kept(db: TrainingDB) -> None:
    db.runs.insert("p1")
    begin = threading.Barrier(4)

    def work(name: str) -> None:
        with TrainingDB(db.url) as own:
            begin.wait()
            for number in range(15):
                with own.transaction():
                    tell(own, "p1", {"config": {f"{name}{number}": number}})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    config = json.loads(db.runs.get("p1")["config_json"])
    assert config == {f"{name}{number}": number for name in "abcd" for number in range(15)}
