"""The folders of an export: their names, and that each is whole or not there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.capture.exported import SECONDS, STARTED, a_run, log_in, read_back
from training_db.capture import export_wandb
from training_db.capture.export.folders import ExportWarning, exported_runs
from training_db.errors import (
    Conflict,
    DatabaseUnavailable,
    InvalidValue,
    MissingExtra,
    RunNotFound,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

# What is told apart here does not depend on the database that the runs are in.
pytestmark = pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)


def test_a_run_without_a_start_begins_with_its_first_row(db: TrainingDB, tmp_path: Path) -> None:
    db.runs.insert("r1", created_at="2020-01-01")
    db.history.append("r1", {"loss": [1.0], "_timestamp": [SECONDS]})
    db.runs.insert("r2", created_at="2020-01-01")
    names = [path.name for path in export_wandb(db, ["r1", "r2"], tmp_path)]
    assert names == ["offline-run-20260102_030405-r1", "offline-run-20200101_000000-r2"]
    assert read_back(tmp_path / names[1])[0] == {}


def test_ids_that_wandb_refuses_are_replaced_and_told_apart(db: TrainingDB, tmp_path: Path) -> None:
    for run_id in ("a/b", "a:b", "a-b", "taken"):
        a_run(db, run_id)
    db.runs.insert("other", wandb_run_id="a/b?", started_at=STARTED)
    db.runs.insert("same", wandb_run_id="taken", started_at=STARTED, run_name="a name")
    asked = ["a/b", "a:b", "a-b", "taken", "other", "same"]
    found = {one.run_id: one for one in exported_runs(db, asked, tmp_path)}
    ids = [one.wandb_id for one in found.values()]
    assert len(set(ids)) == len(ids)
    assert ids[2:4] == ["a-b", "taken"]
    assert not any(set(one) & set(":;,#?/'") for one in ids)
    assert found["a-b"].faults == []
    for run_id in ("a/b", "a:b", "other", "same"):
        assert "its config keeps it" in found[run_id].faults[0]
        _, run = read_back(found[run_id].folder)
        assert run.config["training_db_run_id"] == run_id
        assert run.name == {"same": "a name"}.get(run_id, run_id)
    again = {one.run_id: one.wandb_id for one in exported_runs(db, ["a:b"], tmp_path / "again")}
    assert again == {"a:b": found["a:b"].wandb_id}, "an id does not depend on what else is exported"


def test_long_ids_and_tags_are_cut_and_stay_apart(db: TrainingDB, tmp_path: Path) -> None:
    names = ["é" * 400 + end for end in "xy"]
    for name in names:
        db.runs.insert(name, started_at=STARTED)
        db.tags.add(name, "t" * 70 + "x")
        db.tags.add(name, "t" * 70, "y")
    found = list(exported_runs(db, names, tmp_path))
    assert len({one.folder for one in found}) == 2
    for one in found:
        _, run = read_back(one.folder)
        assert [len(tag) for tag in run.tags] == [64, 64]
        assert len(set(run.tags)) == 2
        assert sum("the tag" in fault for fault in one.faults) == 2


def test_an_export_replaces_nothing_unless_it_is_told_to(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    (folder,) = export_wandb(db, "r1", tmp_path)
    before = log_in(folder).read_bytes()
    db.runs.insert("r0", started_at=STARTED)
    db.runs.update("r1", notes="new")
    with pytest.raises(Conflict, match=r"is there already, and nothing was written.*--force"):
        export_wandb(db, ["r0", "r1"], tmp_path)
    assert [path.name for path in tmp_path.glob("*r0*")] == []
    assert log_in(folder).read_bytes() == before
    (folder / "run-r1.wandb.synced").touch()
    assert export_wandb(db, "r1", tmp_path, force=True) == [folder]
    assert read_back(folder)[1].notes == "new"
    assert [path.name for path in folder.iterdir()] == ["run-r1.wandb"]
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_folder_of_the_client_itself_is_never_replaced(
    db: TrainingDB, tmp_path: Path, client_logs: dict[str, Path]
) -> None:
    a_run(db)
    folder = tmp_path / "wandb" / "offline-run-20260102_030405-r1"
    folder.parent.mkdir()
    client_logs["failed"].parent.rename(folder)
    with pytest.raises(Conflict, match="was not exported from here, so it is not replaced"):
        export_wandb(db, "r1", folder.parent, force=True)
    assert len(list(folder.iterdir())) > 1
    empty = tmp_path / "empty" / folder.name
    empty.mkdir(parents=True)
    with pytest.raises(Conflict, match="was not exported from here"):
        export_wandb(db, "r1", empty.parent, force=True)


def test_an_export_that_fails_leaves_nothing_behind(
    db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(db)
    (folder,) = export_wandb(db, "r1", tmp_path)
    before = log_in(folder).read_bytes()

    def cut_off(*_arguments: object) -> None:
        raise DatabaseUnavailable("the database went away")

    monkeypatch.setattr(db.history, "points", cut_off)
    for place, force in ((tmp_path, True), (tmp_path / "new", False)):
        with pytest.raises(DatabaseUnavailable, match="the database went away"):
            export_wandb(db, "r1", place, force=force)
    assert log_in(folder).read_bytes() == before
    assert [path.name for path in tmp_path.glob(".*")] == []
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.parametrize(
    ("moment", "force"), [("pack", False), ("fsync", True), ("rename", False), ("rename", True)]
)
def test_a_killed_export_leaves_a_folder_that_is_whole_or_none(
    db: TrainingDB, tmp_path: Path, moment: str, force: bool
) -> None:
    a_run(db)
    if force:
        export_wandb(db, "r1", tmp_path)
        db.runs.update("r1", notes="new")
    url = db.url.render_as_string(hide_password=False)
    orders = {"url": url, "run_ids": "r1", "folder": str(tmp_path), "force": force}
    ended = subprocess.run(
        [sys.executable, "-m", "tests.capture.exporting", json.dumps(orders | {"end_at": moment})],
        check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    shown = list(tmp_path.glob("offline-run-*"))
    assert len(shown) == force
    for folder in shown:
        assert read_back(folder)[1].exit_code is None
        assert read_back(folder)[1].notes is None
    (folder,) = export_wandb(db, "r1", tmp_path, force=force)
    assert read_back(folder)[1].notes == ("new" if force else None)


def test_a_place_that_cannot_be_written_to_is_named(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValue, match=r"was not written: .*; choose another folder"):
        export_wandb(db, "r1", tmp_path / "file" / "folder")
    with pytest.raises(RunNotFound, match="there is no run 'r2'"):
        export_wandb(db, ["r1", "r2"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_the_client_an_export_says_what_is_missing(
    db: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(db)
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"pip install 'training-db\[wandb\]'"):
        export_wandb(db, "r1", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_files_that_are_gone_are_told(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    db.artifacts.add("r1", "image-file", tmp_path / "run-20200101_000000-r1/files/media/one.png")
    db.artifacts.add("r1", "checkpoint", "s3://bucket/file")
    with pytest.warns(ExportWarning, match="1 of its 1 files are not where they were"):
        (folder,) = export_wandb(db, "r1", tmp_path / "out")
    assert not (folder / "files").exists()


def test_files_that_are_in_each_others_way_are_told(db: TrainingDB, tmp_path: Path) -> None:
    a_run(db)
    first, second = (tmp_path / f"run-2020010{day}_000000-r1" / "files" for day in (1, 2))
    (first / "b").mkdir(parents=True)
    (second / "a" / "deep").mkdir(parents=True)
    for place in (first / "a", second / "a" / "deep" / "f", first / "b" / "c", second / "b"):
        place.write_text("text")
        db.artifacts.add("r1", "file", place)
    db.artifacts.add("r1", "file", f"{first}/b/.//c")
    with pytest.warns(ExportWarning, match="2 of its 4 files .* in each other's way"):
        (folder,) = export_wandb(db, "r1", tmp_path / "out")
    found = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert [str(path) for path in found] == ["files/a", "files/b/c", "run-r1.wandb"]


def test_the_command_exports_runs_and_warns(
    db: TrainingDB, tmp_path: Path, cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_run(db)
    db.runs.insert("a/b", started_at=STARTED)
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    place = str(tmp_path / "out")
    answer = cli("export", "wandb", "1", "a/b", "-o", place, "--json", "--project", "p")
    assert answer.code == 0
    first, second = json.loads(answer.out)
    assert (first["run_id"], first["rows"], first["warnings"]) == ("r1", 3, [])
    assert first["folder"] == f"{place}/offline-run-20260102_030405-r1"
    assert answer.err.startswith("training-db: run 'a/b': its id became")
    assert len(second["warnings"]) == 1
    again = cli("export", "wandb", "r1", "-o", place)
    assert (again.code, again.out) == (1, "")
    assert "--force" in again.err
    forced = cli("export", "wandb", "r1", "-o", place, "--force")
    assert (forced.code, forced.err) == (0, "")
    assert "offline-run-20260102_030405-r1" in forced.out
    assert cli("export", "wandb", "r9", "-o", place).code == 1
    assert cli("export", "wandb", "r1").code == 2
    assert cli("export", "wandb", "r1", "-o", place, "--project", "a/b").code == 2
