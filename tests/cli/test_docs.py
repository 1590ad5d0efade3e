"""What the pages promise is what there is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import piped
from training_db.models import Base
from training_db.settings import VARIABLES

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


def test_the_code_of_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.setenv("TRAINING_DB_PATH", "runs.db")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "run-1 0.001\n", "")


def test_the_page_on_history_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "history.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    for shown in ("[0 1 2] [2.         1.         0.66666667]", "min and max", "baseline"):
        assert shown in done.stdout
    commands = re.findall(r"^\$ training-db (.*)$", page, re.MULTILINE)
    assert len(commands) == 6
    monkeypatch.setenv("TRAINING_DB_PATH", str(tmp_path / "runs.db"))
    monkeypatch.chdir(tmp_path)
    assert [piped(*command.split()).code for command in commands] == [0] * 6
    assert (tmp_path / "run-1.csv").read_text().startswith("run_id,step,")


def test_the_page_on_wandb_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "wandb.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "completed {'metric': 'loss', 'count': 100, 'kind': 'number'}",
        "1",
        "0.74 completed",
    ]
    commands = re.findall(r"^\$ training-db (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    monkeypatch.setenv("TRAINING_DB_PATH", str(tmp_path / "runs.db"))
    monkeypatch.chdir(tmp_path)
    results = [piped(*shlex.split(command)) for command in commands]
    assert [one.code for one in results] == [0] * 4
    assert "4 imported, 3 runs" in results[0].out
    assert "0 new rows" in results[1].out
    assert list(tmp_path.glob("folder/offline-run-*-pipeline-1/run-pipeline-1.wandb"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_links_to_what_is_not_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_every_setting() -> None:
    page = (ROOT / "README.md").read_text()
    assert [name for name in VARIABLES if name.removeprefix("TRAINING_DB") not in page] == []
