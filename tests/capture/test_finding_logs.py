"""Which logs are imported: files, folders, trees and globs, and what is no log."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.capture.frames import framed
from tests.capture.logs import START, simple, write_log
from tests.capture.oracle import told
from tests.capture.stored import cells_of_one_writer, imported
from training_db.capture import import_wandb_logs

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend


def test_a_tree_is_searched_and_each_log_is_imported_once(
    db: TrainingDB, client_logs: dict[str, Path]
) -> None:
    tree = client_logs["whole"].parents[1]
    assert (tree / "latest-run").is_symlink()

    outcomes = imported(db, tree, client_logs["whole"], client_logs["whole"].parent, tree.parent)

    assert sorted(str(one.run_id) for one in outcomes) == [
        "failed", "resumed", "resumed", "typed", "whole",
    ]  # fmt: skip


def test_globs_are_understood(db: TrainingDB, client_logs: dict[str, Path]) -> None:
    tree = client_logs["whole"].parents[1]

    outcomes = imported(db, tree / "offline-run-*-whole", tree / "*-failed" / "*.wandb")

    assert {one.run_id for one in outcomes} == {"whole", "failed"}


@pytest.mark.parametrize("data", [b"", b":W&B\xe1\xbe\x00", framed([bytes(60)]).data[:17]])
def test_a_log_without_records_stops_nothing(
    db: TrainingDB, client_logs: dict[str, Path], data: bytes
) -> None:
    tree = client_logs["whole"].parents[1]
    empty = tree / "run-20240101_000000-empty" / "run-empty.wandb"
    empty.parent.mkdir()
    empty.write_bytes(data)
    os.utime(empty, (START, START))  # else its run may just be about to begin

    outcomes = imported(db, tree)

    assert len(outcomes) == 6
    (one,) = [one for one in outcomes if "empty" in one.file]
    assert (one.rows, one.error) == (0, None)
    assert bool(one.damage) == (len(data) != 7)


def test_a_file_that_is_no_log_does_not_stop_the_others(
    db: TrainingDB, client_logs: dict[str, Path]
) -> None:
    tree = client_logs["whole"].parents[1]
    pointer = tree / "run-20240101_000000-lfs" / "run-lfs.wandb"
    pointer.parent.mkdir()
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")

    outcomes = import_wandb_logs(db, tree)

    assert sum(one.is_good for one in outcomes) == 5
    (bad,) = [one for one in outcomes if not one.is_good]
    assert bad.error is not None
    assert "git lfs pull" in bad.error


def test_a_copy_at_another_place_is_the_same_log(
    db: TrainingDB, path: Path, tmp_path: Path
) -> None:
    write_log(path, simple(rows=7))
    imported(db, path)
    copy = tmp_path / "backup" / "run-r1.wandb"
    copy.parent.mkdir()
    shutil.copy(path, copy)

    (outcome,) = imported(db, copy)

    assert outcome.new_rows == 0
    assert cells_of_one_writer(db, "r1")["loss"] == told(path).cells["loss"]


@pytest.mark.parametrize("others", [0, 3])
def test_a_progress_is_told_up_to_the_end(
    db: TrainingDB, path: Path, tmp_path: Path, others: int
) -> None:
    write_log(path, simple())
    for at in range(others):
        write_log(tmp_path / "wandb" / f"run-{at}" / f"run-x{at}.wandb", simple(f"x{at}"))
    last: dict[Path, tuple[int, int]] = {}

    def progress(log: Path, done: int, total: int) -> None:
        assert 0 <= done <= total
        last[log] = (done, total)

    import_wandb_logs(db, tmp_path / "wandb", progress=progress)

    assert set(last) == set((tmp_path / "wandb").rglob("*.wandb"))
    assert len(last) == others + 1
    assert all(done == total for done, total in last.values())
