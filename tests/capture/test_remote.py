"""Runs of a W&B server, imported by the real client from a server of the tests' own."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.remote_server import _served, rows, wandb_server, whole_run
from tests.capture.stored import everything
from tests.capture.stored_runs import StoredRun
from training_db.capture import import_wandb_logs, import_wandb_project
from training_db.capture.remote.client import WandBClient
from training_db.capture.remote.run import forget_folders
from training_db.errors import InvalidValue, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.capture.graphql_server import WandBServer
    from tests.cli.terminal import Answer
    from training_db import TrainingDB
    from training_db.capture.storing.outcome import ImportOutcome

    Cli = Callable[..., Answer]

__all__ = ["_served", "wandb_server"]


@pytest.fixture
def example(migrated_file: Path, tmp_path: Path) -> TrainingDB:
    """A database on SQLite, for what does not hang on the backend."""
    from training_db import TrainingDB

    copy = tmp_path / "example.db"
    copy.write_bytes(migrated_file.read_bytes())
    return TrainingDB(copy)


def imported(db: TrainingDB, *runs: StoredRun, server: WandBServer) -> list[ImportOutcome]:
    """Import runs, all of which are good."""
    server.projects["team/qed"] = list(runs)
    server.asked.clear()
    server.pages.clear()
    outcomes = import_wandb_project(db, "team/qed")
    assert [(one.error, one.counts and one.counts.differences) for one in outcomes] == [
        (None, [])
    ] * len(runs)
    return outcomes


def series(db: TrainingDB, run_id: str, name: str) -> tuple[list[float], list[Any]]:
    """Return the steps and the values of a metric."""
    found = db.history.arrays(run_id, name)[run_id][name]
    return found.x.tolist(), found.values.tolist()


def test_everything_that_the_server_knows_of_a_run_is_here(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    (outcome,) = imported(db, whole_run(), server=wandb_server)
    assert (outcome.run_id, outcome.rows, outcome.new_rows, outcome.damage) == (
        "whole", 2_500, 2_500, [],
    )  # fmt: skip
    run = db.runs.get("whole")
    assert {name: run[name] for name in ("run_name", "notes", "group_name", "status", "host")} == {
        "run_name": "eager-fox-1", "notes": "the first", "group_name": "sweep-7",
        "status": "completed", "host": "gpu-1",
    }  # fmt: skip
    assert (run["git_commit"], run["git_dirty"]) == ("c0ffee", True)
    assert run["started_at"] == run["created_at"] == "2026-05-06T07:08:09.000000Z"
    assert (run["ended_at"], run["duration_seconds"]) == ("2026-05-06T08:08:09.000000Z", 3600)
    assert run["wandb_url"] == f"{wandb_server.url}/team/qed/runs/whole"
    assert json.loads(run["config_json"]) == {"lr": 0.1, "optimizer": {"name": "adam"}}
    assert json.loads(run["final_metrics_json"]) == {"loss": 0.25, "_runtime": 3600.5}
    assert db.tags.of("whole") == {
        "a": None, "b": None, "wandb.project": "qed", "wandb.entity": "team",
        "wandb.job_type": "train", "wandb.sweep": "s1",
    }  # fmt: skip
    files = {one["filepath"]: one["artifact_type"] for one in db.artifacts.list("whole")}
    page = f"{wandb_server.url}/team/qed/runs/whole/files"
    assert files == {
        f"{page}/wandb-metadata.json": "file",
        f"{page}/diff.patch": "file",
        f"{page}/media/a.png": "media",
        "wandb-artifact://team/project/model:v0": "model",
        "wandb-artifact://team/project/data:v3": "dataset",
    }


def test_the_history_is_here_to_its_last_value(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    db = example
    imported(db, whole_run(), server=wandb_server)
    steps = list(range(2_500))
    assert series(db, "whole", "loss") == (steps, [1 / (step + 3) for step in steps])
    assert series(db, "whole", "n.d") == (steps, steps)
    assert series(db, "whole", "_timestamp")[1] == [1.7e9 + step / 2 for step in steps]


def test_a_part_of_another_run_names_it_as_its_parent(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    parent, part = whole_run(3), whole_run(3)
    part.id, part.tags = "part", ["parent:whole"]
    imported(example, parent, part, server=wandb_server)
    assert example.runs.get("part")["parent_run_id"] == "whole"
    assert example.runs.get("whole")["parent_run_id"] is None


def test_nobody_is_named(example: TrainingDB, wandb_server: WandBServer) -> None:
    imported(example, whole_run(10), server=wandb_server)
    stored = repr(everything(example))
    assert "https://example.org/qed.git" in stored
    assert [word for word in ("lovelace", ":pw@", "signature") if word in stored.lower()] == []


def test_importing_again_changes_nothing(db: TrainingDB, wandb_server: WandBServer) -> None:
    imported(db, whole_run(), server=wandb_server)
    before = everything(db)
    (again,) = imported(db, whole_run(), server=wandb_server)
    assert (again.rows, again.new_rows, again.values) == (2_500, 0, 10_000)
    assert everything(db) == before
    # Only the last row that is here is looked at again.
    assert wandb_server.pages == [("whole", 2_499, 2_500)]


def test_a_run_that_went_on_gets_what_is_new(db: TrainingDB, wandb_server: WandBServer) -> None:
    live = whole_run(1_500)
    live.state, live.summary = "running", {"loss": 1.0}
    (first,) = imported(db, live, server=wandb_server)
    assert (first.status, first.rows) == ("running", 1_500)
    assert db.runs.get("whole")["ended_at"] is None
    (second,) = imported(db, whole_run(4_000), server=wandb_server)
    assert (second.status, second.rows, second.new_rows) == ("completed", 4_000, 2_500)
    assert min(low for _, low, _ in wandb_server.pages) == 1_499
    assert series(db, "whole", "n.d") == (list(range(4_000)), list(range(4_000)))
    assert db.runs.get("whole")["final_loss"] == 0.25


def test_the_status_is_the_truth(example: TrainingDB, wandb_server: WandBServer) -> None:
    expected = {
        "finished": "completed",
        "failed": "failed",
        "killed": "failed",
        "crashed": "crashed",
        "preempted": "crashed",
        "preempting": "running",
        "running": "running",
        "pending": "launched",
    }
    runs = [StoredRun(state, rows(2), state=state) for state in expected]
    imported(example, *runs, server=wandb_server)
    for state, status in expected.items():
        run = example.runs.get(state)
        assert run["status"] == status
        assert (run["ended_at"] is None) == (status in ("running", "launched"))
        (event,) = example.events.list(state, kind="import")
        assert json.loads(event["data_json"])["state"] == state


def test_rows_of_an_export_and_live_ones_are_here_once(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    logged = [
        {"_step": step, "loss": step / 3, "text": f"t{step}", "n": {"d": step}}
        | ({"rare": step} if step % 10 == 0 else {})
        for step in range(100)
    ]
    run = StoredRun("r1", logged, exported=60, live_from=40)
    (outcome,) = imported(db, run, server=wandb_server)
    assert "/parquet/r1/0000.parquet" in wandb_server.asked
    assert outcome.rows == 100
    assert series(db, "r1", "loss") == (list(range(100)), [step / 3 for step in range(100)])
    # A file has a null for each cell that was not logged.
    assert series(db, "r1", "rare") == (list(range(0, 100, 10)), list(range(0, 100, 10)))
    before = everything(db)
    imported(db, run, server=wandb_server)
    assert everything(db) == before


def test_what_is_no_plain_number_is_kept(db: TrainingDB, wandb_server: WandBServer) -> None:
    media = {"_type": "image-file", "path": "media/a.png", "width": 1}
    logged = [
        {"_step": 0, "x": math.nan, "big": 2**60, "list": [1, 2.5, "x"], "image": media, "e": {}},
        {"_step": 1, "x": math.inf, "flag": True, "text": "NaN?", "n.d": 1, "n": {"d": 2}},
        {"_step": 2, "x": -math.inf, "one": 1, "half": 0.5, "Epoch ": 3, "a/b": 4},
        {"_step": 3, "x": 2, "half": 1},
    ]
    imported(db, StoredRun("r1", logged), server=wandb_server)
    x = series(db, "r1", "x")[1]
    assert math.isnan(x[0])
    assert x[1:] == [math.inf, -math.inf, 2.0]
    found = {
        name: cells.values.tolist()
        for columns in db.history.columns_of("r1", db.history.writers("r1")).values()
        for name, cells in columns.items()
    }
    assert {name: found[name] for name in ("big", "list", "image", "e", "flag", "text")} == {
        "big": [2**60], "list": [[1, 2.5, "x"]], "image": [media], "e": [{}], "flag": [True],
        "text": ["NaN?"],
    }  # fmt: skip
    assert (found["Epoch "], found["a/b"], found["half"]) == ([3], [4], [0.5, 1.0])
    assert sorted([found["n.d"], found['["n.d"]']]) == [[1], [2]]


def test_rows_without_steps_are_all_here(example: TrainingDB, wandb_server: WandBServer) -> None:
    logged = [{"loss": number / 7} for number in range(30)]
    (outcome,) = imported(example, StoredRun("r1", logged), server=wandb_server)
    assert (outcome.rows, outcome.damage) == (30, [])
    before = everything(example)
    imported(example, StoredRun("r1", logged), server=wandb_server)
    assert everything(example) == before


def test_steps_that_are_far_apart_take_few_pages(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    logged = [{"_step": 10_240 * number, "loss": 0.5} for number in range(3_000)]
    (outcome,) = imported(example, StoredRun("r1", logged), server=wandb_server)
    assert outcome.rows == 3_000
    assert len(wandb_server.pages) <= 4


def test_rows_whose_steps_the_server_does_not_list_are_all_here(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    logged = [{"_step": 500 * number, "loss": number / 7} for number in range(30)]
    run = StoredRun("r1", logged, summary={"_step": 14_500}, has_keys=False)
    for _ in range(2):
        (outcome,) = imported(example, run, server=wandb_server)
        assert (outcome.rows, outcome.damage) == (30, [])
    assert len(wandb_server.pages) == 1


def test_a_run_of_which_little_is_known_is_imported_once(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    little = StoredRun(
        "r1", rows(3), created_at=None, heartbeat_at=None, has_user=False, has_keys=False
    )
    imported(example, little, StoredRun("r2", rows(2)), server=wandb_server)
    (again, _) = imported(example, little, StoredRun("r2", rows(2)), server=wandb_server)
    assert (again.rows, again.new_rows, again.decision) == (3, 0, None)
    address = f"{wandb_server.url}/team/qed/runs/r1"
    assert [one.new_rows for one in import_wandb_project(example, address)] == [0]


def test_odd_names_and_values_are_kept(db: TrainingDB, wandb_server: WandBServer) -> None:
    config = {"plain": {"value": 3, "kind": "x"}, "a.b": 1, "a/b": {"desc": None}, "list": [{}]}
    odd = StoredRun(
        "r1", rows(2), config, {"loss": math.inf, "n": {"d": 3}}, name="\U0001f98a fox",
        tags=["\xe9", "x=y"], group="g/1", sweep="s 1",
    )  # fmt: skip
    for _ in range(2):
        imported(db, odd, server=wandb_server)
    run = db.runs.get("r1")
    assert (run["run_name"], run["group_name"]) == ("\U0001f98a fox", "g/1")
    assert json.loads(run["config_json"]) == config
    assert json.loads(run["final_metrics_json"]) == {"loss": math.inf, "n": {"d": 3}}
    assert {"\xe9", "x=y", "wandb.sweep"} < set(db.tags.of("r1"))


def test_a_server_that_gives_fewer_rows_than_it_counts_is_reported(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    run = StoredRun("r1", rows(5), line_count=7)
    (outcome,) = imported(example, run, server=wandb_server)
    assert outcome.damage == ["the server counts 7 rows, and gave 5"]


def test_a_history_that_was_changed_is_stored_anew(
    example: TrainingDB, wandb_server: WandBServer
) -> None:
    imported(example, StoredRun("r1", rows(20)), server=wandb_server)
    changed = rows(20)
    changed[19]["loss"] = 7.0
    (outcome,) = imported(example, StoredRun("r1", changed + rows(5, 20)), server=wandb_server)
    assert (outcome.rows, len(outcome.damage)) == (25, 1)
    assert series(example, "r1", "loss")[1][19] == 7.0


def test_what_a_log_brought_is_not_stored_twice(
    db: TrainingDB, wandb_server: WandBServer, client_logs: dict[str, Path]
) -> None:
    (log,) = import_wandb_logs(db, client_logs["failed"])
    (columns,) = db.history.columns_of("failed", db.history.writers("failed")).values()
    logged: list[dict[str, Any]] = [{} for _ in range(log.rows)]
    for name, cells in columns.items():
        for row, value in zip(cells.rows.tolist(), cells.values.tolist(), strict=True):
            logged[row][name] = value
    run = db.runs.get("failed")
    there = StoredRun("failed", logged, state="failed", created_at=run["started_at"])
    wandb_server.projects["team/project"] = [there]
    before = db.history.counts("failed")
    for _ in range(2):
        (outcome,) = import_wandb_project(db, "team/project")
        assert (outcome.run_id, outcome.status) == ("failed", "failed")
        assert (outcome.is_good, outcome.already_here) == (True, log.values)
        assert db.history.counts("failed") == before
    there.rows.append({"_step": 30_720, "loss": 0.25})
    (outcome,) = import_wandb_project(db, "team/project")
    assert (outcome.is_good, outcome.already_here) == (True, log.values)
    assert series(db, "failed", "loss") == ([10_240, 20_480, 30_720], [1.0, 0.5, 0.25])


def test_what_was_recorded_here_is_not_stored_twice(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    db.runs.insert("mine", "r1", started_at="2026-05-06T07:08:09Z")
    with db.recorder("mine") as recorder:
        for row in rows(40):
            recorder.log({"loss": row["loss"], "n.d": row["n"]["d"]}, step=row["_step"])
    before = db.history.counts("mine")
    for _ in range(2):
        (outcome,) = imported(db, StoredRun("r1", rows(50)), server=wandb_server)
        assert outcome.run_id == "mine"
        # The step, the loss and n.d of forty rows; the time was another on each side.
        assert outcome.already_here >= 120
        assert db.history.counts("mine")["loss"] == before["loss"] + 10
    assert series(db, "mine", "loss")[0] == list(range(50))


def test_many_runs_are_imported_side_by_side(db: TrainingDB, wandb_server: WandBServer) -> None:
    runs = [
        StoredRun(f"r{number}", rows(300 + number), created_at=f"2026-05-06T07:08:{number:02}Z")
        for number in range(12)
    ]
    wandb_server.projects["team/qed"] = runs
    said: list[tuple[int, int, str | None]] = []
    outcomes = import_wandb_project(
        db,
        "team/qed",
        jobs=4,
        progress=lambda done, total, one: said.append((done, total, one and one.run_id)),
    )
    assert [one.run_id for one in outcomes] == [run.id for run in runs]
    assert all(one.is_good for one in outcomes)
    assert [(done, total) for done, total, _ in said] == [(done, 12) for done in range(13)]
    assert {one for _, _, one in said} == {None, *(run.id for run in runs)}
    for number in range(12):
        assert len(series(db, f"r{number}", "loss")[0]) == 300 + number


@pytest.mark.parametrize(
    ("filters", "since", "found"),
    [
        (None, None, ["old", "new"]),
        ("state=finished", None, ["old"]),
        ("config.lr=0.2, state=running", None, ["new"]),
        ({"config.lr": {"$gt": 0.15}}, None, ["new"]),
        ('{"config.lr": {"$gt": 0.15}}', None, ["new"]),
        (None, "2026-01-01", ["new"]),
        (None, timedelta(days=10**4), ["old", "new"]),
        ("state=finished", "7d", []),
        ("state=finished", datetime(2020, 1, 1, tzinfo=UTC), ["old"]),
    ],
)
def test_only_runs_that_match_are_imported(
    example: TrainingDB, wandb_server: WandBServer, filters: Any, since: Any, found: list[str]
) -> None:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    wandb_server.projects["team/qed"] = [
        StoredRun("old", rows(2), config={"lr": 0.1}, created_at="2021-05-06T07:08:09Z"),
        StoredRun("new", rows(2), config={"lr": 0.2}, created_at=now, state="running"),
    ]
    outcomes = import_wandb_project(example, "team/qed", filters, since)
    assert [one.run_id for one in outcomes] == found


def test_one_run_is_imported_by_its_address(example: TrainingDB, wandb_server: WandBServer) -> None:
    wandb_server.projects["team/qed"] = [whole_run(3), StoredRun("other", rows(2))]
    address = f"{wandb_server.url}/team/qed/runs/other?nw=1"
    assert [one.run_id for one in import_wandb_project(example, address)] == ["other"]
    with pytest.raises(NotFound, match="no run 'team/qed/missing'"):
        import_wandb_project(example, "team/qed/missing")


def test_more_runs_than_a_page_has_are_all_listed(wandb_server: WandBServer) -> None:
    names = [f"r{number:04}" for number in range(1_010)]
    wandb_server.projects["team/qed"] = [StoredRun(name) for name in names]
    found = WandBClient(60).runs("team/qed", {})
    forget_folders(found)
    assert [run.id for run in found] == names
    assert wandb_server.asked["Runs"] == 21


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"path": "qed"}, "names no project"),
        ({"path": "a/b/c/d/e"}, "names no project"),
        ({"filters": "lr>3"}, "cannot be read at 'lr>3'"),
        ({"filters": "{lr: 3}"}, "is no JSON"),
        ({"since": "yesterday"}, "is no time to begin with"),
        ({"jobs": 0}, "not both positive"),
        ({"timeout": 0}, "not both positive"),
    ],
)
def test_what_cannot_be_meant_is_said(
    example: TrainingDB, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidValue, match=said):
        import_wandb_project(example, **{"path": "team/qed", **arguments})
    assert example.runs.count() == 0


def test_the_client_leaves_no_folders(
    example: TrainingDB, wandb_server: WandBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_DIR", str(tmp_path / "w"))
    (tmp_path / "w").mkdir()
    imported(example, whole_run(3), server=wandb_server)
    assert [one for one in (tmp_path / "w").rglob("*") if one.name in ("team", "qed")] == []


def test_the_command_prints_what_came_and_the_counts(
    cli: Cli, example: TrainingDB, wandb_server: WandBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", example.url.render_as_string(hide_password=False))
    wandb_server.projects["team/qed"] = [whole_run(30), StoredRun("other", rows(2))]
    answer = cli("import", "wandb", "team/qed", "--jobs", "1")
    assert (answer.code, answer.err) == (0, "")
    head = "team/qed/whole: whole (eager-fox-1) completed: 30 rows (30 new), 4 keys, 120 values"
    assert head in answer.out
    assert ["loss", "30", "30"] in [line.split() for line in answer.out.splitlines()]
    assert "2 imported, 2 runs, 32 new rows, 128 values, all as in their source" in answer.out
    quiet = cli("import", "wandb", "team/qed", "--quiet", "--filter", "state=finished")
    assert "loss" not in quiet.out
    told = cli("import", "wandb", "team/qed", "--json")
    assert {one["run_id"]: one["new_rows"] for one in json.loads(told.out)} == {
        "whole": 0, "other": 0,
    }  # fmt: skip
    none = cli("import", "wandb", "team/qed", "--since", "1m")
    assert (none.code, none.out) == (0, "")
    assert "there are no such runs" in none.err
