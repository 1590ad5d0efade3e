"""SQLite on a network file system: without WAL, and told of.

The file systems are those of this machine, taken for networked ones.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.upkeep.patients import care, only, run
from training_db import TrainingDB, init_db
from training_db.db.engine import file_systems
from training_db.db.engine.file_systems import file_system, network_file_system
from training_db.errors import DatabaseUnavailable
from training_db.upkeep.doctor import examine

if TYPE_CHECKING:
    from pathlib import Path

MOUNTS = r"""
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /data rw,nosuid shared:9 master:1 - nfs4 files:/data rw,vers=4.2
31 30 0:41 / /data/fast rw - xfs /dev/sdb1 rw
32 22 0:42 / /mnt/my\040runs rw - fuse.sshfs me@there: rw
33 22 0:43 / /scratch rw - ext4 /dev/sdc rw
34 22 0:44 / /scratch rw - lustre mds:/scratch rw
35 22 0:45 / /database rw - cifs //nas/db rw
a line that is none
"""


@pytest.fixture
def networked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the file system of the tests' folder count as one of the network."""
    kind = file_system(tmp_path)
    if kind is None:
        pytest.skip("this system does not say what its file systems are")
    monkeypatch.setattr(file_systems, "NETWORKED", frozenset({kind}))
    return kind


def mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("PRAGMA journal_mode").fetchone()[0])


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/runs.db", None), ("/data/runs.db", "nfs4"), ("/data/fast/runs.db", None),
        ("/database", "cifs"), ("/databases/runs.db", None), ("/mnt/my runs/a/b.db", "fuse.sshfs"),
        ("/scratch/runs.db", "lustre"),
    ],
)  # fmt: skip
def test_the_mount_that_a_file_is_below_decides(
    path: str, kind: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(file_systems, "MOUNTS", mounts)
    from pathlib import Path

    assert network_file_system(Path(path)) == kind


def test_a_system_that_says_nothing_has_local_disks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_systems, "MOUNTS", tmp_path / "none")
    assert network_file_system(tmp_path) is None


def test_a_local_file_has_wal(tmp_path: Path) -> None:
    init_db(tmp_path / "runs.db")
    assert mode(tmp_path / "runs.db") == "wal"


def test_a_networked_file_has_none_and_works_all_the_same(tmp_path: Path, networked: str) -> None:
    path = tmp_path / "runs.db"
    init_db(path)
    errors: list[BaseException] = []

    def write(name: str) -> None:
        try:
            with TrainingDB(path) as db:
                for number in range(10):
                    db.runs.insert(f"{name}-{number}", history_json={"loss": [1.0, 0.5]})
                    db.runs.query()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            errors.append(error)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("a", "b", "c")]
    for one in writers:
        one.start()
    with TrainingDB(path) as db, db.recorder("live", flush_seconds=0.1) as recorder:
        for step in range(50):
            recorder.log({"loss": 1 / (step + 1)})
    for one in writers:
        one.join()
    assert errors == []
    with TrainingDB(path) as db:
        assert db.runs.count() == 31
        assert db.history.frame("live").shape[0] == 50
    assert mode(path) == "delete"
    assert sorted(one.name for one in tmp_path.glob("runs.db*")) == ["runs.db"]
    found = next(one for one in examine(path) if one.check == "file system")
    assert f"network file system ({networked})" in found.what
    assert str(found.mend).startswith(f"training-db copy {path} postgresql://")
    spools = [one for one in care(str(path)) if "spools are in" in one.what]
    assert [one.mend for one in spools] == [
        "export TRAINING_DB_SPOOL_DIR=/var/tmp/training-db-spool"
    ]


def test_a_file_that_had_wal_leaves_it(tmp_path: Path, migrated_file: Path, networked: str) -> None:
    path = tmp_path / "runs.db"
    shutil.copy(migrated_file, path)
    path.chmod(0o600)
    assert mode(path) == "wal"
    found = only(str(path))
    assert networked in found.what
    assert "'wal' mode now" in found.what
    run(found.mend)
    assert mode(path) == "delete"
    assert care(str(path)) == []


def test_a_file_that_others_hold_in_wal_is_refused(
    tmp_path: Path, migrated_file: Path, networked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "runs.db"
    shutil.copy(migrated_file, path)
    monkeypatch.setattr("training_db.db.engine.sqlite.LOCK_SECONDS", 0.1)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM training_runs").fetchone()
        with TrainingDB(path) as db, pytest.raises(DatabaseUnavailable, match=networked):
            db.runs.count()
    with TrainingDB(path) as db:
        assert db.runs.count() == 0
