"""``training-db import wandb-offline --follow``: live runs, until they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.client import environment as client_environment
from tests.capture.logs import START, ended, header, history, run, simple, write_log
from tests.capture.oracle import told
from tests.capture.stored import cells_of_one_writer, document, the_run
from tests.cli.terminal import COMMAND, environment
from tests.faults.processes import until
from training_db.capture import import_wandb_logs
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

pytestmark = torture.on_one_backend

IMPORT = ("import", "wandb-offline")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start processes, and end those that are still there at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start(command: list[str], variables: dict[str, str]) -> subprocess.Popen[str]:
        with (tmp_path / f"{len(processes)}.errors").open("w") as errors:
            process = subprocess.Popen(
                command, env=variables, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def live(
    started: Callable[..., subprocess.Popen[str]], folder: Path
) -> tuple[subprocess.Popen[str], Path]:
    """Start a training of the real client; return it, and the log that it writes."""
    folder.mkdir()
    training = started(
        [sys.executable, "-m", "tests.capture.client", str(folder), "live"],
        client_environment(folder),
    )
    assert training.stdout is not None
    return training, Path(training.stdout.readline().strip())


def go_on(training: subprocess.Popen[str], rows: int) -> None:
    """Let a training log some rows."""
    assert training.stdin is not None
    training.stdin.write(f"{rows}\n")
    training.stdin.flush()


def test_following_a_run_of_the_real_client_ends_when_the_run_has_ended(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "live"
    training, log = live(started, folder)
    follower = started(
        [*COMMAND, *IMPORT, str(folder), "--follow", "--every", "0.2"], environment()
    )

    go_on(training, rows=30)
    until(lambda: is_running(named), "rows of the live run are in the database")
    assert follower.poll() is None

    go_on(training, rows=500)
    training.stdin.close()
    training.stdin = None
    training.wait(60)
    follower.wait(60)

    assert (training.returncode, follower.returncode) == (0, 0), errors_in(tmp_path)
    one = the_run(named)
    assert one["status"] == "completed"
    cells = cells_of_one_writer(named, one["run_id"])
    assert cells["number"] == {at: at for at in range(530)}
    assert cells["loss"] == told(log).cells["loss"]


def test_a_killed_run_of_the_real_client_is_kept_as_far_as_it_was_written(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    folder = tmp_path / "live"
    training, log = live(started, folder)
    go_on(training, rows=40)
    until(lambda: told(log).rows, "rows are in the log")
    training.kill()
    training.wait()
    os.utime(log, (START, START))

    (outcome,) = import_wandb_logs(named, folder)

    rows = told(log).rows
    assert 0 < rows == outcome.rows
    assert outcome.is_good
    cells = cells_of_one_writer(named, "live")
    assert cells["number"] == {at: at for at in range(rows)}
    assert the_run(named)["status"] == "crashed"
    assert document(the_run(named), "final_metrics_json")["number"] == rows - 1


@pytest.mark.parametrize("length", [0, 7, 30])
def test_a_log_that_has_only_just_begun_is_followed(
    named: TrainingDB,
    started: Callable[..., subprocess.Popen[str]],
    path: Path,
    tmp_path: Path,
    length: int,
) -> None:
    other = write_log(tmp_path / "wandb" / "run-20231114_221321-r2" / "run-r2.wandb", simple("r2"))
    write_log(path, simple(rows=7))
    data = path.read_bytes()
    path.write_bytes(data[:length])
    follower = started(
        [*COMMAND, *IMPORT, str(path), str(other), "--follow", "--every", "0.1"], environment()
    )
    until(named.runs.query, "the other run, which has ended, is in the database")
    assert not ends_within(follower, 0.5)

    path.write_bytes(data)

    assert follower.wait(60) == 0
    assert len(cells_of_one_writer(named, "r1")["loss"]) == 7


def test_following_is_ended_by_ctrl_c_and_keeps_what_there_is(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], path: Path, tmp_path: Path
) -> None:
    now = time.time()
    rows = (history({"loss": 1.5, "_timestamp": now}, step) for step in range(9))
    write_log(path, [header(), run(start=now - 9), *rows])
    follower = started([*COMMAND, *IMPORT, str(path), "--follow", "--every", "0.1"], environment())
    said = tmp_path / "0.errors"
    until(said.read_text, "it is said what is followed")

    follower.send_signal(signal.SIGINT)

    assert follower.wait(60) in (0, 130)
    assert said.read_text() == f"following {path}: 9 rows so far\n"
    alive = parse_timestamp(the_run(named)["heartbeat_at"]).timestamp()
    assert alive == pytest.approx(now, abs=0.001), "following is no sign of life"
    assert len(cells_of_one_writer(named, "r1")["loss"]) == 9


def test_a_run_that_begins_in_a_followed_tree_is_followed_too(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], path: Path
) -> None:
    now = time.time()
    rows = [history({"loss": 1.5, "_timestamp": now}, step) for step in range(9)]
    records = [header(), run(start=now - 9), *rows]
    write_log(path, records)
    tree = path.parents[1]
    follower = started([*COMMAND, *IMPORT, str(tree), "--follow", "--every", "0.1"], environment())
    until(lambda: is_running(named), "rows of the live run are in the database")

    write_log(tree / "run-20231114_221321-r2" / "run-r2.wandb", simple("r2", rows=7))
    until(lambda: len(named.runs.query()) == 2, "the run that began later is in the database")
    write_log(path, [*records, *rows, ended()])

    assert follower.wait(60) == 0
    assert len(cells_of_one_writer(named, "r1")["loss"]) == 18
    assert len(cells_of_one_writer(named, "r2")["loss"]) == 7


def test_following_a_run_that_has_ended_ends_at_once(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], path: Path
) -> None:
    write_log(path, simple(rows=9))

    follower = started([*COMMAND, *IMPORT, str(path), "--follow"], environment())

    assert follower.wait(60) == 0
    assert len(cells_of_one_writer(named, "r1")["loss"]) == 9


def test_as_json_nothing_is_said_of_what_is_followed(
    named: TrainingDB, started: Callable[..., subprocess.Popen[str]], path: Path, tmp_path: Path
) -> None:
    now = time.time()
    rows = [history({"loss": 1.5, "_timestamp": now}, step) for step in range(9)]
    write_log(path, [header(), run(start=now - 9), *rows])
    follower = started([*COMMAND, *IMPORT, str(path), "--follow", "--json"], environment())
    until(
        lambda: is_running(named) and the_run(named)["heartbeat_at"],
        "the live run is in the database",
    )

    follower.send_signal(signal.SIGINT)

    follower.wait(60)
    assert (tmp_path / "0.errors").read_text() == ""


def is_running(db: TrainingDB) -> bool:
    runs: list[Any] = db.runs.query({"status": "running"})
    return bool(runs) and bool(db.history.keys(runs[0]["run_id"]))


def ends_within(process: subprocess.Popen[str], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def errors_in(folder: Path) -> str:
    return json.dumps({one.name: one.read_text() for one in folder.glob("*.errors")})
