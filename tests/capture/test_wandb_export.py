"""Runs that are exported for W&B read back as they were."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.capture.exported import (
    CONFIG,
    HISTORY,
    SECONDS,
    STARTED,
    a_run,
    cells_of,
    log_in,
    read_back,
)
from tests.capture.oracle import alike, differences, told
from tests.unit.strategies import SLOW
from training_db.capture import export_wandb
from training_db.capture.export.folders import ExportWarning, exported_runs
from training_db.errors import InvalidValue
from training_db.repository.writers import known_writer
from training_db.segments import column

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


def test_every_value_reads_back_as_it_was(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db, status="completed", ended_at="2026-01-02T03:05:05Z")
    (folder,) = export_wandb(db, "r1", tmp_path)
    cells, run = read_back(folder)
    assert differences(cells_of(HISTORY), cells) == []
    assert differences(cells_of(HISTORY), told(log_in(folder)).cells) == []
    assert differences(CONFIG, run.config) == []
    kinds = {type(value) for value in cells["a/b"].values()}
    assert kinds == {float}, "1.0 stays a float"


def test_the_run_reads_back_as_it_was(db: TrainingDB, tmp_path: Path) -> None:
    a_run(
        db, run_name="a name", notes="some\nnotes", group_name="group", host="gpu-1",
        git_commit="c0ffee", git_branch="trunk", git_dirty=True, status="completed",
        ended_at="2026-01-02T04:04:05.123456Z",
        summary={"best": 0.5, "nested": {"q": [1]}, "loss": math.nan},
    )  # fmt: skip
    tags = {"keep": None, "paper": "figure 2", "wandb.project": "chem", "wandb.entity": "lab"}
    for name, value in (tags | {"wandb.job_type": "train", "wandb.sweep": "s1"}).items():
        db.tags.add("r1", name, value)
    (folder,) = export_wandb(db, "r1", tmp_path / "new" / "wandb")
    assert folder == tmp_path / "new" / "wandb" / "offline-run-20260102_030405-r1"
    _, run = read_back(folder)
    assert (run.wandb_run_id, run.name, run.notes) == ("r1", "a name", "some\nnotes")
    assert (run.group, run.job_type, run.sweep) == ("group", "train", "s1")
    assert (run.project, run.entity) == ("chem", "lab")
    assert (run.host, run.git_commit, run.git_branch) == ("gpu-1", "c0ffee", "trunk")
    assert run.git_dirty is True
    assert run.tags == ["keep", "paper:figure 2"]
    assert run.started_at is not None
    assert run.started_at.isoformat() == "2026-01-02T03:04:05.123456+00:00"
    assert (run.status, run.exit_code, run.runtime_seconds) == ("completed", 0, 3600)
    assert alike({name: run.summary[name] for name in ("best", "nested", "loss", "a/b", "_step")}, {
        "best": 0.5, "nested": {"q": [1]}, "loss": math.nan, "a/b": 1e300, "_step": 10,
    })  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code"), [("completed", 0), ("failed", 1), ("crashed", None), ("launched", None)]
)
def test_a_run_has_an_exit_code_if_it_ended_by_itself(
    db: TrainingDB, tmp_path: Path, status: str, code: int | None
) -> None:
    a_run(db, status=status)
    (folder,) = export_wandb(db, "r1", tmp_path)
    _, run = read_back(folder)
    assert run.exit_code == code


def test_a_failed_run_has_the_exit_code_that_a_capture_noted(
    db: TrainingDB, tmp_path: Path
) -> None:
    for run_id, code in (("killed", -9), ("windows", 0xC0000005)):
        a_run(db, run_id, status="failed")
        db.events.add(run_id, "import", "imported", {"exit_code": code}, event_key="import:1")
        own = {"exit_code": "two", "metric_paths": {"loss": 5}, "runtime": "long"}
        db.events.add(run_id, "note", "evaluated", own)
    folders = export_wandb(db, ["killed", "windows"], tmp_path)
    assert [read_back(folder)[1].exit_code for folder in folders] == [-9, 1]


def test_project_and_entity_are_those_that_are_asked_for(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    db.tags.add("r1", "wandb.project", "chem")
    (folder,) = export_wandb(db, "r1", tmp_path, project="other", entity="me")
    _, run = read_back(folder)
    assert (run.project, run.entity) == ("other", "me")
    with pytest.raises(InvalidValue, match="the project 'a/b' is none that W&B takes"):
        export_wandb(db, "r1", tmp_path / "more", project="a/b")


def test_an_experiment_of_mlflow_becomes_a_project(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    db.tags.add("r1", "mlflow.experiment", "screening: round 2")
    with pytest.warns(ExportWarning, match="became 'screening- round 2'"):
        (folder,) = export_wandb(db, "r1", tmp_path)
    _, run = read_back(folder)
    assert (run.project, run.tags) == ("screening- round 2", [])


def test_nested_keys_and_media_are_nested_again(db: TrainingDB, tmp_path: Path) -> None:
    media = {"_type": "histogram", "values": [1, 2], "bins": [0.5], "size": {}, "o": {"p": None}}
    db.runs.insert("r1", started_at=STARTED)
    history = {
        "_step": [0, 1], "_timestamp": [SECONDS] * 2, "n.d": [1, 2], '["n.d"]': [3.0, 4.5],
        "h": [media, None], "image.one": [None, media],
    }  # fmt: skip
    db.history.append("r1", history)
    paths = {"n.d": ["n", "d"], '["n.d"]': ["n.d"], "image.one": ["image", "one"]}
    db.events.add("r1", "import", "imported", {"metric_paths": paths}, event_key="import:1")
    (folder,) = export_wandb(db, "r1", tmp_path)
    cells, run = read_back(folder)
    cells.pop("_runtime")
    assert run.metric_paths == paths
    assert differences(cells_of(history), cells) == []
    assert alike(run.summary["n"], {"d": 2})
    assert alike(run.summary["image"], {"one": media})


def test_several_attempts_become_one_series_in_the_order_of_their_steps(
    db: TrainingDB, tmp_path: Path
) -> None:
    db.runs.insert("r1", started_at=STARTED)
    first, second = (known_writer(1_700_000_000_000 + at, "w") for at in range(2))
    attempts = {first: ([0, 1, 2], [5.0, 4.0, 3.0]), second: ([1, 2, 3], [40.0, 30.0, 20.0])}
    for writer, (steps, losses) in reversed(attempts.items()):
        cells = {"_step": column(steps), "loss": column(losses), "_timestamp": column([1.5] * 3)}
        if writer == first:
            cells["early"] = column([1, 2, 3])
        db.history.write("r1", writer, cells, (0, 3))
    with pytest.warns(ExportWarning, match="4 values were left out, for another one was logged"):
        (folder,) = export_wandb(db, "r1", tmp_path)
    cells, _ = read_back(folder)
    assert cells["_step"] == {0: 0, 1: 1, 2: 2, 3: 3}
    assert cells["loss"] == {0: 5.0, 1: 40.0, 2: 30.0, 3: 20.0}
    assert cells["early"] == {0: 1, 1: 2, 2: 3}


def test_a_long_history_is_whole_though_it_is_read_in_parts(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("r1", started_at=STARTED)
    rows = 5000
    history = {
        "_step": [10 * row for row in range(rows)],
        "_timestamp": [SECONDS + row for row in range(rows)],
        "loss": [1 / (row + 1) for row in range(rows)],
        "rare": [row if row % 1000 == 999 else None for row in range(rows)],
    }
    db.history.append("r1", history)
    (one,) = exported_runs(db, "r1", tmp_path)
    assert (one.rows, one.values, one.faults) == (rows, 2 * rows + 5, [])
    cells, _ = read_back(one.folder)
    assert differences({name: len(values) for name, values in cells_of(history).items()}, {
        name: len(values) for name, values in cells.items() if name != "_runtime"
    }) == []  # fmt: skip
    assert differences(cells_of(history), {n: v for n, v in cells.items() if n != "_runtime"}) == []


def test_rows_that_do_not_say_when_they_were_logged_are_spread_over_the_run(
    db: TrainingDB, tmp_path: Path
) -> None:
    db.runs.insert("r1", started_at=STARTED, ended_at="2026-01-02T03:04:45.123456Z")
    db.history.append("r1", {"_step": [0, 10, 40], "loss": [3.0, 2.0, 1.0]})
    with pytest.warns(ExportWarning, match="does not say when it was logged"):
        (folder,) = export_wandb(db, "r1", tmp_path)
    cells, _ = read_back(folder)
    assert list(cells["_runtime"].values()) == pytest.approx([0, 10, 40])
    assert list(cells["_timestamp"].values()) == pytest.approx(
        [SECONDS, SECONDS + 10, SECONDS + 40]
    )


def test_what_some_rows_do_not_say_of_their_time_is_taken_from_what_they_do(
    db: TrainingDB, tmp_path: Path
) -> None:
    db.runs.insert("r1", started_at=STARTED)
    history = {"_runtime": [None, 7.0, None], "_timestamp": [SECONDS + 2, None, None]}
    db.history.append("r1", {"loss": [3.0, 2.0, 1.0], **history})
    (folder,) = export_wandb(db, "r1", tmp_path)
    cells, _ = read_back(folder)
    assert list(cells["_step"].values()) == [0, 1, 2]
    assert list(cells["_runtime"].values()) == pytest.approx([2, 7, 7])
    assert list(cells["_timestamp"].values()) == pytest.approx(
        [SECONDS + 2, SECONDS + 7, SECONDS + 7]
    )


def test_nan_in_a_config_becomes_null_and_is_told(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("r1", config={"x": [math.nan, math.inf], "y": 1}, started_at=STARTED)
    with pytest.warns(ExportWarning, match="NaN became null in the config, as W&B does it, at: x"):
        (folder,) = export_wandb(db, "r1", tmp_path)
    _, run = read_back(folder)
    assert run.config == {"x": [None, math.inf], "y": 1}


def test_a_part_of_a_run_points_at_the_whole(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("whole", "w1", started_at=STARTED)
    db.runs.insert("part", started_at=STARTED, parent_run_id="whole")
    (folder,) = export_wandb(db, "part", tmp_path)
    assert read_back(folder)[1].tags == ["parent:w1"]


VALUES = st.one_of(
    st.floats(), st.integers(-(2**70), 2**70), st.booleans(), st.text(max_size=5),
    st.lists(st.integers(), max_size=2), st.sampled_from([{}, {"_type": "x", "a": {"b": 1}}]),
)  # fmt: skip
KEYS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
ROWS = st.lists(
    st.tuples(
        st.integers(0, 12),
        st.dictionaries(KEYS.filter(lambda key: not key.startswith("_")), VALUES, max_size=4),
    ),
    max_size=12,
)


@settings(SLOW, max_examples=torture.rounds(6, 60))
@given(rows=ROWS)
def test_any_history_reads_back_with_the_last_value_of_each_step(
    db: TrainingDB, tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    run_id = f"r{db.runs.count()}"
    db.runs.insert(run_id, started_at=STARTED)
    axes = {"_step", "step", "global_step", "timestamp"}
    kept = [(step, {k: v for k, v in row.items() if k not in axes}) for step, row in rows]
    db.history.append(run_id, [{"_step": step, "_timestamp": 1.5, **row} for step, row in kept])
    (one,) = exported_runs(db, run_id, tmp_path_factory.mktemp("out"))
    merged: dict[int, dict[str, Any]] = {}
    for step, row in kept:
        merged.setdefault(step, {}).update(row)
    expected = cells_of({
        key: [merged[step].get(key) for step in sorted(merged)]
        for key in {key for row in merged.values() for key in row}
    })  # fmt: skip
    cells, _ = read_back(one.folder)
    steps = list(cells.pop("_step", {}).values())
    assert steps == sorted(merged)
    assert all(before < after for before, after in pairwise(steps))
    del_axes = {name: one for name, one in cells.items() if not name.startswith("_")}
    assert differences(expected, del_axes) == []
