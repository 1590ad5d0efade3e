"""``history tail``: what comes in while somebody looks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.cli.terminal import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

pytestmark = torture.on_one_backend


@pytest.fixture
def logged(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """A run that goes on."""
    db.runs.insert("r1", status="running")
    db.history.append("r1", {"loss": [4.0, 3.0, 2.0], "acc": [0.1, None, 0.2]})
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@pytest.fixture
def follower() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command that follows a run, in a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def follow(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, "history", "tail", "r1", "--follow", "--every", "0.1", *options],
            env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield follow
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


@pytest.mark.usefixtures("logged")
def test_the_last_rows_are_printed(cli: Cli) -> None:
    answer = cli("history", "tail", "1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == ["0  loss=4  acc=0.1", "1  loss=3", "2  loss=2  acc=0.2"]
    assert cli("history", "tail", "r1", "--limit", "1").out == "2  loss=2  acc=0.2\n"
    assert cli("history", "tail", "r1", "acc", "--limit", "1").out == "2  acc=0.2\n"
    rows: list[Any] = [
        json.loads(one) for one in cli("history", "tail", "r1", "--json").out.splitlines()
    ]
    assert rows[1] == {"step": 1, "metrics": {"loss": 3.0}}
    assert cli("history", "tail", "nobody").code == 1


@pytest.mark.usefixtures("logged")
@pytest.mark.parametrize("options", [[], ["--follow"]], ids=str)
def test_a_metric_that_is_not_there_is_said(cli: Cli, options: list[str]) -> None:
    answer = cli("history", "tail", "r1", "loss", "los", *options)
    assert (answer.code, answer.out) == (1, "")
    assert "did you mean 'loss'" in answer.err


def test_a_run_without_history_can_be_followed_by_metric(cli: Cli, logged: TrainingDB) -> None:
    logged.runs.insert("over", status="completed")
    answer = cli("history", "tail", "over", "loss", "--follow")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert cli("history", "tail", "over", "loss").code == 1


def test_new_rows_are_followed_until_the_run_ends(
    logged: TrainingDB, follower: Callable[..., subprocess.Popen[str]]
) -> None:
    process = follower("--limit", "1")
    assert next_line(process) == "2  loss=2  acc=0.2\n"
    logged.history.append("r1", {"loss": [1.0]})
    assert next_line(process) == "3  loss=1\n"
    logged.history.append("r1", {"loss": [0.5]})
    logged.runs.update_status("r1", "completed")
    rest, errors = process.communicate(timeout=30)
    assert (rest, errors, process.returncode) == ("4  loss=0.5\n", "", 0)


@pytest.mark.usefixtures("logged")
def test_an_interrupt_ends_it_quietly(follower: Callable[..., subprocess.Popen[str]]) -> None:
    process = follower("--json")
    for _ in range(3):
        assert json.loads(next_line(process))["metrics"]
    os.kill(process.pid, signal.SIGINT)
    rest, errors = process.communicate(timeout=30)
    assert (rest, errors, process.returncode) == ("", "", 130)


@pytest.mark.usefixtures("logged")
def test_a_reader_that_leaves_ends_it(
    logged: TrainingDB, follower: Callable[..., subprocess.Popen[str]]
) -> None:
    process = follower()
    assert next_line(process)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    logged.history.append("r1", {"loss": [1.0]})
    assert process.wait(30) in (0, 1)
    assert "Traceback" not in process.stderr.read()
