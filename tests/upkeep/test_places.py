"""Odd names of databases, and files that go while they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.db.backup import copy_file
from training_db.upkeep.checks.place import newest_backup, open_to_others

if TYPE_CHECKING:
    from pathlib import Path


def test_signs_of_patterns_in_a_name_are_none(tmp_path: Path, migrated_file: Path) -> None:
    path, other = tmp_path / "run[s]*.db", tmp_path / "runs.db.1.backup"
    path.write_bytes(migrated_file.read_bytes())
    other.touch()
    unfinished = tmp_path / "runsX.db.v3-1.backup.partial"
    unfinished.touch()
    assert newest_backup(path) is None
    copy = copy_file(path, "v3", None)
    assert newest_backup(path) == copy
    assert unfinished.exists()


def test_a_file_that_is_gone_is_open_to_nobody(tmp_path: Path) -> None:
    there = tmp_path / "open"
    there.touch()
    there.chmod(0o644)
    assert open_to_others([tmp_path / "gone", there]) == [str(there)]
