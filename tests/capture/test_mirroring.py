"""A live W&B run, mirrored: the database has its rows, and W&B has what it had before."""

from __future__ import annotations

import json
import math
import signal
import time
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from tests import torture
from tests.capture.trainings import CALLS, LOW, start, train
from tests.capture.upload_server import upload_server
from training_db import TrainingDB
from training_db.capture import import_wandb_logs, mirror
from training_db.capture.offline.blocks import BlockReader
from training_db.recording import RecorderWarning, sync

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Rows = dict[int, dict[str, Any]]
OWN = {"_timestamp", "_runtime", "_step"}


def records(log: str) -> Iterator[Record]:
    for payload in BlockReader(Path(log)).records():
        yield Record.FromString(payload)


def value_of(item: Any) -> Any:
    return json.loads(item.value_json)


def logged(log: str) -> Rows:
    """The rows in a log of W&B, by step; keys that are paths are JSON lists of their parts."""
    rows: Rows = {}
    for record in records(log):
        if record.WhichOneof("record_type") != "history":
            continue
        row = {}
        for item in record.history.item:
            path = list(item.nested_key) or [item.key]
            row[path[0] if len(path) == 1 else json.dumps(path)] = value_of(item)
        rows[row["_step"]] = row
    return rows


def stored(db: TrainingDB, run_id: str) -> Rows:
    """The rows in the database, in the same form; media are put together in both."""
    paths: dict[str, list[str]] = {}
    for event in db.events.list(run_id, kind="mirror"):
        paths |= json.loads(event["data_json"])["metric_paths"]
    rows: Rows = {}
    for name, cells in db.history.arrays(run_id)[run_id].items():
        path = paths.get(name, [name])
        key = path[0] if len(path) == 1 else json.dumps(path)
        for step, value in zip(cells.x.tolist(), cells.values.tolist(), strict=True):
            rows.setdefault(step, {})[key] = value
    return rows


def told(db: TrainingDB, run_id: str, kind: str) -> list[dict[str, Any]]:
    return [json.loads(event["data_json"]) for event in db.events.list(run_id, kind=kind)]


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def file_db(migrated_file: Path, tmp_path: Path) -> Iterator[TrainingDB]:
    copy = tmp_path / "runs.db"
    copy.write_bytes(migrated_file.read_bytes())
    with TrainingDB(copy) as db:
        yield db


def place(db: TrainingDB) -> str:
    return db.url.render_as_string(hide_password=False)


@torture.on_one_backend
def test_the_database_has_what_wandb_has(db: TrainingDB, tmp_path: Path) -> None:
    run, code, _ = train("whole", tmp_path / "w", place(db))
    assert code == 0
    found, expected = stored(db, "whole"), logged(run["log"])
    for step, low in LOW.items():  # what W&B drops
        for key, value in low.items():
            assert found[step].pop(key) == value
        if found[step].keys() <= OWN:
            del found[step]
    assert found.keys() == expected.keys()
    for step, row in expected.items():
        media = [key for key in row if "media" in key or "page" in key]
        plain = {key: value for key, value in row.items() if key not in media}
        assert plain.keys() <= found[step].keys()
        for key, value in plain.items():
            if key == "_runtime":  # W&B measures it in another process
                assert found[step][key] == pytest.approx(value, abs=2.0)
            elif step not in LOW or key != "_timestamp":
                assert alike(found[step][key], value), (step, key)
    assert found[100]["media"]["_type"] == "histogram"
    assert found[100]["page"]["_type"] == "html-file"


@torture.on_one_backend
def test_all_else_that_is_known_of_the_run_is_in_the_database(
    db: TrainingDB, tmp_path: Path
) -> None:
    train("whole", tmp_path / "w", place(db))
    run = db.runs.get("whole")
    assert (run["status"], run["wandb_run_id"]) == ("completed", "whole")
    assert (run["notes"], run["run_name"]) == ("first", "another name")
    assert json.loads(run["config_json"]) == {"lr": 0.1, "net": {"depth": 2}, "later": 2}
    summary = json.loads(run["final_metrics_json"])
    assert (summary["best"], summary["a"], summary["n"]) == (0.25, 5, {"d": {"e": 1}})
    assert run["learning_rate"] == 0.1
    assert db.tags.of("whole") == {"t1": None, "t2": None, "wandb.project": "p"}
    assert told(db, "whole", "alert") == [
        {"title": "careful", "text": "it diverges", "level": "INFO"}
    ]
    assert [data["exit_code"] for data in told(db, "whole", "mirror")] == [0]
    [page] = db.artifacts.list("whole")
    assert page["artifact_type"] == "html-file"
    assert Path(page["filepath"]).is_file()


