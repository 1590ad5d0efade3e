"""``training-db copy``: what it prints, how it ends, and that no password is seen."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest

from tests.cli.terminal import COMMAND, environment, lines, piped
from tests.transfer.databases import fill
from tests.transfer.truth import TABLES, contents, differences
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from tests.transfer.conftest import Places

    Cli = Callable[..., Answer]


def path_of(url: str) -> str:
    return url.removeprefix("sqlite:///")


def test_it_prints_the_rows_and_checksums_of_every_table(
    places: Places,
    cli: Cli,
) -> None:
    source, target = places.filled("sqlite"), places.nothing("sqlite")

    shown = cli("copy", path_of(source), path_of(target))

    assert shown.code == 0
    for table in TABLES:
        [line] = [words for words in lines(shown.out) if words[:1] == [table]]
        rows = str(contents(source)[table].total())
        assert line.count(rows) >= 2
    assert differences(contents(source), contents(target)) == {}


def test_json_has_the_same_and_nothing_else_on_stdout(
    places: Places,
    cli: Cli,
) -> None:
    source, target = places.filled("sqlite"), places.migrated("postgresql")

    shown = cli("copy", path_of(source), target, "--json")

    assert shown.code == 0
    told = json.loads(shown.out)
    assert told["ok"] is True
    assert {one["name"] for one in told["tables"]} == set(TABLES)
    for one in told["tables"]:
        assert one["source_rows"] == one["target_rows"] == contents(source)[one["name"]].total()
        assert one["source_checksum"] == one["target_checksum"]
        assert one["source_checksum"]


def test_conflicts_are_listed_and_end_with_one(places: Places, cli: Cli) -> None:
    source, target = places.filled("sqlite", runs=2), places.filled("sqlite", runs=2)
    with TrainingDB(target) as db:
        db.runs.update("run-0", notes="mine")

    refused = cli("copy", path_of(source), path_of(target))
    failed = cli("copy", path_of(source), path_of(target), "--merge", "fail")

    assert (refused.code, failed.code) == (1, 1)
    assert "--merge" in refused.err
    assert "run-0" in failed.out + failed.err
    assert "Traceback" not in refused.err + failed.err


def test_a_dry_run_says_what_would_be_done(places: Places, cli: Cli, tmp_path: Path) -> None:
    source = places.filled("sqlite")

    shown = cli("copy", path_of(source), str(tmp_path / "target.db"), "--dry-run")

    assert shown.code == 0
    assert "training_runs" in shown.out
    assert not (tmp_path / "target.db").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("one.db",),
        ("one.db", "two.db", "three.db"),
        ("one.db", "two.db", "--merge", "both"),
        ("mysql://host/name", "two.db"),
    ],
)
def test_bad_usage_ends_with_two(
    arguments: tuple[str, ...], cli: Cli, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    answer = cli("copy", *arguments)
    assert answer.code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["nothing.db", "."])
def test_a_source_that_is_not_there_ends_with_one_and_makes_nothing(
    source: str,
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = cli("copy", source, "target.db")
    assert answer.code == 1
    assert answer.err
    assert list(tmp_path.iterdir()) == []


def test_names_from_the_data_cannot_control_the_terminal(places: Places, cli: Cli) -> None:
    source, target = places.migrated("sqlite"), places.migrated("sqlite")
    for url, notes in ((source, "theirs"), (target, "ours")):
        with TrainingDB(url) as db:
            db.runs.insert("\x1b[31mred\r\nrun", "w\x1b]0;x\x07", notes=notes)

    answer = cli("copy", path_of(source), path_of(target), "--merge", "skip")

    assert "red" in answer.out + answer.err
    for character in "\x1b\x07\r":
        assert character not in answer.out + answer.err


def test_progress_goes_to_stderr_and_tells_the_tables(places: Places) -> None:
    source, target = places.filled("sqlite"), places.nothing("sqlite")

    answer = piped("copy", path_of(source), path_of(target), "--json")

    assert answer.code == 0
    assert json.loads(answer.out)
    assert answer.err


def test_the_password_is_nowhere(places: Places, cli: Cli) -> None:
    source = places.filled("sqlite", runs=1)
    server = places.migrated("postgresql").replace("postgres:@", "postgres:s3cr3t-pass@")
    assert "s3cr3t" in server

    process = subprocess.Popen(
        [*COMMAND, "copy", path_of(source), server, "--json"], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    children = [" ".join(one.cmdline()) for one in psutil.Process(process.pid).children()]
    out, err = process.communicate(timeout=60)
    other = cli("copy", path_of(places.filled("sqlite", runs=1, prefix="other")), server)
    wrong = cli("copy", path_of(source), "postgresql://ann:s3cr3t-pass@127.0.0.1:1/runs")

    assert (process.returncode, other.code, wrong.code) == (0, 1, 1)
    for text in (out, err, other.out, other.err, wrong.out, wrong.err, *children):
        assert "s3cr3t" not in text
    with TrainingDB(server) as db:
        assert "s3cr3t" not in repr(db.events.list("run-0"))


def test_ctrl_c_ends_it_at_once_and_the_same_command_goes_on(places: Places, cli: Cli) -> None:
    source, target = places.filled("sqlite"), places.migrated("postgresql")
    waiting = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'"
    )
    with psycopg.connect(target) as other, psycopg.connect(target, autocommit=True) as watching:
        # It stops in the middle, where it writes the second table.
        other.execute("LOCK TABLE run_objectives IN SHARE MODE")
        process = subprocess.Popen(
            [*COMMAND, "copy", path_of(source), target], env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while process.poll() is None and not watching.execute(waiting).fetchall():
            pass
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
        other.rollback()

    assert process.returncode == 130
    assert "Traceback" not in complaint
    assert cli("copy", path_of(source), target).code == 0
    assert differences(contents(source), contents(target)) == {}


def test_a_merge_tells_what_became_of_each_run(places: Places, cli: Cli) -> None:
    source, target = places.filled("sqlite", runs=2), places.migrated("postgresql")
    fill(target, runs=1, prefix="own")

    shown = cli("copy", path_of(source), target, "--merge", "skip", "--json")

    assert shown.code == 0
    told = json.loads(shown.out)
    assert told["copied_runs"] == 4
    assert told["conflicts"] == []
    assert set(told["renumbered"]) <= set(contents_of(source))


def contents_of(url: str) -> list[str]:
    with TrainingDB(url) as db:
        return [*db.runs.ids(), "run-1"]
