"""Logs of W&B imported: every cell is in the database once, however often and in parts."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests import torture
from tests.capture.frames import framed
from tests.capture.logs import (
    START,
    Raw,
    config,
    ended,
    header,
    history,
    run,
    simple,
    summary,
    write_log,
)
from tests.capture.oracle import differences, read, told
from tests.capture.stored import (
    cells_by_writer,
    cells_of_one_writer,
    document,
    everything,
    imported,
    the_run,
)
from tests.unit.strategies import SLOW, documents
from training_db.capture import import_wandb_logs
from training_db.capture.offline.log import WandbLog
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from wandb.proto.wandb_internal_pb2 import Record

    from training_db import TrainingDB


def wide(rows: int, keys: int = 5) -> list[Record]:
    """The records of a run that is still going on."""
    return [
        header(),
        run(config={"lr": 0.5}),
        *(
            history(
                {f"m{key}": key + number / 7 for key in range(keys)}
                | {"_timestamp": START + number},
                number,
            )
            for number in range(rows)
        ),
    ]


@pytest.mark.parametrize("name", ["whole", "typed", "failed"])
def test_a_log_of_the_real_client_is_in_the_database_whole(
    db: TrainingDB, client_logs: dict[str, Path], name: str
) -> None:
    log = WandbLog(client_logs[name])
    cells = read(log)

    (outcome,) = imported(db, client_logs[name])

    one = the_run(db)
    assert differences(cells, cells_of_one_writer(db, one["run_id"])) == []
    assert (outcome.rows, outcome.new_rows) == (log.rows, log.rows)
    assert (outcome.keys, outcome.values) == (len(cells), sum(map(len, cells.values())))
    assert outcome.counts is not None
    assert {one.key: one.source for one in outcome.counts.keys} == log.counts
    assert one["wandb_run_id"] == name
    assert one["status"] == ("failed" if name == "failed" else "completed")
    assert differences(document(one, "config_json"), log.run.config) == []


def test_what_a_log_says_of_its_run_is_in_the_database(
    db: TrainingDB, client_logs: dict[str, Path]
) -> None:
    (outcome,) = imported(db, client_logs["whole"])

    one = the_run(db)
    assert (one["run_name"], one["notes"], one["group_name"]) == ("a name", "some notes", "group")
    assert one["host"]
    assert len(one["git_commit"]) == 40
    assert parse_timestamp(one["started_at"]) <= parse_timestamp(one["ended_at"])
    tags = db.tags.of(one["run_id"])
    assert tags.items() >= {"first": None, "second": None, "wandb.project": "project",
                            "wandb.job_type": "train"}.items()  # fmt: skip
    events = db.events.list(one["run_id"])
    assert any("it diverges" in event["message"] for event in events)
    (note,) = [json.loads(event["data_json"]) for event in events if event["kind"] == "import"]
    assert note["file"] == f"{client_logs['whole'].parent.name}/run-whole.wandb"
    assert note["exit_code"] == 0
    assert [parts for parts in note["metric_paths"].values() if len(parts) > 1]
    assert any("media/table" in one["filepath"] for one in db.artifacts.list(one["run_id"]))
    assert outcome.run_id == one["run_id"]


def test_nothing_private_is_in_the_database(db: TrainingDB, client_logs: dict[str, Path]) -> None:
    imported(db, *client_logs.values())

    kept = repr(everything(db))

    for private in ("person@example", "personname", "tokenuser", "s3cr3t"):
        assert private not in kept


def test_objectives_are_found_in_config_and_summary(db: TrainingDB, path: Path) -> None:
    write_log(path, [
        *simple(config={"objectives": ["QED_maximize"], "lr": 0.1}),
        summary({"objectives/QED_maximize/raw_mean": 0.75}),
    ])  # fmt: skip

    imported(db, path)

    (objective,) = db.objectives.of_run("r1")
    assert objective["raw_mean"] == 0.75


@pytest.mark.parametrize("name", ["whole", "typed", "first"])
def test_importing_again_changes_nothing(
    db: TrainingDB, client_logs: dict[str, Path], name: str
) -> None:
    imported(db, client_logs[name])
    before = everything(db)

    for _ in range(2):
        (again,) = imported(db, client_logs[name])
        assert again.new_rows == 0
        assert everything(db) == before


def test_a_log_imported_at_83_at_193_and_at_all_rows_is_one_run(db: TrainingDB, path: Path) -> None:
    records = [*wide(12_039, keys=2), ended(0, 12_039)]
    log = framed(one.SerializeToString() for one in records)
    path.parent.mkdir(parents=True)

    for rows, length in ((83, log.ends[84] + 9), (193, log.ends[194]), (12_039, len(log.data))):
        path.write_bytes(log.data[:length])
        (outcome,) = imported(db, path)
        assert outcome.rows == rows
        assert the_run(db)["status"] == ("completed" if rows == 12_039 else "crashed")

    assert outcome.new_rows == 12_039 - 193
    stored = cells_of_one_writer(db, the_run(db)["run_id"])
    assert differences(told(path).cells, stored) == []
    assert document(the_run(db), "final_metrics_json")["_step"] == 12_038


def test_a_log_cut_at_any_byte_and_imported_again_whole_ends_the_same(
    db: TrainingDB, path: Path
) -> None:
    records = [*wide(4), config({"late": 1}), summary({"best": 2}), ended(0, 9)]
    log = framed(one.SerializeToString() for one in records)
    path.parent.mkdir(parents=True)
    path.write_bytes(log.data)
    imported(db, path)
    expected = the_run(db)
    cells = cells_of_one_writer(db, "r1")
    db.runs.delete("r1")
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs"))

    for length in sorted({*range(7, len(log.data), 37), *log.ends}):
        path.write_bytes(log.data[:length])
        import_wandb_logs(db, path)

    assert differences(cells, cells_of_one_writer(db, "r1")) == []
    changing = {"number", "created_at_db", "updated_at_db", "heartbeat_at", "created_at"}
    assert differences(
        {name: value for name, value in expected.items() if name not in changing},
        {name: value for name, value in the_run(db).items() if name not in changing},
    ) == []  # fmt: skip


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(torture.rounds(1, 6)))
def test_an_import_killed_at_any_moment_and_begun_again_loses_and_doubles_nothing(
    db: TrainingDB, path: Path, seed: int
) -> None:
    moments = random.Random(seed)  # noqa: S311 - no secrets
    write_log(path, [*wide(3_000, keys=6), summary({"best": 1}), ended(0, 9)])
    url = db.url.render_as_string(hide_password=False)
    killed = 0

    for _ in range(torture.rounds(2, 5)):
        inside = (moments.randint(0, 12), round(10 ** moments.uniform(0, 4.5)))
        orders = {"url": url, "paths": [str(path)], "end_at": inside}
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.capture.importing", json.dumps(orders)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        ready = process.stdout.readline()
        _, errors = process.communicate(timeout=120)
        assert ready == b"ready\n", errors.decode()
        assert process.returncode in (-signal.SIGKILL, 0), errors.decode()
        killed += process.returncode != 0
    imported(db, path)

    assert killed
    one = the_run(db)
    assert differences(told(path).cells, cells_of_one_writer(db, one["run_id"])) == []
    assert (one["status"], document(one, "final_metrics_json")["best"]) == ("completed", 1)
    assert [event["kind"] for event in db.events.list(one["run_id"])].count("import") == 1
    totals = {one["metric"]: one["count"] for one in db.history.keys("r1")}
    assert totals == told(path).counts


def test_a_deleted_segment_is_a_difference(db: TrainingDB, path: Path) -> None:
    write_log(path, [*wide(9_000, keys=3), ended()])
    imported(db, path)
    with db.engine.begin() as connection:
        deleted = connection.execute(text(
            "DELETE FROM run_history_segments WHERE first_row = 0 AND metric_id = "
            "(SELECT id FROM metric_names WHERE name = 'm1')"
        )).rowcount  # fmt: skip
    assert deleted == 1

    (outcome,) = import_wandb_logs(db, path)

    assert outcome.counts is not None
    assert [one.key for one in outcome.counts.differences] == ["m1"]
    assert not outcome.is_good


def test_damage_is_said_and_what_is_around_it_is_kept(db: TrainingDB, path: Path) -> None:
    log = framed(one.SerializeToString() for one in [*wide(50), ended()])
    data = bytearray(log.data)
    data[log.starts[20] + 30] ^= 4
    path.parent.mkdir(parents=True)
    path.write_bytes(data)

    (outcome,) = imported(db, path)

    assert outcome.damage
    assert outcome.rows == 49
    steps = cells_of_one_writer(db, "r1")["_step"].values()
    assert sorted(steps) == [step for step in range(50) if step != 18]


keys = st.sampled_from(
    ["loss", "n", "n.d", "a/b", "Epoch ", ("n", "d"), ("n", "e", "f"), ("n", "")]
)
rows_of_anything = st.lists(st.dictionaries(keys, documents, max_size=4), min_size=1, max_size=8)


@SLOW
@given(rows=rows_of_anything, cuts=st.lists(st.floats(0, 1), max_size=4))
def test_a_log_imported_in_any_parts_is_in_the_database_as_it_is(
    db: TrainingDB, tmp_path: Path, rows: list[dict[Any, Any]], cuts: list[float]
) -> None:
    run_id = uuid4().hex
    path = tmp_path / run_id / f"run-{run_id}.wandb"
    write_log(path, [header(), run(run_id), *map(history, rows), ended()])
    data = path.read_bytes()
    log = WandbLog(path)
    expected = read(log)

    for cut in sorted(cuts):
        path.write_bytes(data[: round(cut * len(data))])
        imported(db, path)
    path.write_bytes(data)
    imported(db, path)

    stored = cells_by_writer(db, run_id)
    assert differences(expected, *stored.values() or [{}]) == []
    (note,) = db.events.list(run_id, kind="import")
    assert json.loads(note["data_json"])["metric_paths"] == log.run.metric_paths
    assert db.history.counts(run_id) == log.counts


def test_a_run_that_has_gone_silent_has_crashed(db: TrainingDB, path: Path) -> None:
    now = time.time()
    write_log(path, [header(), run(start=now - 60), history({"_timestamp": now - 1}, 0)])
    imported(db, path)
    assert (the_run(db)["status"], the_run(db)["ended_at"]) == ("running", None)

    os.utime(path, (now - 600, now - 600))
    imported(db, path)

    assert the_run(db)["status"] == "crashed"
    assert parse_timestamp(the_run(db)["ended_at"]).timestamp() == pytest.approx(now - 1, abs=1e-3)


def test_a_live_log_makes_its_run_no_more_alive_than_the_log_says(
    db: TrainingDB, path: Path
) -> None:
    seen = round(time.time()) - 60
    rows = [history({"loss": 1.5, "_timestamp": seen}, step) for step in range(3)]
    write_log(path, [header(), run(start=seen - 9), *rows])

    imported(db, path)

    one = the_run(db)
    assert one["status"] == "running"
    assert parse_timestamp(one["heartbeat_at"]).timestamp() == seen


def test_what_people_changed_since_stays_when_the_log_has_grown(db: TrainingDB, path: Path) -> None:
    records = simple(rows=9, notes="of W&B", display_name="of W&B", run_group="of W&B")
    write_log(path, records[:6])
    imported(db, path)
    db.runs.update("r1", notes="mine", run_name="mine")
    db.tags.add("r1", "keep")

    write_log(path, records)
    imported(db, path)

    one = the_run(db)
    assert (one["notes"], one["run_name"], one["group_name"]) == ("mine", "mine", "of W&B")
    assert one["status"] == "completed"
    assert "keep" in db.tags.of("r1")
    assert len(cells_of_one_writer(db, "r1")["loss"]) == 9


def test_whose_a_run_is_stands_in_its_tags(db: TrainingDB, path: Path) -> None:
    write_log(path, simple(entity="team", project="chem", sweep_id="s1", job_type="eval"))

    imported(db, path)

    assert db.tags.of("r1") == {
        "wandb.entity": "team", "wandb.project": "chem", "wandb.sweep": "s1",
        "wandb.job_type": "eval",
    }  # fmt: skip
    assert [one["run_id"] for one in db.runs.query("tag.wandb.project = 'chem'")] == ["r1"]


def test_an_end_that_nothing_tells_is_not_made_up(db: TrainingDB, path: Path) -> None:
    told_run = run()
    told_run.run.ClearField("start_time")
    write_log(path, [header(), told_run, history({"loss": 1.0}, 0), ended()])

    imported(db, path)

    one = the_run(db)
    assert (one["status"], one["started_at"], one["ended_at"]) == ("completed", None, None)


def test_what_columns_cannot_hold_is_changed_and_said(db: TrainingDB, path: Path) -> None:
    records = [
        header(),
        run(display_name="a\0b", notes="n\0", host="h\0", tags=["t\0", "", "x" * 2_000],
            config={"k\0": "v\0", "deep": Raw("[" * 300 + "]" * 300)}),
        history({"a\0b": "x\0", "c" * 3_000: Raw('"\\ud800"'), "long": Raw("1" * 5_000)}, 0),
        ended(),
    ]  # fmt: skip
    write_log(path, records)

    (outcome,) = imported(db, path)

    assert (outcome.values, the_run(db)["run_name"]) == (4, "a\N{REPLACEMENT CHARACTER}b")
    assert outcome.damage
    found = cells_of_one_writer(db, "r1")
    assert found["a\N{REPLACEMENT CHARACTER}b"] == {0: "x\0"}
    assert found["long"] == {0: "1" * 5_000}
    before = everything(db)
    imported(db, path)
    assert everything(db) == before