def test_wandb_gets_the_same_with_and_without_a_mirror(file_db: TrainingDB, tmp_path: Path) -> None:
    alone, _, noise = train("unmirrored", tmp_path / "a", place(file_db))
    beside, _, more_noise = train("whole", tmp_path / "b", place(file_db))
    expected, found = logged(alone["log"]), logged(beside["log"])
    last = max(expected)
    for step, row in expected.items():
        plain = {key: value for key, value in row.items() if key not in OWN}
        same = {key: value for key, value in found[step].items() if key not in OWN}
        if step == last:  # to which the mirrored training adds media
            same = {key: same[key] for key in plain}
        assert plain.keys() == same.keys()
        assert all(alike(plain[key], same[key]) for key in plain)
    assert expected.keys() == found.keys()
    assert noise.count("WARNING") == more_noise.count("WARNING")


def test_a_run_that_is_online_is_mirrored_too(file_db: TrainingDB, tmp_path: Path) -> None:
    with upload_server() as server:
        variables = {"WANDB_BASE_URL": server.url, "WANDB_API_KEY": "0123456789" * 4}
        _, code, _ = train(
            "whole", tmp_path / "w", place(file_db), WANDB_MODE="online", **variables
        )
    assert code == 0
    expected = {row["_step"]: row for row in server.rows["whole"]}
    found = stored(file_db, "whole")
    assert expected.keys() <= found.keys()
    assert all(found[step]["_timestamp"] == expected[step]["_timestamp"] for step in {0, 40, 100})
    run = file_db.runs.get("whole")
    assert run["status"] == "completed"
    assert run["wandb_url"] == f"{server.url}/team/p/runs/whole"
    assert file_db.tags.of("whole")["wandb.entity"] == "team"


def test_the_log_of_a_mirrored_run_adds_nothing_to_it(file_db: TrainingDB, tmp_path: Path) -> None:
    run, _, _ = train("threaded", tmp_path / "w", place(file_db))
    before = {name: len(cells) for name, cells in
              file_db.history.arrays("threaded", duplicates="all")["threaded"].items()}  # fmt: skip
    [outcome] = import_wandb_logs(file_db, run["log"])
    assert outcome.is_good
    assert outcome.run_id == "threaded"
    after = {name: len(cells) for name, cells in
             file_db.history.arrays("threaded", duplicates="all")["threaded"].items()}  # fmt: skip
    assert before == after
    assert after["_step"] == 400


