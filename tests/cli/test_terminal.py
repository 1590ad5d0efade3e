"""How output looks: on a terminal, in a pipe, and whatever stands in the data."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import COMMAND, environment, on_terminal, piped
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.terminal import Answer

LONG = "run-" + "x" * 300
HOSTILE = ["[red]a[/red]", "[link=https://evil]x[/link]", "a\x1b[31mb", "a\x1b]0;title\x07b",
           "a\rb", "a\x9b2Jb", "a\u202eb", "[/]", "\\[bold]", "日本-ü-😀"]  # fmt: skip
STYLES = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def file(migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path = tmp_path / "training.db"
    shutil.copy(migrated_file, path)
    monkeypatch.setenv("TRAINING_DB_PATH", str(path))
    with TrainingDB(path) as db:
        db.runs.insert("short", status="failed", run_name="plain", gradient_method="mgda")
        db.runs.insert(LONG, status="completed", host="gpu-1")
    return path


@pytest.mark.usefixtures("file")
def test_what_goes_into_a_pipe_is_plain_and_whole() -> None:
    answer = piped("runs", "list")
    assert (answer.code, answer.err) == (0, "")
    assert "\x1b" not in answer.out
    assert LONG in answer.out
    assert len(answer.out.splitlines()) == 3
    assert "…" not in answer.out
    assert all(line == line.rstrip() for line in answer.out.splitlines())
    assert LONG in piped("runs", "list", COLUMNS="40").out


@pytest.mark.usefixtures("file")
def test_a_terminal_gets_colours_and_a_pipe_that_asks_for_none_gets_none() -> None:
    assert STYLES.search(on_terminal("runs", "list").out)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_terminal("runs", "list", NO_COLOR="1").out)


@pytest.mark.usefixtures("file")
@pytest.mark.parametrize("width", [100, 180])
def test_the_width_is_that_of_the_terminal(width: int) -> None:
    for answer in (on_terminal("runs", "list", width=width),
                   on_terminal("runs", "list", width=90, COLUMNS=str(width))):  # fmt: skip
        lines = [STYLES.sub("", line) for line in answer.out.splitlines()]
        assert max(map(len, lines)) <= width
        assert "x" * 5 in answer.out  # a long name is folded, not cut
    joined = "".join(re.findall("x+", on_terminal("runs", "list", width=width).out))
    assert joined.count("x") == 300


@pytest.mark.usefixtures("file")
def test_a_run_is_shown_on_a_terminal() -> None:
    answer = on_terminal("runs", "show", "short")
    assert answer.code == 0
    assert "Run short" in answer.out
    assert "plain" in answer.out


@pytest.mark.usefixtures("file")
def test_an_empty_listing_says_so_on_a_terminal() -> None:
    answer = on_terminal("runs", "list", "host = 'nowhere'")
    assert "no run matches" in answer.out
    assert answer.err == ""


def insert_hostile(file: Path) -> None:
    with TrainingDB(file) as db:
        for name in HOSTILE:
            run_id = f"id {name}"
            db.runs.insert(run_id, run_name=name, config={name: name}, gradient_method=name)
            db.objectives.insert(run_id, name, raw_mean=1.0)
            db.scaffolds.insert(run_id, [{"scaffold_id": name, "scores": {name: 1.0}}])


def literally(name: str) -> str:
    return "".join(one if one.isprintable() else " " for one in name)


def assert_harmless(answer: Answer) -> str:
    """Check that nothing but our own styles controls the terminal, and return the rest."""
    assert (answer.code, answer.err) == (0, "")
    plain = STYLES.sub("", answer.out)
    assert not {one for one in plain if not one.isprintable()} - {"\n"}
    assert not re.search(r"\x1b\[[0-9;]*mb", answer.out)
    return plain


@pytest.mark.parametrize("run", [piped, on_terminal])
def test_what_stands_in_the_data_controls_no_terminal(
    file: Path, run: Callable[..., Answer]
) -> None:
    insert_hostile(file)
    listed = assert_harmless(run("runs", "list", "--columns", "run_name,status"))
    for name in HOSTILE:
        assert literally(name) in listed
    for command in ("objectives", "scaffolds", "stats"):
        assert_harmless(run(command))


@pytest.mark.parametrize("name", ["[red]a[/red]", "a\x1b[31mb"])
def test_a_run_of_any_name_is_shown_literally(file: Path, name: str) -> None:
    insert_hostile(file)
    for run in (piped, on_terminal):
        shown = assert_harmless(run("runs", "show", f"id {name}"))
        assert shown.count(literally(name)) >= 4
    assert json.loads(piped("runs", "show", f"id {name}", "--json").out)["run_name"] == name


@pytest.mark.usefixtures("file")
def test_an_error_is_one_line_without_a_traceback() -> None:
    for arguments in (["runs", "show", "nobody"], ["runs", "list", "--order-by", "colour"]):
        answer = piped(*arguments)
        assert answer.out == ""
        assert len(answer.err.splitlines()) == 1
        assert answer.err.startswith("training-db: ")


@pytest.mark.parametrize("how", [[], ["--json"]], ids=["plain", "json"])
def test_a_reader_that_leaves_early_sees_no_traceback(file: Path, how: list[str]) -> None:
    with TrainingDB(file) as db:
        db.runs.insert_many({"run_id": f"r{n}", "run_name": "x" * 200} for n in range(3_000))
    writer = subprocess.Popen(
        [*COMMAND, "runs", "list", "--limit", "3000", *how],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    assert writer.stdout.read(10)
    writer.stdout.close()
    errors = writer.stderr.read().decode()
    writer.stderr.close()
    assert "Traceback" not in errors
    assert writer.wait(30) in (0, 1)


def test_the_installed_command_is_the_same() -> None:
    from importlib.metadata import entry_points

    from training_db.cli import main

    (entry,) = entry_points(group="console_scripts", name="training-db")
    assert entry.load() is main
