"""What the pages promise is what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training_db.models import Base
from training_db.settings import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate_cli.py", "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_the_page_of_the_schema_names_every_column(table: str) -> None:
    page = (ROOT / "docs" / "schema.md").read_text()
    names = [column.name for column in Base.metadata.tables[table].columns]
    assert f"## {table}" in page
    assert [name for name in names if f"`{name}`" not in page] == []


def shown_by_the_code_of(page: str, folder: Path) -> str:
    """Run all Python of a page as one script in a folder, and return what it prints."""
    code = "\n".join(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def answers_to_the_commands_of(
    page: str, folder: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> list[Answer]:
    """Run all commands of a page in a folder, where its code has left a database."""
    commands = re.findall(r"^\$ training-db (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    monkeypatch.setenv("TRAINING_DB_PATH", str(folder / "runs.db"))
    monkeypatch.chdir(folder)
    answers = [cli(*shlex.split(command)) for command in commands]
    assert [one.code for one in answers] == [0] * len(commands)
    return answers


def test_the_code_of_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_PATH", "runs.db")
    assert shown_by_the_code_of("README.md", tmp_path) == "run-1 0.001\n"


def test_the_page_on_history_runs_as_it_stands(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_by_the_code_of("docs/history.md", tmp_path)
    for part in ("[0 1 2] [2.         1.         0.66666667]", "min and max", "baseline"):
        assert part in shown
    assert len(answers_to_the_commands_of("docs/history.md", tmp_path, cli, monkeypatch)) == 6
    assert (tmp_path / "run-1.csv").read_text().startswith("run_id,step,")


def test_the_page_on_analysis_runs_as_it_stands(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_by_the_code_of("docs/analysis.md", tmp_path)
    for part in ("flat at 0.4", "\nmore than noise\n", "cannot be told", "run-10"):
        assert part in shown
    assert len(answers_to_the_commands_of("docs/analysis.md", tmp_path, cli, monkeypatch)) == 7
    for name in ("loss.html", "project.html"):
        assert "<html" in (tmp_path / name).read_text()
    assert "# run-0" in (tmp_path / "pair.md").read_text()


def test_the_page_on_wandb_runs_as_it_stands(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    assert shown_by_the_code_of("docs/wandb.md", tmp_path).splitlines() == [
        "completed {'metric': 'loss', 'count': 100, 'kind': 'number'}",
        "1",
        "0.74 completed",
    ]
    first, again, *others = answers_to_the_commands_of("docs/wandb.md", tmp_path, cli, monkeypatch)
    assert len(others) == 2
    assert "4 imported, 3 runs" in first.out
    assert "0 new rows" in again.out
    assert list(tmp_path.glob("folder/offline-run-*-pipeline-1/run-pipeline-1.wandb"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_links_to_what_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_every_setting() -> None:
    page = (ROOT / "README.md").read_text()
    assert [name for name in VARIABLES if name.removeprefix("TRAINING_DB") not in page] == []