def test_the_log_of_a_killed_run_adds_nothing_to_what_waits_in_its_spool(
    file_db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush = {"FLUSH": "60", "WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "1"}
    process = start("waiting", tmp_path / "w", place(file_db), **flush)
    assert process.stdout is not None
    log = json.loads(process.stdout.readline())["log"]
    process.stdout.readline()
    wait_until(lambda: len(logged(log)) > 10)
    process.kill()
    process.communicate(timeout=60)
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(tmp_path / "w" / "spool"))
    [outcome] = import_wandb_logs(file_db, log)
    assert outcome.is_good
    cells = file_db.history.arrays("waiting", duplicates="all")["waiting"]
    assert {len(one) for one in cells.values()} == {50}


def test_threads_get_the_steps_that_wandb_gives_them(file_db: TrainingDB, tmp_path: Path) -> None:
    run, _, _ = train("threaded", tmp_path / "w", place(file_db))
    expected, found = logged(run["log"]), stored(file_db, "threaded")
    assert {step: row.keys() - OWN for step, row in found.items()} == {
        step: row.keys() - OWN for step, row in expected.items()
    }


def test_a_disabled_run_is_recorded_too(file_db: TrainingDB, tmp_path: Path) -> None:
    train("disabled", tmp_path / "w", place(file_db))
    found = stored(file_db, "disabled")
    assert (
        sum(len(row.keys() - OWN) for row in found.values())
        == sum(len(data.keys() - OWN) for data, _ in CALLS) - 0
    )
    assert (found[1]["a"], found[1]["b"], found[10]["c"]) == (2, 2, 3.5)
    assert found[40]['["n", "d", "e"]'] == 1
    assert told(file_db, "disabled", "alert") == [
        {"title": "careful", "text": "it diverges", "level": "WARN"}
    ]
    run = file_db.runs.get("disabled")
    assert run["status"] == "completed"
    assert json.loads(run["final_metrics_json"])["best"] == 0.25


@pytest.mark.parametrize(
    ("name", "status", "exit_code"),
    [("failing", "failed", 1), ("unfinished", "completed", 0), ("exiting", "failed", 3),
     ("raising", "crashed", 1)],
)  # fmt: skip
def test_a_run_ends_as_its_process_does(
    name: str, status: str, exit_code: int, file_db: TrainingDB, tmp_path: Path
) -> None:
    _, code, _ = train(name, tmp_path / "w", place(file_db))
    assert code == exit_code
    run = file_db.runs.get(name)
    assert run["status"] == status
    assert run["ended_at"] is not None
    assert stored(file_db, name)[0]["loss"] == 1.0
    errors = [event["message"] for event in file_db.events.list(name, kind="error")]
    expected = {"failing": ["RuntimeError: diverged"], "raising": ["KeyboardInterrupt (SIGINT)"]}
    assert errors == expected.get(name, [])


def test_a_row_that_nobody_ended_is_in_the_summary(file_db: TrainingDB, tmp_path: Path) -> None:
    train("unfinished", tmp_path / "w", place(file_db))
    assert stored(file_db, "unfinished")[7]["loss"] == 0.5
    assert json.loads(file_db.runs.get("unfinished")["final_metrics_json"])["loss"] == 0.5


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_training_loses_no_row(
    number: signal.Signals, file_db: TrainingDB, tmp_path: Path
) -> None:
    process = start("waiting", tmp_path / "w", place(file_db))
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    sync(file_db, tmp_path / "w" / "spool")
    found = stored(file_db, "waiting")
    assert [(row["loss"], row["acc"]) for row in found.values()] == [
        (1 / (step + 1), step / 50) for step in range(50)
    ]
    run = file_db.runs.get("waiting")
    assert run["wandb_run_id"] == "waiting"
    assert json.loads(run["config_json"]) == {"lr": 0.1, "net": {"depth": 2}}
    assert run["status"] == ("crashed" if number == signal.SIGTERM else "running")


def test_a_database_that_is_away_costs_nothing_but_a_warning(
    file_db: TrainingDB, tmp_path: Path
) -> None:
    away = tmp_path / "nowhere" / "runs.db"
    (tmp_path / "nowhere").write_text("no folder")
    told, code, err = train("unfinished", tmp_path / "w", f"sqlite:///{away}", CLOSE="1")
    assert code == 0
    assert told["run_id"] == "unfinished"
    assert "RecorderWarning" in err
    (tmp_path / "nowhere").unlink()
    (tmp_path / "nowhere").mkdir()
    away.write_bytes(Path(str(file_db.url.database)).read_bytes())
    with TrainingDB(away) as db:
        sync(db, tmp_path / "w" / "spool")
        assert [row["loss"] for row in stored(db, "unfinished").values()] == [1.0, 0.5]
        run = db.runs.get("unfinished")
        assert json.loads(run["config_json"])["lr"] == 0.1
        assert run["status"] == "completed"


def test_a_forked_child_logs_to_the_same_run(file_db: TrainingDB, tmp_path: Path) -> None:
    run, code, _ = train("forking", tmp_path / "w", place(file_db))
    assert (code, run["child"]) == (0, 0)
    [row] = stored(file_db, "forking").values()
    assert {key: row[key] for key in row.keys() - OWN} == {"loss": 1.0, "acc": 0.5, "child": 1.0}
    assert file_db.runs.get("forking")["status"] == "completed"


def test_wandb_refuses_what_it_refused_before(file_db: TrainingDB, tmp_path: Path) -> None:
    run, _, _ = train("refused", tmp_path / "w", place(file_db))
    assert len(run["errors"]) == 3
    assert run["errors"][-1] == "UsageError"
    assert run["result"] is None
    assert [row["loss"] for row in stored(file_db, "refused").values()] == [1.0]


def test_rows_are_kept_when_the_process_of_wandb_is_gone(
    file_db: TrainingDB, tmp_path: Path
) -> None:
    run, _, _ = train("orphaned", tmp_path / "w", place(file_db))
    assert run["errors"] > 0
    losses = file_db.history.arrays("orphaned", "loss")["orphaned"]["loss"]
    assert losses.values.tolist() == [1 / (step + 1) for step in range(30)]
    assert file_db.runs.get("orphaned")["status"] == "completed"


def test_a_run_has_one_mirror(file_db: TrainingDB, tmp_path: Path) -> None:
    run, _, _ = train("again", tmp_path / "w", place(file_db))
    assert run["is_same"]
    assert run["is_flushed"]
    assert len(file_db.history.arrays("again", "loss", duplicates="all")["again"]["loss"]) == 1


def test_a_run_that_was_inserted_before_is_that_run(file_db: TrainingDB, tmp_path: Path) -> None:
    file_db.runs.insert("mine", "again", config={"seed": 1}, run_name="my name", notes="mine")
    run, _, _ = train("again", tmp_path / "w", place(file_db))
    assert run["run_id"] == "mine"
    found = file_db.runs.get("mine")
    assert (found["run_name"], found["notes"]) == ("my name", "mine")
    assert json.loads(found["config_json"]) == {"seed": 1, "lr": 0.1, "net": {"depth": 2}}
    assert file_db.runs.count() == 1


@pytest.mark.parametrize("run", [None, 7, object(), Namespace(id="x"), json])
def test_what_cannot_be_mirrored_costs_a_warning(run: Any, file_db: TrainingDB) -> None:
    with pytest.warns(RecorderWarning, match=r"no live run of W&B; pass what wandb.init\(\)"):
        made = mirror(run, file_db)
    assert not made.is_active
    assert made.flush() is False


NEEDED = ["publish_partial_history", "_publish_partial_history", "_finish"]
OPTIONAL = ["publish_alert", "publish_files", "deliver_artifact", "publish_artifact",
            "publish_tbdata", "_wl", "_set_backend"]  # fmt: skip
SETTINGS = ["_local_step", "_start_runtime", "_is_attached", "files_dir", "_offline", "_noop",
            "run_name", "run_tags", "run_url", "host", "mode", "x_primary"]  # fmt: skip


def test_a_client_that_lacks_something_costs_a_warning_and_no_training(
    file_db: TrainingDB, tmp_path: Path
) -> None:
    lacking = json.dumps([*NEEDED, *OPTIONAL, *SETTINGS])
    found, code, err = train("foreign", tmp_path / "w", place(file_db), LACKING=lacking)
    assert code == 0, err
    for name, one in found.items():
        rows = [{key: row[key] for key in row.keys() - OWN} for row in logged(one["log"]).values()]
        assert rows == [{"loss": 1.0}, {'["n", "d"]': 2}]
        assert one["is_active"] == (name not in NEEDED)
        assert any(name in text for text in one["told"]) == (name not in SETTINGS), name
        if one["is_active"]:
            assert len(stored(file_db, name.strip("_"))) == 2
            assert file_db.runs.get(name.strip("_"))["status"] == "completed"


def test_runs_that_wandb_tears_down_are_whole(file_db: TrainingDB, tmp_path: Path) -> None:
    _, code, err = train("torn_down", tmp_path / "w", place(file_db))
    assert code == 0
    assert "RecorderWarning" not in err
    run = file_db.runs.get("torn_down")
    assert run["status"] == "completed"
    assert json.loads(run["final_metrics_json"])["loss"] == 0.5
    assert [row["loss"] for row in stored(file_db, "torn_down").values()] == [1.0, 0.5]


def test_a_setting_that_cannot_be_read_costs_a_warning(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", "oracle://nowhere")
    import wandb

    with wandb.init(mode="disabled", dir=str(tmp_path)) as run:
        with pytest.warns(RecorderWarning, match="oracle"):
            made = mirror(run)
        run.log({"loss": 1.0})
    assert made.run_id == run.id
    assert not made.is_active
