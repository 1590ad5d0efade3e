"""The disk is full in the middle of a command: it says so, and ends well once there is room."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.contents import contents, copies, wait_until_left_alone
from tests.faults.interrupted import COMMANDS, fill_some
from tests.faults.processes import Process
from tests.faults.small_disks import small_disk
from tests.upkeep.filled import put_programs_on_path
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = torture.rounds(2, 15)


def says_it_is_full(errors: str) -> bool:
    """Tell whether a command ended in a line of its own about the disk, and in nothing worse."""
    last = errors.strip().splitlines()[-1]
    words = ("full", "disk", "No space", "too large", "could not extend", "could not write")
    return "Traceback" not in errors and any(word in last for word in words)


@pytest.mark.faults
@pytest.mark.parametrize("name", torture.some([*COMMANDS], 3))
def test_a_command_whose_disk_is_full_leaves_a_whole_file_and_ends_well_later(
    tmp_path: Path, name: str
) -> None:
    command = COMMANDS[name]
    file = tmp_path / "training.db"
    url = f"sqlite:///{file}"
    command.prepare(url, tmp_path)
    before = contents(url)
    sizes = random.Random()  # noqa: S311 - no secrets
    with copies(url, tmp_path) as copy:
        whole, tried = copy(), copy()
        command.run(whole, tmp_path)
        after = contents(whole)
        for _ in range(ROUNDS):
            room = sizes.randint(4_096, file.stat().st_size)  # what it says takes room too
            process = command.start(tried, tmp_path, room=room)
            process.rest()
            code = process.wait()
            assert code == 0 or (code == 1 and says_it_is_full(process.errors)), process.errors
            now = contents(tried)
            command.check(before, now, after)
            if now == after:
                tried = copy()
        command.run(tried, tmp_path)
        assert contents(tried) == after
    assert [*tmp_path.rglob("*.partial")] == []


@pytest.mark.faults
@pytest.mark.parametrize("name", torture.some([*COMMANDS], 1))
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_command_whose_server_has_a_full_disk_says_so_and_ends_well_later(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    put_programs_on_path(monkeypatch)
    command = COMMANDS[name]
    command.prepare(database_url, tmp_path)
    before = contents(database_url)
    with small_disk(database_url) as disk:
        with copies(database_url, tmp_path) as copy:
            whole, tried = copy(), copy()
            command.run(whole, tmp_path)
            after = contents(whole)
            disk.move(tried)
            for room in (0, 200_000):
                with disk.full(room):
                    process = command.start(tried, tmp_path)
                    process.rest()
                    code = process.wait()
                    assert code == 0 or says_it_is_full(process.errors), process.errors
                wait_until_left_alone(tried)
                command.check(before, contents(tried), after)
            command.run(tried, tmp_path)
            assert contents(tried) == after
        disk.run("DROP TABLESPACE {}", disk.name)


@pytest.mark.faults
def test_a_copy_whose_disk_is_full_goes_on_later(tmp_path: Path) -> None:
    source, target = tmp_path / "training.db", tmp_path / "target.db"
    fill_some(f"sqlite:///{source}", tmp_path)
    for room in (20_000, source.stat().st_size // 2):
        told = {"arguments": ["copy", str(source), str(target)], "room": room}
        process = Process(tmp_path, "command", told)
        process.rest()
        assert process.wait() == 1
        assert says_it_is_full(process.errors), process.errors
    assert copy_database(source, target).ok
    assert contents(f"sqlite:///{target}") == contents(f"sqlite:///{source}")
