"""Odd places of logs: pipes, links to nothing, and files that change while they are followed."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from tests.capture.logs import ended, header, history, run, simple, write_log
from training_db.capture import import_wandb_logs
from training_db.capture.offline.discovery import find_logs
from training_db.capture.offline.following import Following

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from training_db import TrainingDB


def test_a_pipe_is_not_waited_for_and_a_link_to_nothing_is_said(db: TrainingDB, path: Path) -> None:
    write_log(path, simple())
    os.mkfifo(path.parent / "pipe.wandb")
    (path.parent / "gone.wandb").symlink_to("nowhere")

    good, *bad = sorted(import_wandb_logs(db, path.parents[1]), key=lambda one: not one.is_good)

    assert good.rows == 3
    assert [one.error is not None and "is no file" in one.error for one in bad] == [True, True]


@pytest.mark.parametrize("place", ["x" * 5_000, "a\0b", "/dev/null", "{path}/below"])
def test_a_path_that_cannot_be_is_said(path: Path, place: str) -> None:
    write_log(path, simple())
    named = place.format(path=path)

    found = find_logs([named])

    assert (found.logs, list(found.missing)) == ([], [named])


def test_a_folder_that_nobody_may_read_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(path, simple())
    closed = path.parents[1] / "closed"
    closed.mkdir()
    scandir = os.scandir

    def refused(place: str) -> object:  # permissions do not hold for root, who may run the tests
        if os.fspath(place) == str(closed):
            raise PermissionError(13, "Permission denied", str(closed))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refused)

    found = find_logs([path.parents[1]])

    assert found.logs == [path]
    assert "Permission denied" in found.missing[str(closed)]


def live(run_id: str, rows: int) -> list[object]:
    now = time.time()
    return [header(), run(run_id, now), *(history({"loss": at}, at) for at in range(rows))]


def test_a_log_that_another_one_replaced_is_read_from_its_beginning(
    db: TrainingDB, path: Path
) -> None:
    write_log(path, live("r1", 5))
    following = Following(db, (path,))
    assert list(following.look()) == []

    write_log(path.with_suffix(".new"), live("r2", 500)).replace(path)
    assert list(following.look()) == []
    write_log(path.with_suffix(".new"), [*live("r2", 600), ended(0, 9)]).replace(path)
    (outcome,) = following.look()

    assert (outcome.run_id, outcome.rows, outcome.is_good) == ("r2", 600, True)
    assert outcome.damage == []
    assert db.history.counts("r1")["loss"] == 5
    assert not following.is_live


def test_a_log_that_is_deleted_while_it_is_followed_leaves_what_was_read(
    db: TrainingDB, path: Path
) -> None:
    write_log(path, live("r1", 5))
    following = Following(db, (path.parents[1],))
    assert list(following.look()) == []

    path.unlink()
    (outcome,) = following.look()

    assert outcome.run_id == "r1"
    assert outcome.error is not None
    assert db.history.counts("r1")["loss"] == 5
    assert not following.is_live


def test_a_live_log_that_has_not_grown_costs_the_database_nothing(
    db: TrainingDB, path: Path
) -> None:
    write_log(path, live("r1", 5))
    following = Following(db, (path.parents[1],))
    list(following.look())
    before = db.runs.get("r1")["updated_at_db"]
    asked: list[str] = []

    def note(_connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    list(following.look())
    event.remove(db.engine, "before_cursor_execute", note)

    assert asked == []
    assert db.runs.get("r1")["updated_at_db"] == before
