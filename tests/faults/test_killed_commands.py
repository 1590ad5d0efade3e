"""SIGKILL in the middle of a command that changes a whole database: the next one ends it well."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.contents import contents, copies, wait_until_left_alone
from tests.faults.interrupted import COMMANDS, Command
from tests.upkeep.filled import put_programs_on_path
from training_db.db.migrations import check

if TYPE_CHECKING:
    from pathlib import Path

KILLS = torture.rounds(2, 30)


@torture.on_one_backend
@pytest.mark.parametrize("name", torture.some([*COMMANDS], 3))
def test_a_command_killed_at_any_moment_and_begun_again_loses_and_doubles_nothing(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put_programs_on_path(monkeypatch)
    command = COMMANDS[name]
    command.prepare(database_url, tmp_path)
    before = contents(database_url)
    moments = random.Random()  # noqa: S311 - no secrets
    with copies(database_url, tmp_path) as copy:
        whole = copy()
        calls, seconds = command.run(whole, tmp_path, counts=True)
        after = contents(whole)
        assert after != before
        url = copy()
        for round_ in range(KILLS):
            if round_ % 2:
                kill_after(command, url, tmp_path, moments.uniform(0, seconds))
            else:
                kill_at(command, url, tmp_path, moments.randint(1, calls))
            wait_until_left_alone(url)
            now = contents(url)
            command.check(before, now, after)
            if now == after:  # the work was done: there has to be some for the next
                url = copy()
        command.run(url, tmp_path)
        assert contents(url) == after
        assert name == "downgrade" or check(url).faults == []
    assert [*tmp_path.rglob("*.partial")] == []


def kill_after(command: Command, url: str, folder: Path, seconds: float) -> None:
    """Let the command work for some time, and kill it from outside."""
    process = command.start(url, folder)
    assert process.line() == "at work", process.errors
    process.ends_within(seconds)
    process.kill()


def kill_at(command: Command, url: str, folder: Path, calls: int) -> None:
    """Let the command make so many calls, of which the last one kills it."""
    process = command.start(url, folder, end_at=calls)
    process.rest()
    assert process.wait() in (-signal.SIGKILL, 0), process.errors
