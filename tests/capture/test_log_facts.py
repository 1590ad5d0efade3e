"""What a W&B log says of its run besides its history: how it ended, and whose it is."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from wandb.proto.wandb_internal_pb2 import Record

from tests.capture.client import EMAIL, USER
from tests.capture.logs import (
    START,
    alert,
    config,
    ended,
    environment,
    files,
    header,
    history,
    run,
    simple,
    write_log,
)
from tests.capture.oracle import read
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from training_db.capture.captured import CapturedRun

FINISHED = START + 90


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-20231114_221320-r1" / "run-r1.wandb"


def captured(path: Path, *records: Record) -> CapturedRun:
    if records:
        write_log(path, records)
    log = WandbLog(path)
    read(log)
    return log.run


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("code", "status"), [(0, "completed"), (1, "failed"), (255, "failed"), (-9, "failed")]
)
def test_the_exit_code_says_how_a_run_ended(path: Path, code: int, status: str) -> None:
    one = captured(path, header(), run(), history({"loss": 1.0}, 0), ended(code, 90))

    assert (one.status, one.exit_code, one.runtime_seconds) == (status, code, 90)
    assert (one.started_at, one.ended_at) == (moment(START), moment(FINISHED))


def test_a_run_without_an_exit_record_has_crashed(path: Path) -> None:
    one = captured(path, header(), run(), history({"loss": 1.0, "_timestamp": START + 5.5}, 0))

    assert (one.status, one.exit_code) == ("crashed", None)
    assert one.ended_at == moment(START + 5.5)


def test_a_run_that_wrote_just_now_is_running(path: Path) -> None:
    now = time.time()
    records = [header(), run(start=now - 60), history({"loss": 1.0, "_timestamp": now - 1}, 0)]

    one = captured(path, *records)

    assert (one.status, one.exit_code, one.ended_at) == ("running", None, None)


def test_an_old_file_of_a_run_without_an_exit_record_is_of_a_crashed_run(path: Path) -> None:
    now = time.time()
    records = [header(), run(start=now - 60), history({"loss": 1.0, "_timestamp": now - 1}, 0)]
    write_log(path, records)
    os.utime(path, (now - 600, now - 600))

    assert captured(path).status == "crashed"


def test_a_copied_file_of_a_run_that_wrote_long_ago_is_of_a_crashed_run(path: Path) -> None:
    write_log(path, simple()[:-1])
    os.utime(path)

    assert captured(path).status == "crashed"


def test_the_last_of_several_exit_records_counts(path: Path) -> None:
    one = captured(path, *simple(), ended(1, 7), history({"loss": 0.5}, 9), ended(0, 9))

    assert (one.status, one.exit_code, one.runtime_seconds) == ("completed", 0, 9)


def test_what_people_wrote_about_a_run_is_kept(path: Path) -> None:
    told = run(
        "id1", entity="team", project="chem", display_name="first try", notes="a\nb", host="gpu-1",
        run_group="g", job_type="train", sweep_id="s1", tags=["keep", "paper 2"],
        git=("https://github.com/o/r.git", "abc123"),
    )  # fmt: skip

    one = captured(path, header(), told, ended())

    assert (one.source, one.source_id, one.wandb_run_id) == ("wandb-offline", "id1", "id1")
    assert (one.entity, one.project, one.name, one.notes) == ("team", "chem", "first try", "a\nb")
    assert (one.group, one.job_type, one.sweep, one.host) == ("g", "train", "s1", "gpu-1")
    assert one.tags == ["keep", "paper 2"]
    assert one.git_commit == "abc123"


def test_what_is_told_later_wins(path: Path) -> None:
    first, second = run(display_name="old", tags=["a"]), run(display_name="new", tags=["a", "b"])

    one = captured(path, header(), first, second, ended())

    assert (one.name, sorted(one.tags)) == ("new", ["a", "b"])


def test_a_patch_beside_the_log_says_that_the_code_had_changes(path: Path) -> None:
    write_log(path, simple(git=("https://github.com/o/r.git", "abc123")))
    assert captured(path).git_dirty is not True

    patch = path.parent / "files" / "diff.patch"
    patch.parent.mkdir()
    patch.write_text("diff --git a/x b/x\n")

    assert captured(path).git_dirty is True


@pytest.mark.parametrize(
    "records",
    [
        [header("0.19.1+abc"), run()],
        [header(), run(cli_version="0.19.1")],
        [header(), run(), config({"_wandb": {"cli_version": "0.19.1"}})],
    ],
)
def test_the_version_of_the_client_is_found_wherever_it_stands(
    path: Path, records: list[Record]
) -> None:
    one = captured(path, *records, ended())

    assert "0.19.1" in json.dumps(one.details)


def test_the_version_of_the_client_is_found_in_telemetry(path: Path) -> None:
    telemetry = Record()
    telemetry.telemetry.cli_version = "0.12.15"

    assert "0.12.15" in json.dumps(captured(path, header(), run(), telemetry).details)


def test_alerts_are_events(path: Path) -> None:
    one = captured(path, *simple(), alert("careful", "it diverges", "WARN"), alert("again", ""))

    said = [event.message for event in one.events]
    assert any("careful" in text and "it diverges" in text for text in said)
    assert len({event.key for event in one.events}) == 2


def test_files_are_artifacts_once_each(path: Path) -> None:
    one = captured(path, *simple(), files("model.pt", "media/a.png"), files("model.pt"))

    paths = [artifact.path for artifact in one.artifacts]
    assert sorted(paths) == [
        str(path.parent / "files" / name) for name in ("media/a.png", "model.pt")
    ]


def test_what_tells_a_writer_does_not_change_while_the_file_grows(tmp_path: Path) -> None:
    records = simple(rows=5)
    writers = {
        captured(tmp_path / str(length) / "run-r1.wandb", *records[:length]).writer
        for length in range(2, len(records) + 1)
    }

    assert len(writers) == 1


def test_two_files_of_one_run_have_different_writers(tmp_path: Path) -> None:
    one = captured(tmp_path / "a" / "run-r1.wandb", *simple(start=START))
    two = captured(tmp_path / "b" / "run-r1.wandb", *simple(start=START + 1))
    worker = captured(tmp_path / "c" / "run-r1.wandb", *simple(host="other"))

    assert len({one.writer, two.writer, worker.writer}) == 3


@pytest.mark.parametrize("length", [7, 40])
def test_a_log_that_ends_before_its_run_is_told_raises_nothing(path: Path, length: int) -> None:
    write_log(path, simple())
    path.write_bytes(path.read_bytes()[:length])
    log = WandbLog(path)

    assert read(log) == {}
    assert (log.rows, log.counts) == (0, {})


def test_nothing_private_is_kept(path: Path) -> None:
    remote = "https://tokenuser:s3cr3t@github.com/o/r.git"
    private = {"email": "person@example.org", "username": "personname"}
    beside = path.parent / "files" / "wandb-metadata.json"
    beside.parent.mkdir(parents=True)
    beside.write_text(
        json.dumps({**private, "git": {"remote": remote, "commit": "abc"}, "host": "gpu-1"})
    )

    one = captured(
        path, header(), run(git=(remote, "abc")), environment(git=(remote, "abc"), **private),
        environment(email="person@example.org"), *simple()[2:],
    )  # fmt: skip

    assert one.git_commit == "abc"
    check_privacy(one, "person@example.org", "personname", "tokenuser", "s3cr3t")


@pytest.mark.parametrize(
    "remote",
    [
        "https://secret@host.org/o/r.git", "https://secret:x@host.org/o/r", "http://secret:@h.org/r",
        "ssh://secret@host.org:22/o/r.git", "secret@host.org:o/r.git",
        "https://oauth2:secret@gitlab.example.org/o/r.git",
    ],
)  # fmt: skip
def test_the_user_part_of_a_git_remote_is_not_kept(path: Path, remote: str) -> None:
    one = captured(path, header(), run(git=(remote, "abc")), environment(git=(remote, "abc")))

    check_privacy(one, "secret", "oauth2")


def test_nothing_private_of_a_log_of_the_real_client_is_kept(client_logs: dict[str, Path]) -> None:
    raw = client_logs["whole"].read_bytes()
    assert EMAIL.encode() in raw
    assert USER.encode() in raw

    check_privacy(captured(client_logs["whole"]), EMAIL, USER, "tokenuser", "s3cr3t")


def check_privacy(one: CapturedRun, *private: str) -> None:
    told = repr(asdict(one))
    for word in private:
        assert word not in told


def test_the_real_client_told_all_this(client_logs: dict[str, Path]) -> None:
    path = client_logs["whole"]
    one = captured(path)

    assert (one.wandb_run_id, one.name, one.notes) == ("whole", "a name", "some notes")
    assert (one.group, one.job_type, one.project) == ("group", "train", "project")
    assert one.tags == ["first", "second"]
    assert (one.status, one.exit_code) == ("completed", 0)
    assert one.git_commit is not None
    assert len(one.git_commit) == 40
    assert "0.31" in json.dumps(one.details)
    expected: dict[str, Any] = {
        "optimizer": {"lr": 1e-08, "betas": [0.9, 0.999]}, "a.b": 1, "empty": {}, "nan": None,
        "none": None, "text": "héllo", "later": 1,
    }  # fmt: skip
    assert one.config == expected
    assert any("it diverges" in event.message for event in one.events)
    tables = [artifact for artifact in one.artifacts if "media/table" in artifact.path]
    assert tables
    assert captured(client_logs["failed"]).exit_code == 3


def test_the_real_client_s_two_attempts_at_one_run_are_two_writers(
    client_logs: dict[str, Path],
) -> None:
    first, second = captured(client_logs["first"]), captured(client_logs["second"])

    assert first.wandb_run_id == second.wandb_run_id == "resumed"
    assert first.writer < second.writer
