"""The local file that holds what was logged until the database has it."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.test_processes import in_a_child
from training_db.recording.spool import (
    FETCHED,
    Spool,
    SpoolCorrupt,
    SpoolInUse,
    SpoolUnreadable,
)

if TYPE_CHECKING:
    from pathlib import Path

META = {"writer": "7", "run_id": "r", "place": "sqlite:////runs.db"}


def made(path: Path | None, rows: int = 0) -> Spool:
    spool = Spool.create(path, META)
    layout = spool.layout("q", ("_step",))
    assert layout is not None
    for step in range(rows):
        spool.add(layout.number, layout.pack(step), 1)
    return spool


def test_a_spool_has_after_a_restart_what_it_had(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    before = made(path, rows=3)
    before.add_event({"kind": "error", "message": "x", "nan": float("inf")})
    before.set("closing", "failed")
    size = before.waiting_bytes
    before.close()

    after = Spool.open(path)
    assert (after.writer, after.meta["closing"]) == (7, "failed")
    assert (after.first_row, after.next_row, after.waiting_bytes) == (0, 3, size)
    assert after.read(100, 3).columns()["_step"].values.tolist() == [0, 1, 2]
    assert after.events() == [(0, {"kind": "error", "message": "x", "nan": float("inf")})]
    assert not after.is_empty
    after.close(delete=True)
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    spool = made(path, rows=1)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    spool.close()


def test_what_was_sent_is_forgotten_and_the_rest_keeps_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    spool = made(path, rows=3 * FETCHED)
    batch = spool.read(2 * FETCHED, spool.next_row)
    assert (batch.first, batch.stop) == (0, 2 * FETCHED)
    spool.forget(batch)
    assert spool.waiting_rows == FETCHED
    spool.add_event({"message": "first"})
    spool.add_event({"message": "second"})
    spool.forget_events(1)
    spool.close()

    spool = Spool.open(path)
    assert (spool.first_row, spool.next_row) == (2 * FETCHED, 3 * FETCHED)
    assert spool.events() == [(1, {"message": "second"})]
    spool.forget(spool.read(10**6, spool.next_row))
    spool.forget_events(2)
    assert spool.is_empty
    assert spool.waiting_bytes == 0
    spool.close()


def test_rows_that_are_not_there_are_no_reason_to_wait_for_them() -> None:
    spool = made(None, rows=2)
    assert spool.read(100, 10).stop == 10
    spool.close()


def test_a_row_whose_number_is_taken_gets_the_next() -> None:
    spool = made(None, rows=2)
    spool.next_row = 1  # as after an exception between the insert and the count
    spool.add(1, b"\0" * 8, 1)
    assert spool.next_row == 3
    spool.close()


def test_a_spool_is_in_use_for_as_long_as_its_process_lives(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    spool = made(path, rows=1)
    with pytest.raises(SpoolInUse, match="alive"):
        Spool.open(path)

    def others_see_it() -> bool:
        try:
            Spool.open(path)
        except SpoolInUse:
            return True
        return False

    assert in_a_child(others_see_it) == 0
    assert spool.read(10, 1).stop == 1  # the child has changed nothing
    spool.close()


def test_a_process_that_ends_in_any_way_leaves_its_rows_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    child = os.fork()
    if child == 0:
        made(path, rows=5)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    spool = Spool.open(path)
    assert spool.waiting_rows == 5
    spool.close()


@pytest.mark.parametrize(
    "content", [b"S", b"this is no database at all " * 100, b"SQLite format 3\0xx"]
)
def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r-7.spool"
    path.write_bytes(content)
    with pytest.raises(SpoolCorrupt, match="cannot be read as a spool"):
        Spool.open(path)


def test_a_spool_with_a_layout_that_cannot_be_read_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    made(path, rows=1).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE layouts SET keys = '{'")
    connection.close()
    with pytest.raises(SpoolCorrupt):
        Spool.open(path)


def test_a_database_of_another_kind_or_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE others (x)")
    connection.close()
    with pytest.raises(SpoolUnreadable, match="version") as caught:
        Spool.open(path)
    assert not isinstance(caught.value, SpoolCorrupt)


def test_a_folder_in_the_place_of_a_spool_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    path.mkdir()
    with pytest.raises(SpoolUnreadable) as caught:
        Spool.open(path)
    assert not isinstance(caught.value, SpoolCorrupt)


def test_a_file_that_was_just_made_belongs_to_whoever_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    path.touch()
    with pytest.raises(SpoolInUse, match="being made"):
        Spool.open(path)
    assert path.stat().st_size == 0
    os.utime(path, (1, 1))
    with pytest.raises(FileNotFoundError):  # nothing ever came into it
        Spool.open(path)
    assert list(tmp_path.iterdir()) == []


def test_a_spool_cannot_be_made_twice_or_where_nothing_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    made(path).close()
    with pytest.raises(FileExistsError):
        made(path)
    with pytest.raises(FileNotFoundError):
        made(tmp_path / "none" / "r-7.spool")
    with pytest.raises(ValueError, match="invalid literal"):
        Spool.create(tmp_path / "r-8.spool", {"writer": "x"})


def test_a_process_that_is_killed_while_it_makes_a_spool_leaves_all_of_it_or_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "r-7.spool"

    class Killing(dict[str, str]):
        def items(self) -> Any:
            yield from super().items()
            os.kill(os.getpid(), signal.SIGKILL)  # before the last of it is written

    child = os.fork()
    if child == 0:
        Spool.create(path, Killing(META))
    os.waitpid(child, 0)
    os.utime(path, (1, 1))
    with pytest.raises(FileNotFoundError):
        Spool.open(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["writer", "run_id", "place"])
@pytest.mark.parametrize("change", ["DELETE FROM meta", "UPDATE meta SET value = NULL"])
def test_a_spool_that_does_not_say_whose_it_is_is_corrupt(
    tmp_path: Path, name: str, change: str
) -> None:
    path = tmp_path / "r-7.spool"
    made(path, rows=1).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"{change} WHERE name = ?", (name,))
    connection.close()
    with pytest.raises(SpoolCorrupt):
        Spool.open(path)


def test_events_are_counted_in_bytes_until_they_are_sent(tmp_path: Path) -> None:
    path = tmp_path / "r-7.spool"
    spool = made(path, rows=1)
    size = spool.waiting_bytes
    for text in ("x" * 1_000, "y" * 1_000):
        spool.add_event({"message": text})
    counted = spool.waiting_bytes
    assert counted - size > 2_000
    spool.close()
    spool = Spool.open(path)
    assert spool.waiting_bytes == counted
    spool.forget_events(1)
    assert size + 1_000 < spool.waiting_bytes < size + 1_100
    spool.forget_events(2)
    assert spool.waiting_bytes == size
    spool.close()
