"""Which run a log is of: one run may be several files, and one id several runs."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.capture.frames import framed
from tests.capture.logs import (
    START,
    ended,
    environment,
    header,
    history,
    run,
    simple,
    summary,
    write_log,
)
from tests.capture.oracle import told
from tests.capture.stored import (
    cells_by_writer,
    cells_of_one_writer,
    document,
    everything,
    imported,
    the_run,
)
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend


def test_importing_both_files_of_a_resumed_run_again_changes_nothing(
    db: TrainingDB, client_logs: dict[str, Path]
) -> None:
    files = [client_logs["first"], client_logs["second"]]
    imported(db, *files)
    before = everything(db)

    imported(db, *files)
    imported(db, *reversed(files))

    assert everything(db) == before


def test_each_attempt_at_a_run_is_named_by_its_folder(db: TrainingDB, tmp_path: Path) -> None:
    outcomes = imported(db, *attempts(tmp_path))

    assert outcomes[1].decision == (
        "it is a part of run 'r1', as offline-run-0-r1/run-r1.wandb is, which was imported before"
    )
    notes = [json.loads(one["data_json"])["file"] for one in db.events.list("r1", kind="import")]
    assert sorted(notes) == [f"offline-run-{at}-r1/run-r1.wandb" for at in range(3)]


def attempts(folder: Path) -> list[Path]:
    """Three files of one run that was resumed twice, the steps of which overlap."""
    parts = [
        (START, [0, 1, 2, 3], {"lr": 0.5, "seed": 1, "a": 1}, {"early": 1}, None),
        (START + 100, [2, 3, 4], {"lr": 0.5, "seed": 1, "b": 2}, {"early": 2}, ended(1, 40)),
        (START + 200, [4, 5], {"lr": 0.25, "seed": 1, "b": 2}, {"late": 3}, ended(0, 50)),
    ]
    paths = []
    for at, (start, steps, told_config, told_summary, end) in enumerate(parts):
        rows = [
            history({"loss": at + step / 10, "_timestamp": start + step}, step) for step in steps
        ]
        name = ["first try", "second try", "third try"][at]
        records = [
            header(), run(start=start, config=told_config, display_name=name, tags=[f"t{at}"]),
            *rows, summary(told_summary), *([end] if end else []),
        ]  # fmt: skip
        paths.append(write_log(folder / f"offline-run-{at}-r1" / "run-r1.wandb", records))
    return paths


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_files_of_a_resumed_run_are_one_run_in_any_order(
    db: TrainingDB, tmp_path: Path, order: tuple[int, ...]
) -> None:
    paths = attempts(tmp_path)

    for at in order:
        imported(db, paths[at])

    one = the_run(db)
    assert (one["status"], one["run_name"]) == ("completed", "third try")
    assert parse_timestamp(one["started_at"]).timestamp() == START
    assert parse_timestamp(one["ended_at"]).timestamp() == START + 250
    assert document(one, "config_json") == {"lr": 0.25, "seed": 1, "a": 1, "b": 2}
    shown = document(one, "final_metrics_json")
    assert (shown["early"], shown["late"], shown["_step"]) == (2, 3, 5)
    assert {"t0", "t1", "t2"} <= db.tags.of("r1").keys()
    stored = list(dict(sorted(cells_by_writer(db, "r1").items())).values())
    assert [cells["loss"] for cells in stored] == [told(path).cells["loss"] for path in paths]
    series = db.history.arrays("r1", "loss")["r1"]["loss"]
    assert series.x.tolist() == [0, 1, 2, 3, 4, 5]
    assert series.values.tolist() == [0.0, 0.1, 1.2, 1.3, 2.4, 2.5]


def test_two_attempts_of_the_real_client_are_one_run(
    db: TrainingDB, client_logs: dict[str, Path]
) -> None:
    imported(db, client_logs["second"], client_logs["first"])

    one = the_run(db)
    stored = dict(sorted(cells_by_writer(db, one["run_id"]).items()))
    assert [list(cells["loss"].values()) for cells in stored.values()] == [[0, 1, 2], [10, 11, 12]]
    assert document(one, "final_metrics_json")["loss"] == 12


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_workers_of_shared_mode_belong_to_the_run_of_the_first(
    db: TrainingDB, tmp_path: Path, order: tuple[int, ...]
) -> None:
    first = [*simple(rows=3, config={"lr": 1}, display_name="shared")]
    first.insert(2, environment(writer_id="w0"))
    logs = [write_log(tmp_path / "0" / "run-r1.wandb", first)]
    for at in (1, 2):
        records = [
            header(), run(start=START + at, config={"lr": 1}, display_name="shared"),
            environment(writer_id=f"w{at}"),
            *(history({f"gpu{at}": number / 4}) for number in range(at * 4)),
        ]  # fmt: skip
        logs.append(write_log(tmp_path / str(at) / "run-r1.wandb", records))

    for at in order:
        imported(db, logs[at])

    one = the_run(db)
    assert (one["status"], one["duration_seconds"]) == ("completed", 3)
    assert parse_timestamp(one["ended_at"]).timestamp() == START + 3
    counts = {item["metric"]: item["count"] for item in db.history.keys(one["run_id"])}
    assert counts == {"loss": 3, "_step": 3, "_timestamp": 3, "gpu1": 4, "gpu2": 8}


def test_workers_whose_first_is_not_there_say_how_the_run_ended(
    db: TrainingDB, tmp_path: Path
) -> None:
    rows = [history({"gpu": at / 4, "_timestamp": START + at}) for at in range(9)]
    worker = write_log(tmp_path / "1" / "run-r1.wandb", [header(), run(start=START + 1), *rows])
    first = write_log(tmp_path / "0" / "run-r1.wandb", simple(rows=3))

    imported(db, worker)

    assert the_run(db)["status"] == "crashed"
    assert parse_timestamp(the_run(db)["ended_at"]).timestamp() == START + 8

    imported(db, first)

    assert the_run(db)["status"] == "completed"
    assert parse_timestamp(the_run(db)["ended_at"]).timestamp() == START + 3
    imported(db, worker)
    assert the_run(db)["status"] == "completed"


def unrelated(folder: Path) -> list[Path]:
    """Six logs of runs that share nothing but their id."""
    paths = []
    for at in range(6):
        told_config = {"lr": at / 10, "layers": at, "kind": f"k{at}", "seed": 1}
        records = [
            header(),
            run("same", START + 1_000 * at, project=f"p{at // 2}", config=told_config),
            *(history({"loss": at + number / 10}, number) for number in range(at + 1)),
            ended(at % 2, 5),
        ]
        paths.append(write_log(folder / f"run-{at}-same" / "run-same.wandb", records))
    return paths


@pytest.mark.parametrize("seed", range(3))
def test_unrelated_runs_with_one_id_are_runs_of_their_own(
    db: TrainingDB, tmp_path: Path, seed: int
) -> None:
    paths = unrelated(tmp_path)
    shuffled = random.Random(seed).sample(paths, len(paths))  # noqa: S311 - no secrets

    outcomes = imported(db, *shuffled)
    before = everything(db)
    imported(db, *paths)

    assert everything(db) == before
    assert len({one.run_id for one in outcomes}) == len(paths)
    assert sum(one.decision is not None for one in outcomes) >= len(paths) - 1
    found = sorted(
        tuple(cells_of_one_writer(db, run["run_id"])["loss"].values()) for run in db.runs.query()
    )
    assert found == sorted(tuple(told(path).cells["loss"].values()) for path in paths)
    assert len({run["wandb_run_id"] for run in db.runs.query()}) == len(paths)


def test_a_run_that_was_recorded_here_gets_what_it_does_not_have_yet(
    db: TrainingDB, path: Path
) -> None:
    rows = [{"loss": 1 / (step + 1)} for step in range(5)]
    write_log(path, [header(), run(config={"lr": 1}),
                     *(history({**row, "acc": step}, step) for step, row in enumerate(rows)),
                     ended()])  # fmt: skip
    db.runs.insert("mine", wandb_run_id="r1", config={"lr": 1})
    db.history.append("mine", {"_step": [0, 1, 2], "loss": [1.0, 1 / 2, 1 / 3]})

    (outcome,) = imported(db, path)

    assert outcome.run_id == "mine"
    assert the_run(db)["status"] == "completed"
    series = db.history.arrays("mine", duplicates="all")["mine"]
    assert sorted(series["loss"].values.tolist()) == sorted(row["loss"] for row in rows)
    assert series["acc"].values.tolist() == [0, 1, 2, 3, 4]
    assert outcome.already_here
    before = everything(db)
    imported(db, path)
    assert everything(db) == before


def test_a_sound_copy_takes_the_place_of_a_damaged_one_and_not_the_other_way_round(
    db: TrainingDB, path: Path, tmp_path: Path
) -> None:
    log = framed(one.SerializeToString() for one in simple(rows=40))
    path.parent.mkdir(parents=True)
    path.write_bytes(log.data)
    data = bytearray(log.data)
    data[log.starts[20] + 30] ^= 4
    damaged = tmp_path / "copy" / "run-r1.wandb"
    damaged.parent.mkdir()
    damaged.write_bytes(data)

    imported(db, damaged)
    assert len(cells_of_one_writer(db, "r1")["loss"]) == 39
    imported(db, path)
    assert cells_of_one_writer(db, "r1") == told(path).cells
    totals = {one["metric"]: one["count"] for one in db.history.keys("r1")}
    assert totals == told(path).counts
    imported(db, damaged)
    assert cells_of_one_writer(db, "r1") == told(path).cells


@pytest.mark.parametrize("length", [0.2, 0.5, 0.9])
def test_a_shorter_copy_takes_nothing_away(
    db: TrainingDB, path: Path, tmp_path: Path, length: float
) -> None:
    write_log(path, simple(rows=40))
    shorter = tmp_path / "copy" / "run-r1.wandb"
    shorter.parent.mkdir()
    data = path.read_bytes()
    shorter.write_bytes(data[: round(length * len(data))])

    imported(db, path)
    before = everything(db)["run_history_tails"], the_run(db)["status"]
    imported(db, shorter)

    assert (everything(db)["run_history_tails"], the_run(db)["status"]) == before
    imported(db, path)
    assert the_run(db)["status"] == "completed"


def test_imports_of_one_tree_at_the_same_time_double_nothing(
    db: TrainingDB, tmp_path: Path
) -> None:
    paths = [*attempts(tmp_path), *unrelated(tmp_path)]
    orders = {
        "url": db.url.render_as_string(hide_password=False),
        "paths": [str(path) for path in paths],
        "end_at": None,
    }
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.capture.importing", json.dumps(orders)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()

    imported(db, *paths)

    runs = [run["run_id"] for run in db.runs.query()]
    assert len(runs) == 7
    found = [cells["loss"] for one in runs for cells in cells_by_writer(db, one).values()]
    assert sorted(found, key=repr) == sorted((told(one).cells["loss"] for one in paths), key=repr)
    for one in runs:
        totals = {item["metric"]: item["count"] for item in db.history.keys(one)}
        assert totals == db.history.counts(one)
